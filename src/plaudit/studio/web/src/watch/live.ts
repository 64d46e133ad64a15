// The run as it is: fetched when the studio says that it has changed, at most about once a second, and not while nobody looks.
import { signal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { get, whoami } from "../api";
import type { Now, Summary } from "./contract";

export const summary = signal<Summary | null>(null);
export const now = signal<Now | null>(null);
/** when the page last changed, in milliseconds; 0 before */
export const updated = signal(0);
export const connected = signal(false);
export const trouble = signal("");

const AGAIN = 3000;
const APART = 1200;

let watchers = 0;
let stream: EventSource | null = null;
let timer = 0;
let fetching = false;
let behind = false;

/** Keep the run up to date while a page is open that shows it. */
export function useRun(): void {
  useEffect(() => {
    watchers += 1;
    if (watchers === 1) begin();
    return () => {
      watchers -= 1;
      if (watchers === 0) end();
    };
  }, []);
}

function begin(): void {
  void refresh();
  stream = new EventSource("/api/watch/stream");
  stream.addEventListener("open", () => (connected.value = true));
  stream.addEventListener("error", () => {
    connected.value = false;
    void whoami(); // whoever was signed out elsewhere is told so at once
    if (stream?.readyState !== EventSource.CLOSED) return; // it connects again by itself
    end();
    timer = window.setTimeout(() => watchers && begin(), AGAIN);
  });
  stream.addEventListener("changed", (event) => {
    now.value = JSON.parse((event as MessageEvent<string>).data) as Now;
    if (summary.value?.provenance.events !== now.value.seq) void refresh();
  });
  document.addEventListener("visibilitychange", catchUp);
}

function end(): void {
  stream?.close();
  stream = null;
  clearTimeout(timer);
  connected.value = false;
  document.removeEventListener("visibilitychange", catchUp);
}

function catchUp(): void {
  if (!document.hidden && behind) void refresh();
}

async function refresh(): Promise<void> {
  behind = true;
  if (fetching || document.hidden) return;
  fetching = true;
  behind = false;
  const found = await get<Summary>("/api/watch/summary");
  if (found.kind === "ok") {
    if (summary.value !== null && summary.value.provenance.head !== found.data.provenance.head) updated.value = Date.now();
    summary.value = found.data;
    trouble.value = "";
  } else if (found.kind !== "locked") {
    trouble.value = found.error;
    behind = found.kind === "failed";
  }
  timer = window.setTimeout(() => {
    fetching = false;
    if (behind && watchers) void refresh();
  }, found.kind === "ok" ? APART : AGAIN);
}

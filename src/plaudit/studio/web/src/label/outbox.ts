// What this browser still owes the studio. An answer stays until the studio says that it is saved; what a restarted
// studio (another view.session) was never sent goes out again. One request at a time, oldest first. Each entry has a
// place of its own in the browser's storage, so that two tabs neither lose nor resurrect each other's.
import { computed, signal } from "@preact/signals";
import { call, locked, type Outcome } from "../api";
import type { Answer, Question, View } from "../contract";
import { keys, read, write } from "../kept";

export type Entry = { key: string; sentIn?: string; inFlight?: boolean } & (
  | { kind: "answer"; body: Answer; question: Question; draft: unknown }
  | { kind: "undo"; body: { submission: string }; question?: Question }
  | { kind: "cue"; body: { cue: "pause" | "resume" | "end" } }
);

const PATHS = { answer: "/api/feedback", undo: "/api/undo", cue: "/api/session" } as const;
const LONGEST_WAIT = 15_000; // milliseconds between attempts without a connection

export interface Listener {
  /** the studio has said what is to be seen */
  take: (view: View) => void;
  /** the studio will never take this entry */
  refused: (entry: Entry, error: string) => void;
  /** milliseconds until the studio is to be asked again, when all is well */
  pace: () => number;
}

export class Outbox {
  readonly entries = signal<Entry[]>([]);
  /** attempts in a row that failed */
  readonly failures = signal(0);
  /** false: the browser's storage is full or forbidden, and only this tab holds what is unsent */
  readonly durable = signal(true);
  /** why the studio declined the last attempt, for the time being */
  readonly trouble = signal<string | null>(null);
  readonly unsent = computed(() => this.entries.value.filter((entry) => entry.sentIn === undefined));
  private prefix: string | null = null;
  private busy = false;
  private timer = 0;
  private count = 0;
  private stopped = false;

  constructor(private readonly listener: Listener) {
    addEventListener("storage", this.other);
    addEventListener("online", this.hurry);
    document.addEventListener("visibilitychange", this.seen);
  }

  stop(): void {
    this.stopped = true;
    clearTimeout(this.timer);
    removeEventListener("storage", this.other);
    removeEventListener("online", this.hurry);
    document.removeEventListener("visibilitychange", this.seen);
  }

  add(entry: Entry): void {
    this.entries.value = [...this.entries.value, entry];
    this.keep(entry);
    void this.pump();
  }

  drop(entry: Entry): void {
    this.entries.value = this.entries.value.filter((other) => other.key !== entry.key);
    if (this.prefix) write(this.prefix + entry.key, undefined);
  }

  /** Names that sort by time. */
  name(): string {
    this.count += 1;
    return `${Date.now().toString(36).padStart(9, "0")}-${String(this.count).padStart(4, "0")}-${uuid().slice(0, 8)}`;
  }

  readonly hurry = (): void => {
    if (this.busy || this.stopped) return;
    clearTimeout(this.timer);
    void this.pump();
  };

  async pump(): Promise<void> {
    if (this.busy || this.stopped) return;
    this.busy = true;
    const entry = this.prefix ? this.unsent.peek()[0] : undefined;
    const outcome = entry ? await this.send(entry) : await call<View>("GET", "/api/next");
    this.busy = false;
    if (this.stopped) return;
    let wait: number | undefined;
    if (outcome.kind === "ok") {
      locked.value = false;
      this.failures.value = 0;
      this.trouble.value = null;
      this.settle(outcome.data);
      this.listener.take(outcome.data);
    } else if (outcome.kind !== "locked") {
      this.failures.value += 1;
      this.trouble.value = outcome.kind === "failed" && outcome.silent ? null : outcome.error;
      if (outcome.kind === "failed" && outcome.after !== undefined) wait = outcome.after * 1000;
    } else wait = LONGEST_WAIT; // a sign-in in another tab is noticed
    this.schedule(wait);
  }

  private async send(entry: Entry): Promise<Outcome<View>> {
    entry.inFlight = true;
    const outcome = await call<View>("POST", PATHS[entry.kind], entry.body);
    entry.inFlight = false;
    if (outcome.kind === "refused") {
      this.drop(entry);
      this.listener.refused(entry, outcome.error);
      return call<View>("GET", "/api/next");
    }
    if (outcome.kind !== "ok") return outcome;
    if (entry.kind === "answer") {
      this.change(entry, outcome.data.session);
    } else {
      this.drop(entry);
      if (entry.kind === "undo") {
        for (const other of this.entries.peek()) if (other.kind === "answer" && other.body.id === entry.body.submission) this.drop(other);
      }
    }
    return outcome;
  }

  private settle(view: View): void {
    this.load(view.run, view.annotator);
    const saved = new Set(view.saved);
    for (const entry of this.entries.peek()) {
      if (entry.kind === "answer" && saved.has(entry.body.id)) this.drop(entry);
      else if (entry.sentIn !== undefined && entry.sentIn !== view.session) this.change(entry, undefined);
    }
  }

  private change(entry: Entry, sentIn: string | undefined): void {
    if (!this.entries.peek().some((other) => other.key === entry.key)) return; // another tab knew that it is saved
    const { sentIn: _, ...rest } = entry;
    const changed = (sentIn === undefined ? rest : { ...rest, sentIn }) as Entry;
    this.entries.value = this.entries.peek().map((other) => (other.key === entry.key ? changed : other));
    this.keep(changed);
  }

  private load(run: string, annotator: string): void {
    if (this.prefix !== null) return;
    this.prefix = `out:${run}:${annotator}:`;
    const early = this.entries.peek();
    const kept = keys(this.prefix).map((key) => read<Entry>(key)).filter((entry) => entry !== undefined);
    this.entries.value = sorted([...kept, ...early]);
    early.forEach((entry) => this.keep(entry));
  }

  private keep(entry: Entry): void {
    if (!this.prefix) return;
    const { inFlight: _, ...rest } = entry;
    this.durable.value = write(this.prefix + entry.key, rest);
  }

  /** Another tab of this browser has added, sent or settled something. */
  private readonly other = (event: StorageEvent): void => {
    const start = this.prefix && `plaudit:${this.prefix}`;
    if (!start || !event.key?.startsWith(start)) return;
    const key = event.key.slice(start.length);
    const rest = this.entries.peek().filter((entry) => entry.key !== key);
    const now = event.newValue === null ? null : (JSON.parse(event.newValue) as Entry);
    this.entries.value = now ? sorted([...rest, now]) : rest;
    this.hurry();
  };

  private readonly seen = (): void => {
    if (document.visibilityState === "visible") this.hurry();
  };

  private schedule(wait?: number): void {
    clearTimeout(this.timer);
    const failures = this.failures.peek();
    const again = failures ? Math.min(1000 * 2 ** (failures - 1), LONGEST_WAIT) : this.unsent.peek().length ? 0 : this.listener.pace();
    this.timer = window.setTimeout(() => void this.pump(), wait ?? again);
  }
}

function sorted(entries: Entry[]): Entry[] {
  return entries.sort((one, other) => (one.key < other.key ? -1 : 1));
}

/** Also where the page is not a secure context, where crypto.randomUUID is missing. */
export function uuid(): string {
  if (typeof crypto.randomUUID === "function") return crypto.randomUUID();
  const hex = [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}

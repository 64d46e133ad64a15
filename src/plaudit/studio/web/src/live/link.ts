// The line to a world that is played: what the studio says of it, its pictures, and what is wished.
import { signal } from "@preact/signals";
import { get, locked, post } from "../api";
import type { LiveProps } from "../contract";
import { worded } from "../words/errors";

export interface LiveKey {
  key: string;
  action: number | number[];
  label: string;
}

export interface LivePad {
  x: [number, number] | null;
  y: [number, number] | null;
}

/** See LiveWorld in studio/live.py. */
export interface World {
  id: string;
  fps: number;
  keys: LiveKey[];
  idle: number | number[] | null;
  turns: boolean;
  pads: LivePad[];
  low: number[];
  high: number[];
  strength: number;
  length: number;
  kept: number;
}

export interface State {
  step: number;
  done: boolean;
  enough: boolean;
  again: number;
}

export interface Frame extends State {
  picture: Blob;
}

type Trouble = { kind: "none" } | { kind: "lost" } | { kind: "elsewhere" } | { kind: "failed"; error: string };

const TAKEN = 4409;
const GONE = 4404;
const SIGNED_OUT = 4401;
const RETRY = 1000;
const PATIENCE = 120_000;
/** pictures kept to look back at: two minutes */
const KEPT = 2400;

export class Link {
  readonly frame = signal<Frame | null>(null);
  readonly trouble = signal<Trouble>({ kind: "none" });
  readonly open = signal(false);
  /** of this attempt, oldest first */
  frames: Frame[] = [];
  onFrame: (frame: Frame) => void = () => undefined;
  private socket: WebSocket | null = null;
  private state: State | null = null;
  private lostAt = 0;
  private last: Record<string, unknown> | null = null;
  private ended = false;

  constructor(
    readonly world: World,
    private readonly handedIn: LiveProps["done"],
  ) {
    this.connect();
  }

  /** Hand in; said again whenever the line is back, until the studio says that it is stored. */
  handIn(first: number | null): void {
    this.last = first === null ? { end: true } : { end: true, first };
    this.send(this.last);
  }

  /** Nothing of what was done is to be kept. */
  drop(): void {
    this.last = null;
    this.send({ restart: true });
  }

  send(wish: Record<string, unknown>): void {
    if (this.socket?.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify(wish));
  }

  close(): void {
    this.ended = true;
    this.socket?.close();
  }

  private connect(): void {
    const socket = new WebSocket(`${location.origin.replace(/^http/, "ws")}/api/live/${this.world.id}`);
    let seen = 0;
    socket.binaryType = "blob";
    socket.onopen = () => {
      this.lostAt = 0;
      this.open.value = true;
      this.trouble.value = { kind: "none" };
      if (this.last) this.send(this.last);
    };
    socket.onmessage = (event: MessageEvent<string | Blob>) => {
      if (typeof event.data === "string") this.told(JSON.parse(event.data) as Record<string, unknown>);
      else {
        this.shown(event.data);
        seen += 1;
        this.send({ seen }); // further ones are sent only then
      }
    };
    socket.onclose = (event) => this.lost(event.code);
    this.socket = socket;
  }

  private told(said: Record<string, unknown>): void {
    if (typeof said.segment === "string") {
      this.ended = true;
      const { start, end } = said;
      this.handedIn(said.segment, typeof start === "number" && typeof end === "number" ? { start, end } : null);
    } else if (typeof said.error === "string") this.fail(worded(said.error, said.code as string, said.got as string | null));
    else this.state = said as unknown as State;
  }

  private shown(picture: Blob): void {
    if (this.state === null) return;
    const frame = { ...this.state, picture };
    if (frame.again !== this.frame.peek()?.again) this.frames = [];
    this.frames.push(frame);
    if (this.frames.length > KEPT) this.frames.shift();
    this.frame.value = frame;
    this.onFrame(frame);
  }

  private fail(error: string): void {
    this.ended = true;
    this.trouble.value = { kind: "failed", error };
  }

  private lost(code: number): void {
    this.open.value = false;
    if (this.ended) return;
    if (code === SIGNED_OUT) {
      this.ended = true;
      locked.value = true; // the page says so, and lets in again
      return;
    }
    if (code === TAKEN) {
      this.ended = true;
      this.trouble.value = { kind: "elsewhere" };
      return;
    }
    const now = Date.now();
    this.lostAt ||= now;
    if (code === GONE || now - this.lostAt > PATIENCE) {
      this.fail("");
      return;
    }
    this.trouble.value = { kind: "lost" };
    setTimeout(() => {
      if (!this.ended) this.connect();
    }, RETRY);
  }
}

/** See LiveShown in studio/live.py. */
export interface Shown {
  segment: string;
  start: number | null;
  end: number | null;
  length: number;
  at: number;
}

/** What was shown for a question, and stored, without an answer: the newest, or null. */
export async function shownBefore(query: string): Promise<Shown | null> {
  const found = await get<Shown[]>(`/api/live?query=${encodeURIComponent(query)}`);
  return found.kind === "ok" ? (found.data[0] ?? null) : null;
}

/** Start a world; gives it, or why that is not possible. */
export async function start(query: string, from: { item: number; step: number } | null): Promise<World | string> {
  const wish = from === null ? { query } : { query, from_item: from.item, from_step: from.step };
  const found = await post<World>("/api/live", wish);
  if (found.kind === "ok") return found.data;
  return found.kind === "locked" ? "" : found.error;
}

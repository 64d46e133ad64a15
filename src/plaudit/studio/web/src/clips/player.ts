// All clips of a question run on one clock and start together.
import { computed, signal } from "@preact/signals";
import type { Frames } from "./clips";

const REST = 700; // milliseconds on the last frame before the loop starts again
const LONGEST_TICK = 100; // milliseconds; a tab that was hidden does not jump
export const SPEEDS = [0.25, 0.5, 1, 2, 4] as const;

export interface Track {
  clip: Frames;
  /** number of steps of the behaviour, if it is known */
  steps: number;
}

export const calm = matchMedia("(prefers-reduced-motion: reduce)");

export class Player {
  readonly tracks = signal<Track[]>([]);
  readonly time = signal(0);
  readonly playing = signal(false);
  readonly speed = signal(1);
  /** whether everything has been played to its end */
  readonly seen = signal(false);
  /** milliseconds of the longest clip */
  readonly total = computed(() => Math.max(1, ...this.tracks.value.map((track) => track.clip.ends.at(-1) ?? 1)));
  private last = 0;
  private frame = 0;

  show(tracks: Track[]): void {
    this.tracks.value = tracks;
    this.time.value = 0;
    this.seen.value = false;
    this.playing.value = tracks.length > 0 && !calm.matches;
    if (!this.frame && tracks.length) this.frame = requestAnimationFrame((now) => this.start(now));
  }

  clear(): void {
    this.show([]);
    cancelAnimationFrame(this.frame);
    this.frame = 0;
  }

  replay(): void {
    this.time.value = 0;
    this.playing.value = true;
  }

  toggle(): void {
    if (!this.playing.value && this.time.value >= this.total.value) this.time.value = 0;
    this.playing.value = !this.playing.value;
  }

  /** Frames forth (or back) in the first clip. */
  step(by: number): void {
    const ends = this.tracks.value[0]?.clip.ends ?? [1];
    const next = Math.min(Math.max(frameAt(ends, this.time.value) + by, 0), ends.length - 1);
    this.seek(next ? (ends[next - 1] ?? 0) : 0);
  }

  seek(time: number): void {
    this.playing.value = false;
    this.time.value = Math.min(Math.max(time, 0), this.total.value - 1);
  }

  faster(by: 1 | -1): void {
    const at = SPEEDS.findIndex((one) => one === this.speed.value);
    this.speed.value = SPEEDS[Math.min(Math.max(at + by, 0), SPEEDS.length - 1)] ?? 1;
  }

  /** The step of the behaviour that a track shows now. */
  stepAt(track: number, time = this.time.value): number {
    const found = this.tracks.value[track];
    if (!found) return 0;
    const { ends } = found.clip;
    return Math.min(Math.floor((frameAt(ends, time) * found.steps) / ends.length), found.steps - 1);
  }

  /** Go to a step of a track. */
  seekStep(track: number, step: number): void {
    const found = this.tracks.value[track];
    if (!found) return;
    const { ends } = found.clip;
    const frame = Math.min(Math.ceil((step * ends.length) / found.steps), ends.length - 1);
    this.seek(frame ? (ends[frame - 1] ?? 0) : 0);
  }

  private start(now: number): void {
    this.last = now;
    this.tick(now);
  }

  private tick(now: number): void {
    const passed = Math.min(now - this.last, LONGEST_TICK) * this.speed.value;
    this.last = now;
    if (this.playing.value && document.visibilityState === "visible") {
      let time = this.time.value + passed;
      if (time >= this.total.value) this.seen.value = true;
      if (time > this.total.value + REST) time = calm.matches ? this.total.value : 0;
      if (calm.matches && time >= this.total.value) this.playing.value = false;
      this.time.value = time;
    }
    this.frame = requestAnimationFrame((next) => this.tick(next));
  }
}

export function frameAt(ends: number[], time: number): number {
  const found = ends.findIndex((end) => time < end);
  return found < 0 ? ends.length - 1 : found;
}

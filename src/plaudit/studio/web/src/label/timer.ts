// How long a question took, by phase, summed over all showings; only time with the page in front and nothing over it.
// watch: clips are playing, or nothing of the form has been touched yet; write: in a text field; decide: the rest.
import { signal } from "@preact/signals";

export type Phase = "watch" | "decide" | "write";
export type Phases = Partial<Record<Phase, number>>;

export class Timer {
  /** seconds by phase of the question on the screen, brought up to date twice a second */
  readonly shown = signal<Phases>({});
  private readonly spent = new Map<string, Phases>();
  private query: string | null = null;
  private phase: Phase = "watch";
  private since: number | null = null;
  private covered = false;

  constructor() {
    document.addEventListener("visibilitychange", () => this.turn());
    setInterval(() => this.query && (this.shown.value = this.of(this.query)), 500);
  }

  start(query: string, before?: Phases): void {
    if (this.query === query) return;
    this.stop();
    if (before && !this.spent.has(query)) this.spent.set(query, before);
    this.query = query;
    this.phase = "watch";
    this.turn();
    this.shown.value = this.of(query);
  }

  stop(): void {
    this.settle();
    this.query = null;
  }

  enter(phase: Phase): void {
    if (phase === this.phase) return;
    this.settle();
    this.phase = phase;
    this.turn();
  }

  /** Something stands before the question (a dialog), or no longer. */
  cover(covered: boolean): void {
    this.covered = covered;
    this.turn();
  }

  /** Seconds by phase that a question has taken. */
  of(query: string): Phases {
    const found = { ...this.spent.get(query) };
    if (this.query === query && this.since !== null) found[this.phase] = (found[this.phase] ?? 0) + (performance.now() - this.since) / 1000;
    return Object.fromEntries(Object.entries(found).map(([phase, seconds]) => [phase, Math.round(seconds * 1000) / 1000]));
  }

  forget(query: string): void {
    this.spent.delete(query);
  }

  private turn(): void {
    const running = this.query !== null && document.visibilityState === "visible" && !this.covered;
    if (!running) this.settle();
    else this.since ??= performance.now();
  }

  private settle(): void {
    if (this.query !== null && this.since !== null) this.spent.set(this.query, this.of(this.query));
    this.since = null;
  }
}

export function sum(phases: Phases): number {
  return Math.round(Object.values(phases).reduce((all, one) => all + one, 0) * 1000) / 1000;
}

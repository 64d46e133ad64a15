// Which long texts of a question are still folded; there is no answer before all have been unfolded.
import { computed, signal } from "@preact/signals";

export class Reading {
  private readonly folded = signal<ReadonlySet<string>>(new Set());
  private readonly opened = new Set<string>();
  readonly done = computed(() => this.folded.value.size === 0);

  isFolded(id: string): boolean {
    return this.folded.value.has(id);
  }

  /** A text is too long to be shown whole at first. */
  fold(id: string): void {
    if (!this.opened.has(id) && !this.folded.peek().has(id)) this.folded.value = new Set([...this.folded.peek(), id]);
  }

  unfold(id: string): void {
    this.opened.add(id);
    if (this.folded.peek().has(id)) this.folded.value = new Set([...this.folded.peek()].filter((other) => other !== id));
  }

  unfoldAll(): void {
    for (const id of this.folded.peek()) this.unfold(id);
  }
}

// What is on the screen: the studio's line of questions, with what the outbox has not delivered yet played over it.
import { computed, effect, signal } from "@preact/signals";
import { locked } from "../api";
import { clipAt, clipNow, forget } from "../clips/clips";
import { Player, type Track } from "../clips/player";
import { type Fields, INTERFACE, type Question, type View } from "../contract";
import { keys, read, write } from "../kept";
import { worded } from "../words/errors";
import { type Entry, Outbox, uuid } from "./outbox";
import { Reading } from "./reading";
import { type Phases, sum, Timer } from "./timer";
import { t } from "./words";

const READ = 5000; // milliseconds that a word stands at least
const WEEK = 7 * 24 * 3600 * 1000;

interface Draft {
  form: unknown;
  phases: Phases;
  at: number;
}

export class Desk {
  readonly view = signal<View | null>(null);
  readonly word = signal<{ text: string; warn: boolean }>({ text: "", warn: false });
  readonly tracks = signal<Track[] | null>(null);
  readonly player = new Player();
  readonly timer = new Timer();
  readonly outbox: Outbox;
  readonly queue = computed(() => this.line());
  readonly question = computed<Question | null>(() => {
    const state = this.view.value?.state;
    return locked.value || state === "break" || state === "finished" || state === "stopped" ? null : (this.queue.value[0] ?? null);
  });
  readonly drawn = computed(() => this.tracks.value !== null);
  reading = new Reading();
  private said = 0;
  private shown: string | null = null;
  private readonly stops: (() => void)[];

  constructor() {
    this.outbox = new Outbox({
      take: (view) => this.take(view),
      refused: (entry, error) => this.refused(entry, error),
      pace: () => this.pace(),
    });
    this.stops = [effect(() => this.load()), effect(() => this.phase())];
    addEventListener("pagehide", this.leave);
    void this.outbox.pump();
  }

  stop(): void {
    this.leave();
    this.stops.forEach((stop) => stop());
    this.outbox.stop();
    this.timer.stop();
    this.player.clear();
    removeEventListener("pagehide", this.leave);
  }

  /** A warning stands as long as its cause; anything else until the next word, but long enough to be read. */
  say(text: string, warn = false): void {
    this.word.value = { text, warn };
    this.said = performance.now();
  }

  submit(answer: Fields): void {
    const question = this.question.peek();
    if (!question) return;
    if (!answer.skip && !this.answerable()) return;
    const phases = this.timer.of(question.id);
    const draft = read<Draft>(this.draftKey(question.id))?.form ?? null;
    const body = {
      id: uuid(),
      query: question.id,
      answer,
      answered_at: new Date().toISOString(),
      seconds: sum(phases),
      phases: phases as Record<string, number>,
      interface: INTERFACE,
      arm: question.arm,
    };
    this.timer.stop();
    write(this.draftKey(question.id), undefined);
    this.say(answer.skip ? t("skipped") : t("given"));
    this.outbox.add({ key: this.outbox.name(), kind: "answer", body, question, draft });
  }

  skip(reason: string): void {
    this.submit(reason ? { skip: true, reason } : { skip: true });
  }

  cue(name: "pause" | "resume" | "end"): void {
    this.leave();
    this.outbox.add({ key: this.outbox.name(), kind: "cue", body: { cue: name } });
  }

  /** The last answer that can still be taken back. */
  undoable(): { submission: string; entry: (Entry & { kind: "answer" }) | undefined; unsent: boolean } | null {
    const last = this.outbox.unsent.value.at(-1);
    if (last?.kind === "answer") return { submission: last.body.id, entry: last, unsent: true };
    const id = this.view.value?.undoable;
    if (last || !id) return null;
    const sent = this.outbox.entries.value.find((entry) => entry.kind === "answer" && entry.body.id === id);
    return { submission: id, entry: sent?.kind === "answer" ? sent : undefined, unsent: false };
  }

  undo(): void {
    const last = this.undoable();
    if (!last) return;
    if (last.entry) this.restore(last.entry);
    if (last.entry && last.unsent && !last.entry.inFlight) this.outbox.drop(last.entry);
    else {
      const question = last.entry ? { question: last.entry.question } : {};
      this.outbox.add({ key: this.outbox.name(), kind: "undo", body: { submission: last.submission }, ...question });
    }
    this.say(t("undone"));
  }

  draftOf(query: string): unknown {
    return read<Draft>(this.draftKey(query))?.form;
  }

  keepDraft(query: string, form: unknown): void {
    write(this.draftKey(query), { form, phases: this.timer.of(query), at: Date.now() } satisfies Draft);
    this.touched = true;
    this.phase();
  }

  /** Whether the question can be answered now; says why not. */
  answerable(): boolean {
    if (!this.drawn.peek()) return false;
    if (this.reading.done.peek()) return true;
    this.say(t("unfold-first"), true);
    return false;
  }

  private touched = false;

  private line(): Question[] {
    let line = [...(this.view.value?.questions ?? [])];
    const entries = this.outbox.entries.value;
    const undone = new Set(entries.map((entry) => (entry.kind === "undo" ? entry.body.submission : "")));
    for (const entry of entries) {
      if (entry.kind === "answer" && !undone.has(entry.body.id)) line = line.filter((one) => one.id !== entry.body.query);
      const again = entry.kind === "undo" ? entry.question : undefined;
      if (again) line = [again, ...line.filter((one) => one.id !== again.id)];
    }
    return line;
  }

  private take(view: View): void {
    const first = this.view.peek() === null;
    this.view.value = view;
    if (first) this.forgetOldDrafts();
    const warned = this.word.peek();
    if (view.trouble) this.say(t("unsaved", { why: worded(view.trouble, view.trouble_code) }), true);
    else if (warned.text && performance.now() - this.said > READ) this.word.value = { text: "", warn: false };
  }

  private refused(entry: Entry, error: string): void {
    if (entry.kind === "answer") this.restore(entry);
    this.say(entry.kind === "undo" ? t("late") : t("refused", { why: error }), true);
  }

  private restore(entry: Entry & { kind: "answer" }): void {
    const { query, phases } = entry.body;
    write(this.draftKey(query), { form: entry.draft ?? undefined, phases: phases ?? {}, at: Date.now() } satisfies Draft);
    this.timer.forget(query);
  }

  /** A question comes to the screen, or none. */
  private follow(question: Question | null): void {
    if (question?.id === this.shown) return;
    this.shown = question?.id ?? null;
    this.touched = false;
    this.reading = new Reading();
    this.timer.stop();
    this.player.clear();
    this.tracks.value = null;
  }

  /** Clips of the question on the screen are played once all are there; those of the next ones are loaded. */
  private load(): void {
    const queue = this.queue.value;
    const question = this.question.value;
    this.follow(question);
    const undo = this.outbox.entries.value.flatMap((entry) => (entry.kind === "answer" ? entry.question.items : []));
    const urls = queue.flatMap(clipsOf);
    forget(new Set([...urls, ...undo.flatMap((item) => item.clip?.url ?? [])]));
    if (question && this.tracks.peek() === null) {
      const items = question.items.filter((item) => item.clip !== null);
      if (items.every((item) => item.clip?.url)) this.draw(question);
    }
    urls.forEach((url) => clipAt(url).catch(() => {}));
  }

  private draw(question: Question): void {
    const wanted = question.items.flatMap((item) => (item.clip?.url ? [{ url: item.clip.url, steps: item.clip.steps }] : []));
    const now = wanted.map((one) => clipNow(one.url));
    const show = (clips: (ReturnType<typeof clipNow>)[]) => {
      if (this.question.peek()?.id !== question.id || this.tracks.peek() !== null) return;
      const tracks = clips.flatMap((clip, i) => (clip ? [{ clip, steps: wanted[i]?.steps ?? clip.frames.length }] : []));
      this.player.show(tracks);
      this.tracks.value = tracks;
      this.timer.start(question.id, read<Draft>(this.draftKey(question.id))?.phases);
    };
    if (now.every((clip) => clip !== undefined)) show(now);
    else Promise.all(wanted.map((one) => clipAt(one.url))).then(show, () => window.setTimeout(this.outbox.hurry, 1000));
  }

  private phase(): void {
    const writing = this.writing.value;
    const seen = this.player.seen.value;
    this.timer.enter(writing ? "write" : seen || this.touched ? "decide" : "watch");
  }

  /** Whether the caret stands in a text field of the form. */
  readonly writing = signal(false);

  private pace(): number {
    const view = this.view.peek();
    if (view?.state === "finished" || view?.state === "stopped") return 20_000;
    const waits = view?.questions.some((question) => question.items.some((item) => item.clip && !item.clip.url && !item.clip.error));
    if (view?.state !== "question") return view?.state === "break" ? 10_000 : 900;
    if (waits || !this.drawn.peek()) return 900;
    return this.outbox.entries.peek().length || view.undoable ? 3000 : 10_000;
  }

  private draftKey(query: string): string {
    const view = this.view.peek();
    return `draft:${view?.run}:${view?.annotator}:${query}`;
  }

  private forgetOldDrafts(): void {
    for (const key of keys("draft:")) if ((read<Draft>(key)?.at ?? 0) < Date.now() - WEEK) write(key, undefined);
  }

  /** The page goes away: the time that the question on the screen has taken is kept. */
  private readonly leave = (): void => {
    const question = this.question.peek();
    if (!question || !this.drawn.peek()) return;
    const form = read<Draft>(this.draftKey(question.id))?.form;
    write(this.draftKey(question.id), { form, phases: this.timer.of(question.id), at: Date.now() } satisfies Draft);
  };
}

function clipsOf(question: Question): string[] {
  return question.items.flatMap((item) => item.clip?.url ?? []);
}

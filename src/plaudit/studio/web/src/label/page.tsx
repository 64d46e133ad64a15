// The labelling page. The studio says what to show (a view); a form for the kind of question asks it.
import { computed } from "@preact/signals";
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import { locked } from "../api";
import type { Question } from "../contract";
import { type FormProps, formOf } from "../forms/form";
import { number, translate } from "../i18n";
import type { PageProps } from "../pages";
import { headerSlot } from "../slots";
import { Assist } from "./assist";
import { Desk } from "./desk";
import { KeysDialog, type Reason, SkipDialog } from "./dialogs";
import { Dots } from "./items";
import { Key } from "./key";
import { useKeys } from "./keys";
import { BreakReminder } from "./reminder";
import "./style.css";
import { t } from "./words";

type Open = "keys" | "skip" | "unsafe" | null;
const SKIP: Record<"skip" | "unsafe", Reason> = { skip: "cannot-tell", unsafe: "unsafe" };

export default function Label(_: PageProps) {
  const [desk] = useState(() => new Desk());
  const [open, setOpen] = useState<Open>(null);
  useEffect(() => {
    headerSlot.value = <ProgressText desk={desk} />;
    return () => {
      headerSlot.value = null;
      desk.stop();
    };
  }, [desk]);
  const question = desk.question.value;
  useKeys(() => [{ id: "help", keys: ["?"], label: "key.help", run: () => setOpen("keys") }], []);
  useKeys(() => [{ id: "undo", keys: ["u"], label: "key.undo", run: () => desk.undo() }], [desk]);
  useKeys(
    () =>
      question
        ? [
            { id: "skip", keys: ["s"], label: "key.skip", run: () => setOpen("skip") },
            { id: "unsafe", keys: ["x"], label: "key.unsafe", run: () => setOpen("unsafe") },
          ]
        : [],
    [question !== null],
  );
  return (
    <>
      <div class="label-page">
        <Bar desk={desk} />
        <main id="main" tabIndex={-1}>
          {question ? <Ask key={question.id} desk={desk} question={question} /> : <Message desk={desk} />}
        </main>
        <Foot desk={desk} question={question} open={setOpen} />
      </div>
      {open === "keys" ? <KeysDialog timer={desk.timer} close={() => setOpen(null)} /> : null}
      {open === "skip" || open === "unsafe" ? (
        <SkipDialog key={open} first={SKIP[open]} timer={desk.timer} skip={(reason) => desk.skip(reason)} close={() => setOpen(null)} />
      ) : null}
    </>
  );
}

function Ask({ desk, question }: { desk: Desk; question: Question }) {
  const heading = useRef<HTMLHeadingElement>(null);
  const [draft] = useState(() => desk.draftOf(question.id));
  const [ready] = useState(() => computed(() => desk.drawn.value && desk.reading.done.value));
  const module = formOf(question.kind);
  const title = module ? translate(module.words)("title", { constraint: question.constraint ?? "" }) : t("no-form", { kind: question.kind });
  useLayoutEffect(() => {
    document.title = `plaudit · ${title}`;
    heading.current?.focus({ preventScroll: true });
    scrollTo(0, 0);
    return () => {
      document.title = "plaudit";
      desk.writing.value = false;
    };
  }, []);
  const writing = (event: FocusEvent) => {
    const target = event.type === "focusin" ? event.target : event.relatedTarget;
    desk.writing.value = target instanceof HTMLElement && target.matches("textarea:not([readonly]), input:not([type]), input[type=text]");
  };
  const props: FormProps = {
    question,
    player: desk.player,
    reading: desk.reading,
    ready: ready.value,
    draft,
    keep: (form) => desk.keepDraft(question.id, form),
    submit: (answer) => desk.submit(answer),
    say: (text) => desk.say(text),
  };
  return (
    <section class="ask" data-kind={question.kind} data-query={question.id} data-ready={ready.value} onFocusIn={writing} onFocusOut={writing}>
      <h1 ref={heading} tabIndex={-1}>{title}</h1>
      <p class="instruction">
        {desk.view.value?.screening ? <strong>{t("screening")}. </strong> : null}
        {question.aspect ? <strong>{t("aspect", { aspect: question.aspect })} </strong> : null}
        {desk.view.value?.instruction || (question.items.some((item) => item.text) ? t("instruction.texts") : t("instruction"))}
      </p>
      {question.assist ? <Assist assist={question.assist} /> : null}
      {module ? <module.default {...props} /> : null}
    </section>
  );
}

function ProgressText({ desk }: { desk: Desk }) {
  const progress = desk.view.value?.progress;
  if (!progress) return null;
  const unsent = desk.outbox.unsent.value.filter((entry) => entry.kind === "answer").length;
  const [done, left] = [progress.answered + unsent, Math.max(0, progress.open - unsent)];
  const parts = [
    progress.total ? t("progress-of", { done: number(done), total: number(progress.total) }) : t("progress", { done: number(done) }),
    ...(left ? [t("left", { left: number(left) })] : []),
  ];
  return <p id="progress-text">{parts.join(" · ")}</p>;
}

function Bar({ desk }: { desk: Desk }) {
  const progress = desk.view.value?.progress;
  const total = progress?.total ?? 0;
  const done = (progress?.answered ?? 0) + desk.outbox.unsent.value.filter((entry) => entry.kind === "answer").length;
  if (!total) return null;
  return (
    <div class="done-bar" role="progressbar" aria-label={t("answered")} aria-valuemin={0} aria-valuemax={total} aria-valuenow={Math.min(done, total)}>
      <i ref={(line) => line?.style.setProperty("width", `${Math.min(100, (100 * done) / total)}%`)} />
    </div>
  );
}

function Foot({ desk, question, open }: { desk: Desk; question: Question | null; open: (what: Open) => void }) {
  const state = desk.view.value?.state;
  return (
    <footer>
      <Status desk={desk} />
      <Times desk={desk} />
      <div class="foot-nav" role="group" aria-label={t("session")}>
        <button id="undo" type="button" class="quiet" disabled={desk.undoable() === null} onClick={() => desk.undo()}>{t("undo")}<Key id="undo" keys={["u"]} /></button>
        <button id="skip" type="button" class="quiet" disabled={!question} onClick={() => open("skip")}>{t("skip")}<Key id="skip" keys={["s"]} /></button>
        <button id="unsafe" type="button" class="quiet" disabled={!question} onClick={() => open("unsafe")}>{t("unsafe")}<Key id="unsafe" keys={["x"]} /></button>
        <button id="pause" type="button" class="quiet" disabled={!question && state !== "waiting"} onClick={() => desk.cue("pause")}>{t("take-break")}</button>
        <button id="help" type="button" class="quiet" onClick={() => open("keys")}>{t("keys")}<kbd aria-hidden="true">?</kbd></button>
      </div>
      {question ? <BreakReminder pause={() => desk.cue("pause")} /> : null}
    </footer>
  );
}

function Status({ desk }: { desk: Desk }) {
  const unsent = desk.outbox.unsent.value.filter((entry) => entry.kind === "answer").length;
  const word = desk.word.value;
  const offline = desk.outbox.failures.value > 0;
  const trouble = offline ? (desk.outbox.trouble.value ? t("unsaved", { why: desk.outbox.trouble.value }) : (unsent ? t("offline", { n: unsent }) : t("offline-idle"))) : desk.outbox.durable.value ? null : t("not-durable");
  return <p id="status" role="status" class={trouble || word.warn ? "warn" : undefined}>{trouble ?? word.text}</p>;
}

function Times({ desk }: { desk: Desk }) {
  const phases = desk.timer.shown.value;
  const parts = (["watch", "decide", "write"] as const).flatMap((phase) =>
    phases[phase] === undefined ? [] : [t(`phase.${phase}`, { n: number(phases[phase], 1) })],
  );
  return <p class="times num" aria-label={t("times")} role="timer" aria-live="off">{desk.question.value ? parts.join(" · ") : ""}</p>;
}

function Message({ desk }: { desk: Desk }) {
  const view = desk.view.value;
  const unsent = desk.outbox.unsent.value.filter((entry) => entry.kind === "answer").length;
  const heading = useRef<HTMLHeadingElement>(null);
  const kind = locked.value ? "locked" : (view?.state ?? (desk.outbox.failures.value ? "offline" : "opening"));
  useEffect(() => heading.current?.focus({ preventScroll: true }), [kind]);
  let [title, lines, busy]: [string, string[], boolean] = [t("opening"), [t("opening.text")], true];
  if (locked.value) [title, lines, busy] = [t("locked.title"), [t("locked.text"), ...(unsent ? [t("locked.kept", { n: unsent })] : [])], false];
  else if (view?.state === "break") [title, lines, busy] = [t("break"), [t("break.text")], false];
  else if (view?.state === "stopped") [title, lines, busy] = [t("stopped"), [t("stopped.text")], false];
  else if (view?.state === "finished") {
    const mine = view.progress.mine;
    [title, lines, busy] = [t("finished"), [t("finished.text"), ...(mine ? [t("finished.mine", { n: mine })] : [])], false];
  } else if (desk.outbox.failures.value) {
    [title, lines] = [t("offline-title"), [unsent ? t("offline", { n: unsent }) : t("offline-idle")]];
  } else if (view) [title, lines] = [t("waiting"), [t(`stage.${view.waiting?.stage ?? "unknown"}`), soon(view.waiting?.seconds ?? null)]];
  return (
    <section class="message" id="message">
      {busy ? <Dots /> : null}
      <h1 ref={heading} tabIndex={-1}>{title}</h1>
      <p>{lines.join("\n")}</p>
      {kind === "break" ? <button type="button" class="main" onClick={() => desk.cue("resume")}>{t("resume")}</button> : null}
    </section>
  );
}

function soon(seconds: number | null): string {
  if (seconds === null) return t("any");
  return seconds < 50 ? t("soon-seconds", { n: Math.max(5, Math.round(seconds / 5) * 5) }) : t("soon-minutes", { n: Math.max(1, Math.round(seconds / 60)) });
}


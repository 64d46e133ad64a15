// Stretches of a clip that are good or bad: a brush that paints the steps that go by, or that the pointer passes.
import { useSignals } from "../effects";
import { useRef, useState } from "preact/hooks";
import { define, translate } from "../i18n";
import { Items } from "../label/items";
import { Key } from "../label/key";
import { useKeys } from "../label/keys";
import { SubmitRow } from "../parts/submit";
import { type FormProps, useDraft } from "./form";

export const words = define({
  en: {
    title: "Which parts are good, which are bad?",
    help: "Take a brush, then play or step: every step that goes by is marked. Or draw on the strip.",
    good: "Good",
    bad: "Bad",
    clear: "Erase",
    brush: "Brush",
    strip: "Marked steps",
    none: "Nothing is marked yet.",
    summary: "Good: {good}. Bad: {bad}.",
    nothing: "none",
  },
  zh: {
    title: "哪些部分好，哪些部分不好？",
    help: "选好画笔后播放或逐帧前进，经过的每一步都会被标记；也可以直接在标记条上涂画。",
    good: "好",
    bad: "不好",
    clear: "擦除",
    brush: "画笔",
    strip: "已标记的步骤",
    none: "还没有标记。",
    summary: "好：{good}。不好：{bad}。",
    nothing: "无",
  },
});

const t = translate(words);
type Brush = "good" | "bad" | "clear";
const BRUSHES: [Brush, string][] = [["good", "g"], ["bad", "b"], ["clear", "c"]];
type Marks = Record<string, 0 | 1>;

export default function StepsForm(props: FormProps) {
  const { player, ready, submit } = props;
  const [marks, setMarks] = useDraft<Marks>(props, {});
  const [brush, setBrush] = useState<Brush | null>(null);
  const now = useRef({ marks, brush, last: 0 });
  now.current.marks = marks;
  const steps = player.tracks.value[0]?.steps ?? props.question.items[0]?.clip?.steps ?? 1;
  const paint = (from: number, to: number) => {
    const { brush } = now.current;
    if (brush === null) return;
    const next = { ...now.current.marks };
    for (let step = Math.max(0, Math.min(from, to)); step <= Math.min(Math.max(from, to), steps - 1); step += 1) {
      if (brush === "clear") delete next[step];
      else next[step] = brush === "good" ? 1 : 0;
    }
    now.current.marks = next;
    setMarks(next);
  };
  const take = (one: Brush) => {
    const next = now.current.brush === one ? null : one;
    now.current.brush = next;
    now.current.last = player.stepAt(0);
    setBrush(next);
    paint(now.current.last, now.current.last);
  };
  useSignals(() => {
    const at = player.stepAt(0, player.time.value);
    const { last } = now.current;
    now.current.last = at;
    // the clip that starts again from its first frame, and a jump, paint nothing
    if (now.current.brush !== null && at !== last && at - last > -2 && at - last <= Math.max(2, steps / 10)) paint(at > last ? last + 1 : at, at);
  });
  useKeys(() => BRUSHES.map(([one, key]) => ({ id: `brush-${one}`, keys: [key], label: { text: `${t("brush")}: ${t(one)}` }, run: () => take(one) })), [player, steps]);
  const entries = Object.entries(marks).map(([step, score]) => [Number(step), score] as const).sort((one, other) => one[0] - other[0]);
  return (
    <>
      <Items {...props} />
      <p class="muted">{t("help")}</p>
      <Strip steps={steps} marks={marks} paint={paint} seek={(step) => player.seekStep(0, step)} />
      <div class="row brushes" role="group" aria-label={t("brush")}>
        {BRUSHES.map(([one, key]) => (
          <button key={one} type="button" class={one} data-brush={one} disabled={!ready} aria-pressed={brush === one} onClick={() => take(one)}>
            {t(one)}<Key id={`brush-${one}`} keys={[key]} />
          </button>
        ))}
      </div>
      <p class="num" aria-live="polite">
        {entries.length ? t("summary", { good: ranges(entries, 1), bad: ranges(entries, 0) }) : t("none")}
      </p>
      <SubmitRow ready={ready && entries.length > 0} submit={() => submit({ steps: entries.map(([step]) => step), scores: entries.map(([, score]) => score) })} />
    </>
  );
}

function ranges(entries: (readonly [number, number])[], wanted: number): string {
  const found: [number, number][] = [];
  for (const [step, score] of entries) {
    const last = found.at(-1);
    if (score !== wanted) continue;
    if (last && last[1] === step - 1) last[1] = step;
    else found.push([step, step]);
  }
  return found.map(([from, to]) => (from === to ? `${from + 1}` : `${from + 1}–${to + 1}`)).join(", ") || t("nothing");
}

interface StripProps {
  steps: number;
  marks: Marks;
  paint: (from: number, to: number) => void;
  seek: (step: number) => void;
}

function Strip({ steps, marks, paint, seek }: StripProps) {
  const last = useRef<number | null>(null);
  const at = (event: PointerEvent) => {
    const box = (event.currentTarget as HTMLElement).getBoundingClientRect();
    return Math.min(Math.max(Math.floor(((event.clientX - box.left) / box.width) * steps), 0), steps - 1);
  };
  const down = (event: PointerEvent) => {
    (event.currentTarget as HTMLElement).setPointerCapture(event.pointerId);
    last.current = at(event);
    paint(last.current, last.current);
    seek(last.current);
  };
  const move = (event: PointerEvent) => {
    if (last.current === null) return;
    const step = at(event);
    paint(last.current, step);
    last.current = step;
    seek(step);
  };
  const up = () => {
    last.current = null;
  };
  return (
    <svg class="strip marks" viewBox={`0 0 ${steps} 1`} preserveAspectRatio="none" role="img" aria-label={t("strip")} onPointerDown={down} onPointerMove={move} onPointerUp={up} onPointerCancel={up}>
      {Object.entries(marks).map(([step, score]) => (
        <rect key={step} class={score ? "good" : "bad"} x={step} y={score ? 0 : 0.5} width="1" height="0.5" />
      ))}
    </svg>
  );
}

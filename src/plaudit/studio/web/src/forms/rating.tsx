// How good one is, on a scale of any number of levels.
import { define, translate } from "../i18n";
import { Items } from "../label/items";
import { Key } from "../label/key";
import { useKeys } from "../label/keys";
import { SubmitRow } from "../parts/submit";
import { type FormProps, useDraft } from "./form";

export const words = define({
  en: {
    title: "How well is it doing?",
    worst: "worst",
    best: "best",
    "five.0": "very bad",
    "five.1": "bad",
    "five.2": "so-so",
    "five.3": "good",
    "five.4": "very good",
    grade: "Grade {n}",
    scale: "Grade, from 1 (worst) to {n} (best)",
  },
  zh: {
    title: "它做得怎么样？",
    worst: "最差",
    best: "最好",
    "five.0": "很差",
    "five.1": "较差",
    "five.2": "一般",
    "five.3": "较好",
    "five.4": "很好",
    grade: "{n} 分",
    scale: "评分：1 为最差，{n} 为最好",
  },
});

const t = translate(words);
const MOST_BUTTONS = 10;

export default function RatingForm(props: FormProps) {
  const levels = props.question.levels ?? 5;
  return (
    <>
      <Items {...props} />
      {levels <= MOST_BUTTONS ? <Buttons {...props} levels={levels} /> : <Slider {...props} levels={levels} />}
    </>
  );
}

function Buttons({ levels, ready, submit }: FormProps & { levels: number }) {
  const grades = Array.from({ length: levels }, (_, grade) => grade);
  useKeys(
    () => grades.map((grade) => ({ id: `grade-${grade + 1}`, keys: [digit(grade)], label: { text: t("grade", { n: grade + 1 }) }, run: () => submit({ value: grade }) })),
    [levels, submit],
  );
  return (
    <div class="answers scale" role="group" aria-label={t("scale", { n: levels })}>
      {grades.map((grade) => (
        <button key={grade} type="button" data-grade={grade} disabled={!ready} onClick={() => submit({ value: grade })}>
          <span>{grade + 1}</span>
          <small>{wordOf(grade, levels)}</small>
          {digit(grade) === String(grade + 1) ? null : <Key id={`grade-${grade + 1}`} keys={[digit(grade)]} />}
        </button>
      ))}
    </div>
  );
}

function digit(grade: number): string {
  return String((grade + 1) % 10);
}

function wordOf(grade: number, levels: number): string {
  if (levels === 5) return t(`five.${grade}` as "five.0");
  return grade === 0 ? t("worst") : grade === levels - 1 ? t("best") : "";
}

function Slider(props: FormProps & { levels: number }) {
  const { levels, ready, submit } = props;
  const [value, setValue] = useDraft<number | null>(props, null);
  return (
    <>
      <label class="slider">
        <span>{t("worst")}</span>
        <input
          type="range"
          min="1"
          max={levels}
          value={value === null ? Math.ceil(levels / 2) : value + 1}
          aria-label={t("scale", { n: levels })}
          onInput={(event) => setValue(Number(event.currentTarget.value) - 1)}
        />
        <span>{t("best")}</span>
        <output class="num">{value === null ? "–" : value + 1}</output>
      </label>
      <SubmitRow ready={ready && value !== null} submit={() => value !== null && submit({ value })} />
    </>
  );
}

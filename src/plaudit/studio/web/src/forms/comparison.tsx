// Which of two is better; optionally, by how much.
import { useKeys } from "../label/keys";
import { Items, Toggle } from "../label/items";
import { Key } from "../label/key";
import { define, translate } from "../i18n";
import { kept } from "../kept";
import { type FormProps, LETTERS, useDraft } from "./form";

export const words = define({
  en: {
    title: "Which one does it better?",
    better: "{letter} is better",
    tie: "About the same",
    incomparable: "Cannot be compared",
    graded: "Also say how much better",
    "how-much": "How much better is {letter}?",
    "strength.1": "hardly",
    "strength.2": "slightly",
    "strength.3": "clearly",
    "strength.4": "far better",
    plain: "Do not say",
  },
  zh: {
    title: "哪一个做得更好？",
    better: "{letter} 更好",
    tie: "差不多",
    incomparable: "无法比较",
    graded: "同时说明好多少",
    "how-much": "{letter} 好多少？",
    "strength.1": "几乎一样",
    "strength.2": "略好",
    "strength.3": "明显更好",
    "strength.4": "好得多",
    plain: "不作说明",
  },
});

const t = translate(words);
const graded = kept("graded-strength", false);
const STRENGTHS = [1, 2, 3, 4] as const;

export default function ComparisonForm(props: FormProps) {
  const { question, ready, submit } = props;
  const [side, setSide] = useDraft<number | null>(props, null);
  const choice = (place: number) => ({ choice: question.items[place]?.index === 0 ? "first" : "second" });
  const pick = (place: number) => (graded.value && ready ? setSide(place) : submit(choice(place)));
  const grade = (strength: number | null) => side !== null && submit(strength === null ? choice(side) : { ...choice(side), strength: strength / STRENGTHS.length });
  useKeys(
    () => [
      { id: "left", keys: ["ArrowLeft"], label: { text: t("better", { letter: "A" }) }, run: () => pick(0) },
      { id: "right", keys: ["ArrowRight"], label: { text: t("better", { letter: "B" }) }, run: () => pick(1) },
      { id: "tie", keys: ["ArrowDown"], label: { text: t("tie") }, run: () => submit({ choice: "tie" }) },
      { id: "incomparable", keys: ["ArrowUp"], label: { text: t("incomparable") }, run: () => submit({ choice: "incomparable" }) },
      ...(side === null
        ? []
        : [
            ...STRENGTHS.map((strength) => ({ id: `strength-${strength}`, keys: [String(strength)], label: { text: t(`strength.${strength}`) }, run: () => grade(strength) })),
            { id: "plain", keys: ["Enter"], label: { text: t("plain") }, run: () => grade(null) },
          ]),
    ],
    [ready, side, props.submit, graded.value],
  );
  const answer = (place: number) => (
    <button type="button" data-pick={place ? "right" : "left"} disabled={!ready} aria-pressed={side === place} onClick={() => pick(place)}>
      <span>{t("better", { letter: LETTERS[place] ?? "" })}</span>
      <Key id={place ? "right" : "left"} keys={[place ? "ArrowRight" : "ArrowLeft"]} />
    </button>
  );
  return (
    <>
      <Items {...props} chosen={side === null ? [] : [side]} />
      <div class="answers pair" role="group" aria-label={t("title")}>
        {answer(0)}
        <div class="between">
          <button type="button" class="soft" data-pick="tie" disabled={!ready} onClick={() => submit({ choice: "tie" })}>{t("tie")}<Key id="tie" keys={["ArrowDown"]} /></button>
          <button type="button" class="soft" data-pick="incomparable" disabled={!ready} onClick={() => submit({ choice: "incomparable" })}>{t("incomparable")}<Key id="incomparable" keys={["ArrowUp"]} /></button>
        </div>
        {answer(1)}
      </div>
      {side === null ? null : (
        <div class="answers scale words" role="group" aria-label={t("how-much", { letter: LETTERS[side] ?? "" })}>
          {STRENGTHS.map((strength) => (
            <button key={strength} type="button" data-strength={strength} onClick={() => grade(strength)}>
              <span>{t(`strength.${strength}`)}</span><Key id={`strength-${strength}`} keys={[String(strength)]} />
            </button>
          ))}
          <button type="button" class="soft" onClick={() => grade(null)}>{t("plain")}<Key id="plain" keys={["Enter"]} /></button>
        </div>
      )}
      <Toggle on={graded.value} flip={() => { graded.value = !graded.value; setSide(null); }} label={t("graded")} />
    </>
  );
}

// Show how it is done: write the answer, or play it in the real environment.
import { useState } from "preact/hooks";
import { define, translate } from "../i18n";
import { Items } from "../label/items";
import { Key } from "../label/key";
import { useKeys } from "../label/keys";
import { t as shared } from "../label/words";
import { LiveSlot } from "../parts/live";
import { SubmitRow } from "../parts/submit";
import { Prompt, Turns } from "../text/text";
import { type FormProps, useDraft } from "./form";

export const words = define({
  en: {
    title: "Show how you would do it",
    write: "Your answer",
    "write.placeholder": "Write the answer that you would want to get.",
    samples: "What the model wrote",
    "samples.clips": "What the agent did",
    begin: "Play it yourself",
  },
  zh: {
    title: "请示范您会怎么做",
    write: "您的回答",
    "write.placeholder": "写出您希望得到的回答。",
    samples: "模型写的内容",
    "samples.clips": "智能体的表现",
    begin: "亲自操作",
  },
});

const t = translate(words);

export default function DemonstrationForm(props: FormProps) {
  const text = props.question.items[0]?.text;
  return text ? <Written {...props} /> : <Played {...props} />;
}

function Written(props: FormProps) {
  const { question, reading, ready, submit } = props;
  const [draft, setDraft] = useDraft(props, "");
  const texts = question.items.flatMap((item) => (item.text ? [item.text] : []));
  const first = texts[0];
  const samples = texts.filter((text) => text.completion.some((turn) => turn.content.trim()));
  return (
    <>
      {first ? <Prompt text={first} reading={reading} /> : null}
      {samples.length ? (
        <details class="samples">
          <summary>{t("samples")}</summary>
          {samples.map((text, i) => <div key={i} class="card"><Turns turns={text.completion} /></div>)}
        </details>
      ) : null}
      <label class="field wide">{t("write")}
        <textarea rows={8} maxLength={20000} placeholder={t("write.placeholder")} value={draft} onInput={(event) => setDraft(event.currentTarget.value)} />
      </label>
      <SubmitRow ready={ready && draft.trim() !== ""} submit={() => submit({ text: draft.trim() })} />
    </>
  );
}

function Played(props: FormProps) {
  const { question, ready, submit } = props;
  const [playing, setPlaying] = useState(false);
  useKeys(() => (playing || !question.live ? [] : [{ id: "begin-live", keys: ["Enter"], label: { text: t("begin") }, run: () => setPlaying(true) }]), [playing]);
  if (playing) return <LiveSlot query={question.id} from={null} done={(segment) => submit({ segment })} cancel={() => setPlaying(false)} />;
  return (
    <>
      {question.items.length ? <Items {...props} /> : null}
      {question.live ? (
        <div class="submit-row">
          <button id="begin-live" type="button" class="main" disabled={!ready} onClick={() => setPlaying(true)}>{t("begin")}<Key id="begin-live" keys={["Enter"]} /></button>
        </div>
      ) : <p class="warn" role="alert">{shared("live.missing")}</p>}
    </>
  );
}

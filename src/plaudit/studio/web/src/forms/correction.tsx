// Make it better: edit the text (or write it anew, where the form's arm says so), or take over from a frame.
import { useState } from "preact/hooks";
import { define, translate } from "../i18n";
import { Items, Toggle } from "../label/items";
import { Key } from "../label/key";
import { useKeys } from "../label/keys";
import { t as shared } from "../label/words";
import { LiveSlot } from "../parts/live";
import { SubmitRow } from "../parts/submit";
import { Changes, plain } from "../text/text";
import { kept } from "../kept";
import { type FormProps, useDraft } from "./form";

export const words = define({
  en: {
    title: "Make it better",
    edit: "Your version",
    "edit.help": "Change what should be different.",
    scratch: "Write it anew, in your own words",
    changes: "Show the changes",
    "from-here": "Take over from this frame",
    unchanged: "Nothing has been changed yet.",
  },
  zh: {
    title: "请把它改得更好",
    edit: "您的版本",
    "edit.help": "修改您认为需要改动的地方。",
    scratch: "用自己的话重新写一遍",
    changes: "显示改动",
    "from-here": "从这一帧开始接手",
    unchanged: "还没有任何改动。",
  },
});

const t = translate(words);
const showChanges = kept("show-changes", true);

export default function CorrectionForm(props: FormProps) {
  return props.question.items[0]?.text ? <Written {...props} /> : <Played {...props} />;
}

function Written(props: FormProps) {
  const { question, ready, submit } = props;
  const before = plain(question.items[0]?.text?.completion ?? []);
  const scratch = question.arm === "scratch";
  const [draft, setDraft] = useDraft(props, scratch ? "" : before);
  const changed = draft.trim() !== "" && draft !== before;
  return (
    <>
      <Items {...props} />
      <label class="field wide">{scratch ? t("scratch") : t("edit")}
        <textarea rows={8} maxLength={20000} value={draft} placeholder={scratch ? "" : t("edit.help")} onInput={(event) => setDraft(event.currentTarget.value)} />
      </label>
      <Toggle on={showChanges.value} flip={() => (showChanges.value = !showChanges.value)} label={t("changes")} />
      {showChanges.value && draft.trim() ? <div class="card wide">{changed ? <Changes before={before} after={draft} /> : <p class="muted">{t("unchanged")}</p>}</div> : null}
      <SubmitRow ready={ready && changed} submit={() => submit({ text: draft })} />
    </>
  );
}

function Played(props: FormProps) {
  const { question, player, ready, submit } = props;
  const [start, setStart] = useState<number | null>(null);
  const begin = () => {
    player.playing.value = false;
    setStart(player.stepAt(0));
  };
  useKeys(() => (start !== null || !question.live || !ready ? [] : [{ id: "take-over", keys: ["Enter"], label: { text: t("from-here") }, run: begin }]), [start, ready]);
  if (start !== null) {
    const from = { item: question.items[0]?.index ?? 0, step: start };
    return <LiveSlot query={question.id} from={from} done={(segment, changed) => submit({ segment, ...changed })} cancel={() => setStart(null)} />;
  }
  return (
    <>
      <Items {...props} />
      {question.live ? (
        <div class="submit-row">
          <button id="take-over" type="button" class="main" disabled={!ready} onClick={begin}>{t("from-here")}<Key id="take-over" keys={["Enter"]} /></button>
        </div>
      ) : <p class="warn" role="alert">{shared("live.missing")}</p>}
    </>
  );
}

// Notes in free words: on all of it, on a passage of a text, or on a stretch of a clip.
import { useSignal } from "@preact/signals";
import { useRef, useState } from "preact/hooks";
import { define, translate } from "../i18n";
import { Items, nameOf } from "../label/items";
import { Key } from "../label/key";
import { useKeys } from "../label/keys";
import { t as shared } from "../label/words";
import { joined, Passages, type Span, spanWords, Stretch, Where } from "../parts/span";
import { SubmitRow } from "../parts/submit";
import { type FormProps, useDraft } from "./form";

export const words = define({
  en: {
    title: "What is good or bad about it?",
    note: "Note",
    "note.placeholder": "What do you notice?",
    aspect: "About",
    "aspect.placeholder": "for example speed, style, facts",
    add: "Add the note",
    remove: "Remove the note “{text}”",
    notes: "Notes",
    none: "No note yet. Notes are given together.",
    write: "Write a note",
  },
  zh: {
    title: "它有哪些优点或问题？",
    note: "批注",
    "note.placeholder": "您注意到了什么？",
    aspect: "方面",
    "aspect.placeholder": "例如速度、文风、事实",
    add: "添加批注",
    remove: "删除批注“{text}”",
    notes: "批注列表",
    none: "还没有批注。所有批注会一起提交。",
    write: "写批注",
  },
});

const t = translate(words);
interface Note {
  text: string;
  start: number | null;
  end: number | null;
  aspect: string;
}
interface Draft {
  notes: Note[];
  text: string;
  aspect: string;
}

export default function CritiqueForm(props: FormProps) {
  const { question, player, ready, submit } = props;
  const [draft, setDraft] = useDraft<Draft>(props, { notes: [], text: "", aspect: question.aspect ?? "" });
  const selected = useSignal<Span | null>(null);
  const field = useRef<HTMLTextAreaElement>(null);
  const [list] = useState(() => `aspects-${question.id}`);
  const item = question.items.length === 1 ? question.items[0] : undefined; // a span of several would not say of which
  const text = item?.text ? joined(item.text.completion) : null;
  useKeys(() => [{ id: "note", keys: ["n"], label: { text: t("write") }, run: () => field.current?.focus() }], []);
  const written = (): Note[] =>
    draft.text.trim() ? [{ text: draft.text.trim(), start: selected.value?.start ?? null, end: selected.value?.end ?? null, aspect: draft.aspect.trim() }] : [];
  const add = () => {
    if (!draft.text.trim()) return;
    setDraft({ ...draft, notes: [...draft.notes, ...written()], text: "" });
    selected.value = null;
    field.current?.focus();
  };
  const marks = draft.notes.flatMap((note) => (note.start !== null && note.end !== null ? [{ start: note.start, end: note.end }] : []));
  return (
    <>
      <Items
        {...props}
        {...(item && text !== null ? { completion: () => <Passages turns={item.text?.completion ?? []} label={nameOf(item, 0, 1)} marks={marks} selected={selected} /> } : {})}
      />
      <div class="card notes">
        {item ? (
          <>
            <p class="muted">{text === null ? shared("span.help-clip") : shared("span.help-text")}</p>
            {text === null ? <Stretch player={player} selected={selected} /> : null}
            <Where selected={selected} text={text} />
          </>
        ) : null}
        <label class="field"><span>{t("note")}<Key id="note" keys={["n"]} /></span>
          <textarea ref={field} rows={2} maxLength={4000} placeholder={t("note.placeholder")} value={draft.text} onInput={(event) => setDraft({ ...draft, text: event.currentTarget.value })} />
        </label>
        <label class="field">{t("aspect")}
          <input type="text" maxLength={80} list={list} placeholder={t("aspect.placeholder")} value={draft.aspect} onInput={(event) => setDraft({ ...draft, aspect: event.currentTarget.value })} />
          <datalist id={list}>{[...new Set(draft.notes.map((note) => note.aspect))].map((one) => <option key={one} value={one} />)}</datalist>
        </label>
        <button id="add-note" type="button" disabled={!draft.text.trim()} onClick={add}>{t("add")}</button>
        <h2>{t("notes")}</h2>
        {draft.notes.length ? null : <p class="muted">{t("none")}</p>}
        <ul class="note-list">
          {draft.notes.map((note, i) => (
            <li key={i}>
              <span class="muted">{[note.aspect, spanWords(note.start === null || note.end === null ? null : { start: note.start, end: note.end }, text)].filter(Boolean).join(" · ")}</span>
              <span>{note.text}</span>
              <button type="button" class="quiet" aria-label={t("remove", { text: note.text })} onClick={() => setDraft({ ...draft, notes: draft.notes.filter((other) => other !== note) })}>×</button>
            </li>
          ))}
        </ul>
      </div>
      <SubmitRow ready={ready && (draft.notes.length > 0 || draft.text.trim() !== "")} submit={() => submit({ notes: [...draft.notes, ...written()] })} />
    </>
  );
}

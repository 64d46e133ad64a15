// A span of a text (by selecting in it) or a stretch of a clip (by marking where it begins and ends).
import type { Signal } from "@preact/signals";
import { useLayoutEffect, useRef } from "preact/hooks";
import type { Player } from "../clips/player";
import type { Turn } from "../contract";
import { characters, place } from "../forms/form";
import { Key } from "../label/key";
import { useKeys } from "../label/keys";
import { t } from "../label/words";

/** first and one past the last: characters as Python counts them, or steps */
export interface Span {
  start: number;
  end: number;
}

interface PassagesProps {
  turns: Turn[];
  label: string;
  /** spans that are marked already */
  marks: Span[];
  selected: Signal<Span | null>;
}

/** What spans of a completion count: the characters of its turns, one after the other. */
export function joined(turns: Turn[]): string {
  return turns.map((turn) => turn.content).join("");
}

/** A completion in which a passage can be selected. */
export function Passages({ turns, ...props }: PassagesProps) {
  let offset = 0;
  return (
    <>
      {turns.map((turn, i) => {
        const begin = offset;
        offset += characters(turn.content, turn.content.length);
        return <Passage key={i} text={turn.content} offset={begin} {...props} />;
      })}
    </>
  );
}

/** One turn; it is a text field that cannot be written in, so that the keyboard selects as well. */
function Passage({ text, offset, label, marks, selected }: Omit<PassagesProps, "turns"> & { text: string; offset: number }) {
  const field = useRef<HTMLTextAreaElement>(null);
  useLayoutEffect(() => {
    const fit = () => {
      if (!field.current) return;
      field.current.style.height = "auto";
      field.current.style.height = `${field.current.scrollHeight + 2}px`;
    };
    fit();
    addEventListener("resize", fit);
    return () => removeEventListener("resize", fit);
  }, [text]);
  const select = () => {
    const { selectionStart: start, selectionEnd: end } = field.current ?? { selectionStart: 0, selectionEnd: 0 };
    if (end > start) selected.value = { start: offset + characters(text, start), end: offset + characters(text, end) };
  };
  return (
    <div class="passage">
      <div class="passage-marks" aria-hidden="true">{marked(text, (selected.value ? [...marks, selected.value] : marks).map(({ start, end }) => ({ start: start - offset, end: end - offset })))}</div>
      <textarea ref={field} readOnly aria-label={label} value={text} onSelect={select} onKeyUp={select} onMouseUp={select} spellcheck={false} data-span="text" />
    </div>
  );
}

function marked(text: string, spans: Span[]) {
  const inside = new Uint8Array(text.length + 1);
  for (const span of spans) inside.fill(1, place(text, Math.max(0, span.start)), place(text, Math.max(0, span.end)));
  const parts = [];
  for (let at = 0; at < text.length; ) {
    let end = at + 1;
    while (end < text.length && inside[end] === inside[at]) end += 1;
    const part = text.slice(at, end);
    parts.push(inside[at] ? <mark key={at}>{part}</mark> : part);
    at = end;
  }
  return parts;
}

/** What a span covers, in words. */
export function spanWords(span: Span | null, text: string | null): string {
  if (span === null) return t("span.none");
  if (text === null) return t("span.steps", { start: span.start + 1, end: span.end });
  const part = [...text].slice(span.start, span.end).join("");
  return t("span.text", { text: part.length > 60 ? `${part.slice(0, 40)} … ${part.slice(-15)}` : part });
}

/** Marks a stretch of steps with the player: here it begins, here it ends. */
export function Stretch({ player, selected }: { player: Player; selected: Signal<Span | null> }) {
  const steps = player.tracks.value[0]?.steps ?? 1;
  const begin = () => {
    const start = player.stepAt(0);
    selected.value = { start, end: Math.max(selected.peek()?.end ?? steps, start + 1) };
  };
  const end = () => {
    const last = player.stepAt(0) + 1;
    selected.value = { start: Math.min(selected.peek()?.start ?? 0, last - 1), end: last };
  };
  useKeys(
    () => [
      { id: "begin", keys: ["["], label: "key.begin", run: begin },
      { id: "end", keys: ["]"], label: "key.end", run: end },
    ],
    [player, steps],
  );
  const span = selected.value;
  return (
    <div class="stretch">
      <div class="strip" aria-hidden="true">
        {span ? <i ref={(bar) => { bar?.style.setProperty("left", `${(100 * span.start) / steps}%`); bar?.style.setProperty("width", `${(100 * (span.end - span.start)) / steps}%`); }} /> : null}
      </div>
      <div class="row">
        <button type="button" onClick={begin}>{t("span.begin")}<Key id="begin" keys={["["]} /></button>
        <button type="button" onClick={end}>{t("span.end")}<Key id="end" keys={["]"]} /></button>
      </div>
    </div>
  );
}

/** Where something is: the span that is selected now, and how to clear it. */
export function Where({ selected, text }: { selected: Signal<Span | null>; text: string | null }) {
  return (
    <p class="where" aria-live="polite">
      <strong>{t("span.legend")}: </strong>{spanWords(selected.value, text)}
      {selected.value ? <button type="button" class="quiet" onClick={() => (selected.value = null)}>{t("span.clear")}</button> : null}
    </p>
  );
}

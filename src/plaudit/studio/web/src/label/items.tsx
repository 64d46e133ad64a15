// The items of a question: clips on one transport, or texts with their prompt.
import type { ComponentChildren } from "preact";
import { useEffect, useState } from "preact/hooks";
import { ClipCanvas } from "../clips/canvas";
import type { Player } from "../clips/player";
import { Transport } from "../clips/transport";
import type { Clip, Item, Question } from "../contract";
import { LETTERS } from "../forms/form";
import { marked, raw, stacked } from "../text/display";
import { Fold, plain, Prompt, Turns } from "../text/text";
import { useKeys } from "./keys";
import type { Reading } from "./reading";
import { t } from "./words";

const LONG = 20_000; // milliseconds that drawing a clip may take without a word

interface Props {
  question: Question;
  player: Player;
  reading: Reading;
  /** places on the screen that are chosen now */
  chosen?: number[];
  /** something below an item */
  below?: (item: Item, place: number) => ComponentChildren;
  /** what stands for a completion; by default it is shown for reading */
  completion?: (item: Item, place: number) => ComponentChildren;
}

export function Items(props: Props) {
  const { question, player, reading } = props;
  const texts = question.items.filter((item) => item.text !== null);
  const clips = question.items.filter((item) => item.clip !== null);
  const first = texts[0]?.text;
  const shared = first && texts.every((item) => item.text && plain(item.text.prompt) === plain(first.prompt));
  const tracks = player.tracks.value;
  const ratio = Math.max(0, ...tracks.map((track) => track.clip.width / track.clip.height)) || 4 / 3;
  const drawn = tracks.length === clips.length;
  const kind = texts.length ? (stacked.value || question.items.length > 4 ? "texts stacked" : "texts") : `clips n${Math.min(question.items.length, 5)}`;
  return (
    <div class="items-box">
      {first && shared ? <Prompt text={first} reading={reading} /> : null}
      {texts.length && !props.completion ? <TextTools several={texts.length > 1} reading={reading} /> : null}
      <div class={`items ${kind}`} ref={(box) => box?.style.setProperty("--ratio", String(ratio))}>
        {question.items.map((item, place) => (
          <figure key={item.index} class={props.chosen?.includes(place) ? "item chosen" : "item"} aria-label={nameOf(item, place, question.items.length)}>
            {item.clip ? (
              <div class="clip">
                {drawn && tracks[place] ? <ClipCanvas player={player} track={tracks[place]} /> : <Undrawn clip={item.clip} />}
              </div>
            ) : null}
            {question.items.length > 1 ? <span class="letter" aria-hidden="true">{LETTERS[place]}</span> : null}
            {item.text && !shared ? <Prompt text={item.text} reading={reading} /> : null}
            {item.text ? (props.completion?.(item, place) ?? <Completion {...props} item={item} place={place} />) : null}
            {props.below?.(item, place)}
          </figure>
        ))}
      </div>
      {clips.length ? <div class={drawn && tracks.length ? undefined : "idle"}>{drawn && tracks.length ? <Transport player={player} /> : <div class="transport" />}</div> : null}
    </div>
  );
}

function Completion({ question, reading, item, place }: Props & { item: Item; place: number }) {
  const others = question.items.filter((other) => other !== item && other.text);
  const other = marked.value && others.length === 1 ? others[0]?.text?.completion : undefined;
  return <Fold id={`text-${place}`} reading={reading}><Turns turns={item.text?.completion ?? []} other={other} /></Fold>;
}

export function nameOf(item: Item, place: number, items: number): string {
  const what = item.clip ? "clip" : "text";
  return items > 1 ? t(what, { letter: LETTERS[place] ?? "" }) : t(`${what}-one`);
}

function Undrawn({ clip }: { clip: Clip }) {
  const [long, setLong] = useState(false);
  useEffect(() => {
    const timer = window.setTimeout(() => setLong(true), LONG);
    return () => clearTimeout(timer);
  }, []);
  if (clip.error) return <p class="note">{t("failed", { why: clip.error })}</p>;
  return (
    <div class="note">
      <Dots />
      <p>{long ? t("drawing-long") : t("drawing")}</p>
    </div>
  );
}

export function Dots() {
  return <div class="dots" aria-hidden="true"><i /><i /><i /></div>;
}

function TextTools({ several, reading }: { several: boolean; reading: Reading }) {
  useKeys(
    () => [
      { id: "unfold", keys: ["e"], label: "key.unfold", run: () => reading.unfoldAll() },
      { id: "raw", keys: ["r"], label: "key.raw", run: () => (raw.value = !raw.value) },
      ...(several
        ? [
            { id: "layout", keys: ["l"], label: "key.layout" as const, run: () => (stacked.value = !stacked.value) },
            { id: "diff", keys: ["d"], label: "key.diff" as const, run: () => (marked.value = !marked.value) },
          ]
        : []),
    ],
    [several, reading],
  );
  return (
    <div class="text-tools" role="group" aria-label={t("view")}>
      {reading.done.value ? null : <button type="button" class="quiet" onClick={() => reading.unfoldAll()}>{t("unfold-all")}</button>}
      {several ? <Toggle on={stacked.value} flip={() => (stacked.value = !stacked.value)} label={t("stacked")} name="stacked" /> : null}
      {several ? <Toggle on={marked.value} flip={() => (marked.value = !marked.value)} label={t("diff")} /> : null}
      <Toggle on={raw.value} flip={() => (raw.value = !raw.value)} label={t("raw")} />
    </div>
  );
}

export function Toggle({ on, flip, label, name = "" }: { on: boolean; flip: () => void; label: string; name?: string }) {
  return (
    <label class={`toggle ${name}`}>
      <input type="checkbox" checked={on} onChange={flip} />
      {label}
    </label>
  );
}

// Play, pause, scrub, step and speed for all clips of a question at once.
import { useComputed } from "@preact/signals";
import { t } from "../label/words";
import { number } from "../i18n";
import { type Action, useKeys } from "../label/keys";
import { type Player, SPEEDS } from "./player";

export function Transport({ player }: { player: Player }) {
  const playing = player.playing.value;
  useKeys(() => actions(player), [player]);
  return (
    <div class="transport">
      <button type="button" class="round" aria-label={playing ? t("pause-clips") : t("play")} onClick={() => player.toggle()}>
        <svg viewBox="0 0 20 20" aria-hidden="true">
          <path d={playing ? "M6 4h3v12H6zM11 4h3v12h-3z" : "M6 3.5v13l10-6.5z"} />
        </svg>
      </button>
      <button type="button" class="round" aria-label={t("frame-back")} onClick={() => player.step(-1)}>
        <svg viewBox="0 0 20 20" aria-hidden="true"><path d="M14 4v12L6 10zM4 4h2v12H4z" /></svg>
      </button>
      <button type="button" class="round" aria-label={t("frame-forth")} onClick={() => player.step(1)}>
        <svg viewBox="0 0 20 20" aria-hidden="true"><path d="M6 4v12l8-6zM14 4h2v12h-2z" /></svg>
      </button>
      <Scrub player={player} />
      <label class="speed">
        <span class="sr-only">{t("speed")}</span>
        <select value={player.speed.value} onChange={(event) => (player.speed.value = Number(event.currentTarget.value))}>
          {SPEEDS.map((one) => <option key={one} value={one}>{`${number(one, one < 1 ? 2 : 0)}×`}</option>)}
        </select>
      </label>
    </div>
  );
}

function Scrub({ player }: { player: Player }) {
  const place = useComputed(() => Math.min(1000, Math.round((1000 * player.time.value) / player.total.value)));
  const first = player.tracks.value[0];
  return (
    <input
      type="range"
      class="scrub"
      min="0"
      max="1000"
      value={place}
      aria-label={t("position")}
      aria-valuetext={first ? t("step-of", { step: player.stepAt(0, player.time.peek()) + 1, steps: first.steps }) : ""}
      onInput={(event) => player.seek((Number(event.currentTarget.value) / 1000) * (player.total.value - 1))}
    />
  );
}

function actions(player: Player): Action[] {
  return [
    { id: "replay", keys: [" "], label: "key.replay", run: () => player.replay() },
    { id: "play", keys: ["p"], label: "key.play", run: () => player.toggle() },
    { id: "back", keys: [","], label: "key.back", repeats: true, run: () => player.step(-1) },
    { id: "forth", keys: ["."], label: "key.forth", repeats: true, run: () => player.step(1) },
    { id: "slower", keys: ["-"], label: "key.slower", run: () => player.faster(-1) },
    { id: "faster", keys: ["+"], label: "key.faster", run: () => player.faster(1) },
  ];
}

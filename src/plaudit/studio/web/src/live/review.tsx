// Looking at what was done, choosing the stretch that counts, and handing it in.
import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { paint } from "./index";
import type { Link } from "./link";
import { t } from "./words";

interface ReviewProps {
  link: Link;
  canvas: { current: HTMLCanvasElement | null };
  /** the person's step at which the stretch begins; null where there is nothing to choose */
  handIn: (first: number | null) => void;
}

export function Review({ link, canvas, handIn }: ReviewProps) {
  const { world } = link;
  const steps = link.frame.value?.step ?? 0;
  const latest = world.kept ? 0 : Math.max(0, steps - world.length);
  const first = useSignal(latest);
  const timer = useRef(0);
  const done = useRef<HTMLButtonElement>(null);
  const show = async (step: number) => {
    const at = link.frames.findLast((frame) => frame.step <= step) ?? link.frames[0];
    if (at) paint(canvas.current, await createImageBitmap(at.picture));
  };
  const play = (from: number) => {
    clearInterval(timer.current);
    const end = world.kept ? steps : Math.min(steps, from + world.length);
    const began = performance.now();
    timer.current = window.setInterval(() => {
      const step = from + Math.floor(((performance.now() - began) / 1000) * world.fps);
      void show(Math.min(step, end));
      if (step >= end) clearInterval(timer.current);
    }, 50);
  };
  useEffect(() => {
    done.current?.focus();
    return () => clearInterval(timer.current);
  }, []);
  return (
    <div class="live-row">
      {latest > 0 ? (
        <label>{t("stretch", { of: world.length })}
          <input
            type="range"
            min="0"
            max={latest}
            step="1"
            value={first.value}
            onInput={(event) => {
              clearInterval(timer.current);
              first.value = Number(event.currentTarget.value);
              void show(first.value);
            }}
          />
          <span class="num">{t("stretch.value", { from: first.value + 1, to: first.value + world.length, n: steps })}</span>
        </label>
      ) : null}
      <button type="button" onClick={() => play(first.value)}>{t("replay")}</button>
      <button ref={done} type="button" class="main" onClick={() => handIn(latest > 0 ? first.value : null)}>{t("hand-in")}</button>
    </div>
  );
}

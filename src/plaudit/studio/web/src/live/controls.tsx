// What is pressed and pointed at: keys on the screen, and pads.
import { useRef } from "preact/hooks";
import type { LiveKey, LivePad } from "./link";
import { nameOf, pointed } from "./pads";
import { doing, t } from "./words";

interface KeysProps {
  keys: LiveKey[];
  /** numbers of those that are held, to be shown so */
  held: ReadonlySet<number>;
  /** hold a key by so much of its strength; 0 lets it go */
  hold: (number: number, share: number) => void;
}

/** Every key as a button: to be held by a pointer, or by Space and Enter. */
export function Keys({ keys, held, hold }: KeysProps) {
  return (
    <div class="live-keys" role="group" aria-label={t("keys")}>
      {inPlace(keys).map(([one, number]) => (
        <button
          key={one.key}
          type="button"
          class="live-key"
          aria-pressed={held.has(number)}
          onPointerDown={(event) => {
            event.currentTarget.setPointerCapture(event.pointerId);
            hold(number, 1);
          }}
          onPointerUp={() => hold(number, 0)}
          onPointerCancel={() => hold(number, 0)}
          onContextMenu={(event) => event.preventDefault()}
          onKeyDown={(event) => {
            if ((event.code === "Space" || event.code === "Enter") && !event.repeat) hold(number, 1);
          }}
          onKeyUp={(event) => {
            if (event.code === "Space" || event.code === "Enter") hold(number, 0);
          }}
          onBlur={() => hold(number, 0)}
        >
          <kbd aria-hidden="true">{nameOf(one.key)}</kbd>
          <span>{doing(one.label) || one.action.toString()}</span>
        </button>
      ))}
    </div>
  );
}

const PLACES = ["ArrowLeft", "ArrowDown", "ArrowUp", "ArrowRight"];

/** Keys with their numbers; arrows stand as on the keyboard, others in their own order behind them. */
function inPlace(keys: LiveKey[]): [LiveKey, number][] {
  const rank = ({ key }: LiveKey) => (PLACES.includes(key) ? PLACES.indexOf(key) : PLACES.length);
  return keys.map((one, number): [LiveKey, number] => [one, number]).sort(([a], [b]) => rank(a) - rank(b));
}

interface PadProps {
  pad: LivePad;
  keys: LiveKey[];
  hold: (number: number, share: number) => void;
}

/** A field to pull in: the farther from its middle, the stronger. Keys do the same. */
export function PadField({ pad, keys, hold }: PadProps) {
  const knob = useRef<HTMLElement>(null);
  const point = (field: HTMLElement, event: PointerEvent | null) => {
    const box = field.getBoundingClientRect();
    const x = event === null || pad.x === null ? 0 : clamp(((event.clientX - box.left) / box.width) * 2 - 1);
    const y = event === null || pad.y === null ? 0 : clamp(1 - ((event.clientY - box.top) / box.height) * 2);
    if (knob.current) {
      knob.current.style.left = `${50 + 50 * x}%`;
      knob.current.style.top = `${50 - 50 * y}%`;
    }
    for (const [number, share] of [...pointed(pad.x, x), ...pointed(pad.y, y)]) hold(number, share);
  };
  const ends = [...(pad.x ?? []), ...(pad.y ?? [])].map((number) => doing(keys[number]?.label ?? "")).filter(Boolean);
  const end = (event: PointerEvent & { currentTarget: HTMLElement }) => point(event.currentTarget, null);
  return (
    <figure class="live-pull">
      <div
        class={`live-pad${pad.y === null ? " flat" : pad.x === null ? " tall" : ""}`}
        role="img"
        aria-label={t("pad", { what: ends.join(", ") })}
        onPointerDown={(event) => {
          event.currentTarget.setPointerCapture(event.pointerId);
          point(event.currentTarget, event);
        }}
        onPointerMove={(event) => {
          if (event.currentTarget.hasPointerCapture(event.pointerId)) point(event.currentTarget, event);
        }}
        onPointerUp={end}
        onPointerCancel={end}
      >
        <i ref={knob} />
      </div>
      <figcaption class="muted" aria-hidden="true">{t("pad.pull")}</figcaption>
    </figure>
  );
}

function clamp(at: number): number {
  return Math.min(1, Math.max(-1, at));
}

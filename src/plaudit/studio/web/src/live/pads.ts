// From keys that are held and places that are pointed at to actions.
import type { World } from "./link";

export type Action = number | number[];
/** how far each key is held, 0 to 1, by its number in `world.keys`; the newest stands last */
export type Held = Map<number, number>;

/** What is to be done now; null: nothing is to be said. */
export function actionOf(world: World, held: Held, strength: number): Action | null {
  const numbers = [...held.keys()];
  if (!Array.isArray(world.idle)) {
    const last = numbers.at(-1);
    return last === undefined ? world.idle : (world.keys[last]?.action ?? null);
  }
  const idle = world.idle;
  return idle.map((rest, entry) => {
    let sum = rest;
    for (const [number, share] of held) {
      const action = world.keys[number]?.action;
      if (Array.isArray(action)) sum += share * strength * ((action[entry] ?? rest) - rest);
    }
    return Math.min(world.high[entry] ?? sum, Math.max(world.low[entry] ?? sum, sum));
  });
}

/** How far the keys at the ends of a pad are held when its field is pointed at, x and y from -1 to 1, right and up. */
export function pointed(ends: [number, number] | null, at: number): [number, number][] {
  if (ends === null) return [];
  const near = Math.abs(at) < DEAD ? 0 : Math.min(1, Math.abs(at));
  return [
    [ends[0], at < 0 ? near : 0],
    [ends[1], at > 0 ? near : 0],
  ];
}

/** around the middle of a pad, where nothing is done */
const DEAD = 0.06;

const NAMES: Record<string, string> = { ArrowLeft: "←", ArrowRight: "→", ArrowUp: "↑", ArrowDown: "↓", Space: "␣", Enter: "↵" };

/** What is printed on a key, as far as its place tells. */
export function nameOf(code: string): string {
  return NAMES[code] ?? code.replace(/^(Key|Digit|Numpad)/, "");
}

/** Whether a key that is pressed here belongs to the control that has the focus, and not to the world. */
export function belongs(event: KeyboardEvent): boolean {
  const target = event.target instanceof Element ? event.target : document.body;
  if (target.closest("dialog, input, select, textarea, [contenteditable]")) return true;
  return (event.code === "Space" || event.code === "Enter") && target.closest("button, a, summary") !== null;
}

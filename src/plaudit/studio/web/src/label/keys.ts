// Keys: each action has an id and a default, and may be remapped or all switched off; both are remembered here.
// A key is never taken while somebody types, composes a character, or uses a control that needs it.
import { signal } from "@preact/signals";
import { useLayoutEffect } from "preact/hooks";
import { language } from "../i18n";
import { kept } from "../kept";
import type { WordKey } from "./words";

export interface Action {
  id: string;
  /** values of KeyboardEvent.key; the first is shown. "Mod+Enter" also works while typing. */
  keys: string[];
  /** of the labelling page's words; or a ready text */
  label: WordKey | { text: string };
  run: () => void;
  /** whether holding the key repeats the action */
  repeats?: boolean;
}

export const enabled = kept("shortcuts", true);
export const remapped = kept<Record<string, string>>("keys", {});
const layers = signal<{ actions: Action[] }[]>([]);

/** Offer actions by key while the component is there; those of later components come first. */
export function useKeys(make: () => Action[], inputs: unknown[]): void {
  useLayoutEffect(() => {
    const layer = { actions: make() };
    layers.value = [...layers.peek(), layer];
    return () => {
      layers.value = layers.peek().filter((other) => other !== layer);
    };
  }, [...inputs, language.value]);
}

/** Every action on the screen now, once. */
export function actions(): Action[] {
  const found = new Map<string, Action>();
  for (const layer of [...layers.value].reverse()) for (const action of layer.actions) if (!found.has(action.id)) found.set(action.id, action);
  return [...found.values()];
}

export function keysOf(action: Pick<Action, "id" | "keys">): string[] {
  const own = remapped.value[action.id];
  return own === undefined ? action.keys : [own];
}

/** The key to show beside an action; null when keys are switched off. */
export function hint(action: Pick<Action, "id" | "keys">): string | null {
  return enabled.value ? nameOf(keysOf(action)[0] ?? "") : null;
}

const NAMES: Record<string, string> = {
  ArrowLeft: "←", ArrowRight: "→", ArrowUp: "↑", ArrowDown: "↓", " ": "␣", Enter: "↵", Escape: "Esc", Backspace: "⌫", Delete: "Del",
};

export function nameOf(key: string): string {
  if (key.startsWith("Mod+")) return `Ctrl ${nameOf(key.slice(4))}`;
  return NAMES[key] ?? (key.length === 1 ? key.toUpperCase() : key);
}

/** Give an action another key; whoever had it gets the old one. */
export function remap(action: Action, key: string): void {
  const mine = keysOf(action)[0] ?? "";
  const changes: Record<string, string> = { ...remapped.value, [action.id]: key };
  for (const other of actions()) if (other.id !== action.id && keysOf(other).some((one) => same(one, key))) changes[other.id] = mine;
  remapped.value = changes;
}

function same(one: string, other: string): boolean {
  return one.toLowerCase() === other.toLowerCase();
}

const TYPED = 'input:not([type="checkbox"], [type="radio"], [type="range"], [type="button"], [type="submit"]), textarea, [contenteditable]';
const MOVED = 'input[type="range"], input[type="radio"], select, [role="slider"], [data-keys="own"]';
const MOVES = new Set(["ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown", "Home", "End", "PageUp", "PageDown", " "]);
const PRESSED = 'button, a, summary, input[type="checkbox"]';

/** Whether a key that was pressed at this element belongs to the element. */
function taken(target: Element, key: string, modified: boolean): boolean {
  if (target.closest("dialog")) return true;
  if (target.closest(TYPED)) return !modified;
  if (target.closest("select") && key.length === 1) return true;
  if (target.closest(MOVED) && MOVES.has(key)) return true;
  return target.closest(PRESSED) !== null && (key === " " || key === "Enter") && !modified;
}

export function onKey(event: KeyboardEvent): void {
  if (event.defaultPrevented || event.isComposing || event.keyCode === 229 || event.altKey) return;
  const modified = event.ctrlKey || event.metaKey;
  const key = modified ? `Mod+${event.key}` : event.key;
  const target = event.target instanceof Element ? event.target : document.body;
  if (taken(target, event.key, modified)) return;
  const found = actions().find((action) => keysOf(action).some((one) => same(one, key)));
  if (!found || (!enabled.value && found.id !== "help" && !modified)) return;
  event.preventDefault();
  if (!event.repeat || found.repeats) found.run();
}

addEventListener("keydown", onKey);

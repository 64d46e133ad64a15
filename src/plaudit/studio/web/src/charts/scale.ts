// Axes: round ticks, and from values to pixels.
import { ticked } from "./format";

export interface Scale {
  (value: number): number;
  ticks: { value: number; text: string }[];
}

export type Range = readonly [number, number];
/** `whole`: only whole numbers stand on the axis; `share`: written in percent */
export type Kind = "number" | "whole" | "share";

/** The range of some values, with room at both ends; never of no width. */
export function rangeOf(values: readonly number[], room = 0.06): Range {
  const known = values.filter(Number.isFinite);
  if (known.length === 0) return [0, 1];
  const low = Math.min(...known);
  const high = Math.max(...known);
  const pad = high > low ? room * (high - low) : Math.abs(high) / 2 || 0.5;
  return [low - pad, high + pad];
}

export function linear([low, high]: Range, from: number, to: number, count: number, kind: Kind = "number"): Scale {
  const place = (value: number) => from + ((value - low) / (high - low)) * (to - from);
  return Object.assign(place, { ticks: ticksOf(low, high, count, kind) });
}

function ticksOf(low: number, high: number, count: number, kind: Kind): Scale["ticks"] {
  const rough = (high - low) / Math.max(count, 1);
  const size = 10 ** Math.floor(Math.log10(rough));
  const step = Math.max([1, 2, 5, 10].map((times) => times * size).find((one) => one >= rough * 0.999) ?? size, kind === "whole" ? 1 : 0);
  const digits = Math.max(0, -Math.floor(Math.log10(step) + 1e-9));
  const found: Scale["ticks"] = [];
  for (let at = Math.ceil(low / step - 1e-9); at * step <= high + 1e-9 * step; at += 1) {
    const value = at * step;
    found.push({ value, text: kind === "share" ? `${ticked(100 * value, Math.max(0, digits - 2))}\u202f%` : ticked(value, digits) });
  }
  return found;
}

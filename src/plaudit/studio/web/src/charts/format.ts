// Numbers as the report writes them (src/plaudit/report/markup.py): the same digits for the same value, in every language.
export type Style = "count" | "percent" | "decimal" | "return" | "seconds";

const NARROW_SPACE = "\u202f";
const MINUS = "\u2212";

export function written(value: number, style: Style): string {
  return sign(unsigned(value, style));
}

function unsigned(value: number, style: Style): string {
  switch (style) {
    case "count":
      return grouped(fixed(value, 0));
    case "percent":
      return fixed(100 * value, 0) + NARROW_SPACE + "%";
    case "decimal":
      if (Math.abs(value) >= 1000 || Number.isInteger(value)) return grouped(fixed(value, 0));
      return significant(value);
    case "return":
      if (Math.abs(value) >= 1000) return grouped(fixed(value, 0));
      return Math.abs(value) >= 10 ? fixed(value, 1) : bare(significant(value));
    case "seconds":
      if (value < 90) return fixed(value, 1) + NARROW_SPACE + "s";
      return value < 5400 ? fixed(value / 60, 1) + NARROW_SPACE + "min" : fixed(value / 3600, 1) + NARROW_SPACE + "h";
  }
}

/** A number beside an axis, with as many digits as tell the ticks apart. */
export function ticked(value: number, digits: number): string {
  return sign(grouped(fixed(value, digits)));
}

/** Digits after the point, halves to the even neighbour as Python rounds them. */
function fixed(value: number, digits: number): string {
  const exact = Math.abs(value).toFixed(digits + 60);
  const half = /^50*$/.test(exact.slice(exact.indexOf(".") + 1 + digits));
  if (!half) return value.toFixed(digits);
  const even = 2 * Math.round((Math.abs(value) * 10 ** digits) / 2);
  return (Math.sign(value) * (even / 10 ** digits)).toFixed(digits);
}

function significant(value: number): string {
  if (value === 0) return "0.00";
  const exponent = Number(value.toExponential(2).split("e")[1]);
  if (exponent >= -4 && exponent < 3) return fixed(value, 2 - exponent);
  const [digits = "", power = "0"] = value.toExponential(2).split("e");
  const size = Math.abs(Number(power)).toString().padStart(2, "0");
  return `${digits}e${Number(power) < 0 ? "-" : "+"}${size}`;
}

function bare(text: string): string {
  const [digits = "", power] = text.split("e");
  const short = digits.includes(".") ? digits.replace(/\.?0+$/, "") : digits;
  return power === undefined ? short : `${short}e${power}`;
}

function grouped(text: string): string {
  const [whole = "", rest] = text.split(".");
  const spaced = whole.replace(/\B(?=(\d{3})+$)/g, ",");
  return rest === undefined ? spaced : `${spaced}.${rest}`;
}

function sign(text: string): string {
  const negative = text.startsWith("-") && /[1-9]/.test(text);
  return (negative ? MINUS : "") + text.replace(/^-/, "");
}

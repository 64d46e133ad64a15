// Lines over rounds or steps, with bands for intervals and dashed lines for references.
import { translate } from "../i18n";
import { type Style, written } from "./format";
import { type Cell, type Column, type EndLabel, type Hit, Plot } from "./plot";
import { rangeOf, type Scale } from "./scale";
import { words } from "./words";

const t = translate(words);

export interface Point {
  x: number;
  y: number | null;
  low?: number | null;
  high?: number | null;
  /** where the value stands in the report's JSON */
  path?: string;
  lowPath?: string;
  highPath?: string;
}

export interface Line {
  name: string;
  points: Point[];
}

export interface Reference {
  name: string;
  value: number | null | undefined;
  path?: string;
}

interface Props {
  title: string;
  caption: string;
  file: string;
  xLabel: string;
  yLabel: string;
  style: Style;
  lines: Line[];
  references?: Reference[];
  /** x counts rounds or steps */
  whole?: boolean;
  /** values that the axis shows whatever was measured */
  span?: number[];
}

export function LineChart({ title, caption, file, xLabel, yLabel, style, lines, references = [], whole = true, span = [] }: Props) {
  const shown = lines.map((line) => ({ ...line, points: line.points.filter(measured) })).filter((line) => line.points.length);
  const known = references.filter((one): one is Reference & { value: number } => typeof one.value === "number");
  const all = shown.flatMap((line) => line.points);
  const ys = all.flatMap((one) => [one.y ?? Number.NaN, one.low ?? Number.NaN, one.high ?? Number.NaN]);
  const xs = all.map((one) => one.x);
  const hits = shown.flatMap((line) => line.points.map((one): Hit => ({ x: one.x, y: one.y ?? 0, text: said(line.name, one, xLabel, style) })));
  const alone = shown.length + known.length === 1; // the title says what it is
  const ends: EndLabel[] = alone ? [] : [
    ...shown.map((line, index) => ({ y: line.points.at(-1)?.y ?? 0, text: line.name, tone: `s${index + 1}` })),
    ...known.map((one) => ({ y: one.value, text: one.name, tone: "s0" })),
  ];
  const low = Math.min(...xs);
  const high = Math.max(...xs);
  return (
    <Plot
      title={title} caption={caption} file={file} hits={hits} columns={table(shown, known, xLabel, style)} ends={ends}
      x={{ label: xLabel, range: high > low ? [low, high] : [low - 0.5, high + 0.5], kind: whole ? "whole" : "number" }}
      y={{ label: yLabel, range: rangeOf([...ys, ...known.map((one) => one.value), ...span]), kind: style === "percent" ? "share" : "number" }}
      draw={(sx, sy, box) => (
        <>
          {known.map((one) => <line key={one.name} class="reference s0" x1={box.left} x2={box.right} y1={sy(one.value)} y2={sy(one.value)} />)}
          {shown.map((line, index) => <path key={line.name} class={`band s${index + 1}`} d={band(line.points, sx, sy)} />)}
          {shown.map((line, index) => (
            <g key={line.name}>
              <path class={`line s${index + 1}`} d={line.points.map((one, place) => `${place ? "L" : "M"}${sx(one.x)} ${sy(one.y ?? 0)}`).join("")} />
              {line.points.length < 40 ? line.points.map((one) => <circle key={one.x} class={`dot s${index + 1}`} cx={sx(one.x)} cy={sy(one.y ?? 0)} r="2.5" />) : null}
            </g>
          ))}
        </>
      )}
    />
  );
}

function measured(point: Point): boolean {
  return point.y !== null && Number.isFinite(point.y);
}

function said(name: string, one: Point, xLabel: string, style: Style): string {
  const value = written(one.y ?? 0, style);
  const whole = typeof one.low === "number" && typeof one.high === "number"
    ? t("interval", { value, low: written(one.low, style), high: written(one.high, style) }) : value;
  return `${xLabel} ${written(one.x, "decimal")} · ${name} ${whole}`;
}

function band(points: readonly Point[], sx: Scale, sy: Scale): string {
  const known = points.filter((one) => typeof one.low === "number" && typeof one.high === "number");
  if (known.length < 2) return "";
  const up = known.map((one) => `${sx(one.x)} ${sy(one.high ?? 0)}`);
  const down = known.map((one) => `${sx(one.x)} ${sy(one.low ?? 0)}`).reverse();
  return `M${[...up, ...down].join("L")}Z`;
}

function table(lines: readonly Line[], references: readonly (Reference & { value: number })[], xLabel: string, style: Style): Column[] {
  const xs = [...new Set(lines.flatMap((line) => line.points.map((one) => one.x)))].sort((a, b) => a - b);
  const columns: Column[] = [{ name: xLabel, cells: xs.map((x) => ({ value: x, style: "decimal" })) }];
  const column = (line: Line, name: string, of: (point: Point) => Cell): Column => {
    const at = new Map(line.points.map((one) => [one.x, one]));
    return { name, cells: xs.map((x) => { const one = at.get(x); return one ? of(one) : { value: null }; }) };
  };
  const cell = (value: number | null | undefined, path?: string): Cell => ({ value: value ?? null, style, ...(path ? { path } : {}) });
  for (const line of lines) {
    columns.push(column(line, line.name, (one) => cell(one.y, one.path)));
    if (line.points.some((one) => typeof one.low === "number")) {
      columns.push(column(line, t("low", { name: line.name }), (one) => cell(one.low, one.lowPath)));
      columns.push(column(line, t("high", { name: line.name }), (one) => cell(one.high, one.highPath)));
    }
  }
  for (const one of references) columns.push({ name: one.name, cells: xs.map(() => cell(one.value, one.path)) });
  return columns;
}

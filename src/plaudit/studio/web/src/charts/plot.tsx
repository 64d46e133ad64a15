// The frame of every chart: title, axes with units, a read-out that follows the pointer, the numbers as a table, and files.
import type { ComponentChildren } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { translate } from "../i18n";
import { type Style, written } from "./format";
import { saveCsv, saveSvg } from "./save";
import { type Kind, linear, type Range, type Scale } from "./scale";
import "./style.css";
import { words } from "./words";

const t = translate(words);

export interface Cell {
  value: number | string | null;
  /** where the number stands in the report's JSON */
  path?: string;
  style?: Style;
}

export interface Column {
  name: string;
  cells: Cell[];
}

export interface Axis {
  label: string;
  range: Range;
  kind?: Kind;
}

/** What can be pointed at: a place, and what is said of it. */
export interface Hit {
  x: number;
  y: number;
  text: string;
}

/** Words at the right end of a line. */
export interface EndLabel {
  y: number;
  text: string;
  tone: string;
}

export interface Box {
  left: number;
  right: number;
  top: number;
  bottom: number;
}

interface Props {
  title: string;
  /** the finding, or how to read it */
  caption: string;
  file: string;
  x: Axis;
  y: Axis;
  hits: Hit[];
  columns: Column[];
  ends?: EndLabel[];
  /** a square diagram, both axes of one length */
  square?: boolean;
  draw: (x: Scale, y: Scale, box: Box) => ComponentChildren;
}

const LINE = 15;

export function Plot(props: Props) {
  const { title, caption, file, columns, hits } = props;
  const holder = useRef<HTMLDivElement>(null);
  const chart = useRef<SVGSVGElement>(null);
  const [width, setWidth] = useState(0);
  const [at, setAt] = useState<Hit | null>(null);
  const [open, setOpen] = useState(false);
  useEffect(() => {
    const seen = new ResizeObserver(([entry]) => setWidth(Math.floor(entry?.contentRect.width ?? 0)));
    if (holder.current) seen.observe(holder.current);
    return () => seen.disconnect();
  }, []);
  const empty = (columns[0]?.cells.length ?? 0) === 0;
  return (
    <figure class="chart card" data-chart={file}>
      <div class="chart-head">
        <h3>{title}</h3>
        <p class="readout num" aria-hidden="true">{at?.text ?? "\u00a0"}</p>
      </div>
      <div ref={holder} class={props.square ? "chart-holder square" : "chart-holder"}>
        {empty ? <p class="muted chart-empty">{t("nothing")}</p> : width > 0 ? (
          <Drawing {...props} width={width} at={at} point={setAt} chart={chart} />
        ) : null}
      </div>
      <figcaption>{caption}</figcaption>
      {empty ? null : (
        <div class="chart-tools">
          <details onToggle={(event) => setOpen((event.currentTarget as HTMLDetailsElement).open)}>
            <summary>{t("data")}<span class="sr-only">: {title}</span></summary>
            {open ? <Numbers title={title} columns={columns} /> : null}
          </details>
          <button type="button" class="quiet" title={t("save-svg")} aria-label={`${t("save-svg")}: ${title}`}
            onClick={() => chart.current && saveSvg(chart.current, file, title)}>SVG</button>
          <button type="button" class="quiet" title={t("save-csv")} aria-label={`${t("save-csv")}: ${title}`}
            onClick={() => saveCsv(columns, file)}>CSV</button>
        </div>
      )}
      <span class="sr-only">{hits.length ? hits[hits.length - 1]?.text : ""}</span>
    </figure>
  );
}

interface Drawn extends Props {
  width: number;
  at: Hit | null;
  point: (hit: Hit | null) => void;
  chart: { current: SVGSVGElement | null };
}

function Drawing({ title, caption, x, y, hits, ends = [], square, draw, width, at, point, chart }: Drawn) {
  const height = square ? Math.min(width, 300) : Math.round(Math.min(280, Math.max(190, width * 0.5)));
  const wide = square ? height : width;
  const room = Math.max(0, ...ends.map((one) => breadth(one.text)));
  const narrow = room > wide * 0.32;
  const yTicks = linear(y.range, 1, 0, height / 55, y.kind).ticks;
  const box: Box = {
    left: 10 + Math.max(...yTicks.map((tick) => 0.95 * breadth(tick.text)), 0),
    right: wide - (ends.length && !narrow ? room + 12 : 14),
    top: 22,
    bottom: height - 38,
  };
  const sx = linear(x.range, box.left, box.right, (box.right - box.left) / 58, x.kind);
  const sy = linear(y.range, box.bottom, box.top, height / 55, y.kind);
  const move = (event: PointerEvent) => {
    const frame = (event.currentTarget as SVGElement).getBoundingClientRect();
    const [px, py] = [event.clientX - frame.left, event.clientY - frame.top];
    let best: Hit | null = null;
    let near = Number.POSITIVE_INFINITY;
    for (const hit of hits) {
      const away = (sx(hit.x) - px) ** 2 + (0.35 * (sy(hit.y) - py)) ** 2;
      if (away < near) [best, near] = [hit, away];
    }
    point(best);
  };
  return (
    <svg ref={chart} width={wide} height={height} role="img" aria-label={`${title}. ${caption}`} onPointerMove={move} onPointerLeave={() => point(null)}>
      {sy.ticks.map((tick) => (
        <g key={`y${tick.value}`}>
          <line class="grid" x1={box.left} x2={box.right} y1={sy(tick.value)} y2={sy(tick.value)} />
          <text class="tick" x={box.left - 7} y={sy(tick.value) + 4} text-anchor="end">{tick.text}</text>
        </g>
      ))}
      {sx.ticks.map((tick) => (
        <g key={`x${tick.value}`}>
          <line class="axis" x1={sx(tick.value)} x2={sx(tick.value)} y1={box.bottom} y2={box.bottom + 4} />
          <text class="tick" x={sx(tick.value)} y={box.bottom + 17} text-anchor="middle">{tick.text}</text>
        </g>
      ))}
      <line class="axis" x1={box.left} x2={box.right} y1={box.bottom} y2={box.bottom} />
      <text class="axis-label" x={box.right} y={height - 4} text-anchor="end">{x.label}</text>
      <text class="axis-label" x={0} y={11}>{y.label}</text>
      {draw(sx, sy, box)}
      {spaced(ends, sy, narrow ? box.top + 10 : box.top).map((end) => (
        <text key={end.text} class={`end ${end.tone}`} x={narrow ? box.right - 3 : box.right + 7} y={end.at + (narrow ? -6 : 4)} text-anchor={narrow ? "end" : "start"}>{end.text}</text>
      ))}
      {at ? <g data-live="">
        <line class="cross" x1={sx(at.x)} x2={sx(at.x)} y1={box.top} y2={box.bottom} />
        <circle class="ring" cx={sx(at.x)} cy={sy(at.y)} r="5" />
      </g> : null}
    </svg>
  );
}

/** Labels moved apart, from above to below, so that none lies on another. */
function spaced(ends: readonly EndLabel[], sy: Scale, top: number): (EndLabel & { at: number })[] {
  let last = top - LINE;
  return [...ends].sort((a, b) => b.y - a.y).map((end) => {
    last = Math.max(sy(end.y), last + LINE);
    return { ...end, at: last };
  });
}

/** About how wide a text is at the charts' size; ideographs are twice as wide. */
function breadth(text: string): number {
  let found = 0;
  for (const sign of text) found += sign > "\u2e80" ? 12.5 : 7.5;
  return found;
}

function Numbers({ title, columns }: { title: string; columns: Column[] }) {
  const rows = columns[0]?.cells.length ?? 0;
  return (
    <div class="numbers" tabIndex={0} role="region" aria-label={t("table", { title })}>
      <table>
        <caption class="sr-only">{t("table", { title })}</caption>
        <thead><tr>{columns.map((column) => <th key={column.name} scope="col">{column.name}</th>)}</tr></thead>
        <tbody>
          {Array.from({ length: rows }, (_, row) => (
            <tr key={row}>{columns.map((column) => <td key={column.name} class="num"><Value cell={column.cells[row]} /></td>)}</tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function Value({ cell }: { cell: Cell | undefined }) {
  if (cell?.value === null || cell?.value === undefined) return <span class="muted" aria-label={t("no-value")}>–</span>;
  if (typeof cell.value === "string") return <>{cell.value}</>;
  const style = cell.style ?? "decimal";
  return <data value={String(cell.value)} data-path={cell.path} data-style={style}>{written(cell.value, style)}</data>;
}

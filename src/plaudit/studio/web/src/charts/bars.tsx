// Counts of named things, one stack of bars for each, with the number written at its end.
import { type Style, written } from "./format";
import { type Cell, Plot } from "./plot";

export interface Bar {
  name: string;
  parts: { value: number; path?: string }[];
}

interface Props {
  title: string;
  caption: string;
  file: string;
  /** what the numbers are, with their unit */
  label: string;
  style: Style;
  /** names of the parts of a bar */
  parts: string[];
  /** what a bar stands for */
  what: string;
  bars: Bar[];
}

export function BarChart({ title, caption, file, label, style, parts, what, bars }: Props) {
  const totals = bars.map((bar) => bar.parts.reduce((sum, part) => sum + part.value, 0));
  const most = Math.max(1e-9, ...totals);
  const rows = bars.length;
  const cells = (index: number): Cell[] => bars.map((bar) => {
    const part = bar.parts[index];
    return part ? { value: part.value, style, ...(part.path ? { path: part.path } : {}) } : { value: null };
  });
  return (
    <Plot
      title={title} caption={caption} file={file}
      x={{ label: what, range: [0.4, rows + 0.6], kind: "whole" }} y={{ label, range: [0, most * 1.12], kind: style === "count" ? "whole" : "number" }}
      hits={bars.map((bar, row) => ({ x: row + 1, y: totals[row] ?? 0, text: `${bar.name} · ${bar.parts.map((part, index) => `${parts[index]} ${written(part.value, style)}`).join(" · ")}` }))}
      columns={[{ name: what, cells: bars.map((bar) => ({ value: bar.name })) }, ...parts.map((name, index) => ({ name, cells: cells(index) }))]}
      draw={(sx, sy) => {
        const half = Math.max(2, Math.min(18, (0.36 * (sx(2) - sx(1)))));
        return bars.map((bar, row) => {
          let base = 0;
          return (
            <g key={bar.name}>
              {bar.parts.map((part, index) => {
                const bottom = base;
                base += part.value;
                return <rect key={index} class={`bar s${index + 1}`} x={sx(row + 1) - half} width={2 * half} y={sy(base)} height={Math.max(0, sy(bottom) - sy(base))} />;
              })}
              {rows <= 14 ? <text class="tick" x={sx(row + 1)} y={sy(base) - 5} text-anchor="middle">{written(base, style)}</text> : null}
            </g>
          );
        });
      }}
    />
  );
}

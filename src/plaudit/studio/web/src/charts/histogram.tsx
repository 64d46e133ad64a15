// How often which values came.
import { translate } from "../i18n";
import { type Style, written } from "./format";
import { Plot } from "./plot";
import { rangeOf } from "./scale";
import { words } from "./words";

const t = translate(words);

interface Props {
  title: string;
  caption: string;
  file: string;
  xLabel: string;
  style: Style;
  values: number[];
  references?: { name: string; value: number | null | undefined }[];
}

export function Histogram({ title, caption, file, xLabel, style, values, references = [] }: Props) {
  const known = references.filter((one): one is { name: string; value: number } => typeof one.value === "number");
  const groups = grouped(values);
  const most = Math.max(1, ...groups.map((one) => one.count));
  return (
    <Plot
      title={title} caption={caption} file={file}
      x={{ label: xLabel, range: rangeOf([...values, ...known.map((one) => one.value)]) }}
      y={{ label: t("number"), range: [0, most * 1.15], kind: "whole" }}
      hits={groups.map((one) => ({ x: (one.from + one.to) / 2, y: one.count, text: `${written(one.from, style)} … ${written(one.to, style)} · ${one.count}` }))}
      columns={[
        { name: t("from"), cells: groups.map((one) => ({ value: one.from, style })) },
        { name: t("to"), cells: groups.map((one) => ({ value: one.to, style })) },
        { name: t("number"), cells: groups.map((one) => ({ value: one.count, style: "count" })) },
      ]}
      draw={(sx, sy, box) => (
        <>
          {groups.map((one) => <rect key={one.from} class="bar s1" x={sx(one.from) + 0.5} width={Math.max(1, sx(one.to) - sx(one.from) - 1)} y={sy(one.count)} height={sy(0) - sy(one.count)} />)}
          {known.map((one) => (
            <g key={one.name}>
              <line class="reference s0" x1={sx(one.value)} x2={sx(one.value)} y1={box.top} y2={box.bottom} />
              <text class="s0" x={sx(one.value) + (sx(one.value) > (box.left + box.right) / 2 ? -5 : 5)} y={box.top + 9} text-anchor={sx(one.value) > (box.left + box.right) / 2 ? "end" : "start"}>{one.name}</text>
            </g>
          ))}
        </>
      )}
    />
  );
}

function grouped(values: readonly number[]): { from: number; to: number; count: number }[] {
  if (values.length === 0) return [];
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const count = high > low ? Math.min(24, Math.ceil(Math.sqrt(values.length)) + 1) : 1;
  const width = high > low ? (high - low) / count : Math.max(Math.abs(high) * 0.1, 1);
  const found = Array.from({ length: count }, (_, index) => ({ from: low + index * width, to: low + (index + 1) * width, count: 0 }));
  for (const value of values) {
    const group = found[Math.min(count - 1, Math.floor((value - low) / width))];
    if (group) group.count += 1;
  }
  return found;
}

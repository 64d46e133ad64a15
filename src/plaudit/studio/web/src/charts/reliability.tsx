// How sure the model is against how often it is right; on the diagonal it knows what it does not know.
import { translate } from "../i18n";
import { written } from "./format";
import { type Cell, Plot } from "./plot";
import { words } from "./words";

const t = translate(words);

export interface Group {
  confidence: number;
  right: { value: number; low?: number | null; high?: number | null; n?: number | null };
  /** where the group stands in the report's JSON */
  path: string;
}

interface Props {
  title: string;
  caption: string;
  file: string;
  xLabel: string;
  yLabel: string;
  groups: Group[];
}

export function ReliabilityChart({ title, caption, file, xLabel, yLabel, groups }: Props) {
  const lowest = Math.min(0.5, ...groups.map((one) => one.right.low ?? one.right.value));
  const cell = (value: number | null | undefined, path: string): Cell => ({ value: value ?? null, style: "percent", path });
  return (
    <Plot
      title={title} caption={caption} file={file} square
      x={{ label: xLabel, range: [0.48, 1.02], kind: "share" }} y={{ label: yLabel, range: [Math.max(0, lowest - 0.04), 1.04], kind: "share" }}
      hits={groups.map((one) => ({ x: one.confidence, y: one.right.value, text: `${written(one.confidence, "percent")} · ${written(one.right.value, "percent")} · ${t("answers", { n: one.right.n ?? 0 })}` }))}
      columns={[
        { name: xLabel, cells: groups.map((one) => cell(one.confidence, `${one.path}.confidence`)) },
        { name: yLabel, cells: groups.map((one) => cell(one.right.value, `${one.path}.right.value`)) },
        { name: t("low", { name: yLabel }), cells: groups.map((one) => cell(one.right.low, `${one.path}.right.low`)) },
        { name: t("high", { name: yLabel }), cells: groups.map((one) => cell(one.right.high, `${one.path}.right.high`)) },
        { name: t("number"), cells: groups.map((one) => ({ value: one.right.n ?? null, style: "count", path: `${one.path}.right.n` })) },
      ]}
      draw={(sx, sy) => (
        <>
          <line class="reference s0" x1={sx(0.5)} x2={sx(1)} y1={sy(0.5)} y2={sy(1)} />
          {groups.map((one) => (
            <g key={one.path}>
              {typeof one.right.low === "number" && typeof one.right.high === "number"
                ? <line class="s1" stroke-width="2" x1={sx(one.confidence)} x2={sx(one.confidence)} y1={sy(one.right.low)} y2={sy(one.right.high)} /> : null}
              <circle class="dot s1" cx={sx(one.confidence)} cy={sy(one.right.value)} r="4.5" />
            </g>
          ))}
        </>
      )}
    />
  );
}

// Two numbers of each thing against each other.
import { type Style, written } from "./format";
import { Plot } from "./plot";
import { rangeOf } from "./scale";

export interface Spot {
  x: number;
  y: number;
  xPath?: string;
  yPath?: string;
}

interface Props {
  title: string;
  caption: string;
  file: string;
  xLabel: string;
  yLabel: string;
  style: Style;
  spots: Spot[];
}

export function ScatterChart({ title, caption, file, xLabel, yLabel, style, spots }: Props) {
  const xs = spots.map((one) => one.x);
  const ys = spots.map((one) => one.y);
  return (
    <Plot
      title={title} caption={caption} file={file}
      x={{ label: xLabel, range: rangeOf(xs) }} y={{ label: yLabel, range: rangeOf(ys) }}
      hits={spots.map((one) => ({ x: one.x, y: one.y, text: `${xLabel} ${written(one.x, style)} · ${yLabel} ${written(one.y, style)}` }))}
      columns={[
        { name: xLabel, cells: spots.map((one) => ({ value: one.x, style, ...(one.xPath ? { path: one.xPath } : {}) })) },
        { name: yLabel, cells: spots.map((one) => ({ value: one.y, style, ...(one.yPath ? { path: one.yPath } : {}) })) },
      ]}
      draw={(sx, sy) => spots.map((one, index) => <circle key={index} class="dot faint s1" cx={sx(one.x)} cy={sy(one.y)} r="3" />)}
    />
  );
}

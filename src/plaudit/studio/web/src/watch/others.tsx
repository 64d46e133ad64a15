// Whatever else a stage logs, each number through the rounds: metrics that no chart above shows, of whatever learner or task.
import { LineChart } from "../charts/line";
import type { Stage, Summary } from "./contract";
import { through } from "./facts";
import { meaning } from "./metrics";
import { t } from "./words";

export function Others({ run, stage, shown = [] }: { run: Summary; stage: Stage; shown?: string[] }) {
  const names = new Set(run.provenance.stages.filter((row) => row.stage === stage).flatMap((row) => row.metrics.map((one) => one.name)));
  return (
    <>
      {[...names].filter((name) => !shown.includes(name)).map((name) => (
        <LineChart key={name} title={name} caption={meaning(name)} file={name.replaceAll("/", "-")} xLabel={t("round")} yLabel={name.split("/").slice(1).join("/")} style="decimal"
          lines={[{ name, points: through(run, name, stage) }]} />
      ))}
    </>
  );
}

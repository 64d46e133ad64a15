// Training of the policy: whatever its learner measures, each through the rounds.
import { LineChart } from "../charts/line";
import type { Summary } from "./contract";
import { Fact, Figure, Figures, through } from "./facts";
import { t } from "./words";

export function Improve({ run }: { run: Summary }) {
  const names = [...new Set(run.provenance.stages.filter((row) => row.stage === "improve").flatMap((row) => row.metrics.map((one) => one.name)))];
  if (names.length === 0) return <p class="muted">{t("improve.nothing")}</p>;
  return (
    <>
      <p class="muted">{t("improve.text")}</p>
      <Figures>
        {run.improve.metrics.map((one, index) => <Figure key={one.name} name={one.name}><Fact path={`improve.metrics.${index}.value`} style="decimal" /></Figure>)}
      </Figures>
      <div class="charts">
        {names.map((name) => (
          <LineChart key={name} title={name} caption={t("metric.text")} file={name.replaceAll("/", "-")} xLabel={t("round")} yLabel={name} style="decimal"
            lines={[{ name: name.split("/").pop() ?? name, points: through(run, name, "improve") }]} />
        ))}
      </div>
    </>
  );
}

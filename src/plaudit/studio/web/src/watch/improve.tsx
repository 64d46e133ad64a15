// Training of the policy: whatever its learner measures, each through the rounds.
import type { Summary } from "./contract";
import { Fact, Figure, Figures } from "./facts";
import { Others } from "./others";
import { t } from "./words";

export function Improve({ run }: { run: Summary }) {
  if (run.improve.metrics.length === 0) return <p class="muted">{t("improve.nothing")}</p>;
  return (
    <>
      <p class="muted">{t("improve.text")}</p>
      <Figures>
        {run.improve.metrics.map((one, index) => <Figure key={one.name} name={one.name}><Fact path={`improve.metrics.${index}.value`} style="decimal" /></Figure>)}
      </Figures>
      <div class="charts"><Others run={run} stage="improve" /></div>
    </>
  );
}

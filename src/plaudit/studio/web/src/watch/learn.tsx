// How well the reward model agrees with people, how sure it is, and what it has of the true reward.
import { LineChart } from "../charts/line";
import { ReliabilityChart } from "../charts/reliability";
import { ScatterChart } from "../charts/scatter";
import type { Summary } from "./contract";
import { Fact, Figure, Figures, Interval, through } from "./facts";
import { Others } from "./others";
import { t } from "./words";

const SHOWN = ["accuracy_heldout", "accuracy_train", "ece", "spread", "correlation_true", "labels"].map((name) => `reward/${name}`);

export function Learn({ run }: { run: Summary }) {
  const { learn, rounds } = run;
  const known = learn.correlation !== undefined;
  return (
    <>
      <Figures>
        <Figure name={t("accuracy-heldout")}><Fact path="learn.accuracy.value" style="percent" /><Interval path="learn.accuracy" style="percent" /></Figure>
        <Figure name={t("noise-ceiling")}><Fact path="learn.noise_ceiling" style="percent" absent={t("unknown")} /></Figure>
        <Figure name={t("accuracy-train")}><Fact path="learn.accuracy_train" style="percent" /></Figure>
        <Figure name={t("calibration-error")}><Fact path="learn.calibration_error" style="decimal" /></Figure>
        {known ? <Figure name={t("correlation")}><Fact path="learn.correlation" style="decimal" /></Figure> : null}
      </Figures>
      <div class="charts">
        <LineChart title={t("accuracy")} caption={t("accuracy.text")} file="reward-accuracy" xLabel={t("round")} yLabel={t("share-agrees")} style="percent" span={[0.5, 1]}
          lines={[
            { name: t("unseen-answers"), points: rounds.map((one, index) => ({ x: one.number, y: one.accuracy_heldout ?? null, path: `rounds.${index}.accuracy_heldout` })) },
            { name: t("seen-answers"), points: rounds.map((one, index) => ({ x: one.number, y: one.accuracy_train ?? null, path: `rounds.${index}.accuracy_train` })) },
          ]}
          references={[{ name: t("noise-ceiling"), value: learn.noise_ceiling, path: "learn.noise_ceiling" }, { name: t("guessing"), value: 0.5 }]} />
        <ReliabilityChart title={t("reliability")} caption={t("reliability.text")} file="reliability" xLabel={t("confidence")} yLabel={t("share-right")}
          groups={learn.reliability.map((one, index) => ({ ...one, path: `learn.reliability.${index}` }))} />
        <LineChart title={t("calibration")} caption={t("calibration.text")} file="calibration-error" xLabel={t("round")} yLabel={t("calibration-error")} style="decimal" span={[0]}
          lines={[{ name: t("calibration-error"), points: through(run, "reward/ece") }]} />
        <LineChart title={t("ensemble")} caption={t("ensemble.text")} file="ensemble-spread" xLabel={t("round")} yLabel={t("spread-unit")} style="decimal" span={[0]}
          lines={[{ name: t("spread"), points: through(run, "reward/spread") }]} />
        {known ? <ScatterChart title={t("scatter")} caption={t("scatter.text")} file="learned-and-true" xLabel={t("true-reward")} yLabel={t("learned-reward")} style="decimal"
          spots={learn.scatter_true.map((x, index) => ({ x, y: learn.scatter_learned[index] ?? Number.NaN, xPath: `learn.scatter_true.${index}`, yPath: `learn.scatter_learned.${index}` }))} /> : null}
        {known ? <LineChart title={t("correlation")} caption={t("correlation.text")} file="correlation" xLabel={t("round")} yLabel={t("correlation")} style="decimal" span={[0, 1]}
          lines={[{ name: t("correlation"), points: rounds.map((one, index) => ({ x: one.number, y: one.correlation_true ?? null, path: `rounds.${index}.correlation_true` })) }]} /> : null}
        <LineChart title={t("last-fit")} caption={t("last-fit.text")} file="last-fit" xLabel={t("gradient-steps")} yLabel={t("loss-unit")} style="decimal"
          lines={[
            { name: t("seen-answers"), points: learn.history_train.map((y, index) => ({ x: learn.history_step[index] ?? index, y, path: `learn.history_train.${index}` })) },
            { name: t("unseen-answers"), points: learn.history_heldout.map((y, index) => ({ x: learn.history_step[index] ?? index, y, path: `learn.history_heldout.${index}` })) },
          ]} />
        <Others run={run} stage="learn" shown={SHOWN} />
      </div>
    </>
  );
}

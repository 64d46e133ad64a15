// How good the policy is, against chance and against what the algorithm reaches with the true reward; what to worry about.
import { Histogram } from "../charts/histogram";
import { LineChart } from "../charts/line";
import type { Finding, Summary } from "./contract";
import { Fact, Figure, Figures, Interval, Version } from "./facts";
import { translated } from "./findings";
import { Others } from "./others";
import { named } from "./question";
import { Measures } from "./texts";
import { t } from "./words";

const SHOWN = ["act/env_steps", "check/return_mean", "check/learned_return_mean", "check/return_oracle"];

export function Check({ run }: { run: Summary }) {
  const { check } = run;
  return (
    <>
      {run.texts ? <Measures run={run} /> : <Returns run={run} />}
      {run.texts ? <div class="charts"><Others run={run} stage="check" /></div> : null}
      <section>
        <h2>{t("findings")}</h2>
        <ul class="findings">{check.findings.map((one, index) => <Found key={one.name} finding={one} index={index} />)}</ul>
      </section>
      <Rounds run={run} />
      <div class="row">
        <a class="button" href="/api/watch/metrics.csv" download="metrics.csv">{t("metrics-csv")}</a>
        <a class="button" href="/api/watch/summary" download="report.json">{t("report-json")}</a>
        <span class="muted">{t("log-head")} <code title={run.provenance.head}>{run.provenance.head.slice(0, 12)}</code> · <Fact path="provenance.events" style="count" /> {t("events")}</span>
      </div>
    </>
  );
}

function Returns({ run }: { run: Summary }) {
  const { check, rounds } = run;
  const last = [...rounds].reverse().find((one) => one.returns.length > 1);
  const praised = rounds.some((one) => one.learned_return_mean !== undefined);
  return (
    <>
      <Figures>
        <Figure name={t("return")}><Fact path="check.returns.value" style="return" /><Interval path="check.returns" style="return" /></Figure>
        <Figure name={t("random-return")}><Fact path="check.return_random" style="return" /></Figure>
        <Figure name={t("oracle-return")}><Fact path="check.return_oracle" style="return" /></Figure>
        <Figure name={t("fraction")}><Fact path="check.fraction.value" style="percent" /><Interval path="check.fraction" style="percent" /></Figure>
      </Figures>
      <div class="charts">
        <LineChart title={t("returns")} caption={t("returns.text")} file="returns" xLabel={t("round")} yLabel={t("return-unit")} style="return"
          lines={[{ name: t("policy"), points: rounds.map((one, index) => ({
            x: one.number, y: one.return_mean?.value ?? null, low: one.return_mean?.low ?? null, high: one.return_mean?.high ?? null,
            path: `rounds.${index}.return_mean.value`, lowPath: `rounds.${index}.return_mean.low`, highPath: `rounds.${index}.return_mean.high`,
          })) }]}
          references={[{ name: t("random"), value: check.return_random, path: "check.return_random" }, { name: t("oracle"), value: check.return_oracle, path: "check.return_oracle" }]} />
        {last ? <Histogram title={t("episodes", { n: last.number })} caption={t("episodes.text")} file="episodes" xLabel={t("return-unit")} style="return" values={last.returns}
          references={[{ name: t("random"), value: check.return_random }, { name: t("oracle"), value: check.return_oracle }]} /> : null}
        {praised ? <LineChart title={t("praise")} caption={t("praise.text")} file="learned-return" xLabel={t("round")} yLabel={t("learned-return-unit")} style="return"
          lines={[{ name: t("learned-return"), points: rounds.map((one, index) => ({ x: one.number, y: one.learned_return_mean ?? null, path: `rounds.${index}.learned_return_mean` })) }]} /> : null}
        <Others run={run} stage="check" shown={SHOWN} />
      </div>
    </>
  );
}

function Found({ finding, index }: { finding: Finding; index: number }) {
  return (
    <li class={`card finding ${finding.severity}`}>
      <p><strong class="severity">{t(`severity.${finding.severity}`)}</strong> <span class="muted">{named("finding", finding.name)}</span></p>
      <p><Said sentence={finding.message} /></p>
      {finding.advice ? <p class="muted"><Said sentence={finding.advice} /></p> : null}
      {finding.evidence.length ? <details><summary>{t("evidence")}</summary><dl class="facts">
        {finding.evidence.map((one, place) => <div key={one.name}><dt><Said sentence={one.name} /></dt><dd class="num"><Fact path={`check.findings.${index}.evidence.${place}.value`} style="decimal" /></dd></div>)}
      </dl></details> : null}
    </li>
  );
}

function Said({ sentence }: { sentence: string }) {
  const { text, lang } = translated(sentence, (name) => named("finding", name));
  return <span lang={lang}>{text}</span>;
}

const COLUMNS = [
  ["labels_total", "count"], ["answered", "count"], ["accuracy_heldout", "percent"], ["return_mean.value", "return"], ["env_steps", "count"], ["seconds", "seconds"],
] as const;

function Rounds({ run }: { run: Summary }) {
  return (
    <section>
      <h2>{t("rounds")}</h2>
      <div class="card scroll" tabIndex={0} role="region" aria-label={t("rounds")}>
        <table>
          <thead><tr><th scope="col">{t("round")}</th>{COLUMNS.map(([name]) => <th key={name} scope="col">{t(`column.${name}`)}</th>)}<th scope="col">{t("policy-version")}</th><th scope="col">{t("reward-version")}</th></tr></thead>
          <tbody>{run.rounds.map((round, index) => (
            <tr key={round.number}>
              <th scope="row" class="num"><Fact path={`rounds.${index}.number`} style="count" /></th>
              {COLUMNS.map(([name, style]) => <td key={name} class="num"><Fact path={`rounds.${index}.${name}`} style={style} absent="–" /></td>)}
              <td><Version of={round.policy} /></td><td><Version of={round.reward} /></td>
            </tr>
          ))}</tbody>
        </table>
      </div>
    </section>
  );
}

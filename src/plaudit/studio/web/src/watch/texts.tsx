// A run that teaches a language model: completions with their scores, and how the policy does beside its start.
import type { Sample, Summary } from "./contract";
import { Fact, Figure, Figures, Interval, Version } from "./facts";
import { t } from "./words";

const SCORES = [["gold", "decimal"], ["reward", "decimal"], ["spread", "decimal"], ["advantage", "decimal"], ["kl", "decimal"], ["tokens", "count"]] as const;
const COLUMNS = [
  ["gold.value", "percent"], ["win_rate_gold", "percent"], ["win_rate_gold_length_matched", "percent"], ["win_rate_reward", "percent"],
  ["kl", "decimal"], ["length", "decimal"], ["repetition", "percent"], ["missing_end", "percent"],
] as const;

export function Model({ run }: { run: Summary }) {
  return (
    <>
      <Figures>
        <Figure name={t("texts.model")}>{run.texts?.model ?? "–"}</Figure>
        <Figure name={t("algorithm")}>{run.texts?.algorithm ?? "–"}</Figure>
        <Figure name={t("texts.rollouts")}><Fact path="texts.rollouts" style="count" /></Figure>
        <Figure name={t("pieces")}><Fact path="act.segments" style="count" /></Figure>
      </Figures>
      <Samples title={t("texts.samples")} path="texts.samples" samples={run.texts?.samples ?? []} />
      <Samples title={t("texts.rollout")} path="texts.rollout" samples={run.texts?.rollout ?? []} />
    </>
  );
}

function Samples({ title, path, samples }: { title: string; path: string; samples: Sample[] }) {
  if (!samples.length) return null;
  return (
    <section>
      <h2>{title}</h2>
      <ul class="behaviours">
        {samples.map((one, index) => (
          <li key={one.label} class="card piece">
            <div class="text-seen"><p class="prompt">{one.prompt}</p><p>{one.completion || "–"}</p></div>
            {SCORES.map(([name, style]) => one[name] === undefined ? null : <span key={name} class="muted">{t(`texts.${name}`)} <Fact path={`${path}.${index}.${name}`} style={style} /></span>)}
            {one.finished ? null : <span class="muted">{t("texts.no-end")}</span>}
          </li>
        ))}
      </ul>
    </section>
  );
}

export function Measures({ run }: { run: Summary }) {
  const measures = run.texts?.measures ?? [];
  const last = measures.length - 1;
  return (
    <>
      <Figures>
        <Figure name={t("texts.gold.value")}><Fact path={`texts.measures.${last}.gold.value`} style="percent" /><Interval path={`texts.measures.${last}.gold`} style="percent" /></Figure>
        <Figure name={t("texts.win_rate_gold")}><Fact path={`texts.measures.${last}.win_rate_gold`} style="percent" /></Figure>
        <Figure name={t("texts.win_rate_reward")}><Fact path={`texts.measures.${last}.win_rate_reward`} style="percent" /></Figure>
        <Figure name={t("texts.kl")}><Fact path={`texts.measures.${last}.kl`} style="decimal" /></Figure>
      </Figures>
      <div class="card scroll" tabIndex={0} role="region" aria-label={t("texts.measures")}>
        <table>
          <thead><tr><th scope="col">{t("round")}</th>{COLUMNS.map(([name]) => <th key={name} scope="col">{t(`texts.${name}`)}</th>)}<th scope="col">{t("policy-version")}</th></tr></thead>
          <tbody>{measures.map((one, index) => (
            <tr key={one.number}>
              <th scope="row" class="num">{one.number ? <Fact path={`texts.measures.${index}.number`} style="count" /> : t("texts.start")}</th>
              {COLUMNS.map(([name, style]) => <td key={name} class="num"><Fact path={`texts.measures.${index}.${name}`} style={style} absent="–" /></td>)}
              <td><Version of={one.policy} /></td>
            </tr>
          ))}</tbody>
        </table>
      </div>
    </>
  );
}

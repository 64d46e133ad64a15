// What was asked, and what people said.
import { BarChart } from "../charts/bars";
import { LineChart } from "../charts/line";
import type { QuestionList, Seen, Summary } from "./contract";
import { Fact, Figure, Figures } from "./facts";
import { usePages } from "./more";
import { named, QuestionCard } from "./question";
import { t } from "./words";

export function Ask({ run }: { run: Summary }) {
  const { ask, rounds } = run;
  return (
    <>
      <Figures>
        <Figure name={t("asked")}><Fact path="ask.asked" style="count" /></Figure>
        <Figure name={t("answers")}><Fact path="ask.answered" style="count" /></Figure>
        <Figure name={t("skipped")}><Fact path="ask.skipped" style="count" /></Figure>
        <Figure name={t("ties")}><Fact path="ask.ties" style="count" /></Figure>
        <Figure name={t("waiting")}><Fact path="ask.waiting" style="count" /></Figure>
        <Figure name={t("people")}><Fact path="ask.people" style="count" /></Figure>
        <Figure name={t("human-time")}><Fact path="ask.human_seconds" style="seconds" /></Figure>
        {ask.simulated_seconds === undefined ? null : <Figure name={t("simulated-time")}><Fact path="ask.simulated_seconds" style="seconds" /></Figure>}
      </Figures>
      <div class="charts">
        <BarChart title={t("answers-by-round")} caption={t("answers-by-round.text")} file="answers-by-round" label={t("number-answers")} style="count"
          what={t("round")} parts={[t("answered-questions"), t("skipped")]}
          bars={rounds.map((round, index) => ({ name: String(round.number), parts: [
            { value: round.answered ?? 0, path: `rounds.${index}.answered` }, { value: round.skipped ?? 0, path: `rounds.${index}.skipped` },
          ] }))} />
        <LineChart title={t("answers-total")} caption={t("answers-total.text")} file="answers" xLabel={t("round")} yLabel={t("number-answers")} style="count" span={[0]}
          lines={[{ name: t("answers"), points: rounds.map((round, index) => ({ x: round.number, y: round.labels_total ?? null, path: `rounds.${index}.labels_total` })) }]} />
      </div>
      <section>
        <h2>{t("strategies")}</h2>
        <div class="card scroll" tabIndex={0} role="region" aria-label={t("strategies")}>
          <table>
            <thead><tr><th scope="col">{t("strategy")}</th><th scope="col">{t("asked")}</th><th scope="col">{t("answered-questions")}</th><th scope="col">{t("ties")}</th><th scope="col">{t("skipped")}</th></tr></thead>
            <tbody>{ask.strategies.map((one, index) => (
              <tr key={one.strategy}>
                <th scope="row">{named("strategy", one.strategy)}</th>
                {(["asked", "answered", "ties", "skipped"] as const).map((name) => <td key={name} class="num"><Fact path={`ask.strategies.${index}.${name}`} style="count" /></td>)}
              </tr>
            ))}</tbody>
          </table>
        </div>
      </section>
      <Questions version={ask.asked + ask.answered + ask.skipped + run.provenance.stages.length} />
    </>
  );
}

function Questions({ version }: { version: number }) {
  const { pages, error, more } = usePages<QuestionList>("/api/watch/questions?count=12", (page) => page.cursor, version);
  const seen = new Map<string, Seen>(pages.flatMap((page) => page.seen.map((one) => [one.segment, one] as const)));
  return (
    <section>
      <h2>{t("questions")} <span class="muted num">{pages[0]?.total ?? 0}</span></h2>
      <p class="muted">{t("questions.text")}</p>
      {error ? <p role="alert" class="warn">{error}</p> : null}
      <div class="questions">{pages.flatMap((page) => page.asked).map((asked) => <QuestionCard key={asked.query} asked={asked} seen={seen} />)}</div>
      {more ? <button type="button" onClick={more}>{t("more")}</button> : null}
    </section>
  );
}

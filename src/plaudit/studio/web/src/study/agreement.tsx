// How far annotators agree, gold questions and who failed them, and counts by group.
import type { ComponentChildren } from "preact";
import { number } from "../i18n";
import { written } from "../charts/format";
import { answersOf } from "./annotators";
import type { AgreementView, Agreements, GoldQuestion, GoldQuestions, Groups } from "./contract";
import { Dash, Estimate, Scroll, useFetched, Waiting } from "./parts";
import { t, kindOf, sideOf } from "./words";

export function Agreement() {
  return <><Together /><Gold /><ByGroup /></>;
}

function Together() {
  const { data, error } = useFetched<Agreements>("/api/study/agreement");
  return (
    <section>
      <h2>{t("agreement")}</h2>
      <p class="muted small">{t("agreement.text")}</p>
      {data ? (
        <>
          <div class="st-columns">
            <dl class="facts card">
              <Pair name={t("answers.n")}>{number(data.answers)}</Pair>
              <Pair name={t("skips.n")}>{number(data.skips)}</Pair>
              <Pair name={t("questions.n")}>{number(data.questions)}</Pair>
              <Pair name={t("column.side")}><Estimate of={data.first_shown} style="percent" /></Pair>
              <Pair name={t("repeats.same")}><Estimate of={data.repeats} style="percent" /></Pair>
            </dl>
            <dl class="facts card">
              <Pair name={t("ceiling.others")}>{data.others ? t("from-to", { low: written(data.others.low, "percent"), high: written(data.others.high, "percent") }) : <Dash />}</Pair>
              <Pair name={t("ceiling.same")}>{data.same ? t("from-to", { low: written(data.same.low, "percent"), high: written(data.same.high, "percent") }) : <Dash />}</Pair>
              <Pair name={t("consensus")}>{data.together ? t("consensus.pairs", { n: number(data.together.pairs) }) : <Dash />}</Pair>
              <Pair name={t("consensus.sure")}>{data.together ? written(data.together.sure, "percent") : <Dash />}</Pair>
              <Pair name={t("consensus.changed")}>{data.together ? number(data.together.changed) : <Dash />}</Pair>
            </dl>
          </div>
          {data.kinds.length ? (
            <Scroll label={t("agreement")}>
              <table>
                <thead><tr><th scope="col">{t("column.kind")}</th><th scope="col">{t("column.aspect")}</th><th scope="col">{t("column.alpha")}</th><th scope="col"><span class="sr-only">{t("column.alpha")}</span></th><th scope="col">{t("column.ac1")}</th><th scope="col">{t("column.questions")}</th></tr></thead>
                <tbody>{data.kinds.map((one, i) => <AgreementRow key={i} one={one} />)}</tbody>
              </table>
            </Scroll>
          ) : <p class="muted">{t("agreement.none")}</p>}
        </>
      ) : <Waiting error={error} />}
    </section>
  );
}

function AgreementRow({ one }: { one: AgreementView }) {
  return (
    <tr>
      <th scope="row">{kindOf(one.kind)}{one.levels ? ` ${t("levels", { n: one.levels })}` : ""}</th>
      <td>{one.all_aspects ? t("aspect.all") : one.aspect ?? t("aspect.overall")}</td>
      <td class="num"><Estimate of={one.alpha} style="decimal" /></td>
      <td><Strip of={one.alpha} /></td>
      <td class="num">{one.ac1 === null ? <Dash /> : written(one.ac1, "decimal")}</td>
      <td class="num">{number(one.questions)}</td>
    </tr>
  );
}

/** Where an alpha lies between chance (0) and full agreement (1); the number stands beside it. */
function Strip({ of }: { of: AgreementView["alpha"] }) {
  if (!of) return null;
  const at = (value: number) => 4 + 152 * (Math.min(1, Math.max(-0.5, value)) + 0.5) / 1.5;
  return (
    <svg class="st-alpha" width="160" height="16" viewBox="0 0 160 16" aria-hidden="true">
      <line class="axis" x1="4" x2="156" y1="8" y2="8" />
      <line class="axis" x1={at(0)} x2={at(0)} y1="3" y2="13" />
      {typeof of.low === "number" && typeof of.high === "number" ? <line class="span" x1={at(of.low)} x2={at(of.high)} y1="8" y2="8" /> : null}
      <circle class="dot" cx={at(of.value)} cy="8" r="4" />
    </svg>
  );
}

function Gold() {
  const { data, error } = useFetched<GoldQuestions>("/api/study/gold");
  return (
    <section>
      <h2>{t("gold")}</h2>
      <p class="muted small">{t("gold.text")}</p>
      {!data ? <Waiting error={error} /> : data.total === 0 ? <p class="muted">{t("gold.none")}</p> : (
        <>
          <Scroll label={t("gold")}>
            <table>
              <thead><tr><th scope="col">{t("column.question")}</th><th scope="col">{t("column.right")}</th><th scope="col">{t("column.failed")}</th><th scope="col">{t("column.who-failed")}</th></tr></thead>
              <tbody>{data.questions.map((one) => <GoldRow key={one.query} one={one} />)}</tbody>
            </table>
          </Scroll>
          {data.total > data.questions.length ? <p class="muted small">{t("gold.more", { n: data.questions.length, of: data.total })}</p> : null}
        </>
      )}
    </section>
  );
}

function GoldRow({ one }: { one: GoldQuestion }) {
  const wrong = one.answers.filter((answer) => !answer.right);
  return (
    <tr data-query={one.query}>
      <th scope="row"><a href={`#/study/answers?query=${one.query}`}>{kindOf(one.kind)} <code>{one.query.slice(4, 12)}</code></a></th>
      <td>{sideOf(one.kind, one.right, one.levels)}</td>
      <td class="num">{t("failed-of", { n: one.wrong, of: one.answers.length })}</td>
      <td class="st-chips">{wrong.map((answer) => <a key={answer.feedback} href={answersOf(answer.annotator)}>{answer.annotator}: {sideOf(one.kind, answer.said, one.levels)}</a>)}</td>
    </tr>
  );
}

function ByGroup() {
  const { data, error } = useFetched<Groups>("/api/study/groups");
  return (
    <section>
      <h2>{t("groups")}</h2>
      {!data ? <Waiting error={error} /> : (
        <>
          <p class="muted small">{t("groups.text", { n: data.least })}</p>
          {data.traits.length === 0 ? <p class="muted">{t("groups.none")}</p> : data.traits.map((trait) => (
            <Scroll key={trait.trait} label={trait.trait}>
              <table>
                <caption>{trait.trait}</caption>
                <thead><tr><th scope="col">{t("column.group")}</th><th scope="col">{t("column.people")}</th><th scope="col">{t("column.answers")}</th><th scope="col">{t("column.with-most")}</th></tr></thead>
                <tbody>
                  {trait.groups.map((one) => <tr key={one.value}><th scope="row">{one.value}</th><td class="num">{number(one.annotators)}</td><td class="num">{number(one.answers)}</td><td class="num"><Estimate of={one.agreement} style="percent" /></td></tr>)}
                  {trait.hidden ? <tr><td colSpan={4} class="muted">{t("groups.hidden", { n: data.least })}</td></tr> : null}
                </tbody>
              </table>
            </Scroll>
          ))}
        </>
      )}
    </section>
  );
}

function Pair({ name, children }: { name: string; children: ComponentChildren }) {
  return <div><dt>{name}</dt><dd class="num">{children}</dd></div>;
}

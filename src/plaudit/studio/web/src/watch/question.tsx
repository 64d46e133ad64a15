// One question: what it showed, why it was asked, what was answered, and what the fit changed that learned from the answer.
import type { ComponentChildren } from "preact";
import { written } from "../charts/format";
import { Look } from "./clip";
import type { Asked, Given, Learned, Odds, Seen } from "./contract";
import { Num, Version } from "./facts";
import { has, t } from "./words";

export function QuestionCard({ asked, seen, here }: { asked: Asked; seen: ReadonlyMap<string, Seen>; here?: string }) {
  return (
    <article class="card question" data-query={asked.query}>
      <h3>{t("question", { round: asked.round, n: asked.index + 1 })} <span class="muted">{named("kind", asked.kind)}</span></h3>
      <div class="pair">
        {asked.segments.map((segment, place) => (
          <div key={segment} class={segment === here ? "here" : ""}>
            <p class="muted side">
              {sideName(place, asked)}{asked.shown[0] === place && asked.segments.length > 1 ? ` · ${t("shown-first")}` : ""}
            </p>
            <Look seen={seen.get(segment)} name={sideName(place, asked)} />
            {segment === here ? <p class="side">{t("this-one")}</p> : <a class="side" href={`#/behaviour/${segment}`}>{t("more-about", { name: sideName(place, asked) })}</a>}
          </div>
        ))}
      </div>
      <Why asked={asked} />
      {asked.given.length === 0 ? <p class="muted">{t("no-answer")}</p> : asked.given.map((given) => <Answer key={given.id} given={given} asked={asked} seen={seen} />)}
    </article>
  );
}

function sideName(place: number, asked: Asked): string {
  return asked.segments.length === 1 ? t("the-behaviour") : asked.segments.length === 2 ? t(place === 0 ? "side.first" : "side.second") : t("side.n", { n: place + 1 });
}

function Why({ asked }: { asked: Asked }) {
  return (
    <section>
      <h4>{t("why")}</h4>
      <p>{named("strategy", asked.strategy)}</p>
      <dl class="facts">
        <Pair name={t("score")}><Num value={asked.score} style="decimal" /></Pair>
        <Pair name={t("propensity")}><Num value={asked.propensity} style="decimal" /></Pair>
        <Pair name={t("asked-by")}>{asked.reward ? <Version of={asked.reward} /> : <span class="muted">{t("no-model")}</span>}</Pair>
        {asked.odds ? <Pair name={t("members-first")}><Members odds={asked.odds} /></Pair> : null}
        {asked.odds ? <Pair name={t("spread")}><Num value={asked.odds.spread} style="decimal" /></Pair> : null}
      </dl>
      {asked.reward && !asked.odds && asked.segments.length === 2 ? <p class="muted small">{t("odds-not-kept")}</p> : null}
    </section>
  );
}

function Pair({ name, children }: { name: string; children: ComponentChildren }) {
  return <div><dt>{name}</dt><dd class="num">{children}</dd></div>;
}

/** Each member's probability as a mark on a line from 0 to 1. */
function Members({ odds }: { odds: Odds }) {
  const text = odds.first.map((one) => written(one, "percent")).join(", ");
  return (
    <span class="members">
      <svg width="120" height="16" viewBox="0 0 120 16" role="img" aria-label={text}>
        <line class="axis" x1="4" x2="116" y1="8" y2="8" />
        <line class="axis" x1="60" x2="60" y1="4" y2="12" />
        {odds.first.map((one, index) => <circle key={index} class="member" cx={4 + 112 * one} cy="8" r="4" />)}
      </svg>
      {written(odds.mean, "percent")}
    </span>
  );
}

function Answer({ given, asked, seen }: { given: Given; asked: Asked; seen: ReadonlyMap<string, Seen> }) {
  const { reply } = given;
  return (
    <section data-answer={given.id}>
      <h4>{t("answered", { who: reply.annotator })} <span class="muted">{named("annotator", reply.kind)}</span></h4>
      <p>
        <strong>{named("answer", reply.answer)}</strong>
        {reply.strength !== null ? <span class="muted"> · {t("strength", { value: written(reply.strength, "decimal") })}</span> : null}
        {reply.seconds !== null ? <span class="muted"> · {written(reply.seconds, "seconds")}</span> : null}
        {given.retracted ? <span class="warn"> · {t("retracted")}</span> : null}
      </p>
      {given.brought.map((segment) => <div key={segment} class="brought"><p class="muted side">{t("brought")}</p><Look seen={seen.get(segment)} name={t("brought")} /></div>)}
      {given.learned ? <Change learned={given.learned} pair={asked.segments.length === 2} /> : <p class="muted small">{t(reply.answer === "skip" ? "skip-teaches-nothing" : "not-learned-yet")}</p>}
    </section>
  );
}

function Change({ learned, pair }: { learned: Learned; pair: boolean }) {
  const { before, after } = learned;
  return (
    <>
      <h4>{t("changed")}</h4>
      <p class="muted small">{t("changed.text", { round: learned.round, n: learned.together })}</p>
      <table class="change">
        <thead><tr><td /><th scope="col">{t("before")}</th><th scope="col">{t("after")}</th></tr></thead>
        <tbody>
          {pair ? <Row name={t("members-first")} before={learned.odds_before ? <Members odds={learned.odds_before} /> : null} after={learned.odds_after ? <Members odds={learned.odds_after} /> : null} /> : null}
          <Row name={t("reward-version")} before={before ? <Version of={before.reward} /> : null} after={<Version of={after.reward} />} />
          <Row name={t("accuracy-heldout")} before={before ? <Num value={before.accuracy_heldout} style="percent" /> : null} after={<Num value={after.accuracy_heldout} style="percent" />} />
          <Row name={t("calibration-error")} before={before ? <Num value={before.calibration_error} style="decimal" /> : null} after={<Num value={after.calibration_error} style="decimal" />} />
          <Row name={t("correlation")} before={before ? <Num value={before.correlation_true} style="decimal" /> : null} after={<Num value={after.correlation_true} style="decimal" />} />
        </tbody>
      </table>
    </>
  );
}

function Row({ name, before, after }: { name: string; before: ComponentChildren; after: ComponentChildren }) {
  return <tr><th scope="row">{name}</th><td class="num">{before ?? <span class="muted">–</span>}</td><td class="num">{after ?? <span class="muted">–</span>}</td></tr>;
}

/** A name that the store uses, in words if there are any. */
export function named(group: string, value: string): string {
  const key = `${group}.${value}`;
  return has(key) ? t(key) : value;
}

// #/behaviour/ID: one piece of behaviour, with all that was thought and asked about it.
import { useEffect, useState } from "preact/hooks";
import { get } from "../api";
import { LineChart } from "../charts/line";
import type { PageProps } from "../pages";
import { Look } from "./clip";
import { written } from "../charts/format";
import type { BehaviourView, Opinion } from "./contract";
import { Figure, Figures, Num, Version } from "./facts";
import { now, useRun } from "./live";
import { named, QuestionCard } from "./question";
import "./style.css";
import { t } from "./words";

const AGAIN = 2000;

export default function Behaviour({ path }: PageProps) {
  useRun();
  const id = path[0] ?? "";
  const [view, setView] = useState<BehaviourView | null>(null);
  const [error, setError] = useState("");
  const [again, setAgain] = useState(0);
  useEffect(() => {
    let wanted = true;
    void get<BehaviourView>(`/api/watch/behaviours/${encodeURIComponent(id)}`).then((found) => {
      if (!wanted) return;
      if (found.kind === "ok") setView(found.data);
      setError(found.kind === "ok" || found.kind === "locked" ? "" : found.error);
    });
    return () => {
      wanted = false;
    };
  }, [id, again, now.value?.seq]);
  const drawn = view?.seen.every((one) => one.url || one.error || one.completion.length) ?? true;
  useEffect(() => {
    if (drawn) return undefined;
    const timer = setTimeout(() => setAgain(again + 1), AGAIN); // clips are drawn outside the log
    return () => clearTimeout(timer);
  }, [drawn, again]);
  if (!view || view.behaviour.row.segment !== id) {
    return <main id="main" tabIndex={-1} class="page watch"><h1>{t("behaviour")}</h1><p class={error ? "warn" : "muted"} role={error ? "alert" : undefined}>{error || t("reading")}</p></main>;
  }
  const { row, opinions, asked } = view.behaviour;
  const seen = new Map(view.seen.map((one) => [one.segment, one]));
  const name = row.label ? named("label", row.label) : row.text ? t("a-text") : row.episode;
  return (
    <main id="main" tabIndex={-1} class="page watch">
      <p><a href="#/watch/act">{t("back-to-act")}</a></p>
      <h1>{name}</h1>
      <div class="one">
        <div class="card"><Look seen={seen.get(row.segment)} name={name} /></div>
        <Figures>
          {row.text ? null : <Figure name={t("world")}>{row.world}</Figure>}
          <Figure name={t("policy-version")}><Version of={row.policy} /></Figure>
          {row.text ? null : <Figure name={t("episode")}>{row.episode}</Figure>}
          {row.text ? null : <Figure name={t("span")}>{t("steps-from", { start: row.start, end: row.start + row.steps })}</Figure>}
          <Figure name={t("questions")}>{row.questions}</Figure>
          <Figure name={t("answers")}>{row.answers}</Figure>
          <Figure name={t("score-mean")}>{row.opinion ? <Num value={row.opinion.mean} style="decimal" /> : <span class="muted">{t("not-scored")}</span>}</Figure>
          <Figure name={t("id")}><code class="id">{row.segment}</code></Figure>
        </Figures>
      </div>
      <section>
        <h2>{t("scores")}</h2>
        <p class="muted">{t("scores.text")}</p>
        {opinions.length === 1 && opinions[0] ? <p>{t("scores.one", said(opinions[0]))}</p> : opinions.length ? (
          <LineChart title={t("scores-by-version")} caption={t("scores-by-version.text")} file={`scores-${row.segment}`} xLabel={t("version-of-round")} yLabel={t("log-odds")} style="decimal"
            lines={[{ name: t("mean"), points: opinions.map((one) => ({ x: one.round, y: one.mean, low: Math.min(...one.members), high: Math.max(...one.members) })) }]} />
        ) : <p>{t("scores.none")}</p>}
      </section>
      <section>
        <h2>{t("questions-about")}</h2>
        {asked.length ? <div class="questions">{asked.map((one) => <QuestionCard key={one.query} asked={one} seen={seen} here={row.segment} />)}</div> : <p class="muted">{t("never-asked")}</p>}
      </section>
    </main>
  );
}

function said(one: Opinion): { n: number; mean: string; members: string } {
  return { n: one.round, mean: written(one.mean, "decimal"), members: one.members.map((member) => written(member, "decimal")).join(", ") };
}

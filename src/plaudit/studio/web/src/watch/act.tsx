// What the policy does: clips of its course, and every piece of behaviour that was kept.
import { Look } from "./clip";
import type { BehaviourPage, BehaviourRow, ReportClip, Seen, Summary } from "./contract";
import { Fact, Figure, Figures, Num, Version } from "./facts";
import { usePages } from "./more";
import { named } from "./question";
import { Model } from "./texts";
import { t } from "./words";

export function Act({ run }: { run: Summary }) {
  if (run.texts) return <><Model run={run} /><Behaviours version={run.act.segments + run.ask.answered} /></>;
  return (
    <>
      <Figures>
        <Figure name={t("world")}>{run.act.world || "–"}</Figure>
        <Figure name={t("algorithm")}>{run.act.algorithm ?? "–"}</Figure>
        <Figure name={t("env-steps")}><Fact path="act.env_steps" style="count" /></Figure>
        <Figure name={t("pieces")}><Fact path="act.segments" style="count" /></Figure>
      </Figures>
      {run.act.clips.length ? (
        <section>
          <h2>{t("course")}</h2>
          <div class="clips">{run.act.clips.map((clip) => <Shown key={clip.segment} clip={clip} />)}</div>
        </section>
      ) : null}
      <Behaviours version={run.act.segments + run.ask.answered} />
    </>
  );
}

function Shown({ clip }: { clip: ReportClip }) {
  const seen: Seen = { segment: clip.segment, policy: clip.policy, steps: clip.steps, url: clip.blob ? `/api/watch/clips/${clip.segment}` : null, error: null, prompt: [], completion: [] };
  return (
    <figure class="card">
      <Look seen={seen} name={named("label", clip.label)} />
      <figcaption><a href={`#/behaviour/${clip.segment}`}>{named("label", clip.label)}</a> <span class="muted"><Version of={clip.policy} /></span></figcaption>
    </figure>
  );
}

function Behaviours({ version }: { version: number }) {
  const { pages, error, more } = usePages<BehaviourPage>("/api/watch/behaviours?count=36", (page) => page.behaviours.cursor, version);
  const total = pages[0]?.behaviours.total ?? 0;
  return (
    <section>
      <h2>{t("all-behaviour")} <span class="muted num">{total}</span></h2>
      <p class="muted">{t("all-behaviour.text")}</p>
      {error ? <p role="alert" class="warn">{error}</p> : null}
      <ul class="behaviours">
        {pages.flatMap((page) => page.behaviours.rows.map((row, index) => <Piece key={row.segment} row={row} seen={page.seen[index]} />))}
      </ul>
      {more ? <button type="button" onClick={more}>{t("more")}</button> : null}
    </section>
  );
}

function Piece({ row, seen }: { row: BehaviourRow; seen: Seen | undefined }) {
  const name = row.label ? named("label", row.label) : row.text ? row.segment.slice(4, 12) : row.episode;
  return (
    <li class="card piece" data-segment={row.segment}>
      <Look seen={seen} name={name} />
      <a href={`#/behaviour/${row.segment}`}>{name}</a>
      {row.text ? null : <span class="muted num">{t("steps-from", { start: row.start, end: row.start + row.steps })}</span>}
      <span class="muted">{t("by-policy")} <Version of={row.policy} /></span>
      <span>{row.opinion ? <>{t("score-mean")} <Num value={row.opinion.mean} style="decimal" /></> : <span class="muted">{t("not-scored")}</span>}</span>
      <span class="muted">{t("n-answers", { n: row.answers })}</span>
    </li>
  );
}

// What stands above every tab: what came out so far, where the round stands, and whether the page is live.
import { useEffect, useState } from "preact/hooks";
import { moment } from "../i18n";
import { written } from "../charts/format";
import { STAGES, type Now, type Summary } from "./contract";
import { Fact } from "./facts";
import { connected, now, updated } from "./live";
import { verdict } from "./verdict";
import { t } from "./words";

export function Heading({ run, tab }: { run: Summary; tab: string }) {
  return (
    <>
      <div class="watch-head">
        <h1>{run.name}</h1>
        <Mark />
      </div>
      <p class="verdict">{verdict(run)}</p>
      <Stages run={run} />
      <nav class="tabs" aria-label={t("tabs")}>
        {STAGES.map((stage) => <a key={stage} href={`#/watch/${stage}`} aria-current={stage === tab ? "page" : undefined}>{t(`stage.${stage}`)}</a>)}
      </nav>
    </>
  );
}

/** Says quietly that the numbers have just changed. */
function Mark() {
  const [fresh, setFresh] = useState(false);
  useEffect(() => {
    if (!updated.value) return undefined;
    setFresh(true);
    const timer = setTimeout(() => setFresh(false), 2500);
    return () => clearTimeout(timer);
  }, [updated.value]);
  const state = !connected.value ? "reconnecting" : now.value?.finished ? "finished" : "live";
  return <p class={`mark ${state} ${fresh ? "fresh" : ""}`} data-live={state}><span class="lamp" aria-hidden="true" />{t(fresh ? "updated" : state)}</p>;
}

function Stages({ run }: { run: Summary }) {
  const at = now.value;
  if (!at) return null;
  const place = STAGES.indexOf(at.stage);
  return (
    <section class="stages card" aria-label={t("where")}>
      <h2>{at.finished ? t("all-rounds", { n: at.rounds ?? at.round }) : t("round-of", { n: at.round, of: at.rounds ?? "?" })}</h2>
      <ol>
        {STAGES.map((stage, index) => {
          const state = at.finished || index < place ? "done" : index === place ? "running" : "ahead";
          const row = run.provenance.stages.findIndex((one) => one.round === at.round && one.stage === stage);
          return (
            <li key={stage} class={state} aria-current={state === "running" ? "step" : undefined}>
              <a href={`#/watch/${stage}`}>{t(`stage.${stage}`)}</a>
              <span class="state">{t(`state.${state}`)}</span>
              <span class="time num">{state === "done" && row >= 0 ? <Fact path={`provenance.stages.${row}.seconds`} style="seconds" absent="" /> : state === "running" ? <Since now={at} /> : null}</span>
            </li>
          );
        })}
      </ol>
    </section>
  );
}

function Since({ now: at }: { now: Now }) {
  const [, tick] = useState(0);
  useEffect(() => {
    const timer = setInterval(() => tick((n) => n + 1), 1000);
    return () => clearInterval(timer);
  }, []);
  if (typeof at.since !== "number") return null;
  const seconds = Math.max(0, Date.now() / 1000 - at.since);
  return seconds > 86400 ? <>{t("since", { when: moment(new Date(at.since * 1000).toISOString()) })}</> : <>{written(Math.floor(seconds), "seconds")}</>;
}


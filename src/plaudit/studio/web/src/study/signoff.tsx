// Sign-off: what is looked at before release, who accepted or rejected it, and the model card that says so.
import { useState } from "preact/hooks";
import { may, post } from "../api";
import { moment, number } from "../i18n";
import type { PageProps } from "../pages";
import { Markdown } from "../text/markdown";
import "../watch/style.css";
import type { Checks, CheckView } from "./contract";
import { Ask, useFetched, Waiting } from "./parts";
import "./style.css";
import { t } from "./words";

const STATES = ["unsigned", "accepted", "rejected", "outdated"] as const;

export default function SignOff(_: PageProps) {
  const { data: read, error, again } = useFetched<Checks>("/api/signoff");
  const [changed, setChanged] = useState<Checks | null>(null);
  const data = changed ?? read;
  const open = data?.checks.filter((one) => one.state !== "accepted") ?? [];
  return (
    <main id="main" tabIndex={-1} class="page study signoff">
      <h1>{t("signoff")}</h1>
      <p class="muted">{t("signoff.text")}</p>
      {!data ? <Waiting error={error} /> : (
        <>
          <p class={`st-banner ${open.length ? "warn" : "good"}`} role="status">{open.length ? t("open-checks", { names: open.map(nameOf).join(t("comma")) }) : t("all-accepted")}</p>
          <ul class="st-checks">{data.checks.map((one) => <li key={one.name}><Check one={one} subject={data.subject} renew={setChanged} stale={() => { setChanged(null); again(); }} /></li>)}</ul>
          <p class="muted small">
            {t("subject", { n: number(data.subject.seq) })} <code title={data.subject.head}>{data.subject.head.slice(0, 12)}</code>
            {data.subject.policy ? <> · {t("policy")} <code>{short(data.subject.policy)}</code></> : null}
          </p>
          {may("manage") ? <NewCheck renew={setChanged} /> : null}
          <Card key={data.subject.head} />
        </>
      )}
    </main>
  );
}

function Check({ one, subject, renew, stale }: { one: CheckView; subject: Checks["subject"]; renew: (now: Checks) => void; stale: () => void }) {
  const state = STATES.find((known) => known === one.state) ?? "unsigned";
  const last = one.said[one.said.length - 1];
  const sign = async (fields: FormData) => {
    const said = { id: crypto.randomUUID(), check: one.name, verdict: fields.get("verdict"), comment: fields.get("comment"), seq: subject.seq, head: subject.head };
    const done = await post<Checks>("/api/signoff", said);
    if (done.kind === "ok") renew(done.data);
    else if (done.kind === "refused") stale();
    return done.kind === "ok" || done.kind === "locked" ? "" : done.error;
  };
  return (
    <article class={`card st-check ${state}`} data-check={one.name} data-state={state}>
      <div class="row st-spread"><h2>{nameOf(one)}</h2><strong class="st-state">{t(`state.${state}`)}</strong></div>
      <p>{whatOf(one)}</p>
      {last ? <Said one={last} /> : null}
      {state === "outdated" ? <p class="warn small">{t("outdated.text")}</p> : null}
      {one.said.length > 1 ? <details><summary>{t("earlier", { n: one.said.length - 1 })}</summary>{one.said.slice(0, -1).reverse().map((said, i) => <Said key={i} one={said} />)}</details> : null}
      {may("sign") ? (
        <Ask begin={t(state === "accepted" || state === "rejected" ? "sign.again" : "sign")} confirm={t("sign.do")} act={sign}>
          <fieldset class="choice">
            <legend>{t("verdict")}</legend>
            <label><input type="radio" name="verdict" value="accepted" required />{t("accept")}</label>
            <label><input type="radio" name="verdict" value="rejected" required />{t("reject")}</label>
          </fieldset>
          <label class="field">{t("comment")}<textarea name="comment" rows={3} required maxLength={2000} aria-describedby={`help-${one.name}`} /></label>
          <p id={`help-${one.name}`} class="muted small">{t("comment.text")}</p>
        </Ask>
      ) : null}
    </article>
  );
}

function Said({ one }: { one: CheckView["said"][number] }) {
  return (
    <blockquote>
      <p>{one.comment}</p>
      <p class="muted small">
        <strong class={one.verdict === "accepted" ? "good" : "bad"}>{t(one.verdict === "accepted" ? "state.accepted" : "state.rejected")}</strong>
        {" · "}{one.name ?? one.reviewer} · {moment(new Date(one.at * 1000).toISOString())}{one.policy ? <> · {t("policy")} <code>{short(one.policy)}</code></> : null}
      </p>
    </blockquote>
  );
}

function NewCheck({ renew }: { renew: (now: Checks) => void }) {
  const name = async (fields: FormData) => {
    const done = await post<Checks>("/api/signoff/checks", { name: fields.get("name"), what: fields.get("what") });
    if (done.kind === "ok") renew(done.data);
    return done.kind === "ok" || done.kind === "locked" ? "" : done.error;
  };
  return (
    <Ask begin={t("new-check")} confirm={t("new-check.do")} act={name}>
      <label class="field">{t("new-check.name")}<input type="text" name="name" required maxLength={40} pattern="[a-z0-9][a-z0-9\-]*" autocomplete="off" spellcheck={false} aria-describedby="check-help" /></label>
      <p id="check-help" class="muted small">{t("new-check.help")}</p>
      <label class="field">{t("new-check.what")}<textarea name="what" rows={2} required maxLength={2000} /></label>
    </Ask>
  );
}

/** The card is in English: it goes beside the model. */
function Card() {
  const [text, setText] = useState<string | null>(null);
  const [error, setError] = useState("");
  const show = async () => {
    try {
      const reply = await fetch("/api/signoff/card", { cache: "no-store" });
      if (!reply.ok) throw new Error(`${reply.status} ${reply.statusText}`);
      setText(await reply.text());
      setError("");
    } catch (wrong) {
      setError(String(wrong));
    }
  };
  return (
    <section>
      <h2>{t("card")}</h2>
      <p class="muted small">{t("card.text")}</p>
      <div class="row">
        <button type="button" onClick={show}>{t("card.show")}</button>
        <a class="button" href="/api/signoff/card" download="model-card.md">{t("card.save")}</a>
      </div>
      {error ? <p role="alert" class="warn">{error}</p> : null}
      {text === null ? null : <div class="card model-card" lang="en" tabIndex={0} role="region" aria-label={t("card")}><Markdown text={text} /></div>}
    </section>
  );
}

function nameOf(one: CheckView): string {
  return one.usual && (one.name === "privacy" || one.name === "safety" || one.name === "domain") ? t(`check.${one.name}`) : one.name;
}

function whatOf(one: CheckView): string {
  return one.usual && (one.name === "privacy" || one.name === "safety" || one.name === "domain") ? t(`check.${one.name}.what`) : one.what;
}

function short(version: string): string {
  return version.split("_").pop()?.slice(0, 8) ?? version;
}

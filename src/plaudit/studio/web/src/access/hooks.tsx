// Webhooks: receivers that are told what happens. How each fares, a message to try it with, and its end.
import { useState } from "preact/hooks";
import { call, me, post } from "../api";
import { moment, number } from "../i18n";
import type { AttemptView, HookView, HookWish, NewHook } from "../study/contract";
import { Ask, Once, since, useFetched, Waiting } from "../study/parts";
import { worded } from "../words/errors";
import { eventOf, EVENTS, t } from "./words";

const MOST = 1000; // waiting messages are counted up to here

export function Hooks() {
  const hooks = useFetched<HookView[]>("/api/webhooks");
  return (
    <>
      <Making renew={hooks.again} />
      <section>
        <div class="row st-spread">
          <h2>{t("hooks")}</h2>
          <button type="button" onClick={hooks.again}>{t("renew")}</button>
        </div>
        {!hooks.data ? <Waiting error={hooks.error} /> : hooks.data.length === 0 ? <p class="muted">{t("hooks.none")}</p> : (
          <ul class="ac-hooks">{hooks.data.map((one) => <li key={one.id}><Hook one={one} renew={hooks.again} /></li>)}</ul>
        )}
      </section>
    </>
  );
}

function Making({ renew }: { renew: () => void }) {
  const [made, setMade] = useState<NewHook | null>(null);
  const [error, setError] = useState("");
  const submit = async (event: SubmitEvent) => {
    event.preventDefault();
    const form = event.currentTarget as HTMLFormElement;
    const fields = new FormData(form);
    const events = EVENTS.filter((one) => fields.has(one));
    if (events.length === 0) return setError(t("hook.no-event"));
    const wish = { url: String(fields.get("url")).trim(), events: [...events], private: fields.has("private") } satisfies HookWish;
    const done = await post<NewHook>("/api/webhooks", wish);
    setError(done.kind === "ok" || done.kind === "locked" ? "" : done.error);
    if (done.kind !== "ok") return;
    form.reset();
    setMade(done.data);
    renew();
  };
  return (
    <section>
      <h2>{t("hook.make")}</h2>
      <form class="card stack" onSubmit={submit} data-form="hook">
        <p class="muted small">{t("hook.text")}</p>
        <label class="field">{t("hook.url")}<input type="url" name="url" required minLength={8} maxLength={2000} autocomplete="off" placeholder="https://…" /></label>
        <fieldset class="ac-choices">
          <legend>{t("hook.events")}</legend>
          {EVENTS.map((one) => <label key={one}><input type="checkbox" name={one} />{eventOf(one)}</label>)}
        </fieldset>
        {me.value?.role === "owner" ? <label class="row"><input type="checkbox" name="private" />{t("hook.private")}</label> : null}
        <div class="row"><button type="submit" class="main">{t("hook.do")}</button></div>
        {error ? <p role="alert" class="warn">{error}</p> : null}
        <div role="status">{made ? <Once key={made.webhook.id} value={made.secret} name={t("secret")} text={t("hook.secret.text")} /> : null}</div>
      </form>
    </section>
  );
}

function Hook({ one, renew }: { one: HookView; renew: () => void }) {
  const [tried, setTried] = useState<AttemptView | string | null>(null);
  const [busy, setBusy] = useState(false);
  const test = async () => {
    setBusy(true);
    const done = await post<AttemptView>(`/api/webhooks/${one.id}/test`, {});
    setBusy(false);
    if (done.kind !== "locked") setTried(done.kind === "ok" ? done.data : done.error);
    renew();
  };
  const end = async () => {
    const done = await call("DELETE", `/api/webhooks/${one.id}`);
    if (done.kind === "ok") renew();
    return done.kind === "ok" || done.kind === "locked" ? "" : done.error;
  };
  const wrong = typeof tried === "string" ? tried : tried?.trouble ? worded(tried.trouble, tried.trouble_code) : null;
  return (
    <article class="card ac-hook" data-hook={one.id}>
      <h3>{one.url}</h3>
      <dl>
        <dt>{t("hook.events")}</dt><dd>{one.events.map(eventOf).join(t("comma"))}{one.private ? <span class="muted"> · {t("hook.is-private")}</span> : null}</dd>
        <dt>{t("key.maker")}</dt><dd>{one.account}</dd>
        <dt>{t("hook.waiting")}</dt><dd>{one.waiting >= MOST ? t("hook.many", { n: number(MOST) }) : number(one.waiting)}</dd>
        <dt>{t("hook.state")}</dt>
        <dd class={one.failures ? "warn" : "good"}>{one.failures ? t("hook.failing", { n: one.failures, at: one.next_at ? moment(new Date(one.next_at * 1000).toISOString()) : "–" }) : t("hook.fine")}</dd>
        {one.trouble ? <><dt>{t("hook.trouble")}</dt><dd>{worded(one.trouble, one.trouble_code)}</dd></> : null}
      </dl>
      <details>
        <summary>{t("hook.attempts", { n: one.attempts.length })}</summary>
        {one.attempts.length === 0 ? <p class="muted small">{t("hook.no-attempts")}</p> : (
          <ol>{one.attempts.map((attempt) => <li key={`${attempt.at}${attempt.seq}`}><Attempt one={attempt} /></li>)}</ol>
        )}
      </details>
      <div class="row">
        <button type="button" disabled={busy} onClick={test}>{busy ? t("hook.testing") : t("hook.test")}</button>
        <Ask begin={t("hook.end")} confirm={t("hook.end.do")} act={end}><p class="muted small">{t("hook.end.text")}</p></Ask>
      </div>
      <p role="status" class={wrong ? "warn" : "good"}>{tried === null ? "" : wrong ? t("hook.test.failed", { why: wrong }) : t("hook.test.fine")}</p>
    </article>
  );
}

function Attempt({ one }: { one: AttemptView }) {
  return (
    <>
      <strong class={one.trouble === null ? "good" : "warn"}>{t(one.trouble === null ? "attempt.fine" : "attempt.failed")}</strong> {eventOf(one.type)}
      {one.seq === null ? null : <span class="muted"> · {t("attempt.seq", { n: number(one.seq) })}</span>}
      <span class="muted"> · {since(one.at, Date.now() / 1000)}</span>
      {one.trouble ? <span class="st-interval">{worded(one.trouble, one.trouble_code)}</span> : null}
    </>
  );
}

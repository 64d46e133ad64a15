// Keys with which programs come in: made, listed, ended. A secret is shown once.
import { useState } from "preact/hooks";
import { call, me, post } from "../api";
import { moment } from "../i18n";
import type { KeyView, KeyWish, NewKey } from "../study/contract";
import { Ask, Once, Scroll, since, useFetched, Waiting } from "../study/parts";
import { SCOPES, scopeOf, t } from "./words";

export function Keys() {
  const keys = useFetched<KeyView[]>("/api/keys");
  return (
    <>
      <Making renew={keys.again} />
      <section>
        <h2>{t("keys")}</h2>
        {!keys.data ? <Waiting error={keys.error} /> : keys.data.length === 0 ? <p class="muted">{t("keys.none")}</p> : (
          <Scroll label={t("keys")}>
            <table>
              <thead>
                <tr>
                  <th scope="col">{t("key.name")}</th><th scope="col">{t("key.may")}</th><th scope="col">{t("key.answers-as")}</th>
                  <th scope="col">{t("key.maker")}</th><th scope="col">{t("key.used")}</th><th scope="col">{t("key.until")}</th>
                  <th scope="col"><span class="sr-only">{t("revoke")}</span></th>
                </tr>
              </thead>
              <tbody>{keys.data.map((one) => <Row key={one.id} one={one} renew={keys.again} />)}</tbody>
            </table>
          </Scroll>
        )}
      </section>
    </>
  );
}

function Making({ renew }: { renew: () => void }) {
  const [made, setMade] = useState<NewKey | null>(null);
  const [error, setError] = useState("");
  const may = SCOPES.filter((one) => me.value?.may.includes(one));
  const submit = async (event: SubmitEvent) => {
    event.preventDefault();
    const form = event.currentTarget as HTMLFormElement;
    const fields = new FormData(form);
    const scopes = may.filter((one) => fields.has(one));
    if (scopes.length === 0) return setError(t("key.no-scope"));
    const said = (name: string) => String(fields.get(name) ?? "").trim();
    const done = await post<NewKey>("/api/keys", {
      name: said("name"),
      scopes,
      days: said("days") ? Number(said("days")) : null,
      annotator: said("annotator") || null,
    } satisfies KeyWish);
    setError(done.kind === "ok" || done.kind === "locked" ? "" : done.error);
    if (done.kind !== "ok") return;
    form.reset();
    setMade(done.data);
    renew();
  };
  return (
    <section>
      <h2>{t("key.make")}</h2>
      <form class="card stack" onSubmit={submit} data-form="key">
        <div class="st-columns">
          <label class="field">{t("key.name")}<input type="text" name="name" required maxLength={100} autocomplete="off" placeholder={t("key.name.example")} /></label>
          <label class="field">{t("key.days")}<input type="number" name="days" min={1} max={3660} defaultValue="90" aria-describedby="days-help" /></label>
        </div>
        <p id="days-help" class="muted small">{t("key.days.text")}</p>
        <fieldset class="ac-choices">
          <legend>{t("key.may")}</legend>
          {may.map((one) => <label key={one}><input type="checkbox" name={one} />{scopeOf(one)}</label>)}
        </fieldset>
        <details>
          <summary>{t("key.annotator")}</summary>
          <div class="stack">
            <label class="field st-narrow">{t("key.answers-as")}<input type="text" name="annotator" maxLength={64} pattern="[A-Za-z0-9._\-]+" autocomplete="off" aria-describedby="annotator-help" /></label>
            <p id="annotator-help" class="muted small">{t("key.annotator.text")}</p>
          </div>
        </details>
        <div class="row"><button type="submit" class="main">{t("key.do")}</button></div>
        {error ? <p role="alert" class="warn">{error}</p> : null}
        <div role="status">{made ? <Once key={made.key.id} value={made.secret} name={t("secret")} text={t("key.secret.text", { name: made.key.name })} /> : null}</div>
      </form>
    </section>
  );
}

function Row({ one, renew }: { one: KeyView; renew: () => void }) {
  const over = one.until !== null && one.until * 1000 <= Date.now();
  const end = async () => {
    const done = await call("DELETE", `/api/keys/${one.id}`);
    if (done.kind === "ok") renew();
    return done.kind === "ok" || done.kind === "locked" ? "" : done.error;
  };
  return (
    <tr data-key={one.id}>
      <th scope="row">{one.name}<span class="muted st-interval">{one.id}</span></th>
      <td>{one.scopes.map(scopeOf).join(t("comma"))}</td>
      <td>{one.scopes.includes("label") ? one.annotator : "–"}</td>
      <td>{one.account}<span class="muted st-interval">{moment(new Date(one.created_at * 1000).toISOString())}</span></td>
      <td>{one.used_at === null ? t("never") : since(one.used_at, Date.now() / 1000)}</td>
      <td class={over ? "warn" : ""}>{one.until === null ? t("key.no-end") : over ? t("key.over") : moment(new Date(one.until * 1000).toISOString())}</td>
      <td><Ask begin={t("revoke")} confirm={t("revoke.do")} act={end}><p class="muted small">{t("revoke.text")}</p></Ask></td>
    </tr>
  );
}

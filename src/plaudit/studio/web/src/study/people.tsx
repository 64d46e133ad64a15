// Who may come in: invitations, and accounts with their roles.
import { useState } from "preact/hooks";
import { call, me, post } from "../api";
import { moment } from "../i18n";
import type { AccountView, Invite, Invited, Open } from "./contract";
import { Ask, Once, Scroll, useFetched, Waiting } from "./parts";
import { roleOf, t } from "./words";

const ROLES = ["annotator", "reviewer", "researcher", "lead", "owner"] as const;

export function People() {
  const open = useFetched<Open[]>("/api/invitations");
  const accounts = useFetched<AccountView[]>("/api/accounts");
  return (
    <>
      <Inviting renew={open.again} />
      <section>
        <h2>{t("invitations.open")}</h2>
        {!open.data ? <Waiting error={open.error} /> : open.data.length === 0 ? <p class="muted">{t("invitations.none")}</p> : (
          <Scroll label={t("invitations.open")}>
            <table>
              <thead><tr><th scope="col">{t("column.for")}</th><th scope="col">{t("column.asks")}</th><th scope="col">{t("column.consent")}</th><th scope="col">{t("column.until")}</th><th scope="col"><span class="sr-only">{t("revoke")}</span></th></tr></thead>
              <tbody>{open.data.map((one) => <Invitation key={one.id} one={one} renew={open.again} />)}</tbody>
            </table>
          </Scroll>
        )}
      </section>
      <section>
        <h2>{t("accounts")}</h2>
        {!accounts.data ? <Waiting error={accounts.error} /> : (
          <Scroll label={t("accounts")}>
            <table>
              <thead><tr><th scope="col">{t("column.account")}</th><th scope="col">{t("column.role")}</th><th scope="col">{t("column.since")}</th><th scope="col">{t("column.signs-in")}</th><th scope="col"><span class="sr-only">{t("change")}</span></th></tr></thead>
              <tbody>{accounts.data.map((one) => <Account key={one.id} one={one} renew={accounts.again} />)}</tbody>
            </table>
          </Scroll>
        )}
      </section>
    </>
  );
}

function Inviting({ renew }: { renew: () => void }) {
  const [made, setMade] = useState<{ link: string; n: number } | null>(null);
  const [error, setError] = useState("");
  const submit = async (event: SubmitEvent) => {
    event.preventDefault();
    const fields = new FormData(event.currentTarget as HTMLFormElement);
    const said = (name: string) => String(fields.get(name) ?? "").trim();
    const consent = said("consent");
    const done = await post<Invited>("/api/invitations", {
      role: said("role") as Invite["role"],
      traits: traitsOf(said("traits")),
      purpose: said("purpose"),
      consent: consent || null,
      text: said("text"),
      days: Number(said("days")),
    } satisfies Partial<Invite>);
    setError(done.kind === "ok" || done.kind === "locked" ? "" : done.error);
    if (done.kind !== "ok") return;
    setMade({ link: location.origin + done.data.path, n: (made?.n ?? 0) + 1 });
    renew();
  };
  return (
    <section>
      <h2>{t("invite")}</h2>
      <form class="card stack" onSubmit={submit}>
        <div class="st-columns">
          <label class="field">{t("column.role")}<select name="role">{ROLES.map((role) => <option key={role} value={role}>{roleOf(role)}</option>)}</select></label>
          <label class="field">{t("invite.days")}<input type="number" name="days" min={1} max={90} value={14} required /></label>
        </div>
        <details>
          <summary>{t("invite.more")}</summary>
          <div class="stack">
            <label class="field">{t("invite.text")}<textarea name="text" rows={3} maxLength={10000} /></label>
            <label class="field">{t("invite.consent")}<input type="text" name="consent" maxLength={100} autocomplete="off" aria-describedby="consent-help" /></label>
            <p id="consent-help" class="muted small">{t("invite.consent.text")}</p>
            <label class="field">{t("invite.traits")}<textarea name="traits" rows={3} spellcheck={false} placeholder={t("invite.traits.example")} aria-describedby="traits-help" /></label>
            <p id="traits-help" class="muted small">{t("invite.traits.text")}</p>
            <label class="field">{t("invite.purpose")}<input type="text" name="purpose" maxLength={2000} /></label>
          </div>
        </details>
        <div class="row"><button type="submit" class="main">{t("invite.do")}</button></div>
        {error ? <p role="alert" class="warn">{error}</p> : null}
        <div role="status">{made ? <Once key={made.n} value={made.link} name={t("link")} text={t("link.text")} /> : null}</div>
      </form>
    </section>
  );
}

function Invitation({ one, renew }: { one: Open; renew: () => void }) {
  const traits = Object.keys(one.asks.traits);
  return (
    <tr data-invitation={one.id}>
      <th scope="row">{one.account ?? roleOf(one.role)}</th>
      <td>{traits.length ? traits.join(", ") : "–"}</td>
      <td>{one.asks.consent ?? "–"}</td>
      <td>{moment(new Date(one.until * 1000).toISOString())}</td>
      <td><Ask begin={t("revoke")} confirm={t("revoke.do")} act={() => done(call("DELETE", `/api/invitations/${one.id}`), renew)}><p class="muted small">{t("revoke.text")}</p></Ask></td>
    </tr>
  );
}

function Account({ one, renew }: { one: AccountView; renew: () => void }) {
  const [link, setLink] = useState("");
  const own = me.value?.account === one.id;
  const change = (wish: { role?: string; closed?: boolean }) => done(call("PATCH", `/api/accounts/${one.id}`, wish), renew);
  const let_in = async () => {
    const made = await post<Invited>("/api/invitations", { account: one.id, days: 1 });
    if (made.kind !== "ok") return made.kind === "locked" ? "" : made.error;
    setLink(location.origin + made.data.path);
    return "";
  };
  return (
    <tr data-account={one.id}>
      <th scope="row">{one.name ?? one.id}<span class="muted st-interval">{one.name ? one.id : ""} {one.closed ? <span class="warn">{t("closed")}</span> : null}</span></th>
      <td>{roleOf(one.role)}</td>
      <td>{moment(new Date(one.created_at * 1000).toISOString())}</td>
      <td>{one.signs_in ? t("by-password") : t("by-link")}</td>
      <td>
        {own ? <span class="muted">{t("yourself")}</span> : one.role === "service" ? null : (
          <div class="row">
            <Ask begin={t("change-role")} confirm={t("change-role.do")} act={(fields) => change({ role: String(fields.get("role")) })}>
              <label class="field st-narrow">{t("column.role")}<select name="role">{ROLES.map((role) => <option key={role} value={role} selected={role === one.role}>{roleOf(role)}</option>)}</select></label>
              <p class="muted small">{t("change-role.text")}</p>
            </Ask>
            {one.closed ? null : <Ask begin={t("new-link")} confirm={t("new-link.do")} act={let_in}><p class="muted small">{t("new-link.text")}</p></Ask>}
            <Ask begin={t(one.closed ? "reopen" : "close")} confirm={t(one.closed ? "reopen.do" : "close.do")} act={() => change({ closed: !one.closed })}><p class="muted small">{t(one.closed ? "reopen.text" : "close.text")}</p></Ask>
          </div>
        )}
        <div role="status">{link ? <Once key={link} value={link} name={t("link")} text={t("link.text")} /> : null}</div>
      </td>
    </tr>
  );
}

async function done(asked: ReturnType<typeof call>, renew: () => void): Promise<string> {
  const found = await asked;
  if (found.kind === "ok") renew();
  return found.kind === "ok" || found.kind === "locked" ? "" : found.error;
}

/** "region: north, south" on each line. */
function traitsOf(text: string): Record<string, string[]> {
  const lines = text.split("\n").map((line) => line.split(/[:：]/));
  return Object.fromEntries(lines.flatMap(([name = "", values = ""]) => {
    const some = values.split(/[,，、]/).map((one) => one.trim()).filter(Boolean);
    return name.trim() && some.length ? [[name.trim(), some]] : [];
  }));
}

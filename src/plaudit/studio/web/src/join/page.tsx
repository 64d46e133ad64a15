// An invitation: what the study is about, what it asks, and a name and a password of one's own.
import { useEffect, useState } from "preact/hooks";
import { call, enter, post } from "../api";
import type { Asked, Join as Told, Me } from "../contract";
import { t as shared, translate } from "../i18n";
import type { PageProps } from "../pages";
import { go } from "../router";
import "./style.css";
import { words } from "./words";

const t = translate(words);

export default function Join({ path }: PageProps) {
  const token = path[0] ?? "";
  const [asked, setAsked] = useState<Asked | string | null>(null);
  useEffect(() => {
    void call<Asked>("GET", "/api/join", undefined, { invitation: token }).then((found) =>
      setAsked(found.kind === "ok" ? found.data : found.kind === "locked" ? "" : found.error),
    );
  }, [token]);
  if (asked === null) return <main id="main" tabIndex={-1} class="centre"><p class="muted">{shared("opening.text")}</p></main>;
  if (typeof asked === "string") {
    return (
      <main id="main" tabIndex={-1} class="centre">
        <section class="message"><h1>{t("spent")}</h1><p>{asked || t("spent.text")}</p></section>
      </main>
    );
  }
  return <main id="main" tabIndex={-1} class="page prose join"><JoinForm token={token} asked={asked} /></main>;
}

function JoinForm({ token, asked }: { token: string; asked: Asked }) {
  const [error, setError] = useState("");
  const [busy, setBusy] = useState(false);
  const traits = Object.entries(asked.traits);
  const submit = async (event: SubmitEvent) => {
    event.preventDefault();
    const fields = new FormData(event.currentTarget as HTMLFormElement);
    const said = (name: string) => String(fields.get(name) ?? "").trim() || null;
    setBusy(true);
    const done = await post<Me>("/api/join", {
      token,
      name: said("name"),
      password: said("password"),
      email: said("email"),
      traits: Object.fromEntries(traits.flatMap(([trait]) => (said(`trait-${trait}`) ? [[trait, said(`trait-${trait}`) ?? ""]] : []))),
      consent: fields.get("consent") ? asked.consent : null,
    } satisfies Told);
    setBusy(false);
    if (done.kind !== "ok") return setError(done.kind === "locked" ? t("spent") : done.error);
    enter(done.data);
    go("/");
  };
  return (
    <>
      <h1>{t("title")}</h1>
      <p class="muted">{t(`role.${asked.role}`)}</p>
      {asked.text ? <p class="join-text">{asked.text}</p> : null}
      <form onSubmit={submit} class="stack">
        <fieldset class="stack">
          <legend><h2>{t("account")}</h2></legend>
          <label class="field">{shared("login.name")}<input type="text" name="name" autocomplete="username" required maxLength={100} /></label>
          <label class="field">{shared("login.password")}<input type="password" name="password" autocomplete="new-password" required minLength={10} maxLength={200} aria-describedby="password-help" /></label>
          <p id="password-help" class="muted">{t("password.help")}</p>
          <label class="field">{t("email")}<input type="email" name="email" autocomplete="email" maxLength={254} /></label>
        </fieldset>
        {traits.length ? (
          <fieldset class="stack">
            <legend><h2>{t("traits")}</h2></legend>
            <p class="muted">{asked.purpose || t("traits.text")}</p>
            {traits.map(([trait, values]) => (
              <label key={trait} class="field">{trait}
                <select name={`trait-${trait}`}>
                  <option value="">{t("rather-not")}</option>
                  {values.map((value) => <option key={value} value={value}>{value}</option>)}
                </select>
              </label>
            ))}
          </fieldset>
        ) : null}
        {asked.consent ? <label class="toggle"><input type="checkbox" name="consent" required />{t("consent", { version: asked.consent })}</label> : null}
        <p role="alert" class="warn">{error}</p>
        <button type="submit" class="main" disabled={busy}>{t("join")}</button>
      </form>
    </>
  );
}

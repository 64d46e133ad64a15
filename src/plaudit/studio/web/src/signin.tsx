// Nobody is signed in: the ways to come in that this studio knows.
import { useEffect, useState } from "preact/hooks";
import { get, login } from "./api";
import type { Ways } from "./contract";
import { t } from "./i18n";

export function SignIn() {
  const [ways, setWays] = useState<Ways | null>(null);
  useEffect(() => {
    void get<Ways>("/api/login").then((found) => found.kind === "ok" && setWays(found.data));
  }, []);
  return (
    <main id="main" tabIndex={-1} class="centre">
      <section class="message" id="signin">
        <h1>{t("locked")}</h1>
        <p>{t("locked.text")}</p>
        {ways?.password ? <PasswordForm /> : null}
        {ways?.provider ? <a class="button" href="/api/oidc">{t("login.provider", { provider: ways.provider })}</a> : null}
      </section>
    </main>
  );
}

function PasswordForm() {
  const [error, setError] = useState<string | null>(null);
  const submit = async (event: SubmitEvent) => {
    event.preventDefault();
    const fields = new FormData(event.currentTarget as HTMLFormElement);
    setError(await login(String(fields.get("name")), String(fields.get("password"))));
  };
  return (
    <form onSubmit={submit} class="stack">
      <label class="field">{t("login.name")}<input type="text" name="name" autocomplete="username" required /></label>
      <label class="field">{t("login.password")}<input type="password" name="password" autocomplete="current-password" required /></label>
      <button type="submit" class="main">{t("login")}</button>
      <p role="alert" class="warn">{error === null ? "" : error || t("login.wrong")}</p>
    </form>
  );
}

// #/access: keys for programs, and webhooks that tell them what happens. Owners see everybody's, leads their own.
import type { PageProps } from "../pages";
import "../watch/style.css";
import "../study/style.css";
import { Hooks } from "./hooks";
import { Keys } from "./keys";
import "./style.css";
import { t } from "./words";

export default function Access(_: PageProps) {
  return (
    <main id="main" tabIndex={-1} class="page study access">
      <h1>{t("title")}</h1>
      <p class="muted">{t("text")}</p>
      <Keys />
      <Hooks />
    </main>
  );
}

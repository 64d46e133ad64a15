// What a model suggests about a question, marked as such. It is text, whatever it contains.
import type { Assist as Suggested } from "../contract";
import { t } from "./words";

export function Assist({ assist }: { assist: Suggested }) {
  return (
    <aside class="assist" aria-label={t("assist.title", { by: assist.by })}>
      <h2>{t("assist.title", { by: assist.by })}</h2>
      {assist.suggestion ? <p>{assist.suggestion}</p> : null}
      {assist.critiques?.length ? (
        <ul>
          {assist.critiques.map((one, i) => (
            <li key={i}>{typeof one.start === "number" && typeof one.end === "number" ? <span class="muted num">{one.start + 1}–{one.end} </span> : null}{one.text}</li>
          ))}
        </ul>
      ) : null}
      <p class="muted">{t("assist.note")}</p>
    </aside>
  );
}

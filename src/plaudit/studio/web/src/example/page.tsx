// An example of a page, to be copied; it is at #/example only while `npm run dev` runs.
import { useEffect, useState } from "preact/hooks";
import { get } from "../api";
import { number, translate } from "../i18n";
import type { PageProps } from "../pages";
import "./style.css";
import { words } from "./words";

const t = translate(words);

interface Progress {
  mine: number;
  answered: number;
}

export default function Example({ path }: PageProps) {
  const [progress, setProgress] = useState<Progress | null>(null);
  const [error, setError] = useState("");
  useEffect(() => {
    void get<Progress>("/api/progress").then((found) => {
      if (found.kind === "ok") setProgress(found.data);
      else if (found.kind !== "locked") setError(found.error);
    });
  }, []);
  return (
    <main id="main" tabIndex={-1} class="page">
      <h1>{t("title")}</h1>
      <p class="muted">{t("text", { part: path[0] ?? "" })}</p>
      {error ? <p role="alert" class="warn">{error}</p> : null}
      {progress ? <Bars values={[progress.mine, progress.answered]} label={t("answers", { n: progress.answered })} /> : null}
    </main>
  );
}

/** A chart is an SVG of our own: it follows the colours of the page, and can be saved as it stands. */
function Bars({ values, label }: { values: number[]; label: string }) {
  const most = Math.max(1, ...values);
  return (
    <figure class="chart">
      <svg viewBox={`0 0 320 ${24 * values.length}`} role="img" aria-label={label}>
        {values.map((value, row) => (
          <g key={row} transform={`translate(0 ${24 * row})`}>
            <rect class="bar" width={(260 * value) / most} height="18" />
            <text x={(260 * value) / most + 6} y="14">{number(value)}</text>
          </g>
        ))}
      </svg>
      <figcaption>{label}</figcaption>
    </figure>
  );
}

// Everybody who answers, in a table that can be sorted: how much, how long, how well, and whom to look at.
import type { ComponentChildren } from "preact";
import { useState } from "preact/hooks";
import { number } from "../i18n";
import { written } from "../charts/format";
import { saveCsv } from "../charts/save";
import type { AnnotatorView, Annotators, Suspicion } from "./contract";
import { Dash, Estimate, Scroll, since, useFetched, Waiting } from "./parts";
import { t, type Key } from "./words";

interface Column {
  key: Key & `column.${string}`;
  /** what it is sorted by, and what stands in the file */
  value: (one: AnnotatorView) => number | string | null;
  cell: (one: AnnotatorView, now: number) => ComponentChildren;
}

const COLUMNS: Column[] = [
  { key: "column.annotator", value: (one) => one.annotator, cell: (one) => <Who one={one} /> },
  { key: "column.answers", value: (one) => one.answers, cell: (one) => <>{number(one.answers)}{one.retracted ? <span class="muted st-interval">{t("retracted.n", { n: one.retracted })}</span> : null}</> },
  { key: "column.skips", value: (one) => one.skips, cell: (one) => <>{number(one.skips)}{reasons(one) ? <span class="muted st-interval">{reasons(one)}</span> : null}</> },
  { key: "column.hours", value: (one) => one.seconds / 3600, cell: (one) => <>{written(one.seconds, "seconds")}{one.untimed ? <span class="muted st-interval">{t("untimed", { n: one.untimed })}</span> : null}</> },
  { key: "column.median", value: (one) => one.median_seconds, cell: (one) => (one.median_seconds === null ? <Dash /> : written(one.median_seconds, "seconds")) },
  { key: "column.gold", value: (one) => (one.gold && one.gold.answered ? one.gold.right / one.gold.answered : null), cell: (one) => <GoldCell one={one} /> },
  { key: "column.accuracy", value: (one) => one.accuracy?.value ?? null, cell: (one) => <Estimate of={one.accuracy} style="percent" /> },
  { key: "column.side", value: (one) => one.first_shown?.value ?? null, cell: (one) => <Estimate of={one.first_shown} style="percent" /> },
  { key: "column.repeats", value: (one) => one.repeats?.value ?? null, cell: (one) => <Estimate of={one.repeats} style="percent" /> },
  { key: "column.drift", value: (one) => one.drift?.change.value ?? null, cell: (one) => <DriftCell one={one} /> },
  { key: "column.seen", value: (one) => one.last_seen, cell: (one, now) => <Seen one={one} now={now} /> },
];

export function AnnotatorsPanel() {
  const { data, error, again } = useFetched<Annotators>("/api/study/annotators");
  const [sorted, setSorted] = useState<{ by: number; down: boolean }>({ by: 0, down: false });
  if (!data) return <Waiting error={error} />;
  const people = inOrder(data.annotators, COLUMNS[sorted.by] ?? COLUMNS[0]!, sorted.down);
  const paid = people.reduce((sum, one) => sum + one.seconds, 0);
  const suspected = data.annotators.flatMap((one) => one.suspicions.map((what) => ({ one, what })));
  return (
    <>
      {error ? <p role="alert" class="warn">{error}</p> : null}
      <dl class="figures card">
        <Figure name={t("annotators.n")}>{number(people.length)}</Figure>
        <Figure name={t("at-work")}>{number(people.filter((one) => one.holds > 0).length)}</Figure>
        <Figure name={t("answers.n")}>{number(people.reduce((sum, one) => sum + one.answers, 0))}</Figure>
        <Figure name={t("time.all")}>{written(paid, "seconds")}</Figure>
        <Figure name={t("stopped.n")}>{number(people.filter((one) => one.stopped).length)}</Figure>
      </dl>
      <section>
        <h2>{t("look-at")}</h2>
        {suspected.length ? (
          <ul class="st-suspicions">
            {suspected.map(({ one, what }, i) => <li key={i}><a href={answersOf(one.annotator)}>{one.name ?? one.annotator}</a> {sentence(what)}</li>)}
          </ul>
        ) : <p class="muted">{t("look-at.none")}</p>}
        <p class="muted small">{t("look-at.text")}</p>
      </section>
      <section>
        <div class="row st-spread">
          <h2>{t("all-annotators")}</h2>
          <div class="row">
            <button type="button" onClick={again}>{t("again")}</button>
            <button type="button" onClick={() => file(people)}>{t("csv")}</button>
          </div>
        </div>
        <Scroll label={t("all-annotators")}>
          <table class="st-annotators">
            <thead>
              <tr>
                {COLUMNS.map((column, by) => (
                  <th key={column.key} scope="col" aria-sort={sorted.by === by ? (sorted.down ? "descending" : "ascending") : "none"}>
                    <button type="button" class="quiet st-sort" onClick={() => setSorted({ by, down: sorted.by === by ? !sorted.down : by > 0 })}>
                      {t(column.key)}<span aria-hidden="true">{sorted.by === by ? (sorted.down ? "↓" : "↑") : ""}</span>
                    </button>
                  </th>
                ))}
              </tr>
            </thead>
            <tbody>
              {people.map((one) => (
                <tr key={one.annotator} data-annotator={one.annotator} class={one.suspicions.length ? "st-suspect" : ""}>
                  {COLUMNS.map((column, i) => (i === 0 ? <th key={column.key} scope="row">{column.cell(one, data.now)}</th> : <td key={column.key} class="num">{column.cell(one, data.now)}</td>))}
                </tr>
              ))}
            </tbody>
          </table>
        </Scroll>
        <p class="muted small">{t("columns.text")}</p>
        <p class="muted small">{t("made", { when: since(data.made_at, data.now), n: number(data.seq) })}</p>
      </section>
    </>
  );
}

function inOrder(all: AnnotatorView[], column: Column, down: boolean): AnnotatorView[] {
  const sign = down ? -1 : 1;
  return [...all].sort((one, other) => {
    const [a, b] = [column.value(one), column.value(other)];
    if (a === null || b === null) return Number(a === null) - Number(b === null) || one.annotator.localeCompare(other.annotator);
    const first = typeof a === "string" ? a.localeCompare(String(b), undefined, { numeric: true }) : a - Number(b);
    return sign * first || one.annotator.localeCompare(other.annotator);
  });
}

function file(people: AnnotatorView[]): void {
  saveCsv(COLUMNS.map((column) => ({ name: t(column.key), cells: people.map((one) => ({ value: column.value(one) })) })), "annotators");
}

export function answersOf(annotator: string): string {
  return `#/study/answers?annotator=${encodeURIComponent(annotator)}`;
}

function reasons(one: AnnotatorView): string {
  return Object.entries(one.reasons_to_skip).filter(([reason]) => reason).map(([reason, n]) => `${reasonOf(reason)} ${n}`).join(", ");
}

export function reasonOf(reason: string): string {
  return reason === "cannot-tell" || reason === "broken" || reason === "unsafe" ? t(`skip.${reason}`) : reason;
}

function sentence(what: Suspicion): string {
  const key = `suspicion.${what.about}`;
  const shares = ["agreement", "others", "chance", "share"];
  const numbers = Object.fromEntries(Object.entries(what.numbers).map(([name, value]) => [name, shares.includes(name) ? written(value, "percent") : number(value, name === "start" || name === "end" ? 2 : name === "expected" ? 1 : 0)]));
  return isSuspicion(key) ? t(key, { ...numbers, other: what.other ?? "" }) : what.sentence;
}

type Suspected = Key & `suspicion.${string}`;
const isSuspicion = (key: string): key is Suspected => ["gold", "agreement", "side", "order", "rushed", "tired", "copies"].includes(key.replace("suspicion.", ""));

function Who({ one }: { one: AnnotatorView }) {
  return (
    <>
      <a href={answersOf(one.annotator)}>{one.name ?? one.annotator}</a>
      <span class="muted st-interval">
        {one.name ? one.annotator : one.kind === "simulated" ? t("kind.simulated") : ""}
        {one.stopped ? <span class="warn"> {t("stopped")}</span> : null}
      </span>
    </>
  );
}

function GoldCell({ one }: { one: AnnotatorView }) {
  if (!one.gold) return <Dash />;
  const verdict = one.gold.verdict === "passed" ? "passed" : one.gold.verdict === "stopped" ? "stopped" : "open";
  return <>{t("right-of", { right: one.gold.right, of: one.gold.answered })}<span class={`st-interval ${verdict === "stopped" ? "warn" : "muted"}`}>{t(`verdict.${verdict}`)}</span></>;
}

function DriftCell({ one }: { one: AnnotatorView }) {
  if (!one.drift) return <Dash />;
  const { early, late, change } = one.drift;
  const sure = typeof change.low === "number" && typeof change.high === "number" && change.low * change.high > 0;
  return <><span class={sure ? "warn" : ""}>{change.value > 0 ? "+" : ""}{written(change.value, "percent")}</span><span class="muted st-interval">{written(early.value, "percent")} → {written(late.value, "percent")}</span></>;
}

function Seen({ one, now }: { one: AnnotatorView; now: number }) {
  return <>{one.holds ? <strong class="good">{t("at-work.one")}</strong> : one.last_seen === null ? <Dash /> : since(one.last_seen, now)}{one.holds && one.last_seen !== null ? <span class="muted st-interval">{since(one.last_seen, now)}</span> : null}</>;
}

function Figure({ name, children }: { name: string; children: ComponentChildren }) {
  return <div><dt>{name}</dt><dd class="num">{children}</dd></div>;
}

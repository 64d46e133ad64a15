// The one way from the summary to a page: every number is taken by its path, and written as the report writes it.
import type { ComponentChildren } from "preact";
import { type Style, written } from "../charts/format";
import type { Summary } from "./contract";
import { summary } from "./live";
import { t } from "./words";

export function at(root: unknown, path: string): unknown {
  let value = root;
  for (const step of path.split(".")) {
    if (value === null || value === undefined) return undefined;
    value = (value as Record<string, unknown>)[step];
  }
  return value;
}

export function Fact({ path, style, absent }: { path: string; style: Style; absent?: string }) {
  const value = at(summary.value, path);
  if (typeof value !== "number") return <span class="muted">{absent ?? t("not-measured")}</span>;
  return <data value={String(value)} data-path={path} data-style={style}>{written(value, style)}</data>;
}

/** A number that is not in the summary. */
export function Num({ value, style }: { value: number | null | undefined; style: Style }) {
  return typeof value === "number" ? <span class="num">{written(value, style)}</span> : <span class="muted">–</span>;
}

export function Interval({ path, style }: { path: string; style: Style }) {
  if (typeof at(summary.value, `${path}.low`) !== "number") return null;
  return <span class="muted interval"> (<Fact path={`${path}.low`} style={style} /> {t("to")} <Fact path={`${path}.high`} style={style} />)</span>;
}

export function Figures({ children }: { children: ComponentChildren }) {
  return <dl class="figures">{children}</dl>;
}

export function Figure({ name, children }: { name: string; children: ComponentChildren }) {
  return <div><dt>{name}</dt><dd class="num">{children}</dd></div>;
}

export function Version({ of }: { of: string | null | undefined }) {
  if (!of) return <span class="muted">–</span>;
  return <code title={of}>{of.split("_").pop()?.slice(0, 8)}</code>;
}

/** A metric through the rounds, with where each of its values stands. */
export function through(run: Summary, name: string, stage?: string): { x: number; y: number; path: string }[] {
  const found: { x: number; y: number; path: string }[] = [];
  run.provenance.stages.forEach((row, place) => {
    if (stage !== undefined && row.stage !== stage) return;
    const index = row.metrics.findIndex((one) => one.name === name);
    const metric = row.metrics[index];
    if (metric) found.push({ x: row.round, y: metric.value, path: `provenance.stages.${place}.metrics.${index}.value` });
  });
  return found;
}

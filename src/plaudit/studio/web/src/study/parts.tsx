// Small things that the study's pages share: what was fetched, numbers with intervals, and a question before something is done.
import type { ComponentChildren } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { get } from "../api";
import { type Style, written } from "../charts/format";
import type { Range } from "./contract";
import { t } from "./words";

export interface Fetched<T> {
  data: T | null;
  error: string;
  again: () => void;
}

export function useFetched<T>(path: string | null): Fetched<T> {
  const [data, setData] = useState<T | null>(null);
  const [error, setError] = useState("");
  const [turn, setTurn] = useState(0);
  useEffect(() => {
    let wanted = path !== null;
    if (path !== null) {
      void get<T>(path).then((found) => {
        if (!wanted) return;
        if (found.kind === "ok") setData(found.data);
        setError(found.kind === "ok" || found.kind === "locked" ? "" : found.error);
      });
    }
    return () => (wanted = false);
  }, [path, turn]);
  return { data, error, again: () => setTurn(turn + 1) };
}

export function Waiting({ error }: { error: string }) {
  return error ? <p role="alert" class="warn">{error}</p> : <p class="muted">{t("reading")}</p>;
}

/** A number with its interval below it, or a dash. */
export function Estimate({ of, style }: { of: Range | null | undefined; style: Style }) {
  if (!of) return <Dash />;
  return (
    <span class="st-estimate">
      {written(of.value, style)}
      {typeof of.low === "number" && typeof of.high === "number" ? <span class="muted st-interval">{t("from-to", { low: written(of.low, style), high: written(of.high, style) })}</span> : null}
    </span>
  );
}

export function Dash() {
  return <span class="muted" aria-label={t("not-known")} role="img">–</span>;
}

export function Scroll({ label, children }: { label: string; children: ComponentChildren }) {
  return <div class="scroll" tabIndex={0} role="region" aria-label={label}>{children}</div>;
}

interface AskProps {
  /** what the button says that begins it */
  begin: string;
  /** what the button says that does it */
  confirm: string;
  disabled?: boolean;
  /** does it; answers what went wrong, or nothing */
  act: (fields: FormData) => Promise<string>;
  children?: ComponentChildren;
}

/** A button that unfolds a small form on the spot; nothing is done before the form is sent. */
export function Ask({ begin, confirm, disabled, act, children }: AskProps) {
  const [open, setOpen] = useState(false);
  const [error, setError] = useState("");
  const [busy, setBusy] = useState(false);
  const button = useRef<HTMLButtonElement>(null);
  const form = useRef<HTMLFormElement>(null);
  const closed = useRef(false);
  useEffect(() => {
    if (open) form.current?.querySelector<HTMLElement>("input, textarea, select, button")?.focus();
    else if (closed.current) button.current?.focus();
  }, [open]);
  const close = () => {
    closed.current = true;
    setError("");
    setOpen(false);
  };
  const submit = async (event: SubmitEvent) => {
    event.preventDefault();
    setBusy(true);
    const wrong = await act(new FormData(event.currentTarget as HTMLFormElement));
    setBusy(false);
    if (wrong) setError(wrong);
    else close();
  };
  if (!open) return <button type="button" ref={button} disabled={disabled ?? false} aria-expanded={false} onClick={() => setOpen(true)}>{begin}</button>;
  return (
    <form class="st-ask" ref={form} onSubmit={submit} onKeyDown={(event) => event.key === "Escape" && close()}>
      {children}
      <div class="row">
        <button type="submit" class="main" disabled={busy}>{confirm}</button>
        <button type="button" onClick={close}>{t("cancel")}</button>
      </div>
      {error ? <p role="alert" class="warn">{error}</p> : null}
    </form>
  );
}

/** A link or a secret that is shown this once, with a button that copies it. */
export function Once({ value, name, text }: { value: string; name: string; text: string }) {
  const [copied, setCopied] = useState(false);
  const box = useRef<HTMLInputElement>(null);
  const copy = async () => {
    box.current?.select();
    try {
      await navigator.clipboard.writeText(value);
      setCopied(true);
    } catch {
      setCopied(false); // it is selected, so that it can be copied by hand
    }
  };
  return (
    <div class="stack st-link">
      <p>{text}</p>
      <div class="row">
        <input ref={box} type="text" readOnly value={value} aria-label={name} onFocus={(event) => event.currentTarget.select()} />
        <button type="button" onClick={copy}>{copied ? t("copied") : t("copy")}</button>
      </div>
    </div>
  );
}

/** When something was, as people say it. */
export function since(seconds: number, now: number): string {
  const ago = Math.max(0, now - seconds);
  if (ago < 90) return t("just-now");
  return ago < 5400 ? t("minutes-ago", { n: Math.round(ago / 60) }) : ago < 129600 ? t("hours-ago", { n: Math.round(ago / 3600) }) : t("days-ago", { n: Math.round(ago / 86400) });
}

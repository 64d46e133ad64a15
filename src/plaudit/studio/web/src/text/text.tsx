// A text of an item: its turns, formatted or as written, folded while it is long.
import type { ComponentChildren } from "preact";
import { useLayoutEffect, useRef } from "preact/hooks";
import type { Text, Turn } from "../contract";
import type { Reading } from "../label/reading";
import { t } from "../label/words";
import { diff } from "./diff";
import { raw } from "./display";
import { Markdown } from "./markdown";

const TALL = 0.5; // of the window's height: what is taller is folded

export function plain(turns: Turn[]): string {
  return turns.map((turn) => turn.content).join("\n\n");
}

/** Turns one below the other; a role is named where there are several. */
export function Turns({ turns, other }: { turns: Turn[]; other?: Turn[] | undefined }) {
  return (
    <>
      {turns.map((turn, i) => (
        <div key={i} class="turn">
          {turn.role && (turns.length > 1 || (turn.role !== "assistant" && turn.role !== "user")) ? <p class="role">{roleOf(turn.role)}</p> : null}
          {other ? <Marked before={other[i]?.content ?? ""} after={turn.content} /> : raw.value ? <p class="raw">{turn.content}</p> : <Markdown text={turn.content} />}
        </div>
      ))}
    </>
  );
}

function roleOf(role: string): string {
  return role === "user" || role === "assistant" || role === "system" ? t(`role.${role}`) : role;
}

/** A text with the words marked that another one has not. */
function Marked({ before, after }: { before: string; after: string }) {
  const parts = diff(before, after).filter((part) => part.side !== "old");
  return <p class="raw">{parts.map((part, i) => (part.side === "new" ? <mark key={i}>{part.text}</mark> : part.text))}</p>;
}

/** What was taken out of a text, and what was put in. */
export function Changes({ before, after }: { before: string; after: string }) {
  const parts = diff(before, after);
  if (parts.every((part) => part.side === "both")) return <p class="muted">{t("same")}</p>;
  return (
    <p class="raw changes">
      {parts.map((part, i) => (part.side === "new" ? <ins key={i}>{part.text}</ins> : part.side === "old" ? <del key={i}>{part.text}</del> : part.text))}
    </p>
  );
}

/** Shows the top of something tall until it is unfolded. */
export function Fold({ id, reading, children }: { id: string; reading: Reading; children: ComponentChildren }) {
  const box = useRef<HTMLDivElement>(null);
  const folded = reading.isFolded(id);
  useLayoutEffect(() => {
    if (box.current && box.current.scrollHeight > Math.max(240, TALL * innerHeight)) reading.fold(id);
  }, [id, reading]);
  return (
    <div class={folded ? "fold folded" : "fold"}>
      <div class="fold-inside" ref={box}>{children}</div>
      {folded ? <button type="button" class="unfold" onClick={() => reading.unfold(id)}>{t("unfold")}</button> : null}
    </div>
  );
}

export function Prompt({ text, reading }: { text: Text; reading: Reading }) {
  if (!text.prompt.length) return null;
  return (
    <section class="prompt" aria-label={t("the-prompt")}>
      <p class="role">{t("the-prompt")}</p>
      <Fold id="prompt" reading={reading}><Turns turns={text.prompt} /></Fold>
    </section>
  );
}

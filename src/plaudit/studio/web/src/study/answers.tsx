// Answers, newest first, with the question of each; a lead retracts them and asks questions again.
import { useEffect, useState } from "preact/hooks";
import { get, may, post } from "../api";
import { written } from "../charts/format";
import { moment, number } from "../i18n";
import { address, go } from "../router";
import { Look } from "../watch/clip";
import type { Asked, Seen } from "../watch/contract";
import { answersOf, reasonOf } from "./annotators";
import { type Answers, type AnswerView, KINDS, type Reasked, type Retracted, type StudyQuestion } from "./contract";
import { Ask, Waiting } from "./parts";
import { kindOf, sideOf, t } from "./words";

const APART = 2000; // milliseconds between two looks for clips that are being drawn
const LOOKS = 30;

interface QuestionView {
  asked: Asked;
  seen: Seen[];
}

export function AnswersPanel() {
  const { annotator = "", kind = "", query = "" } = address.value.query;
  const filter = new URLSearchParams(Object.entries({ annotator, kind, query }).filter(([, value]) => value));
  const { pages, error, more, renew } = usePages(filter.toString());
  const questions = new Map(pages.flatMap((page) => page.questions.map((one) => [one.query, one] as const)));
  const answers = pages.flatMap((page) => page.answers);
  const only = query ? questions.get(query) : undefined;
  return (
    <>
      <Filter annotator={annotator} kind={kind} query={query} />
      {pages.length === 0 ? <Waiting error={error} /> : (
        <>
          {error ? <p role="alert" class="warn">{error}</p> : null}
          {only ? <section class="card"><QuestionHead one={only} /><Items one={only} renew={renew} /></section> : null}
          {answers.length === 0 ? <p class="muted">{t("answers.none")}</p> : null}
          <ol class="st-answers" aria-label={t("tab.answers")}>
            {answers.map((one) => <li key={one.feedback}><Answer one={one} asked={questions.get(one.query)} alone={only === undefined} renew={renew} /></li>)}
          </ol>
          {more ? <button type="button" onClick={more}>{t("more")}</button> : null}
        </>
      )}
    </>
  );
}

/** Pages of answers under a filter; after a change, as many as were open are read anew. */
function usePages(filter: string) {
  const [pages, setPages] = useState<Answers[]>([]);
  const [error, setError] = useState("");
  const load = async (keep: Answers[], count: number) => {
    const found = [...keep];
    for (let left = count; left > 0; left -= 1) {
      const cursor = found[found.length - 1]?.cursor;
      if (found.length && cursor == null) break;
      const page = await get<Answers>(`/api/study/answers?${filter}${cursor == null ? "" : `&cursor=${cursor}`}`);
      if (page.kind !== "ok") return setError(page.kind === "locked" ? "" : page.error);
      found.push(page.data);
    }
    setError("");
    setPages(found);
  };
  useEffect(() => {
    setPages([]);
    void load([], 1);
  }, [filter]);
  const cursor = pages[pages.length - 1]?.cursor;
  return { pages, error, more: cursor == null ? null : () => void load(pages, 1), renew: () => load([], pages.length) };
}

function Filter({ annotator, kind, query }: { annotator: string; kind: string; query: string }) {
  const apply = (fields: FormData) => {
    const wanted = new URLSearchParams();
    for (const name of ["annotator", "kind", "query"]) {
      const value = String(fields.get(name) ?? "").trim();
      if (value) wanted.set(name, value);
    }
    go(`/study/answers${wanted.size ? `?${wanted}` : ""}`);
  };
  const send = (event: Event) => {
    event.preventDefault();
    apply(new FormData((event.currentTarget as HTMLElement).closest("form") as HTMLFormElement));
  };
  return (
    <form key={`${annotator} ${kind} ${query}`} class="row st-filter" role="search" aria-label={t("filter")} onSubmit={send}>
      <label class="field">{t("column.annotator")}<input type="text" name="annotator" value={annotator} autocomplete="off" spellcheck={false} /></label>
      <label class="field">{t("column.kind")}
        <select name="kind" onChange={send}>
          <option value="">{t("kind.all")}</option>
          {KINDS.map((one) => <option key={one} value={one} selected={one === kind}>{kindOf(one)}</option>)}
        </select>
      </label>
      <label class="field">{t("column.question")}<input type="text" name="query" value={query} autocomplete="off" spellcheck={false} /></label>
      <button type="submit">{t("filter")}</button>
      {annotator || kind || query ? <a class="button" href="#/study/answers">{t("filter.off")}</a> : null}
    </form>
  );
}

function QuestionHead({ one }: { one: StudyQuestion }) {
  return (
    <h2>
      {kindOf(one.kind)} <code>{one.query.slice(4, 12)}</code>{" "}
      <span class="muted">{t("question.place", { round: one.round + 1, n: one.index + 1 })}{one.aspect ? ` · ${one.aspect}` : ""}{one.constraint ? ` · ${one.constraint}` : ""}{one.gold ? ` · ${t("gold.one")}` : ""}{one.strategy === "re-asked" ? ` · ${t("re-asked")}` : ""}</span>
    </h2>
  );
}

/** What a question shows; clips that nobody has drawn yet are asked for. */
function Items({ one, renew }: { one: StudyQuestion; renew: () => Promise<void> }) {
  const [view, setView] = useState<QuestionView | null>(null);
  const [error, setError] = useState("");
  useEffect(() => {
    let timer = 0;
    let left = LOOKS;
    const look = async () => {
      const found = await get<QuestionView>(`/api/watch/questions/${one.query}`);
      if (left === 0) return;
      left -= 1;
      if (found.kind === "ok") setView(found.data);
      else if (found.kind !== "locked") setError(found.error);
      if (found.kind === "ok" && left && found.data.seen.some(waits)) timer = window.setTimeout(look, APART);
    };
    void look();
    return () => {
      left = 0;
      clearTimeout(timer);
    };
  }, [one.query]);
  const seen = new Map(view?.seen.map((piece) => [piece.segment, piece] as const) ?? []);
  return (
    <>
      {error ? <p role="alert" class="warn">{error}</p> : null}
      <div class="st-pair">
        {one.segments.map((segment, place) => (
          <div key={segment}>
            <p class="muted small">{itemName(place)}{one.shown[0] === place && one.segments.length > 1 ? ` · ${t("shown-first")}` : ""}</p>
            {view ? <Look seen={seen.get(segment)} name={itemName(place)} /> : <p class="muted">{t("reading")}</p>}
          </div>
        ))}
      </div>
      <p class="muted small">{t("given-to-it", { n: one.answers })}{one.asked_again ? ` ${t("asked-again.n", { n: one.asked_again })}` : ""}</p>
      {may("manage") ? <Reask query={one.query} renew={renew} /> : null}
    </>
  );
}

function Reask({ query, renew }: { query: string; renew: () => Promise<void> }) {
  const [done, setDone] = useState("");
  return (
    <div class="st-act">
      <Ask
        begin={t("reask")}
        confirm={t("reask.do")}
        act={async (fields) => {
          const made = await post<Reasked>("/api/study/reask", { query, count: Number(fields.get("count")) });
          if (made.kind !== "ok") return made.kind === "locked" ? "" : made.error;
          setDone(t("reask.done", { n: made.data.queries.length }));
          void renew();
          return "";
        }}
      >
        <p class="muted small">{t("reask.text")}</p>
        <label class="field st-narrow">{t("reask.count")}<input type="number" name="count" min={1} max={20} value={1} required /></label>
      </Ask>
      <p role="status" class="good">{done}</p>
    </div>
  );
}

function Answer({ one, asked, alone, renew }: { one: AnswerView; asked: StudyQuestion | undefined; alone: boolean; renew: () => Promise<void> }) {
  const [open, setOpen] = useState(false);
  const brought = typeof one.said["segment"] === "string" ? one.said["segment"] : null;
  return (
    <article class={`card st-answer ${one.retracted === null ? "" : "st-gone"}`} data-feedback={one.feedback}>
      <h3>{one.skipped ? t("skipped") : told(one)}{one.right === null ? null : <span class={one.right ? "good" : "bad"}> {t(one.right ? "gold.right" : "gold.wrong")}</span>}</h3>
      <p class="muted small">
        <a href={answersOf(one.annotator)}>{one.annotator}</a> · {kindOf(one.kind)}
        {asked?.aspect ? ` · ${asked.aspect}` : ""}
        {one.seconds === null ? "" : ` · ${written(one.seconds, "seconds")}`}
        {one.answered_at ? ` · ${moment(one.answered_at)}` : ""}
        {one.arm ? ` · ${one.arm}` : ""}
        {asked?.strategy === "re-asked" ? ` · ${t("re-asked")}` : ""}
      </p>
      {one.skipped && one.reason ? <p>{reasonOf(one.reason)}</p> : null}
      <Notes of={one} />
      {brought ? <p><a href={`#/behaviour/${brought}`}>{t("brought")}</a></p> : null}
      {one.retracted === null ? null : <p class="warn">{t("retracted.why", { why: one.retracted })}</p>}
      {alone && asked ? (
        <details onToggle={(event) => setOpen((event.currentTarget as HTMLDetailsElement).open)}>
          <summary>{t("the-question")}</summary>
          {open ? <><Items one={asked} renew={renew} /><p class="small"><a href={`#/study/answers?query=${one.query}`}>{t("all-of-question")}</a></p></> : null}
        </details>
      ) : null}
      {may("manage") ? <Retract one={one} renew={renew} /> : null}
    </article>
  );
}

function Retract({ one, renew }: { one: AnswerView; renew: () => Promise<void> }) {
  const [done, setDone] = useState<Retracted | null>(null);
  return (
    <div class="st-act">
      {one.retracted === null ? (
        <Ask
          begin={t("retract")}
          confirm={t("retract.do")}
          act={async (fields) => {
            const gone = await post<Retracted>("/api/study/retract", { feedback: one.feedback, reason: String(fields.get("reason")) });
            if (gone.kind !== "ok") return gone.kind === "locked" ? "" : gone.error;
            setDone(gone.data);
            void renew();
            return "";
          }}
        >
          <p class="muted small">{t("retract.text")}</p>
          <label class="field">{t("retract.reason")}<input type="text" name="reason" required maxLength={2000} autocomplete="off" /></label>
        </Ask>
      ) : null}
      <div role="status">
        {done === null ? null : done.uses.length === 0 ? <p class="good">{t("uses.none")}</p> : (
          <>
            <p class="warn">{t("uses", { n: done.uses.length })}</p>
            <ul class="small">{done.uses.map((use) => <li key={use.seq}>{t(use.stage === "learn" ? "uses.learn" : "uses.improve", { round: use.round + 1 })} <code>{use.checkpoint.slice(0, 12)}</code></li>)}</ul>
          </>
        )}
      </div>
    </div>
  );
}

function Notes({ of }: { of: AnswerView }) {
  const notes = of.said["notes"];
  if (!Array.isArray(notes)) return null;
  return <ul class="small">{notes.map((note, i) => <li key={i}>{String((note as { text?: unknown }).text ?? "")}</li>)}</ul>;
}

/** What an answer says, in words; items are numbered in the question's own order. */
function told(one: AnswerView): string {
  const said = one.said;
  const value = (name: string) => Number(said[name] ?? Number.NaN);
  switch (one.kind) {
    case "comparison": {
      const strength = Number.isFinite(value("strength")) && value("strength") < 1 ? ` · ${t("strength", { value: written(value("strength"), "percent") })}` : "";
      return sideOf(one.kind, String(said["choice"]), null) + strength;
    }
    case "rating":
      return sideOf(one.kind, String(said["value"]), value("levels"));
    case "steps":
      return t("said.steps", { n: Array.isArray(said["steps"]) ? said["steps"].length : 0 });
    case "ranking":
      return t("said.ranking", { order: places(said["ranks"]) });
    case "critique":
      return t("said.critique", { n: Array.isArray(said["notes"]) ? said["notes"].length : 0 });
    case "flag":
      return t("said.flag", { about: String(said["constraint"] ?? ""), value: written(value("severity"), "percent") });
    default:
      return kindOf(one.kind);
  }
}

/** Ranks as an order: [1, 0, 0] is "2 = 3 > 1". */
function places(ranks: unknown): string {
  if (!Array.isArray(ranks)) return "";
  const ordered = [...new Set(ranks as number[])].sort((a, b) => a - b);
  return ordered.map((rank) => ranks.flatMap((other, i) => (other === rank ? [number(i + 1)] : [])).join(" = ")).join(" > ");
}

function waits(piece: Seen): boolean {
  return !piece.url && !piece.error && piece.completion.length === 0;
}

function itemName(place: number): string {
  return t("item", { n: place + 1 });
}

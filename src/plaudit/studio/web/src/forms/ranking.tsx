// An order of several, with ties: by digits from the best on, by dragging, or by moving a row with the arrow keys.
import { useRef, useState } from "preact/hooks";
import { define, translate } from "../i18n";
import { Items } from "../label/items";
import { useKeys } from "../label/keys";
import { Key } from "../label/key";
import { SubmitRow } from "../parts/submit";
import { type FormProps, LETTERS, useDraft } from "./form";

export const words = define({
  en: {
    title: "Put them in order, the best first",
    help: "Press their digits from the best to the worst, or drag them. On a row, the arrow keys move it, and = ties it with the row above.",
    order: "Order, best first",
    pool: "Not placed yet",
    place: "Place {letter} next",
    row: "{letter}, place {place}",
    tied: "tied with the row above",
    tie: "Tie or untie with the row above",
    up: "Move {letter} up",
    down: "Move {letter} down",
    remove: "Take {letter} out",
    moved: "{letter} is on place {place}.",
    empty: "Drop the best one here.",
  },
  zh: {
    title: "请从好到差排序",
    help: "从最好的开始依次按对应的数字键，或者直接拖动。选中某一行后，可用方向键移动，按 = 与上一行并列。",
    order: "排序（最好的在前）",
    pool: "尚未排序",
    place: "把 {letter} 排在下一位",
    row: "{letter}，第 {place} 位",
    tied: "与上一行并列",
    tie: "与上一行并列或取消并列",
    up: "把 {letter} 上移",
    down: "把 {letter} 下移",
    remove: "取出 {letter}",
    moved: "{letter} 现在排第 {place} 位。",
    empty: "把最好的拖到这里。",
  },
});

const t = translate(words);
/** places on the screen in order, and whether each is tied with the one before */
type Order = { at: number; tied: boolean }[];

export default function RankingForm(props: FormProps) {
  const { question, ready, submit, say } = props;
  const [order, setOrder] = useDraft<Order>(props, []);
  const [dragged, setDragged] = useState<number | null>(null);
  const list = useRef<HTMLOListElement>(null);
  const now = useRef(order);
  now.current = order;
  const change = (next: Order) => {
    const clean = next.map((row, i) => (i === 0 ? { ...row, tied: false } : row));
    now.current = clean;
    setOrder(clean);
  };
  const pool = question.items.map((_, at) => at).filter((at) => !order.some((row) => row.at === at));
  const add = (at: number) => !now.current.some((row) => row.at === at) && change([...now.current, { at, tied: false }]);
  const move = (at: number, by: number) => {
    const from = now.current.findIndex((row) => row.at === at);
    const to = from + by;
    if (from < 0 || to < 0 || to >= now.current.length) return;
    const next = now.current.map((row) => ({ ...row }));
    const [row] = next.splice(from, 1);
    if (row) next.splice(to, 0, { ...row, tied: false });
    change(next);
    say(t("moved", { letter: LETTERS[at] ?? "", place: to + 1 }));
    requestAnimationFrame(() => list.current?.querySelector<HTMLElement>(`[data-at="${at}"]`)?.focus());
  };
  const tie = (at: number) => change(now.current.map((row, i) => (row.at === at && i > 0 ? { ...row, tied: !row.tied } : row)));
  const remove = (at: number) => change(now.current.filter((row) => row.at !== at));
  useKeys(
    () => [
      ...question.items.slice(0, 9).map((_, at) => ({ id: `place-${at + 1}`, keys: [String(at + 1)], label: { text: t("place", { letter: LETTERS[at] ?? "" }) }, run: () => add(at) })),
      { id: "tie-last", keys: ["="], label: { text: t("tie") }, run: () => now.current.length > 1 && tie(now.current.at(-1)?.at ?? 0) },
      { id: "take-out", keys: ["Backspace"], label: { text: t("remove", { letter: LETTERS[now.current.at(-1)?.at ?? 0] ?? "" }) }, run: () => change(now.current.slice(0, -1)) },
    ],
    [question],
  );
  const rowKey = (event: KeyboardEvent, at: number) => {
    const done = { ArrowUp: () => move(at, -1), ArrowDown: () => move(at, 1), "=": () => tie(at), Delete: () => remove(at), Backspace: () => remove(at) }[event.key];
    if (!done || event.isComposing || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    done();
  };
  const drag = (event: PointerEvent, at: number) => {
    if (event.button !== 0 || !ready) return;
    const chip = event.currentTarget as HTMLElement;
    const began = event.clientY;
    const follow = (moved: PointerEvent) => {
      if (dragged === null && Math.abs(moved.clientY - began) < 4 && moved.type === "pointermove" && now.current.some((row) => row.at === at)) return;
      setDragged(at);
      change(dropped(now.current, at, moved.clientY, list.current));
    };
    const end = () => {
      removeEventListener("pointermove", follow);
      removeEventListener("pointerup", end);
      removeEventListener("pointercancel", end);
      setDragged(null);
    };
    chip.releasePointerCapture?.(event.pointerId);
    addEventListener("pointermove", follow);
    addEventListener("pointerup", end);
    addEventListener("pointercancel", end);
  };
  const ranks = placesOf(order, question.items.map((item) => item.index));
  return (
    <>
      <Items {...props} />
      <p class="muted">{t("help")}</p>
      <div class="ranking">
        <div class="pool" role="group" aria-label={t("pool")}>
          {pool.map((at) => (
            <button key={at} type="button" data-pool={at} disabled={!ready} onPointerDown={(event) => drag(event, at)} onClick={() => add(at)}>
              {LETTERS[at]}<Key id={`place-${at + 1}`} keys={[String(at + 1)]} />
            </button>
          ))}
        </div>
        <ol ref={list} aria-label={t("order")}>
          {order.length ? null : <li class="empty muted">{t("empty")}</li>}
          {order.map((row) => {
            const letter = LETTERS[row.at] ?? "";
            const place = (rankOf(order, row.at) ?? 0) + 1;
            return (
              <li key={row.at} class={[row.tied ? "tied" : "", dragged === row.at ? "dragged" : ""].join(" ")}>
                <span class="place num">{row.tied ? "=" : place}</span>
                <button type="button" class="handle" data-at={row.at} data-keys="own" aria-label={`${t("row", { letter, place })}${row.tied ? `, ${t("tied")}` : ""}`} onPointerDown={(event) => drag(event, row.at)} onKeyDown={(event) => rowKey(event, row.at)}>{letter}</button>
                <button type="button" class="quiet" aria-label={t("up", { letter })} onClick={() => move(row.at, -1)}>↑</button>
                <button type="button" class="quiet" aria-label={t("down", { letter })} onClick={() => move(row.at, 1)}>↓</button>
                <button type="button" class="quiet" aria-label={t("tie")} aria-pressed={row.tied} onClick={() => tie(row.at)}>=</button>
                <button type="button" class="quiet" aria-label={t("remove", { letter })} onClick={() => remove(row.at)}>×</button>
              </li>
            );
          })}
        </ol>
      </div>
      <SubmitRow ready={ready && pool.length === 0} submit={() => submit({ ranks })} />
    </>
  );
}

/** The order with one row put where the pointer is. */
function dropped(order: Order, at: number, y: number, list: HTMLElement | null): Order {
  const rest = order.filter((row) => row.at !== at);
  const boxes = [...(list?.querySelectorAll<HTMLElement>("[data-at]") ?? [])].filter((one) => one.dataset.at !== String(at)).map((one) => one.getBoundingClientRect());
  const to = boxes.findIndex((box) => y < box.top + box.height / 2);
  const next = [...rest];
  next.splice(to < 0 ? rest.length : to, 0, { at, tied: false });
  return next;
}

function rankOf(order: Order, at: number): number | undefined {
  let rank = -1;
  for (const row of order) {
    if (!row.tied) rank += 1;
    if (row.at === at) return rank;
  }
  return undefined;
}

/** Place of each item in the query's own order. */
function placesOf(order: Order, indices: number[]): number[] {
  const ranks: number[] = [];
  indices.forEach((index, at) => {
    ranks[index] = rankOf(order, at) ?? 0;
  });
  return ranks;
}

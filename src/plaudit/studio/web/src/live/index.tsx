// Acting by hand in a real environment, for a demonstration or a correction.
import { useSignal } from "@preact/signals";
import { useEffect, useRef, useState } from "preact/hooks";
import type { LiveProps } from "../contract";
import { moment } from "../i18n";
import { kept } from "../kept";
import { Keys, PadField } from "./controls";
import { type Frame, Link, type Shown, shownBefore, start, type World } from "./link";
import { actionOf, belongs, type Held } from "./pads";
import { Review } from "./review";
import "./style.css";
import { t } from "./words";

const SPEEDS = [0.25, 0.5, 0.75, 1];
const COUNT = 3;
/** before a key that is held acts again, where the world takes turns */
const HOLD = 350;
const speed = kept("live-speed", 1);

export default function Live({ query, from, done, cancel }: LiveProps) {
  const [found, setFound] = useState<Link | string | null>(null);
  const [before, setBefore] = useState<Shown | "asking" | null>("asking");
  const [attempt, setAttempt] = useState(0);
  useEffect(() => {
    let left = false;
    setBefore("asking");
    void shownBefore(query).then((shown) => left || setBefore(shown));
    return () => {
      left = true;
    };
  }, [query, attempt]);
  useEffect(() => {
    if (before !== null) return; // a world is started only when it is wanted
    let link: Link | null = null;
    let left = false;
    setFound(null);
    start(query, from).then((world) => {
      if (left) return;
      if (typeof world !== "string") link = new Link(world, done);
      setFound(link ?? (world as string));
    });
    return () => {
      left = true;
      link?.close();
    };
  }, [query, from?.item, from?.step, attempt, before]);
  const anew = () => setAttempt(attempt + 1);
  if (before !== null && before !== "asking") return <Offer shown={before} take={done} anew={() => setBefore(null)} cancel={cancel} />;
  if (found === null) return <div class="live"><p class="muted" role="status">{t("preparing")}</p></div>;
  if (typeof found === "string") return <Failed error={found} anew={anew} cancel={cancel} />;
  const trouble = found.trouble.value;
  if (trouble.kind === "failed") return <Failed error={trouble.error} anew={anew} cancel={cancel} />;
  if (trouble.kind === "elsewhere") return <Failed error={t("elsewhere")} anew={anew} cancel={cancel} />;
  return <Playing key={found.world.id} link={found} cancel={cancel} />;
}

/** What arrived before a connection was cut, a page was closed or the studio was restarted. */
function Offer({ shown, take, anew, cancel }: { shown: Shown; take: LiveProps["done"]; anew: () => void; cancel: () => void }) {
  const { segment, start, end, length } = shown;
  const first = useRef<HTMLButtonElement>(null);
  useEffect(() => first.current?.focus(), []);
  return (
    <div class="live">
      <p role="status">{t("offer", { n: length, at: moment(new Date(shown.at * 1000).toISOString()) })}</p>
      <div class="live-row">
        <button ref={first} type="button" class="main" onClick={() => take(segment, start === null || end === null ? null : { start, end })}>{t("offer.take")}</button>
        <button type="button" onClick={anew}>{t("offer.anew")}</button>
        <button type="button" class="quiet" onClick={cancel}>{t("give-up")}</button>
      </div>
    </div>
  );
}

function Failed({ error, anew, cancel }: { error: string; anew: () => void; cancel: () => void }) {
  return (
    <div class="live">
      <p class="warn" role="alert">{error || t("gone")}</p>
      <div class="live-row">
        <button type="button" class="main" onClick={anew}>{t("anew")}</button>
        <button type="button" onClick={cancel}>{t("give-up")}</button>
      </div>
    </div>
  );
}

type Phase = "ready" | "counting" | "running" | "stopped" | "storing";

function Playing({ link, cancel }: { link: Link; cancel: () => void }) {
  const { world } = link;
  const phase = useSignal<Phase>("ready");
  const count = useSignal(COUNT);
  const strength = useSignal(world.strength);
  const stage = useRef<HTMLDivElement>(null);
  const canvas = useRef<HTMLCanvasElement>(null);
  const first = useRef<HTMLButtonElement>(null);
  const frame = link.frame.value;
  const running = phase.value === "running";

  const { held, hold, release } = useHeld(link, phase, strength.value);
  usePicture(link, canvas, stage, phase);

  const stop = () => {
    if (phase.peek() === "running" || phase.peek() === "counting") phase.value = "stopped";
    release();
    link.send({ pause: true });
  };
  const run = () => {
    phase.value = "running";
    link.send({ speed: speed.peek() });
    link.send({ go: true });
    stage.current?.focus();
  };
  const begin = () => {
    stage.current?.focus();
    if (world.turns) return run();
    count.value = COUNT;
    phase.value = "counting";
  };
  const again = () => {
    release();
    phase.value = "ready";
    link.send({ restart: true });
  };
  const back = () => {
    link.drop();
    cancel();
  };
  const handIn = (first: number | null) => {
    phase.value = "storing";
    link.handIn(first);
  };

  useEffect(() => {
    if (phase.value !== "counting") return;
    const timer = setInterval(() => {
      count.value -= 1;
      if (count.value === 0) run();
    }, 1000);
    return () => clearInterval(timer);
  }, [phase.value]);
  useEffect(() => {
    if (frame?.done && running) stop();
  }, [frame?.done, running]);
  useEffect(() => {
    if (!link.open.value) stop();
  }, [link.open.value]);
  useEffect(() => {
    const away = () => {
      if (document.hidden) stop();
    };
    const leave = (event: KeyboardEvent) => {
      if (event.key === "Escape" && (phase.peek() === "running" || phase.peek() === "counting")) stop();
    };
    document.addEventListener("visibilitychange", away);
    addEventListener("keydown", leave);
    return () => {
      document.removeEventListener("visibilitychange", away);
      removeEventListener("keydown", leave);
    };
  }, []);

  const lost = !link.open.value;
  useEffect(() => {
    if (phase.value === "ready" && !lost) first.current?.focus();
  }, [phase.value, lost]);
  const idle = phase.value === "ready" || phase.value === "stopped";
  const counts = world.kept + (frame?.step ?? 0);
  return (
    <div class="live">
      <div ref={stage} class={`live-stage${running ? " running" : ""}`} tabIndex={0} role="group" aria-label={t("picture")}>
        <canvas ref={canvas} />
        {phase.value === "counting" ? <div class="live-count" role="timer" aria-label={t("soon", { n: count.value })}>{count.value}</div> : null}
      </div>
      <progress max={world.length} value={Math.min(counts, world.length)} aria-hidden="true" />
      <p class="num muted" role="timer" aria-live="off">
        {counts > world.length ? t("steps.more", { n: counts, of: world.length }) : t("steps", { n: counts, of: world.length })}
      </p>
      <p class="live-said" role="status">{said(world, frame, phase.value, lost)}</p>
      {phase.value === "stopped" && frame?.enough ? <Review key={frame.step} link={link} canvas={canvas} handIn={handIn} /> : null}
      <div class="live-row">
        {idle && !frame?.done ? (
          <button ref={first} type="button" class={frame?.enough ? "" : "main"} disabled={lost || frame === null} onClick={begin}>
            {phase.value === "ready" ? t("begin") : t("go-on")}
          </button>
        ) : null}
        {running || phase.value === "counting" ? <button type="button" onClick={stop}>{t("stop")}</button> : null}
        <button type="button" disabled={lost || phase.value === "storing"} onClick={again}>{t("again")}</button>
        <button type="button" class="quiet" onClick={back}>{t("give-up")}</button>
      </div>
      <div class="live-act">
        {world.pads.map((pad, i) => <PadField key={i} pad={pad} keys={world.keys} hold={hold} />)}
        <Keys keys={world.keys} held={held.value} hold={hold} />
      </div>
      <div class="live-row">
        {world.turns ? null : (
          <label>{t("speed")}
            <select value={speed.value} onChange={(event) => {
              speed.value = Number(event.currentTarget.value);
              link.send({ speed: speed.value });
            }}>
              {SPEEDS.map((one) => <option key={one} value={one}>{one}×</option>)}
            </select>
          </label>
        )}
        {world.low.length ? (
          <label>{t("strength")}
            <input type="range" min="0.05" max="1" step="0.05" value={strength.value} onInput={(event) => (strength.value = Number(event.currentTarget.value))} />
            <span class="num">{Math.round(strength.value * 100)} %</span>
          </label>
        ) : null}
      </div>
    </div>
  );
}

function said(world: World, frame: Frame | null, phase: Phase, lost: boolean): string {
  if (lost) return frame === null ? t("preparing") : t("lost");
  if (phase === "storing") return t("storing");
  if (phase === "stopped" && frame?.done) return world.kept || frame.step === world.length ? t("full") : t("over");
  if (phase === "stopped" && frame?.enough) return t("stopped");
  if (phase === "ready" && !world.turns) return `${t("ready")} ${more(world)}`;
  const rest = frame?.enough ? t("enough") : more(world);
  if (world.turns) return `${t("turns")} ${rest}`;
  return world.idle === null && frame?.step === 0 ? t("first") : rest;
}

function more(world: World): string {
  return world.kept ? t("need.kept", { kept: world.kept, of: world.length }) : t("need", { of: world.length });
}

/** Paint pictures as they come; what is looked at again paints over them. */
function usePicture(link: Link, canvas: { current: HTMLCanvasElement | null }, stage: { current: HTMLElement | null }, phase: { peek: () => Phase }): void {
  useEffect(() => {
    let newest = 0;
    link.onFrame = async (frame) => {
      const mine = ++newest;
      const bitmap = await createImageBitmap(frame.picture);
      if (mine === newest && phase.peek() !== "storing") {
        stage.current?.style.setProperty("--ratio", String(bitmap.width / bitmap.height));
        paint(canvas.current, bitmap);
      }
    };
    const shown = link.frame.peek();
    if (shown) link.onFrame(shown);
    return () => {
      link.onFrame = () => undefined;
    };
  }, [link]);
}

export function paint(canvas: HTMLCanvasElement | null, bitmap: ImageBitmap): void {
  if (canvas) {
    if (canvas.width !== bitmap.width || canvas.height !== bitmap.height) Object.assign(canvas, { width: bitmap.width, height: bitmap.height });
    canvas.getContext("2d")?.drawImage(bitmap, 0, 0);
  }
  bitmap.close();
}

/** Keys that are held, by keyboard or pointer, and what follows from them. */
function useHeld(link: Link, phase: { value: Phase; peek: () => Phase }, strength: number) {
  const { world } = link;
  const held = useSignal<ReadonlySet<number>>(new Set());
  const down = useRef<Held>(new Map());
  const said = useRef("");
  const repeat = useRef(0);
  const power = useRef(strength);
  power.current = strength;

  const tell = () => {
    const action = actionOf(world, down.current, power.current);
    const text = JSON.stringify(action);
    if (action === null || (text === said.current && !world.turns)) return;
    said.current = text;
    link.send({ action });
  };
  const turn = () => {
    clearTimeout(repeat.current);
    if (!world.turns || down.current.size === 0 || phase.peek() !== "running") return;
    tell();
    const every = Math.max(1000 / world.fps, 120);
    const next = (after: number) => {
      repeat.current = window.setTimeout(() => {
        if (down.current.size === 0 || phase.peek() !== "running") return;
        tell();
        next(every);
      }, after);
    };
    next(HOLD);
  };
  const hold = (number: number, share: number) => {
    const before = down.current.get(number) ?? 0;
    if (before === share) return;
    if (share > 0 && before > 0) down.current.set(number, share);
    else {
      down.current.delete(number);
      if (share > 0) down.current.set(number, share);
      held.value = new Set(down.current.keys());
    }
    if (!world.turns) tell();
    else if (share > before) turn();
    else if (down.current.size === 0) clearTimeout(repeat.current);
  };
  const release = () => {
    for (const number of [...down.current.keys()]) hold(number, 0);
  };

  useEffect(() => {
    const numbers = new Map(world.keys.map((one, number) => [one.key, number]));
    const press = (event: KeyboardEvent) => {
      const number = numbers.get(event.code);
      const acting = phase.peek() === "running" || phase.peek() === "counting";
      if (!acting || event.isComposing || event.ctrlKey || event.metaKey || event.altKey || belongs(event)) return;
      if (event.key === "Escape" || event.key === "Tab") return;
      event.stopPropagation(); // the page's own shortcuts wait: a wrong key must not skip the question
      if (number === undefined) return;
      event.preventDefault();
      if (!event.repeat) hold(number, 1);
    };
    const lift = (event: KeyboardEvent) => {
      const number = numbers.get(event.code);
      if (number !== undefined) hold(number, 0);
    };
    addEventListener("keydown", press, true);
    addEventListener("keyup", lift, true);
    addEventListener("blur", release);
    return () => {
      removeEventListener("keydown", press, true);
      removeEventListener("keyup", lift, true);
      removeEventListener("blur", release);
      clearTimeout(repeat.current);
    };
  }, [link]);
  useEffect(() => {
    if (phase.value === "running" && !world.turns) {
      said.current = "";
      tell(); // a restart has let all go
    }
  }, [phase.value, strength]);
  return { held, hold, release };
}

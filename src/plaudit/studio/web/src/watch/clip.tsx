// A piece of behaviour to look at: a still picture that moves when one wants it to, or a text, which is shown as text only.
import { useEffect, useRef, useState } from "preact/hooks";
import { get } from "../api";
import type { BehaviourView, Seen, Turn } from "./contract";
import { t } from "./words";

const AGAIN = 1500;

export function Look({ seen, name }: { seen: Seen | undefined; name: string }) {
  if (!seen) return <p class="clip-missing muted">{t("clip.waits")}</p>;
  if (seen.completion.length) return <Text prompt={seen.prompt} completion={seen.completion} />;
  if (seen.error) return <p class="clip-missing warn">{t("clip.failed", { why: seen.error })}</p>;
  return seen.url ? <Clip url={seen.url} name={name} /> : <Undrawn key={seen.segment} segment={seen.segment} name={name} />;
}

/** Clips are drawn when somebody wants to see them: those that people are asked about come first. */
function Undrawn({ segment, name }: { segment: string; name: string }) {
  const [wanted, setWanted] = useState(false);
  const [found, setFound] = useState<Seen | null>(null);
  useEffect(() => {
    if (!wanted) return undefined;
    let timer = 0;
    const ask = async () => {
      const view = await get<BehaviourView>(`/api/watch/behaviours/${segment}`);
      const seen = view.kind === "ok" ? view.data.seen.find((one) => one.segment === segment) : undefined;
      if (seen?.url || seen?.error) setFound(seen);
      else timer = window.setTimeout(ask, AGAIN);
    };
    void ask();
    return () => clearTimeout(timer);
  }, [wanted, segment]);
  if (found) return <Look seen={found} name={name} />;
  return wanted ? <p class="clip-missing muted" role="status">{t("clip.waits")}</p> : (
    <button type="button" class="clip-missing" aria-label={`${t("clip.draw")}: ${name}`} onClick={() => setWanted(true)}>{t("clip.draw")}</button>
  );
}

export function Clip({ url, name }: { url: string; name: string }) {
  const [moving, setMoving] = useState(false);
  const [broken, setBroken] = useState(false);
  const still = useRef<HTMLCanvasElement>(null);
  const draw = (event: Event) => {
    const picture = event.currentTarget as HTMLImageElement;
    const canvas = still.current;
    if (!canvas || canvas.dataset["drawn"]) return;
    canvas.width = picture.naturalWidth;
    canvas.height = picture.naturalHeight;
    canvas.getContext("2d")?.drawImage(picture, 0, 0);
    canvas.dataset["drawn"] = "yes";
  };
  if (broken) return <p class="clip-missing muted">{t("clip.waits")}</p>;
  return (
    <button type="button" class="clip" aria-pressed={moving} aria-label={t(moving ? "clip.pause" : "clip.play", { name })} onClick={() => setMoving(!moving)}>
      <canvas ref={still} hidden={moving} aria-hidden="true" />
      <img loading="lazy" src={moving ? `${url}#moving` : url} alt="" class={moving ? "" : "loading"} onLoad={draw} onError={() => setBroken(true)} />
      <span class="clip-sign" aria-hidden="true">{moving ? "❚❚" : "▶"}</span>
    </button>
  );
}

function Text({ prompt, completion }: { prompt: Turn[]; completion: Turn[] }) {
  return (
    <div class="text-seen">
      {prompt.map((turn, index) => <p key={index} class="prompt"><span class="role">{turn.role}</span>{turn.content}</p>)}
      {completion.map((turn, index) => <p key={index}><span class="role">{turn.role}</span>{turn.content}</p>)}
    </div>
  );
}

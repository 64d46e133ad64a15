// A piece of behaviour to look at: a still picture that moves when one wants it to, or a text, which is shown as text only.
import { useRef, useState } from "preact/hooks";
import type { Seen, Turn } from "./contract";
import { t } from "./words";

export function Look({ seen, name }: { seen: Seen | undefined; name: string }) {
  if (!seen) return <p class="clip-missing muted">{t("clip.waits")}</p>;
  if (seen.completion.length) return <Text prompt={seen.prompt} completion={seen.completion} />;
  if (seen.error) return <p class="clip-missing warn">{t("clip.failed", { why: seen.error })}</p>;
  if (!seen.url) return <p class="clip-missing muted">{t("clip.waits")}</p>;
  return <Clip url={seen.url} name={name} />;
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
      <img src={moving ? `${url}#moving` : url} alt="" class={moving ? "" : "loading"} onLoad={draw} onError={() => setBroken(true)} />
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

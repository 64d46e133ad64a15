import { useSignals } from "../effects";
import { useLayoutEffect, useRef } from "preact/hooks";
import { frameAt, type Player, type Track } from "./player";

/** One clip of a player; it is repainted when its frame changes. */
export function ClipCanvas({ player, track }: { player: Player; track: Track }) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const shown = useRef(-1);
  const paint = () => {
    const at = frameAt(track.clip.ends, player.time.value);
    const image = track.clip.frames[at];
    if (at === shown.current || !image || image.width === 0) return; // a closed picture has no width
    shown.current = at;
    canvas.current?.getContext("2d")?.drawImage(image, 0, 0);
  };
  useLayoutEffect(() => {
    shown.current = -1;
  }, [track]);
  useSignals(paint, [track]);
  return <canvas ref={canvas} width={track.clip.width} height={track.clip.height} />;
}

// An animated WebP is taken apart here, frame by frame, so that several clips can run on one clock.

export interface Frames {
  width: number;
  height: number;
  frames: ImageBitmap[];
  /** milliseconds at which each frame ends */
  ends: number[];
}

interface Part {
  x: number;
  y: number;
  width: number;
  height: number;
  duration: number;
  blend: boolean;
  dispose: boolean;
  file: Uint8Array<ArrayBuffer>;
}

const SHORTEST = 10; // milliseconds; browsers show no frame for less
const clips = new Map<string, Promise<Frames>>();
const ready = new Map<string, Frames>();

/** A clip, loaded once and kept until `forget`. */
export function clipAt(url: string): Promise<Frames> {
  let found = clips.get(url);
  if (!found) {
    found = load(url);
    clips.set(url, found);
    found.then(
      (frames) => clips.get(url) === found && ready.set(url, frames),
      () => clips.delete(url),
    );
  }
  return found;
}

/** A clip that is loaded already. */
export function clipNow(url: string): Frames | undefined {
  return ready.get(url);
}

/** Let go of all clips but these. */
export function forget(keep: Set<string>): void {
  for (const [url, promise] of clips) {
    if (keep.has(url)) continue;
    clips.delete(url);
    ready.delete(url);
    promise.then((clip) => clip.frames.forEach((frame) => frame.close()), () => {});
  }
}

async function load(url: string): Promise<Frames> {
  const reply = await fetch(url);
  if (!reply.ok) throw new Error(String(reply.status));
  const data = await reply.arrayBuffer();
  const parts = takeApart(data);
  if (!parts) {
    const image = await createImageBitmap(new Blob([data]));
    return { width: image.width, height: image.height, frames: [image], ends: [1] };
  }
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [parts.width, parts.height];
  const pen = canvas.getContext("2d");
  if (!pen) throw new Error("no canvas");
  const frames: ImageBitmap[] = [];
  const ends: number[] = [];
  for (const part of parts.frames) {
    const image = await createImageBitmap(new Blob([part.file], { type: "image/webp" }));
    if (!part.blend) pen.clearRect(part.x, part.y, part.width, part.height);
    pen.drawImage(image, part.x, part.y);
    frames.push(await createImageBitmap(canvas));
    ends.push((ends.at(-1) ?? 0) + Math.max(part.duration, SHORTEST));
    if (part.dispose) pen.clearRect(part.x, part.y, part.width, part.height);
    image.close();
  }
  return { width: parts.width, height: parts.height, frames, ends };
}

/** Frames of an animated WebP; null for any other picture. */
export function takeApart(data: ArrayBuffer): { width: number; height: number; frames: Part[] } | null {
  const view = new DataView(data);
  const name = (at: number) => String.fromCharCode(...new Uint8Array(data, at, 4));
  const int24 = (at: number) => view.getUint16(at, true) | (view.getUint8(at + 2) << 16);
  if (data.byteLength < 30 || name(0) !== "RIFF" || name(8) !== "WEBP" || name(12) !== "VP8X") return null;
  const frames: Part[] = [];
  for (let at = 12; at + 8 <= data.byteLength; ) {
    const length = view.getUint32(at + 4, true);
    if (name(at) === "ANMF") {
      const flags = view.getUint8(at + 23);
      const [width, height] = [int24(at + 14) + 1, int24(at + 17) + 1];
      frames.push({
        x: 2 * int24(at + 8),
        y: 2 * int24(at + 11),
        width,
        height,
        duration: int24(at + 20),
        blend: !(flags & 2),
        dispose: Boolean(flags & 1),
        file: wrap(new Uint8Array(data, at + 24, length - 16), width, height, name(at + 24) === "ALPH"),
      });
    }
    at += 8 + length + (length & 1);
  }
  return frames.length ? { width: int24(24) + 1, height: int24(27) + 1, frames } : null;
}

/** A WebP file of one frame's chunks. */
function wrap(chunks: Uint8Array, width: number, height: number, alpha: boolean): Uint8Array<ArrayBuffer> {
  const extra = alpha ? 18 : 0;
  const file = new Uint8Array(12 + extra + chunks.length);
  const view = new DataView(file.buffer);
  const write = (at: number, text: string) => [...text].forEach((letter, i) => view.setUint8(at + i, letter.charCodeAt(0)));
  const write24 = (at: number, value: number) => [0, 8, 16].forEach((shift, i) => view.setUint8(at + i, (value >> shift) & 255));
  write(0, "RIFF");
  view.setUint32(4, file.length - 8, true);
  write(8, "WEBP");
  if (alpha) {
    write(12, "VP8X");
    view.setUint32(16, 10, true);
    view.setUint8(20, 0x10);
    write24(24, width - 1);
    write24(27, height - 1);
  }
  file.set(chunks, 12 + extra);
  return file;
}

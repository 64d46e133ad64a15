// Which words two texts do not share (Myers 1986, An O(ND) difference algorithm).

export type Part = { text: string; side: "both" | "old" | "new" };
const MOST = 600; // differences; beyond these the texts have little in common

export function words(text: string): string[] {
  // a CJK character is a word of its own
  return text.match(/[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]|[^\s\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]+|\s+/g) ?? [];
}

export function diff(before: string, after: string): Part[] {
  const [old, now] = [words(before), words(after)];
  let start = 0;
  while (start < old.length && start < now.length && old[start] === now[start]) start += 1;
  let end = 0;
  while (end < old.length - start && end < now.length - start && old[old.length - 1 - end] === now[now.length - 1 - end]) end += 1;
  const middle = myers(old.slice(start, old.length - end), now.slice(start, now.length - end));
  return merged([
    { text: old.slice(0, start).join(""), side: "both" },
    ...middle,
    { text: old.slice(old.length - end).join(""), side: "both" },
  ]);
}

function myers(old: string[], now: string[]): Part[] {
  const most = Math.min(old.length + now.length, MOST);
  let ends = new Map<number, number>([[1, 0]]);
  const trace: Map<number, number>[] = [];
  for (let d = 0; d <= most; d += 1) {
    trace.push(new Map(ends));
    const next = new Map(ends);
    for (let k = -d; k <= d; k += 2) {
      const down = k === -d || (k !== d && (next.get(k - 1) ?? -1) < (next.get(k + 1) ?? -1));
      let x = down ? (next.get(k + 1) ?? 0) : (next.get(k - 1) ?? 0) + 1;
      let y = x - k;
      while (x < old.length && y < now.length && old[x] === now[y]) {
        x += 1;
        y += 1;
      }
      next.set(k, x);
      if (x >= old.length && y >= now.length) return walk(trace, old, now, d);
    }
    ends = next;
  }
  return [{ text: old.join(""), side: "old" }, { text: now.join(""), side: "new" }];
}

function walk(trace: Map<number, number>[], old: string[], now: string[], d: number): Part[] {
  const parts: Part[] = [];
  let [x, y] = [old.length, now.length];
  for (let step = d; step >= 0; step -= 1) {
    const ends = trace[step] ?? new Map<number, number>();
    const k = x - y;
    const down = k === -step || (k !== step && (ends.get(k - 1) ?? -1) < (ends.get(k + 1) ?? -1));
    const before = down ? k + 1 : k - 1;
    const fromX = step === 0 ? 0 : (ends.get(before) ?? 0);
    const fromY = step === 0 ? 0 : fromX - before;
    while (x > fromX && y > fromY && old[x - 1] === now[y - 1]) {
      parts.push({ text: old[x - 1] ?? "", side: "both" });
      x -= 1;
      y -= 1;
    }
    if (step === 0) break;
    parts.push(down ? { text: now[y - 1] ?? "", side: "new" } : { text: old[x - 1] ?? "", side: "old" });
    [x, y] = [fromX, fromY];
  }
  return parts.reverse();
}

function merged(parts: Part[]): Part[] {
  const found: Part[] = [];
  for (const part of parts) {
    const last = found.at(-1);
    if (part.text === "") continue;
    if (last?.side === part.side) last.text += part.text;
    else found.push({ ...part });
  }
  return found;
}

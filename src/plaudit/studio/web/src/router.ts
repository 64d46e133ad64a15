// The address after the `#`: `#/watch/ask?round=3` is ["watch", "ask"] and { round: "3" }.
import { signal } from "@preact/signals";

export interface Address {
  path: string[];
  query: Record<string, string>;
}

export const address = signal<Address>(parse(location.hash));

addEventListener("hashchange", () => {
  address.value = parse(location.hash);
});

export function go(path: string): void {
  location.hash = path;
}

function parse(hash: string): Address {
  const [path = "", query = ""] = hash.replace(/^#\/?/, "").split("?");
  return { path: path.split("/").filter(Boolean).map(decode), query: Object.fromEntries(new URLSearchParams(query)) };
}

function decode(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

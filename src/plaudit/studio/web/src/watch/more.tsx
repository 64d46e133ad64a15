// Lists that come page by page.
import { useEffect, useState } from "preact/hooks";
import { get } from "../api";

export interface Paged<T> {
  pages: T[];
  error: string;
  more: (() => void) | null;
}

/** Pages of a list, whose path has a query; newest first; read anew when the log has grown, as long as only the first page is open. */
export function usePages<T>(path: string, cursorOf: (page: T) => string | null, version: number): Paged<T> {
  const [pages, setPages] = useState<T[]>([]);
  const [error, setError] = useState("");
  const load = async (cursor: string | null, keep: T[]) => {
    const found = await get<T>(cursor === null ? path : `${path}&cursor=${cursor}`);
    if (found.kind === "ok") setPages([...keep, found.data]);
    setError(found.kind === "ok" || found.kind === "locked" ? "" : found.error);
  };
  useEffect(() => {
    if (pages.length <= 1) void load(null, []);
  }, [path, version]);
  const last = pages[pages.length - 1];
  const cursor = last === undefined ? null : cursorOf(last);
  return { pages, error, more: cursor === null ? null : () => void load(cursor, pages) };
}

import { effect } from "@preact/signals";
import { useLayoutEffect, useRef } from "preact/hooks";

/** Follows signals at once; useSignalEffect of @preact/signals waits for the next frame and may leave values out. */
export function useSignals(follow: () => void, inputs: unknown[] = []): void {
  const latest = useRef(follow);
  latest.current = follow;
  useLayoutEffect(() => effect(() => latest.current()), inputs);
}

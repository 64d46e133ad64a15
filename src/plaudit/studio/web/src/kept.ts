// What this browser remembers. A browser that forbids storage, or whose storage is full, only forgets at a reload.
import { effect, signal, type Signal } from "@preact/signals";

export function read<T>(key: string): T | undefined {
  try {
    const text = localStorage.getItem(`plaudit:${key}`);
    return text === null ? undefined : (JSON.parse(text) as T);
  } catch {
    return undefined;
  }
}

/** Returns whether it is kept. */
export function write(key: string, value: unknown): boolean {
  try {
    if (value === undefined) localStorage.removeItem(`plaudit:${key}`);
    else localStorage.setItem(`plaudit:${key}`, JSON.stringify(value));
    return true;
  } catch {
    return false;
  }
}

export function keys(prefix: string): string[] {
  try {
    return Object.keys(localStorage).filter((key) => key.startsWith(`plaudit:${prefix}`)).map((key) => key.slice("plaudit:".length));
  } catch {
    return [];
  }
}

/** A signal that outlives the page. */
export function kept<T>(key: string, initial: T): Signal<T> {
  const value = signal<T>(read<T>(key) ?? initial);
  let first = true;
  effect(() => {
    const now = value.value;
    if (!first) write(key, now);
    first = false;
  });
  return value;
}

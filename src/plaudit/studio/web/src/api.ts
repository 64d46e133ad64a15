// Requests to the studio. A page that is signed out says so once, for all who ask.
import { signal } from "@preact/signals";
import type { Me, Permission, Refusal } from "./contract";
import { t } from "./i18n";
import { worded } from "./words/errors";

export type Outcome<T> =
  | { kind: "ok"; data: T }
  | { kind: "locked" } // 401: nobody is signed in
  | { kind: "forbidden"; error: string } // 403: not with this role
  | { kind: "refused"; error: string; status: number } // it will not do, however often it is sent
  // it may do later; `after` seconds if the studio said so, `silent` if it said nothing at all
  | { kind: "failed"; error: string; after?: number; silent?: true };

export const locked = signal(false);
export const me = signal<Me | null>(null);

const SECONDS = 20;

type Method = "GET" | "POST" | "PATCH" | "DELETE";

export async function call<T>(method: Method, path: string, body?: unknown, headers: Record<string, string> = {}): Promise<Outcome<T>> {
  let reply: Response;
  try {
    reply = await fetch(path, {
      method,
      headers: body === undefined ? headers : { "Content-Type": "application/json", ...headers },
      body: body === undefined ? null : JSON.stringify(body),
      cache: "no-store",
      signal: AbortSignal.timeout(SECONDS * 1000),
    });
    if (reply.ok) return { kind: "ok", data: (reply.status === 204 ? undefined : await reply.json()) as T };
  } catch {
    return { kind: "failed", error: t("silent"), silent: true };
  }
  const error = await reason(reply);
  if (reply.status === 401) {
    locked.value = true;
    return { kind: "locked" };
  }
  if (reply.status === 403) return { kind: "forbidden", error };
  if (reply.status === 429 || reply.status >= 500) {
    const after = Number(reply.headers.get("Retry-After") ?? Number.NaN);
    return Number.isFinite(after) ? { kind: "failed", error, after } : { kind: "failed", error };
  }
  return { kind: "refused", error, status: reply.status };
}

export const get = <T>(path: string): Promise<Outcome<T>> => call<T>("GET", path);
export const post = <T>(path: string, body: unknown): Promise<Outcome<T>> => call<T>("POST", path, body);

async function reason(reply: Response): Promise<string> {
  try {
    const { error, code, got } = (await reply.json()) as Partial<Refusal>;
    return typeof error === "string" ? worded(error, code, got) : `${reply.status} ${reply.statusText}`;
  } catch {
    return `${reply.status} ${reply.statusText}`;
  }
}

/** Ask who is signed in. Answers whether that is known now. */
export async function whoami(): Promise<boolean> {
  const found = await get<Me>("/api/me");
  if (found.kind === "ok") me.value = found.data;
  if (me.value !== null && found.kind !== "locked") locked.value = false;
  return me.value !== null || found.kind === "locked";
}

/** Whoever has just signed in. */
export function enter(account: Me): void {
  me.value = account;
  locked.value = false;
}

/** Sign in; null, or why not ("" where name or password is another one). */
export async function login(name: string, password: string): Promise<string | null> {
  const done = await post<Me>("/api/login", { name, password });
  if (done.kind === "ok") enter(done.data);
  return done.kind === "ok" ? null : done.kind === "locked" ? "" : done.error;
}

export function may(permission: Permission | null): boolean {
  return permission === null || (me.value?.may ?? []).includes(permission);
}

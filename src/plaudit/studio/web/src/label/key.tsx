import { type Action, enabled, hint } from "./keys";

/** The key of an action, beside its button; it follows a remapping. */
export function Key({ id, keys }: Pick<Action, "id" | "keys">) {
  return enabled.value ? <kbd aria-hidden="true">{hint({ id, keys })}</kbd> : null;
}

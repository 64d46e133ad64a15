// Keys, and the reason for a skip.
import { useLayoutEffect, useRef, useState } from "preact/hooks";
import { t as shared } from "../i18n";
import { Choice } from "../settings";
import { type Action, actions, enabled, keysOf, nameOf, remap, remapped } from "./keys";
import type { Timer } from "./timer";
import { t } from "./words";

export const REASONS = ["cannot-tell", "broken", "unsafe", "other"] as const;
export type Reason = (typeof REASONS)[number];

/** A dialog that stops the question's clock while it is open. */
function useDialog(open: boolean, timer: Timer) {
  const dialog = useRef<HTMLDialogElement>(null);
  useLayoutEffect(() => {
    if (open) dialog.current?.showModal();
    timer.cover(open);
    return () => timer.cover(false);
  }, [open]);
  return dialog;
}

export function KeysDialog({ timer, close }: { timer: Timer; close: () => void }) {
  const dialog = useDialog(true, timer);
  const [waiting, setWaiting] = useState<string | null>(null);
  const press = (event: KeyboardEvent, action: Action) => {
    if (waiting !== action.id || event.isComposing || ["Shift", "Control", "Alt", "Meta", "Tab"].includes(event.key)) return;
    event.preventDefault();
    if (event.key !== "Escape") remap(action, event.ctrlKey || event.metaKey ? `Mod+${event.key}` : event.key);
    setWaiting(null);
  };
  return (
    <dialog ref={dialog} aria-labelledby="keys-title" onClose={close}>
      <h2 id="keys-title">{t("keys.title")}</h2>
      <label class="toggle"><input id="shortcuts" type="checkbox" checked={enabled.value} onChange={() => (enabled.value = !enabled.value)} />{t("keys.use")}</label>
      <p class="muted">{t("keys.text")}</p>
      <table class="keys">
        <tbody>
          {actions().map((action) => {
            const label = typeof action.label === "string" ? t(action.label) : action.label.text;
            return (
              <tr key={action.id}>
                <th scope="row">{label}</th>
                <td>
                  <button
                    type="button"
                    aria-label={`${t("keys.change", { what: label })} (${keysOf(action).map(nameOf).join(", ")})`}
                    onClick={() => setWaiting(waiting === action.id ? null : action.id)}
                    onKeyDown={(event) => press(event, action)}
                    onBlur={() => setWaiting(null)}
                    data-action={action.id}
                  >
                    {waiting === action.id ? t("keys.press") : <kbd>{keysOf(action).map(nameOf).join(" / ")}</kbd>}
                  </button>
                </td>
              </tr>
            );
          })}
        </tbody>
      </table>
      <form method="dialog" class="row end">
        <button type="button" class="quiet" disabled={!Object.keys(remapped.value).length} onClick={() => (remapped.value = {})}>{t("keys.reset")}</button>
        <button type="submit" class="main">{shared("close")}</button>
      </form>
    </dialog>
  );
}

interface SkipProps {
  first: Reason;
  timer: Timer;
  skip: (reason: string) => void;
  close: () => void;
}

export function SkipDialog({ first, timer, skip, close }: SkipProps) {
  const dialog = useDialog(true, timer);
  const [reason, setReason] = useState<Reason>(first);
  const [words, setWords] = useState("");
  const submit = (event: Event) => {
    event.preventDefault();
    dialog.current?.close();
    skip(reason === "other" ? words.trim() || "other" : reason);
  };
  const key = (event: KeyboardEvent) => {
    const picked = REASONS[Number(event.key) - 1];
    if (event.isComposing || event.target instanceof HTMLTextAreaElement || !picked) return;
    event.preventDefault();
    setReason(picked);
  };
  return (
    <dialog ref={dialog} aria-labelledby="skip-title" onClose={close} onKeyDown={key} class="skip-dialog">
      <form onSubmit={submit}>
        <h2 id="skip-title">{t("skip.title")}</h2>
        <Choice legend="" name="reason" options={REASONS.map((one) => [one, t(`skip.${one}`)])} chosen={reason} choose={setReason} />
        {reason === "other" ? (
          <label class="field">{t("skip.words")}<textarea rows={2} maxLength={500} value={words} onInput={(event) => setWords(event.currentTarget.value)} /></label>
        ) : null}
        <div class="row end">
          <button type="button" class="quiet" onClick={() => dialog.current?.close()}>{shared("cancel")}</button>
          <button type="submit" class="main">{t("skip.do")}</button>
        </div>
      </form>
    </dialog>
  );
}

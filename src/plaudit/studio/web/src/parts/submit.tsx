import { Key } from "../label/key";
import { useKeys } from "../label/keys";
import { t } from "../label/words";

/** The button that gives an answer which takes more than one key; Enter does it, and Ctrl+Enter in text fields too. */
export function SubmitRow({ ready, submit, label }: { ready: boolean; submit: () => void; label?: string }) {
  const run = () => ready && submit();
  useKeys(
    () => [
      { id: "submit", keys: ["Enter"], label: "key.submit", run },
      { id: "submit-typing", keys: ["Mod+Enter"], label: "key.submit", run },
    ],
    [ready, submit],
  );
  return (
    <div class="submit-row">
      <button id="submit" type="button" class="main" disabled={!ready} onClick={submit}>
        {label ?? t("submit")}
        <Key id="submit" keys={["Enter"]} />
      </button>
    </div>
  );
}

// After twenty minutes of labelling without a break, a word about it.
import { useEffect, useState } from "preact/hooks";
import { t } from "./words";

const STRETCH = 20 * 60_000;
const BREAK = 5 * 60_000;
const since = { began: Date.now(), last: Date.now() };

export function BreakReminder({ pause }: { pause: () => void }) {
  const [due, setDue] = useState(false);
  useEffect(() => {
    if (Date.now() - since.last > BREAK) since.began = Date.now();
    const timer = window.setInterval(() => {
      if (document.visibilityState !== "visible") return;
      if (Date.now() - since.last > BREAK) since.began = Date.now();
      since.last = Date.now();
      setDue(Date.now() - since.began > STRETCH);
    }, 5000);
    return () => clearInterval(timer);
  }, []);
  if (!due) return null;
  const begin = () => {
    since.began = Date.now();
    setDue(false);
  };
  return (
    <div class="reminder" role="status">
      <p>{t("break-due")}</p>
      <button type="button" class="main" onClick={() => { begin(); pause(); }}>{t("take-break")}</button>
      <button type="button" onClick={begin}>{t("later")}</button>
    </div>
  );
}

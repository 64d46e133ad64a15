// A real environment, where this studio can run one: the component of `src/live/`, loaded when it is needed.
import { useEffect, useState } from "preact/hooks";
import type { Live, LiveProps } from "../contract";
import { t } from "../label/words";

const MODULES = import.meta.glob<{ default: Live }>("../live/index.tsx");

export function LiveSlot(props: LiveProps) {
  const [component, setComponent] = useState<{ it: Live } | null | undefined>(undefined);
  useEffect(() => {
    const load = Object.values(MODULES)[0];
    if (!load) setComponent(null);
    else load().then((module) => setComponent({ it: module.default }), () => setComponent(null));
  }, []);
  if (component === undefined) return <p class="muted">{t("opening.text")}</p>;
  if (component === null) return <p class="warn" role="alert">{t("live.missing")}</p>;
  return <component.it {...props} />;
}

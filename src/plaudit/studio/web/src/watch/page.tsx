// #/watch/TAB: five tabs, one for each stage of the loop.
import type { PageProps } from "../pages";
import { Act } from "./act";
import { Ask } from "./ask";
import { Check } from "./check";
import { STAGES, type Stage } from "./contract";
import { Heading } from "./frame";
import { Improve } from "./improve";
import { Learn } from "./learn";
import { summary, trouble, useRun } from "./live";
import "./style.css";
import { t } from "./words";

const TABS = { act: Act, ask: Ask, learn: Learn, improve: Improve, check: Check };

export default function Watch({ path }: PageProps) {
  useRun();
  const tab: Stage = STAGES.find((one) => one === path[0]) ?? "check";
  const run = summary.value;
  const Tab = TABS[tab];
  return (
    <main id="main" tabIndex={-1} class="page watch" data-tab={tab}>
      {trouble.value ? <p role="alert" class="warn">{trouble.value}</p> : null}
      {run ? <><Heading run={run} tab={tab} /><Tab key={tab} run={run} /></> : <><h1>{t("page")}</h1><p class="muted">{t("reading")}</p></>}
    </main>
  );
}

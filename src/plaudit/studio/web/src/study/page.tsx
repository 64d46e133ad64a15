// #/study/TAB: who answers and how well, what was answered, and who may come in.
import { may } from "../api";
import type { PageProps } from "../pages";
import "../watch/style.css";
import { Agreement } from "./agreement";
import { AnnotatorsPanel } from "./annotators";
import { AnswersPanel } from "./answers";
import { People } from "./people";
import "./style.css";
import { t } from "./words";

const TABS = { annotators: AnnotatorsPanel, agreement: Agreement, answers: AnswersPanel, people: People } as const;
type Tab = keyof typeof TABS;

export default function Study({ path }: PageProps) {
  const tabs = (Object.keys(TABS) as Tab[]).filter((one) => one !== "people" || may("manage"));
  const tab = tabs.find((one) => one === path[0]) ?? "annotators";
  const Panel = TABS[tab];
  return (
    <main id="main" tabIndex={-1} class="page study" data-tab={tab}>
      <h1>{t("page")}</h1>
      <nav class="tabs" aria-label={t("tabs")}>
        {tabs.map((one) => <a key={one} href={`#/study/${one}`} aria-current={one === tab ? "page" : undefined}>{t(`tab.${one}`)}</a>)}
      </nav>
      <Panel />
    </main>
  );
}

// How labelling works, in a page.
import { translate } from "../i18n";
import type { PageProps } from "../pages";
import { words } from "./words";

const t = translate(words);
const PARTS = ["judge", "keys", "break", "kept", "private"] as const;

export default function Help(_: PageProps) {
  return (
    <main id="main" tabIndex={-1} class="page prose">
      <h1>{t("title")}</h1>
      {PARTS.map((part) => (
        <section key={part}>
          <h2>{t(part)}</h2>
          <p>{t(`${part}.text`)}</p>
        </section>
      ))}
    </main>
  );
}

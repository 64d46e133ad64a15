// Language and colours: a small dialog behind the button in the header.
import { effect } from "@preact/signals";
import { useRef } from "preact/hooks";
import { type Language, language, setLanguage, t } from "./i18n";
import { kept } from "./kept";
import { call, me } from "./api";

type Theme = "system" | "light" | "dark";
const theme = kept<Theme>("theme", "system");

effect(() => {
  if (theme.value === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme.value;
});
effect(() => {
  document.documentElement.lang = language.value === "zh" ? "zh-CN" : "en";
});

const LANGUAGES: [Language, string][] = [["en", "English"], ["zh", "简体中文"]];
const THEMES: Theme[] = ["system", "light", "dark"];

export function Settings() {
  const dialog = useRef<HTMLDialogElement>(null);
  const leave = async () => {
    await call("POST", "/api/logout", { everywhere: false });
    location.reload();
  };
  return (
    <>
      <button type="button" class="quiet" onClick={() => dialog.current?.showModal()} aria-haspopup="dialog">
        {t("settings")}
      </button>
      <dialog ref={dialog} aria-labelledby="settings-title" class="settings">
        <h2 id="settings-title">{t("settings")}</h2>
        <Choice legend={t("language")} name="language" options={LANGUAGES} chosen={language.value} choose={setLanguage} />
        <Choice
          legend={t("theme")}
          name="theme"
          options={THEMES.map((one) => [one, t(`theme.${one}`)])}
          chosen={theme.value}
          choose={(one) => (theme.value = one)}
        />
        {me.value?.may.includes("self") ? (
          <p class="muted">
            {t("signed-in", { name: me.value.name || t(`role.${me.value.role}`) })}{" "}
            <button type="button" class="quiet" onClick={leave}>{t("sign-out")}</button>
          </p>
        ) : null}
        <form method="dialog"><button type="submit" class="main">{t("close")}</button></form>
      </dialog>
    </>
  );
}

interface ChoiceProps<T extends string> {
  legend: string;
  name: string;
  options: [T, string][];
  chosen: T;
  choose: (one: T) => void;
}

export function Choice<T extends string>({ legend, name, options, chosen, choose }: ChoiceProps<T>) {
  return (
    <fieldset class="choice">
      <legend>{legend}</legend>
      {options.map(([value, label]) => (
        <label key={value}>
          <input type="radio" name={name} value={value} checked={chosen === value} onChange={() => choose(value)} />
          {label}
        </label>
      ))}
    </fieldset>
  );
}

// Words in both languages. `t("key", { n: 3 })` gives shared words; a feature makes its own with `translate(words)`.
// In a sentence `{name}` stands for a parameter, and `{n:answer|answers}` for one or several.
import { signal } from "@preact/signals";
import { en } from "./words/en";
import { zh } from "./words/zh";
import { kept } from "./kept";

export type Language = "en" | "zh";
export type Table = Record<string, string>;
export type Words<T extends Table> = { en: T; zh: { [Key in keyof T]: string } };
export type Params = Record<string, string | number>;

const spoken: Language = navigator.languages.find((one) => /^(en|zh)/i.test(one))?.toLowerCase().startsWith("zh") ? "zh" : "en";
const stored = kept("language", "");
export const language = signal<Language>(stored.value === "en" || stored.value === "zh" ? stored.value : spoken);

export function setLanguage(to: Language): void {
  stored.value = to;
  language.value = to;
}

/** Checks that both tables have the same keys: a missing or a superfluous one does not compile. */
export function define<const T extends Table>(words: { en: T; zh: { [Key in keyof NoInfer<T>]: string } }): Words<T> {
  return words;
}

/** The words of a feature, in the language that is chosen; components that use it follow a change. */
export function translate<T extends Table>(words: Words<T>): (key: keyof T & string, params?: Params) => string {
  return (key, params) => fill(words[language.value][key], params);
}

export const t = translate(define({ en, zh }));

function fill(sentence: string, params: Params = {}): string {
  return sentence.replace(/\{(\w+)(?::([^|}]*)\|([^}]*))?\}/g, (_, name: string, one?: string, several?: string) => {
    const value = params[name] ?? "";
    return one === undefined ? String(value) : Number(value) === 1 ? one : (several ?? "");
  });
}

const LOCALES = { en: "en-GB", zh: "zh-CN" } as const;

export function number(value: number, digits = 0): string {
  return new Intl.NumberFormat(LOCALES[language.value], { minimumFractionDigits: digits, maximumFractionDigits: digits }).format(value);
}

export function moment(iso: string): string {
  return new Intl.DateTimeFormat(LOCALES[language.value], { dateStyle: "medium", timeStyle: "short" }).format(new Date(iso));
}

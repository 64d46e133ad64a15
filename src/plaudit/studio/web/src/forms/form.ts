// What a form is given. A form is one file here, named as its kind, that exports `words` (made with `define`; "title" is
// the question at the top) and a default component `Form(props: FormProps)`; it is found by its name.
import type { ComponentType } from "preact";
import { useState } from "preact/hooks";
import type { Player } from "../clips/player";
import type { Fields, Question } from "../contract";
import type { Table, Words } from "../i18n";
import type { Reading } from "../label/reading";

export interface FormProps {
  question: Question;
  /** plays the clips of all items, in their order on the screen */
  player: Player;
  /** which long texts are still folded */
  reading: Reading;
  /** whether it can be answered: clips are drawn, texts are unfolded */
  ready: boolean;
  /** what was kept of a half-made answer, before a reload or an undo */
  draft: unknown;
  /** keep a half-made answer; this also marks that the annotator has begun to decide */
  keep: (draft: unknown) => void;
  /** give the answer: the record's own fields, in the query's own order; refused with a word while not `ready` */
  submit: (answer: Fields) => void;
  /** say something in the status line, to be heard as well */
  say: (text: string) => void;
}

export type Form = ComponentType<FormProps>;
export interface FormModule {
  words: Words<Table>;
  default: Form;
}

const MODULES = import.meta.glob<FormModule>("./*.tsx", { eager: true });

export function formOf(kind: string): FormModule | undefined {
  return MODULES[`./${kind}.tsx`];
}

/** State of a form that outlives a reload. */
export function useDraft<T>(props: FormProps, initial: T): [T, (next: T) => void] {
  const [value, set] = useState<T>((props.draft as T | undefined) ?? initial);
  return [
    value,
    (next) => {
      set(next);
      props.keep(next);
    },
  ];
}

/** Characters of a text as Python counts them, from a place as the browser counts. */
export function characters(text: string, at: number): number {
  return [...text.slice(0, at)].length;
}

/** The browser's place of a character. */
export function place(text: string, at: number): number {
  return [...text].slice(0, at).join("").length;
}

export const LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";

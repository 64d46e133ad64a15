// What the labelling API says. Names and meanings are those of studio/view.py.
import type { ComponentType } from "preact";

export interface Clip {
  url: string | null;
  error: string | null;
  steps: number;
}

export interface Turn {
  role: string;
  content: string;
}

export interface Text {
  prompt: Turn[];
  completion: Turn[];
}

export interface Item {
  /** place in the query's own order, which answers speak of */
  index: number;
  clip: Clip | null;
  text: Text | null;
}

export interface Assist {
  suggestion: string | null;
  critiques: { text: string; start: number | null; end: number | null }[];
  by: string;
}

export interface Question {
  id: string;
  kind: string;
  levels: number | null;
  aspect: string | null;
  constraint: string | null;
  level: string | null;
  items: Item[];
  arm: string | null;
  live: boolean;
  assist: Assist | null;
}

export type Stage = "act" | "ask" | "learn" | "improve" | "check";

export interface View {
  run: string;
  session: string;
  annotator: string;
  state: "question" | "waiting" | "break" | "finished" | "stopped";
  screening: boolean;
  instruction: string;
  questions: Question[];
  undoable: string | null;
  saved: string[];
  progress: { mine: number; answered: number; open: number; total: number | null; seconds: number };
  waiting: { stage: Stage | null; seconds: number | null } | null;
  trouble: string | null;
}

export type Fields = Record<string, unknown>;

export interface Answer {
  id: string;
  query: string;
  answer: Fields;
  answered_at: string;
  seconds: number;
  phases: Record<string, number>;
  interface: string;
  arm: string | null;
}

/** What a live environment is given; it calls `done` with the id of the segment that was played. */
export interface LiveProps {
  query: string;
  from: { item: number; step: number } | null;
  done: (segment: string) => void;
  cancel: () => void;
}
export type Live = ComponentType<LiveProps>;

export const INTERFACE = "studio-1";

// What the studio's API says: names of the shapes in its OpenAPI document (`npm run schema` makes schema.ts from it).
import type { ComponentType } from "preact";
import type { components } from "./schema";

type Shapes = components["schemas"];
export type View = Shapes["View"];
export type Question = Shapes["Question"];
export type Item = Shapes["Item"];
export type Clip = Shapes["Clip"];
export type Text = Shapes["Text"];
export type Turn = Shapes["Turn"];
export type Assist = Shapes["Assist"];
export type Me = Shapes["Me"];
export type Ways = Shapes["Ways"];
export type Asked = Shapes["Asked"];
export type Join = Shapes["Join"];
export type Permission = Shapes["Permission"];
/** fields of an answer's own kind */
export type Fields = Record<string, unknown>;
export type Answer = Required<Shapes["Answer"]> & { answer: Fields };

/** What a live environment is given; it calls `done` with the id of the segment that was played. */
export interface LiveProps {
  query: string;
  from: { item: number; step: number } | null;
  done: (segment: string) => void;
  cancel: () => void;
}
export type Live = ComponentType<LiveProps>;

export const INTERFACE = "studio-1";

// What the studio's API says: names of the shapes in its OpenAPI document (`npm run schema` makes schema.ts from it).
import type { ComponentType } from "preact";
import type { components } from "./schema";

type Shapes = components["schemas"];
/** A shape of a module of plaudit.studio; FastAPI writes the module before a name that two modules use. */
type Of<Module extends string, Name extends string> = Shapes[Extract<keyof Shapes, Name | `plaudit__studio__${Module}__${Name}`>];

export type View = Of<"view", "View">;
export type Question = Of<"view", "Question">;
export type Item = Of<"view", "Item">;
export type Clip = Of<"view", "Clip">;
export type Text = Of<"view", "Text">;
export type Turn = Of<"view", "Turn">;
export type Assist = Of<"view", "Assist">;
export type Me = Of<"access_shapes", "Me">;
export type Ways = Of<"access_shapes", "Ways">;
export type Asked = Of<"access_shapes", "Asked">;
export type Join = Of<"access_shapes", "Join">;
export type Refusal = Shapes["Refusal"];
export type Permission = Shapes["Permission"];
/** fields of an answer's own kind */
export type Fields = Record<string, unknown>;
export type Answer = Required<Of<"view", "Answer">> & { answer: Fields };

/** What a live environment is given; it calls `done` with the id of the segment that was played, and which steps a correction changed. */
export interface LiveProps {
  query: string;
  from: { item: number; step: number } | null;
  done: (segment: string, changed: { start: number; end: number } | null) => void;
  cancel: () => void;
}
export type Live = ComponentType<LiveProps>;

export const INTERFACE = "studio-1";

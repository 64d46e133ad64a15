// What the studio says of annotators and answers: shapes of studio/study_shapes.py and studio/access_shapes.py.
import type { components } from "../schema";

type Shapes = components["schemas"];
export type Range = Shapes["Range"];
export type Annotators = Shapes["Annotators"];
export type AnnotatorView = Shapes["AnnotatorView"];
export type Suspicion = Shapes["Suspicion"];
export type Agreements = Shapes["Agreements"];
export type AgreementView = Shapes["AgreementView"];
export type GoldQuestions = Shapes["GoldQuestions"];
export type GoldQuestion = Shapes["GoldQuestion"];
export type Groups = Shapes["Groups"];
export type Answers = Shapes["Answers"];
export type AnswerView = Shapes["AnswerView"];
export type StudyQuestion = Shapes["StudyQuestion"];
export type Retracted = Shapes["Retracted"];
export type Reasked = Shapes["Reasked"];
export type Checks = Shapes["Checks"];
export type CheckView = Shapes["CheckView"];
export type Invited = Shapes["Invited"];
export type Invite = Shapes["Invite"];
export type Open = Shapes["Open"];
export type AccountView = Shapes["AccountView"];
export const KINDS = ["comparison", "rating", "steps", "ranking", "critique", "demonstration", "correction", "flag"] as const;

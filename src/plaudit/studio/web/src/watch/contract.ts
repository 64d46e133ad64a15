// What the studio says of a run: the report's Summary (src/plaudit/report/summary.py), and what stands behind it.
export const STAGES = ["act", "ask", "learn", "improve", "check"] as const;
export type Stage = (typeof STAGES)[number];

export interface Now {
  seq: number;
  round: number;
  rounds?: number | null;
  stage: Stage;
  since?: number | null;
  finished: boolean;
}

export interface Estimate {
  value: number;
  low?: number;
  high?: number;
  n?: number;
}

export interface Metric {
  name: string;
  value: number;
}

export interface ReportClip {
  label: string;
  segment: string;
  policy: string;
  episode: string;
  start: number;
  steps: number;
  blob?: string;
  missing?: string;
}

export interface Round {
  policy?: string;
  reward?: string;
  number: number;
  env_steps?: number;
  labels_total?: number;
  asked?: number;
  answered?: number;
  skipped?: number;
  ties?: number;
  returns: number[];
  return_mean?: Estimate;
  learned_return_mean?: number;
  accuracy_heldout?: number;
  accuracy_train?: number;
  correlation_true?: number;
  seconds?: number;
}

export interface StageRow {
  round: number;
  stage: Stage;
  policy?: string;
  reward?: string;
  metrics: Metric[];
  seconds?: number;
  cpu_seconds?: number;
}

export interface Finding {
  severity: "ok" | "note" | "warning" | "problem";
  name: string;
  message: string;
  evidence: Metric[];
  advice: string;
}

export interface Sample {
  label: string;
  prompt: string;
  completion: string;
  tokens: number;
  finished: boolean;
  gold?: number;
  reward?: number;
  spread?: number;
  advantage?: number;
  kl?: number;
}

export interface Texts {
  model: string;
  algorithm: string;
  measures: { number: number; policy?: string; gold?: Estimate; win_rate_gold?: number; win_rate_reward?: number; kl?: number }[];
  samples: Sample[];
  rollouts: number;
  rollout: Sample[];
}

export interface Summary {
  texts?: Texts;
  name: string;
  seed?: number;
  verdict: string;
  details: string[];
  rounds_planned?: number;
  rounds_done: number;
  rounds: Round[];
  act: { world: string; algorithm?: string; envs?: number; horizon?: number; env_steps?: number; segments: number; clips: ReportClip[] };
  ask: {
    kind: string;
    asked: number;
    answered: number;
    skipped: number;
    ties: number;
    waiting: number;
    human_seconds?: number;
    simulated_seconds?: number;
    people: number;
    strategies: { strategy: string; asked: number; answered: number; ties: number; skipped: number }[];
  };
  learn: {
    accuracy?: Estimate;
    accuracy_train?: number;
    noise_ceiling?: number;
    calibration_error?: number;
    reliability: { confidence: number; right: Estimate }[];
    correlation?: number;
    scatter_learned: number[];
    scatter_true: number[];
    history_step: number[];
    history_train: number[];
    history_heldout: number[];
  };
  improve: { metrics: Metric[] };
  check: { returns?: Estimate; return_random?: number; return_oracle?: number; fraction?: Estimate; findings: Finding[] };
  provenance: { events: number; head: string; stages: StageRow[] };
}

export interface Opinion {
  round: number;
  reward: string;
  mean: number;
  members: number[];
}

export interface BehaviourRow {
  segment: string;
  text: boolean;
  world: string;
  policy: string;
  episode: string;
  start: number;
  steps: number;
  label: string | null;
  questions: number;
  answers: number;
  opinion: Opinion | null;
}

export interface Turn {
  role: string;
  content: string;
}

export interface Seen {
  segment: string;
  policy: string;
  steps: number;
  url: string | null;
  error: string | null;
  prompt: Turn[];
  completion: Turn[];
}

export interface Odds {
  reward: string;
  first: number[];
  mean: number;
  spread: number;
}

export interface Model {
  round: number;
  reward: string | null;
  labels: number | null;
  accuracy_heldout: number | null;
  calibration_error: number | null;
  correlation_true: number | null;
  spread: number | null;
}

export interface Learned {
  round: number;
  together: number;
  before: Model | null;
  after: Model;
  odds_before: Odds | null;
  odds_after: Odds | null;
}

export interface Given {
  id: string;
  position: number;
  retracted: boolean;
  brought: string[];
  reply: { annotator: string; kind: string; answer: string; strength: number | null; seconds: number | null };
  learned: Learned | null;
}

export interface Asked {
  query: string;
  kind: string;
  round: number;
  index: number;
  segments: string[];
  shown: number[];
  strategy: string;
  score: number | null;
  propensity: number | null;
  reward: string | null;
  odds: Odds | null;
  given: Given[];
}

export interface BehaviourPage {
  behaviours: { total: number; cursor: string | null; rows: BehaviourRow[] };
  seen: Seen[];
}

export interface BehaviourView {
  behaviour: { row: BehaviourRow; opinions: Opinion[]; asked: Asked[] };
  seen: Seen[];
}

export interface QuestionList {
  total: number;
  cursor: string | null;
  asked: Asked[];
  seen: Seen[];
}

"""What a report says, as one tree of frozen dataclasses: the page is drawn from it, and `report.json` is it.

Whatever was not measured is None, and is left out of the JSON; nothing here is ever guessed. Rounds count from 1, as on
the screen. Returns are in the world's own units, times in seconds, shares and accuracies in 0 .. 1.
"""

from __future__ import annotations

from dataclasses import dataclass

from plaudit.check.diagnose import Finding


@dataclass(frozen=True, slots=True)
class Estimate:
    """A number with its 95 % interval."""

    value: float
    low: float | None = None
    high: float | None = None
    n: int | None = None
    """how many observations it rests on"""


@dataclass(frozen=True, slots=True)
class Metric:
    """A logged number by its name, `area/name`."""

    name: str
    value: float


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting of the run file, by its dotted name; the value as it is written in JSON."""

    name: str
    value: str


@dataclass(frozen=True, slots=True)
class Clip:
    """A stretch of behaviour, and its video where one was rendered."""

    label: str
    """before, during, after; or first, second for the clips of a question"""
    segment: str
    policy: str
    """version of the policy that acted"""
    episode: str
    start: int
    steps: int
    blob: str | None = None
    """digest of the video in the run's blob store"""
    mime: str | None = None
    missing: str | None = None
    """why there is no video"""
    prompt: str | None = None
    """of a text, what came before it"""
    completion: str | None = None
    """of a text, what is judged"""


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer to a question."""

    annotator: str
    kind: str
    """person or simulated"""
    answer: str
    """first, second, tie, skip; a grade such as `4 of 5`; or `12 steps judged`"""
    strength: float | None = None
    seconds: float | None = None
    """time that the answer took"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A question with its clips, why it was asked, and what was answered."""

    query: str
    kind: str
    round: int
    index: int
    strategy: str
    score: float | None = None
    propensity: float | None = None
    clips: tuple[Clip, ...]
    """in the query's own order"""
    shown_first: int
    """which clip stood first on the screen, counted from 1"""
    replies: tuple[Reply, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class AnnotatorTotals:
    """What one annotator did."""

    annotator: str
    kind: str
    description: str
    answered: int
    skipped: int
    ties: int
    decided: int
    """comparisons answered with first or second"""
    chose_shown_first: int
    """how many of those went to the clip that stood first on the screen"""
    seconds: float | None = None
    """sum of response times; None when no answer has one"""


@dataclass(frozen=True, slots=True)
class StrategyTotals:
    """What became of the questions that one strategy asked."""

    strategy: str
    asked: int
    answered: int
    ties: int
    skipped: int


@dataclass(frozen=True, slots=True)
class RoundSummary:
    """One turn of the loop."""

    number: int
    policy: str | None = None
    """version after improving"""
    reward: str | None = None
    """version after learning"""
    env_steps: int | None = None
    """environment steps of the run when the policy was measured"""
    labels_total: int | None = None
    asked: int | None = None
    answered: int | None = None
    skipped: int | None = None
    ties: int | None = None
    returns: tuple[float, ...] = ()
    """true return of each evaluation episode"""
    return_mean: Estimate | None = None
    return_std: float | None = None
    learned_return_mean: float | None = None
    accuracy_heldout: float | None = None
    accuracy_train: float | None = None
    correlation_true: float | None = None
    seconds: float | None = None
    """wall time of all stages"""


@dataclass(frozen=True, slots=True)
class ReliabilityBin:
    """Held-out answers that the reward model was about equally sure of."""

    confidence: float
    """mean probability that the model gave to the side it preferred"""
    right: Estimate
    """share of these answers that went to that side"""


@dataclass(frozen=True, slots=True, kw_only=True)
class ActSummary:
    """Behaviour."""

    world: str
    algorithm: str | None = None
    envs: int | None = None
    horizon: int | None = None
    env_steps: int | None = None
    segments: int
    """pieces of behaviour kept for people or for this report"""
    clips: tuple[Clip, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class AskSummary:
    """Questions and answers."""

    kind: str
    """comparison, rating, steps, or mixed"""
    asked: int
    answered: int
    skipped: int
    ties: int
    waiting: int
    """questions without any answer yet"""
    human_seconds: float | None = None
    """response times of people; None when no person answered, or none was timed"""
    simulated_seconds: float | None = None
    """response times that simulated teachers claim: what a person would have needed, by assumption"""
    people: int
    """how many people answered"""
    annotators: tuple[AnnotatorTotals, ...]
    strategies: tuple[StrategyTotals, ...]
    questions: tuple[Question, ...]
    """a handful, spread over the run"""


@dataclass(frozen=True, slots=True, kw_only=True)
class LearnSummary:
    """The reward model at the end."""

    accuracy: Estimate | None = None
    """share of held-out answers that it agrees with (Wilson interval)"""
    accuracy_train: float | None = None
    noise_ceiling: float | None = None
    """share that the best possible model could agree with, where the teacher is known"""
    calibration_error: float | None = None
    reliability: tuple[ReliabilityBin, ...]
    correlation: float | None = None
    """Pearson correlation of learned and true reward per step"""
    scatter_learned: tuple[float, ...]
    scatter_true: tuple[float, ...]
    """a sample of the steps that the correlation was computed on"""
    history_step: tuple[float, ...]
    history_train: tuple[float, ...]
    history_heldout: tuple[float, ...]
    """loss during the last fit"""


@dataclass(frozen=True, slots=True)
class ImproveSummary:
    """Training of the policy."""

    metrics: tuple[Metric, ...]
    """last logged values of the learner"""


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckSummary:
    """The policy at the end, on its own and against references."""

    returns: Estimate | None = None
    return_random: float | None = None
    return_oracle: float | None = None
    fraction: Estimate | None = None
    """(return - random) / (oracle - random); the interval covers the evaluation episodes, not other seeds"""
    findings: tuple[Finding, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class StageSummary:
    """One finished stage."""

    round: int
    stage: str
    log_position: int | None = None
    checkpoint: str | None = None
    policy: str | None = None
    reward: str | None = None
    metrics: tuple[Metric, ...]
    seconds: float | None = None
    cpu_seconds: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TextMeasures:
    """A language model on held-out prompts; means over completions."""

    number: int
    """round, from 1; 0 is where the policy started"""
    policy: str | None = None
    gold: Estimate | None = None
    """the true reward, which no learner sees: share of a prompt's constraints that a completion keeps"""
    win_rate_gold: float | None = None
    """share of comparisons with the start's completions of the same prompt that it wins by the true reward; equal ones count half"""
    win_rate_gold_length_matched: float | None = None
    """the same among pairs of about equal length"""
    win_rate_reward: float | None = None
    """by the learned reward"""
    win_rate_reward_length_matched: float | None = None
    length_matched: float | None = None
    """share of the pairs that are of about equal length"""
    kl: float | None = None
    """distance to the start in nats per completion"""
    repetition: float | None = None
    """share of 4-token runs that occurred in the completion before"""
    missing_end: float | None = None
    """share of completions that did not end by themselves"""
    length: float | None = None
    """tokens of a completion"""


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleSummary:
    """One completion, with what was thought of it."""

    label: str
    prompt: str
    completion: str
    tokens: int
    finished: bool
    gold: float | None = None
    reward: float | None = None
    spread: float | None = None
    advantage: float | None = None
    kl: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TextsSummary:
    """What only runs have that teach a language model."""

    model: str
    algorithm: str
    measures: tuple[TextMeasures, ...]
    """the start first, then the rounds"""
    samples: tuple[SampleSummary, ...]
    """of the newest check, drawn at random"""
    rollouts: int
    """that the policy learned from so far"""
    rollout: tuple[SampleSummary, ...]
    """the newest of these"""


@dataclass(frozen=True, slots=True)
class Provenance:
    """Where the numbers come from."""

    events: int
    head: str
    """hash of the newest event; it covers all events before it"""
    versions: tuple[Setting, ...]
    settings: tuple[Setting, ...]
    stages: tuple[StageSummary, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """Everything that a report says."""

    format: int
    """number of this format"""
    name: str
    seed: int | None = None
    verdict: str
    """the outcome in one sentence"""
    details: tuple[str, ...]
    """what one should know beside it"""
    rounds_planned: int | None = None
    rounds_done: int
    """rounds whose check is finished"""
    rounds: tuple[RoundSummary, ...]
    act: ActSummary
    ask: AskSummary
    learn: LearnSummary
    improve: ImproveSummary
    check: CheckSummary
    provenance: Provenance
    texts: TextsSummary | None = None
    """of a run that teaches a language model"""

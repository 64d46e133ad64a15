"""The run file: one tree of settings for the whole loop. Every field says what it does; the command line shows the same text."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field

from plaudit.ask.acquisition import Strategy
from plaudit.ask.cover import Space
from plaudit.ask.crowd import CrowdConfig
from plaudit.ask.mix import RANKED, shares_of
from plaudit.ask.panel import AnnotatorConfig
from plaudit.ask.schedule import Schedule, sessions
from plaudit.ask.teachers import TeacherConfig
from plaudit.control.config import PolicyConfig
from plaudit.control.config_demonstrations import DemonstrationConfig
from plaudit.control.config_offline import ExploreConfig
from plaudit.errors import ConfigError
from plaudit.ops.aggregate import Combine
from plaudit.quality.gold import SequentialConfig
from plaudit.quality.population import Population
from plaudit.records import QueryKind
from plaudit.reward.config import RewardConfig
from plaudit.worlds.config import WorldConfig


class GoldSource(enum.Enum):
    """Where the right answers of gold questions come from."""

    AGREED = "agreed"
    TRUE = "true"


@dataclass(frozen=True, slots=True)
class AskConfig:
    """Which questions are asked, how many, when, and who answers."""

    labels: int = 50
    """questions over the whole run; 0 trains on the environment's own reward (set loop.environment_weight)"""
    kind: QueryKind = QueryKind.COMPARISON
    """form of the questions: comparison, rating or steps; people can be asked every form"""
    mix: dict[str, float] | None = None
    """several forms instead of kind: their shares, for example { comparison = 0.5, ranking = 0.3, rating = 0.2 }; also steps, demonstration, correction"""
    ranking_size: int = 4
    """segments of a ranking, and samples of the policy that a demonstration is put beside; in a mix"""
    attempts: int = 10
    """stretches of the run's own behaviour that a simulated annotator picks a demonstration or a correction from; in a mix"""
    segment_length: int = 50
    """steps in a segment that people judge"""
    strategy: Strategy = Strategy.DISAGREEMENT
    """how questions are chosen once there is a reward model; the first round knows nothing yet, see first_spread"""
    first_share: float = 0.25
    """share of the labels asked in the first round, where schedule is front"""
    first_spread: float = 0.5
    """share of the first round's segments that lie far apart (greedy k-centre); the others are drawn at random"""
    schedule: Schedule = Schedule.FRONT
    """how labels are spread over the rounds that ask: front (first_share, then fewer and fewer), constant, decaying, growing, small (many small sessions)"""
    session: int = 10
    """questions of a session, where schedule is small"""
    last_at: float = 0.6
    """share of the environment steps by which the last question has been asked"""
    pool: int = 10
    """candidates looked at per question asked"""
    newest: float = 0.35
    """candidates come mostly from the newest behaviour: this share of it (1 = all behaviour alike)"""
    newest_episodes: int | None = None
    """candidates come only from so many newest episodes, so that questions are about what the policy does now; 10 is usual (QPA); empty: see newest"""
    space: Space = Space.BEHAVIOUR
    """where strategies with k-centre keep questions apart: behaviour (what is seen and done) or reward (what members think of it)"""
    lists: int = 0
    """ranked lists that segments are inserted into by comparisons, each of which implies others (LiRE); 0: independent questions. Strategy is not used then"""
    list_weight: float = 0.5
    """of all comparisons that the lists imply, in fitting the reward, where those that were asked have 1; 0 learns from these alone"""
    levels: int = 5
    """grades on the scale of ratings"""
    teacher: TeacherConfig | None = field(default_factory=TeacherConfig)
    """simulated teacher that answers from the true reward; `people = true` turns it off, and so does `annotators`"""
    annotators: tuple[AnnotatorConfig, ...] = ()
    """several simulated annotators instead of one teacher, each an [[ask.annotators]] with a name and a teacher of its own"""
    crowd: CrowdConfig | None = None
    """simulated annotators that are drawn around `teacher` instead: skills, biases, groups, spammers, people who copy; empty: none"""
    overlap: int = 1
    """answers to each question, each by another annotator; questions are dealt out in balanced blocks"""
    gold_share: float = 0.0
    """share of the comparisons that are gold: asked before, their right answer is known. They count as labels, the reward does not learn from them"""
    gold_from: GoldSource = GoldSource.AGREED
    """where right answers come from: agreed (what three or more annotators together are sure of), true (the environment's reward); and what was set by hand"""
    gold_test: SequentialConfig = field(default_factory=SequentialConfig)
    """the sequential test on gold answers; whoever passes is given no more gold"""
    constraint: str = ""
    """what flags are about, for example contact, where the mix has them"""
    screening: int = 0
    """gold questions that people who are new to the run answer first, where there are so many"""
    assisted_share: float = 0.0
    """share of the questions that show people what a helper says about them, where one does; drawn per question and person"""
    screen: bool = True
    """with gold_share: whoever the test stops is asked no more, and the reward learns nothing from their answers, earlier ones included"""
    repeat_share: float = 0.0
    """share of the questions that an annotator has answered before, for the audit. They count as labels, the reward does not learn from them"""
    instruction: str = ""
    """what people are told to look for, above the clips, for example "Which one swings up and stays up?"; empty: a general one"""
    people: bool = False
    """wait for people who answer in the studio instead of a simulated teacher"""
    patience_seconds: float = 600.0
    """how long a round waits for people before it goes on with the answers that are there; the first waits for at least two"""

    @property
    def kinds(self) -> dict[QueryKind, float]:
        """Shares of the questions by kind; they sum to one."""
        return {self.kind: 1.0} if self.mix is None else shares_of(self.mix, people=self.people)

    @property
    def checks(self) -> bool:
        """Whether some questions are asked again."""
        return self.gold_share > 0 or self.repeat_share > 0

    @property
    def screens(self) -> bool:
        """Whether annotators can be stopped."""
        return self.screen and self.gold_share > 0

    def __post_init__(self) -> None:
        names, kinds = [one.name for one in self.annotators], set(self.kinds)
        drawn = 0 if self.crowd is None else self.crowd.size
        if self.crowd is not None and (names or self.people or self.teacher is None or drawn == 0):
            raise ConfigError(
                "The simulated crowd of the run has no place",
                got=f"ask.crowd of {drawn} with ask.annotators {names}, ask.people = {self.people}",
                expected="a teacher to draw around, at least one annotator, and no other annotators or people",
            )
        if len(set(names)) < len(names) or (names and self.people):
            raise ConfigError(
                "The annotators of the run do not fit together",
                got=f"ask.annotators {names}" + (" with ask.people = true" if self.people else ""),
                expected="names that differ, or people",
            )
        if (QueryKind.FLAG in kinds) != bool(self.constraint):
            raise ConfigError(
                "Flags and the constraint they are about go together",
                got=f"ask.constraint = {self.constraint!r}, kinds {sorted(kind.value for kind in kinds)}",
                expected="both or neither",
            )
        if self.overlap < 1 or (self.overlap > max(len(names), drawn, 1) and not self.people):
            raise ConfigError(
                "Nobody is there to answer as often",
                got=f"ask.overlap = {self.overlap} with {max(len(names), drawn, 1)} simulated annotators",
                expected="1 to the number of [[ask.annotators]] or of the crowd",
            )
        if min(self.gold_share, self.repeat_share) < 0 or self.gold_share + self.repeat_share >= 1:
            raise ConfigError(
                "The shares of questions that are asked again are out of range",
                got=f"gold_share {self.gold_share}, repeat_share {self.repeat_share}",
                expected="0 or more, together below 1",
            )
        if (
            not RANKED[0] <= self.ranking_size <= RANKED[1]
            or self.attempts < 1
            or (self.mix is not None and self.lists)
        ):
            raise ConfigError(
                "The settings of the mix are out of range",
                got=f"ranking_size {self.ranking_size}, attempts {self.attempts}, lists {self.lists}, mix {self.mix}",
                expected=f"ranking_size {RANKED[0]} to {RANKED[1]}, attempts >= 1, no ranked lists in a mix",
            )
        if (self.checks and self.lists) or (self.gold_share and kinds != {QueryKind.COMPARISON}):
            raise ConfigError(
                "These questions cannot be asked again",
                got=f"gold_share {self.gold_share}, repeat_share {self.repeat_share}, lists {self.lists}, kinds {sorted(kind.value for kind in kinds)}",
                expected="no ranked lists; comparisons for gold",
            )


@dataclass(frozen=True, slots=True)
class LoopConfig:
    """How the rounds are cut."""

    steps: int = 6000
    """environment steps of the whole run, warm-up included"""
    warmup: int = 800
    """steps of random actions before the first question"""
    pretrain: int = 0
    """steps after the warm-up, still before the first question, in which the policy only seeks new states; 0 leaves it out"""
    rounds: int = 12
    """turns of act, ask, learn, improve, check"""
    demonstrations: DemonstrationConfig | None = None
    """after the warm-up, find a reward that explains demonstrations, and train on it; the questions then refine what it says"""
    environment_weight: float = 0.0
    """weight of the environment's own reward, added to the learned one"""
    threads: int = 1
    """threads of numeric libraries; fixed for the run, since results depend on it"""

    @property
    def before(self) -> int:
        """Environment steps before the first question."""
        shown = 0 if self.demonstrations is None else self.demonstrations.steps
        return self.warmup + self.pretrain + shown


@dataclass(frozen=True, slots=True)
class CheckConfig:
    """How the policy is measured."""

    episodes: int = 20
    """episodes of the last check, from starts that are the same in every run"""
    episodes_between: int = 5
    """episodes of the checks before, the first of the same starts"""
    oracle: bool = False
    """also train the same algorithm on the true reward, as a reference for the report"""
    videos: bool = True
    """render clips of the policy before, during and after for the report"""


@dataclass(frozen=True, slots=True)
class RunConfig:
    """A whole run. `plaudit init` writes a commented file; `plaudit run FILE` starts it."""

    name: str = "run"
    """name shown in the report"""
    seed: int = 0
    """seed of everything random"""
    world: WorldConfig = field(default_factory=WorldConfig)
    """the environment"""
    ask: AskConfig = field(default_factory=AskConfig)
    """questions and annotators"""
    reward: RewardConfig = field(default_factory=RewardConfig)
    """reward model"""
    population: Population | None = None
    """whom the reward is to speak for, as `plaudit audit quality --population` reads it: answers count by raked weights, or with
    reward.condition_on, groups' rewards are combined; empty: every answer counts alike"""
    policy: PolicyConfig = field(default_factory=PolicyConfig)
    """policy and its algorithm: exactly one of policy.sac, .ppo, .dqn, .td3, .a2c, .trpo, .reinforce, .iql"""
    explore: ExploreConfig = field(default_factory=ExploreConfig)
    """pay for finding new states"""
    loop: LoopConfig = field(default_factory=LoopConfig)
    """rounds and budget"""
    check: CheckConfig = field(default_factory=CheckConfig)
    """evaluation"""

    def __post_init__(self) -> None:
        loop, ask = self.loop, self.ask
        if loop.rounds < 1 or loop.warmup < 1 or loop.pretrain < 0 or loop.steps <= loop.before:
            raise ConfigError(
                "The budget of the run does not fit together",
                got=f"steps {loop.steps}, of which {loop.before} before the first question; warmup {loop.warmup}, "
                f"pretrain {loop.pretrain}, rounds {loop.rounds}",
                expected="rounds >= 1, warmup >= 1, pretrain >= 0 and demonstrations.steps + warmup + pretrain < steps",
            )
        without_density = self.policy.dqn or self.policy.td3 or self.policy.iql
        if loop.demonstrations is not None and (without_density or self.reward.trunk.sees):
            raise ConfigError(
                "A reward cannot be learned from demonstrations like this",
                got=f"reward.trunk = {self.reward.trunk.value}, a policy {'without' if without_density else 'with'} a density",
                expected="sac, ppo, a2c, trpo or reinforce, whose actions have a density, and any trunk but cnn",
            )
        bonus = self.explore.uncertainty > 0 or self.explore.entropy > 0
        if (bonus and ask.labels == 0) or (self.policy.iql is not None and (bonus or loop.pretrain > 0)):
            raise ConfigError(
                "Nothing here can be explored",
                got="policy.iql, which never acts" if ask.labels else "ask.labels = 0",
                expected="explore.uncertainty = 0 and explore.entropy = 0; with policy.iql loop.pretrain = 0 too",
            )
        shares = {name: getattr(ask, name) for name in ("first_share", "first_spread", "last_at", "newest")}
        if ask.labels < 0 or not all(0 <= share <= 1 for share in shares.values()) or not ask.first_share * ask.newest:
            raise ConfigError(
                "The settings of [ask] are out of range",
                got={"labels": ask.labels, **shares},
                expected="labels >= 0, shares from 0 to 1, first_share and newest above 0",
            )
        newest = 1 if ask.newest_episodes is None else ask.newest_episodes
        if ask.lists < 0 or ask.list_weight < 0 or newest < 1 or ask.session < 1:
            raise ConfigError(
                "The settings of [ask] are out of range",
                got=f"lists {ask.lists}, list_weight {ask.list_weight}, newest_episodes {ask.newest_episodes}, session {ask.session}",
                expected="lists and list_weight >= 0, newest_episodes and session >= 1",
            )
        if ask.lists and self.world.tasks:
            raise ConfigError(
                "Ranked lists cannot hold several tasks", got=f"ask.lists = {ask.lists}", next_step="set ask.lists = 0"
            )
        if ask.lists and ask.kind is not QueryKind.COMPARISON:
            raise ConfigError(
                "Ranked lists are made by comparisons",
                got=f"ask.lists = {ask.lists} and ask.kind = {ask.kind.value}",
                next_step="set ask.kind = comparison, or ask.lists = 0",
            )
        if ask.kind not in (QueryKind.COMPARISON, QueryKind.RATING, QueryKind.STEPS):
            raise ConfigError(
                "A run of a control agent cannot ask this kind of question",
                got=f"ask.kind = {ask.kind.value}",
                expected="comparison, rating or steps",
            )
        if ask.labels == 0 and loop.environment_weight == 0:
            raise ConfigError(
                "Nothing tells the policy what is good",
                got="ask.labels = 0 and loop.environment_weight = 0",
                next_step="ask for labels, or set loop.environment_weight = 1 to train on the environment's reward",
            )
        if ask.segment_length > loop.warmup // self.world.envs:
            raise ConfigError(
                "The warm-up is too short to cut segments from",
                got=f"{loop.warmup} steps over {self.world.envs} environments, segments of {ask.segment_length}",
                expected=f"loop.warmup >= {ask.segment_length * self.world.envs}",
            )
        self._check_population()
        labels_per_round(self)  # raises when the schedule does not fit the rounds

    def _check_population(self) -> None:
        population, on = self.population, self.reward.condition_on
        if population is None:
            return
        if not on and population.combine is not Combine.MEAN:
            raise ConfigError(
                "Rewards of groups cannot be combined where there is one reward for all",
                got=f"population.combine = {population.combine.value}",
                next_step="name the groups' trait in reward.condition_on",
            )
        if on and (set(population.margins) != set(on) or len(on) > 1 or self.reward.as_traits):
            raise ConfigError(
                "The population and what the reward depends on do not fit together",
                got=f"margins of {sorted(population.margins)}, reward.condition_on {list(on)}, as_traits {self.reward.as_traits}",
                expected="the same one trait in both, and no reward.as_traits",
            )
        bonus = self.explore.uncertainty > 0 or self.explore.entropy > 0
        if on and (bonus or self.reward.trunk.remembers or self.ask.labels == 0):
            raise ConfigError(
                "Rewards of groups cannot be combined like this yet",
                got=f"reward.trunk = {self.reward.trunk.value}, explore {self.explore}, ask.labels = {self.ask.labels}",
                expected="answers, a trunk that reads single steps, and explore.uncertainty = explore.entropy = 0",
            )


def labels_per_round(config: RunConfig) -> list[int]:
    """How many questions each round asks."""
    ask_, loop = config.ask, config.loop
    share_done = [(loop.before + r * (loop.steps - loop.before) / loop.rounds) / loop.steps for r in range(loop.rounds)]
    asking = max(1, sum(share <= ask_.last_at for share in share_done))
    counts = sessions(ask_.labels, asking, ask_.schedule, first_share=ask_.first_share, size=ask_.session)
    return counts + [0] * (loop.rounds - asking)

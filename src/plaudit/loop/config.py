"""The run file: one tree of settings for the whole loop. Every field says what it does; the command line shows the same text."""

from __future__ import annotations

from dataclasses import dataclass, field

from plaudit.ask.acquisition import Strategy
from plaudit.ask.teachers import TeacherConfig
from plaudit.control.config import PolicyConfig
from plaudit.errors import ConfigError
from plaudit.records import QueryKind
from plaudit.reward.config import RewardConfig
from plaudit.worlds.config import WorldConfig


@dataclass(frozen=True, slots=True)
class AskConfig:
    """Which questions are asked, how many, when, and who answers."""

    labels: int = 50
    """questions over the whole run; 0 trains on the environment's own reward (set loop.environment_weight)"""
    kind: QueryKind = QueryKind.COMPARISON
    """form of the questions: comparison, rating or steps"""
    segment_length: int = 50
    """steps in a segment that people judge"""
    strategy: Strategy = Strategy.DISAGREEMENT
    """how questions are chosen once there is a reward model; the first round is always uniform"""
    first_share: float = 0.25
    """share of the labels asked in the first round"""
    last_at: float = 0.6
    """share of the environment steps by which the last question has been asked"""
    pool: int = 10
    """candidates looked at per question asked"""
    newest: float = 0.35
    """candidates come mostly from the newest behaviour: this share of it (1 = all behaviour alike)"""
    levels: int = 5
    """grades on the scale of ratings"""
    teacher: TeacherConfig | None = field(default_factory=TeacherConfig)
    """simulated teacher that answers from the true reward; `people = true` turns it off"""
    instruction: str = ""
    """what people are told to look for, above the clips, for example "Which one swings up and stays up?"; empty: a general one"""
    people: bool = False
    """wait for people who answer in the studio instead of a simulated teacher"""
    patience_seconds: float = 600.0
    """how long a round waits for people before it goes on with the answers that are there; the first waits for at least two"""


@dataclass(frozen=True, slots=True)
class LoopConfig:
    """How the rounds are cut."""

    steps: int = 6000
    """environment steps of the whole run, warm-up included"""
    warmup: int = 800
    """steps of random actions before the first question"""
    rounds: int = 12
    """turns of act, ask, learn, improve, check"""
    environment_weight: float = 0.0
    """weight of the environment's own reward, added to the learned one"""
    threads: int = 1
    """threads of numeric libraries; fixed for the run, since results depend on it"""


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
    policy: PolicyConfig = field(default_factory=PolicyConfig)
    """policy and its algorithm: exactly one of policy.sac, policy.ppo, policy.dqn"""
    loop: LoopConfig = field(default_factory=LoopConfig)
    """rounds and budget"""
    check: CheckConfig = field(default_factory=CheckConfig)
    """evaluation"""

    def __post_init__(self) -> None:
        loop, ask = self.loop, self.ask
        if loop.rounds < 1 or loop.warmup < 1 or loop.steps <= loop.warmup:
            raise ConfigError(
                "The budget of the run does not fit together",
                got=f"steps {loop.steps}, warmup {loop.warmup}, rounds {loop.rounds}",
                expected="rounds >= 1 and 1 <= warmup < steps",
            )
        if ask.labels < 0 or not 0 < ask.first_share <= 1 or not 0 <= ask.last_at <= 1 or not 0 < ask.newest <= 1:
            raise ConfigError(
                "The settings of [ask] are out of range",
                got=f"labels {ask.labels}, first_share {ask.first_share}, last_at {ask.last_at}, newest {ask.newest}",
                expected="labels >= 0, shares in (0, 1]",
            )
        if ask.kind.open_ended:
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

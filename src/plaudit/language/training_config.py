"""Settings of `plaudit train`, one class per stage."""

from __future__ import annotations

from dataclasses import dataclass, field

from plaudit.engine.load import LoraConfig, ModelConfig
from plaudit.language.direct import DirectConfig
from plaudit.language.distill import DistillConfig
from plaudit.language.group_config import PRESET, GroupConfig
from plaudit.language.guarded import TextGuardConfig
from plaudit.language.mixture import MixtureConfig
from plaudit.language.offline import OfflineConfig
from plaudit.language.online import OnlineConfig
from plaudit.language.ppo_config import PPOConfig
from plaudit.language.rest import RestConfig
from plaudit.language.reward import TextRewardConfig
from plaudit.language.sft import SftConfig
from plaudit.language.unpaired import UnpairedConfig
from plaudit.ops.aggregate import AggregateConfig
from plaudit.run.sinks import Tool


def _adapted() -> ModelConfig:
    return ModelConfig(lora=LoraConfig())


@dataclass(frozen=True, slots=True)
class Training:
    """What every stage of `plaudit train` needs to know."""

    out: str
    """folder of the training; it goes on where it stopped if it is there already"""
    model: ModelConfig = field(default_factory=_adapted)
    """the language model; a directory with an adapter is taken with the adapter merged in"""
    seed: int = 0
    """of everything random"""
    threads: int | None = None
    """of a product; none: as many as a probe finds fastest, which is then kept"""
    as_user: bool = False
    """take plain prompts as what a user says, and plain completions as the assistant's turn: for a model to chat with"""
    log: tuple[Tool, ...] = ()
    """tools that metrics also go to: tensorboard, wandb, mlflow, trackio"""


@dataclass(frozen=True, slots=True)
class SftTraining(Training):
    """Learn to write what people wrote: demonstrations in a store (`plaudit import` makes one)."""

    store: str = ""
    """directory of a run or of imports"""
    sft: SftConfig = field(default_factory=SftConfig)
    """the stage"""


@dataclass(frozen=True, slots=True)
class DirectTraining(Training):
    """Learn from comparisons without a reward model: DPO and its kin."""

    store: str = ""
    """directory of a run or of imports"""
    direct: DirectConfig = field(default_factory=DirectConfig)
    """the stage"""


@dataclass(frozen=True, slots=True)
class UnpairedTraining(Training):
    """Learn from single answers that were found good or bad, without a reward model: KTO."""

    store: str = ""
    """directory of a run or of imports"""
    unpaired: UnpairedConfig = field(default_factory=UnpairedConfig)
    """the stage"""


@dataclass(frozen=True, slots=True)
class OfflineTraining(Training):
    """Learn from logged answers with scores, without sampling: advantage-weighted or importance-weighted."""

    store: str = ""
    """directory of a run or of imports"""
    reward: str = ""
    """folder of a reward that scores every text that was asked about; none: their ratings are the scores"""
    offline: OfflineConfig = field(default_factory=OfflineConfig)
    """the stage"""


@dataclass(frozen=True, slots=True)
class RewardTraining(Training):
    """Fit a reward model to every kind of feedback in a store."""

    store: str = ""
    """directory of a run or of imports"""
    reward: TextRewardConfig = field(default_factory=TextRewardConfig)
    """the stage"""
    checkpoint_every: int = 50
    """steps between checkpoints"""
    classifier: bool = True
    """also write `classifier/`: a sequence classifier that Transformers, TRL and RewardBench load, adapters merged in"""


@dataclass(frozen=True, slots=True)
class GroupTraining(Training):
    """Optimise against a reward, completions of a prompt compared with each other: GRPO, RLOO and their kin."""

    prompts: tuple[str, ...] = ()
    """files of prompts: .jsonl, .json, .csv, .parquet"""
    reward: str = ""
    """folder of a reward: `model` in the folder of `plaudit train reward`"""
    preset: str = PRESET
    """published algorithm whose settings hold where `group` does not say otherwise: grpo, dr-grpo, dapo, rloo, reinforce++,
    reinforce++-baseline, gspo, cispo"""
    examples: str = ""
    """directory of a run or of imports whose demonstrations are imitated in every step (PTX); none: none are"""
    mixture: MixtureConfig = field(default_factory=MixtureConfig)
    """how much they are imitated, where there are `examples`"""
    sentences: bool = False
    """pay each sentence when it ends, what it adds to the reward of the text so far, instead of all at the end"""
    group: GroupConfig = field(default_factory=GroupConfig)
    """the stage"""
    aggregate: AggregateConfig | None = None
    """how the reward's members become one number; none: their mean"""
    guard: TextGuardConfig | None = None
    """have the policy judged while it trains; none: nobody looks"""


@dataclass(frozen=True, slots=True)
class PPOTraining(Training):
    """Optimise against a reward with a critic that begins as the reward: policy, reward, critic and reference."""

    prompts: tuple[str, ...] = ()
    """files of prompts: .jsonl, .json, .csv, .parquet"""
    reward: str = ""
    """folder of a reward: `model` in the folder of `plaudit train reward`"""
    examples: str = ""
    """directory of a run or of imports whose demonstrations are imitated in every step (PTX); none: none are"""
    mixture: MixtureConfig = field(default_factory=MixtureConfig)
    """how much they are imitated, where there are `examples`"""
    sentences: bool = False
    """pay each sentence when it ends, what it adds to the reward of the text so far, instead of all at the end"""
    ppo: PPOConfig = field(default_factory=PPOConfig)
    """the stage"""
    aggregate: AggregateConfig | None = None
    """how the reward's members become one number; none: their mean"""
    guard: TextGuardConfig | None = None
    """have the policy judged while it trains; none: nobody looks"""


@dataclass(frozen=True, slots=True)
class OnlineTraining(Training):
    """Learn from the policy's own answers, ordered by a reward in pairs: online DPO."""

    prompts: tuple[str, ...] = ()
    """files of prompts: .jsonl, .json, .csv, .parquet"""
    reward: str = ""
    """folder of a reward: `model` in the folder of `plaudit train reward`"""
    online: OnlineConfig = field(default_factory=OnlineConfig)
    """the stage"""


@dataclass(frozen=True, slots=True)
class RestTraining(Training):
    """Imitate the best of the policy's own answers: rejection sampling and ReST."""

    prompts: tuple[str, ...] = ()
    """files of prompts: .jsonl, .json, .csv, .parquet"""
    reward: str = ""
    """folder of a reward: `model` in the folder of `plaudit train reward`"""
    rest: RestConfig = field(default_factory=RestConfig)
    """the stage"""


@dataclass(frozen=True, slots=True)
class DistillTraining(Training):
    """Learn to say next what a teacher would, on its own completions and on texts that are there."""

    teacher: str = ""
    """directory of the teacher, with the student's tokens"""
    prompts: tuple[str, ...] = ()
    """files of prompts that the student answers: .jsonl, .json, .csv, .parquet; not needed where `own` is 0"""
    store: str = ""
    """directory of a run or of imports, whose demonstrations are the texts; not needed where `own` is 1"""
    distill: DistillConfig = field(default_factory=DistillConfig)
    """the stage"""

"""`plaudit train STAGE [FILE]`: one stage of teaching a language model, from a store or a reward to a model's directory."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import tyro
from rich.console import Console

from plaudit.cli import rollouts
from plaudit.cli.flags import flag
from plaudit.engine.text import Tokeniser
from plaudit.errors import ConfigError
from plaudit.exchange.prompts import load_prompts
from plaudit.language import training
from plaudit.language.group_config import with_preset
from plaudit.run.config import from_table, read_table
from plaudit.worlds.prompts import Part, Prompt, PromptsConfig

SHOWN = (
    "loss",
    "objective/kl",
    "kl",
    "reward",
    "objective/scores",
    "divergence",
    "rewards/accuracies",
    "mean_token_accuracy",
    "entropy",
    "grad_norm",
)
"""metrics that a line on the terminal has room for, where a stage has them"""

NAMED = 3
"""rows of files that a warning names"""


@dataclass(frozen=True, slots=True)
class Stage:
    """A kind of training: its settings, and what does it."""

    settings: type[Any]
    run: Callable[[Any, training.Each], Path]
    prepared: Callable[[Mapping[str, Any]], dict[str, Any]] = dict
    """fills in what a file leaves to an algorithm's name"""


STAGES = {
    "sft": Stage(training.SftTraining, training.train_sft),
    "reward": Stage(training.RewardTraining, training.train_reward),
    "ppo": Stage(training.PPOTraining, lambda given, each: training.train_ppo(given, each, prompts)),
    "group": Stage(training.GroupTraining, lambda given, each: training.train_group(given, each, prompts), with_preset),
    "direct": Stage(training.DirectTraining, training.train_direct),
    "unpaired": Stage(training.UnpairedTraining, training.train_unpaired),
    "offline": Stage(training.OfflineTraining, training.train_offline),
    "distill": Stage(training.DistillTraining, lambda given, each: training.train_distill(given, each, prompts)),
    "online": Stage(training.OnlineTraining, lambda given, each: training.train_online(given, each, prompts)),
    "rest": Stage(training.RestTraining, lambda given, each: training.train_rest(given, each, prompts)),
}
USAGE = f"""usage: plaudit train {{{",".join(STAGES)}}} [FILE.toml] --out DIRECTORY --model.path DIRECTORY ...
       plaudit train show DIRECTORY [--rollout N]

sft      learn to write what people wrote (demonstrations in a store)
reward   fit a reward model to every kind of feedback in a store
direct   learn from comparisons without a reward model (DPO, IPO, SimPO, ORPO, ...)
unpaired learn from single answers found good or bad, without a reward model (KTO)
offline  learn from logged answers with scores, without sampling (AWR, importance weights)
distill  learn to say next what a teacher would, on the student's own answers (GKD)
online   learn from the policy's own answers, ordered by a reward (online DPO)
rest     imitate the best of the policy's own answers (rejection sampling, ReST)
group    optimise against a reward: GRPO, Dr. GRPO, DAPO, RLOO, REINFORCE++, GSPO, CISPO (--preset)
ppo      optimise against a reward with a critic
show     print what the policy of `group` or `ppo` wrote in a rollout, and what each completion was worth

`plaudit train STAGE --help` lists the settings of one. A file gives them as a run file does; flags override it. A training
whose folder is there already goes on where it stopped."""


def main(arguments: Sequence[str]) -> int:
    """Entry point of the verb."""
    console = Console(highlight=False)
    if arguments and arguments[0] == "show":
        return rollouts.main(arguments[1:])
    if not arguments or arguments[0] not in STAGES:
        if arguments and arguments[0] in ("-h", "--help"):
            console.print(USAGE, markup=False)
            return 0
        raise ConfigError(
            "There is no such stage", got=list(arguments[:1]), expected=f"one of {', '.join(STAGES)}, or show",
            next_step="plaudit train --help",
        )  # fmt: skip
    name, *rest = arguments
    stage = STAGES[name]
    given = _given(stage, name, rest)

    def each(step: int, steps: int, metrics: Mapping[str, float]) -> None:
        told = "  ".join(f"{key} {metrics[key]:.4g}" for key in SHOWN if key in metrics)
        console.print(f"{step:>6}/{steps}  {told}", markup=False, soft_wrap=True)

    folder = stage.run(given, each)
    console.print(f"model: {folder}   metrics: {Path(given.out) / 'metrics.jsonl'}", markup=False, soft_wrap=True)
    return 0


def prompts(files: tuple[str, ...], tokeniser: Tokeniser) -> Sequence[Prompt]:
    """Prompts of files, each once; rows without a usable one are left out, with a warning. Raises ConfigError without any file."""
    if not files:
        raise ConfigError("There are no prompts to answer", expected="files", next_step="give --prompts FILE ...")
    found = load_prompts(PromptsConfig(policy_files=files), count=lambda text: len(tokeniser.prompt(text)))
    if found.skipped:
        first = "; ".join(f"{where}: {why}" for where, why in found.skipped[:NAMED])
        warnings.warn(f"{len(found.skipped)} rows of the files of prompts are left out: {first}", stacklevel=2)
    return found[Part.POLICY]


def _given(stage: Stage, name: str, words: list[str]) -> Any:
    """Settings from a file, if the first word names one, and from flags."""
    shape = tyro.conf.AvoidSubcommands[tyro.conf.EnumChoicesFromValues[stage.settings]]
    path = Path(words.pop(0)) if words and words[0].endswith(".toml") else None
    preset = flag(words, "preset")  # decides about settings that neither file nor flags name
    table = ({} if path is None else read_table(path)) | ({} if preset is None else {"preset": preset})
    default = from_table(stage.settings, stage.prepared({"out": "", **table}), where=path.name if path else "flags")
    if not default.out:
        default = replace(default, out=tyro.MISSING)
    return tyro.cli(shape, default=default, args=words, prog=f"plaudit train {name}")

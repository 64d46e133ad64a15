"""`plaudit init`: a few questions that tell whether learning from human feedback fits, then a run file, or better advice."""

from __future__ import annotations

import enum
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import gymnasium
import tyro
from rich.console import Console
from rich.prompt import Confirm, FloatPrompt, Prompt

from plaudit.errors import RunError
from plaudit.worlds.config import WorldConfig
from plaudit.worlds.make import make


class Advice(enum.Enum):
    """What to do, given the answers."""

    FEEDBACK = "Learning from feedback fits: people can judge the behaviour better than anyone can write its reward."
    PLAIN_RL = (
        "You have a reward that says what you want. Train on it directly with Stable-Baselines3: it is cheaper and there is "
        "no learned reward to fool. Come back when the trained agent does what the reward says and not what you mean."
    )
    WRITE_REWARD = (
        "If writing the reward is easier than judging clips, write it, train on it, and let people check the result. "
        "plaudit can mix your reward with a learned one later (loop.environment_weight)."
    )
    CANNOT_JUDGE = (
        "If people cannot tell good behaviour from bad, their answers are noise and the policy will learn to please, not to do. "
        "Use demonstrations, a measurable outcome, or make the behaviour judgeable first (shorter, slower, with instruments)."
    )
    TOO_EXPENSIVE = (
        "At that price per answer a run of 50 to 200 answers costs more than you have. Start with demonstrations or a hand-written "
        "reward, and spend the few answers on checking the result."
    )


@dataclass(frozen=True, slots=True)
class Situation:
    """What the questions ask for."""

    reward_known: bool
    """a reward is known that says what is wanted, loopholes included"""
    judge_beats_write: bool
    """people can judge a clip better than anyone can write the reward"""
    can_judge: bool
    """two people who see the same two clips would mostly agree"""
    seconds_per_answer: float
    """how long one answer takes"""
    minutes_available: float
    """how many minutes of people's time there are"""


MINIMUM_ANSWERS = 20
"""a rule of thumb: 25 comparisons taught Pendulum in every seed (benchmarks/efficiency.py), few worlds are easier"""


def advise(situation: Situation) -> Advice:
    """Whether learning from human feedback fits, and what to use instead when it does not."""
    if situation.reward_known:
        return Advice.PLAIN_RL
    if not situation.can_judge:
        return Advice.CANNOT_JUDGE
    if not situation.judge_beats_write:
        return Advice.WRITE_REWARD
    if situation.minutes_available * 60 < MINIMUM_ANSWERS * situation.seconds_per_answer:
        return Advice.TOO_EXPENSIVE
    return Advice.FEEDBACK


@dataclass(frozen=True)
class Arguments:
    """Answer a few questions; get a run file, or advice to do something else."""

    file: Path = Path("run.toml")
    """where to write the run file"""
    world: str | None = None
    """Gymnasium id of the environment; asked for when not given"""
    yes: bool = False
    """skip the questions: assume that learning from feedback fits and people answer"""


def main(arguments: Sequence[str]) -> int:
    """Entry point of the verb."""
    given = tyro.cli(Arguments, args=arguments, prog="plaudit init")
    console = Console()
    if given.file.exists():
        raise RunError("The file exists already", got=str(given.file), next_step="choose another name with --file")
    try:
        return _make(given, console)
    except EOFError as error:
        raise RunError(
            "The questions cannot be asked, since nobody is at the keyboard",
            next_step="answer them in a terminal, or skip them with --yes --world ID",
        ) from error


def _make(given: Arguments, console: Console) -> int:
    situation = Situation(False, True, True, 4.0, 30.0) if given.yes else _interview()
    advice = advise(situation)
    console.print(f"\n[bold]{advice.value}[/]")
    if advice is not Advice.FEEDBACK:
        return 1
    world = given.world or Prompt.ask("\nGymnasium id of your environment", default="Pendulum-v1")
    labels = int(min(200, situation.minutes_available * 60 / situation.seconds_per_answer))
    given.file.write_text(run_file(world, labels))
    console.print(
        f"\nwrote {given.file}. Look at its cost with `plaudit run {given.file} --estimate`, then `plaudit run {given.file} --studio`."
    )
    return 0


def _interview(ask: Callable[[str], bool] = Confirm.ask) -> Situation:
    return Situation(
        reward_known=ask("Is there a reward that you would trust, even if an agent looked for its loopholes?"),
        can_judge=ask("Would two people who see the same two short clips mostly agree on which is better?"),
        judge_beats_write=ask("Is it easier to judge such clips than to write the reward down?"),
        seconds_per_answer=_positive("Seconds that one answer takes", 4),
        minutes_available=_positive("Minutes of people's time that you have", 15),
    )


def _positive(question: str, default: float) -> float:
    """A number above zero; asks again until it is one."""
    while not 0 < (answer := FloatPrompt.ask(question, default=default)) < math.inf:
        pass
    return answer


def run_file(world: str, labels: int) -> str:
    """A commented run file for an environment. Raises WorldError when the environment cannot be used."""
    env = make(WorldConfig(id=world))
    discrete = isinstance(env.action_space, gymnasium.spaces.Discrete)
    steps = env.spec.max_episode_steps if env.spec is not None else None
    env.close()
    algorithm = "ppo" if discrete else "sac"
    total = 100_000 if discrete else 20_000
    return f'''# Made by `plaudit init`. Every setting and its default: docs/reference/run-file.md
name = "{world.lower().replace("/", "-")}"
seed = 0

[world]
id = "{world}"
# horizon = {steps or 500}    # fixed episode length; keeps episode length from giving the reward away

[ask]
labels = {labels}            # questions over the whole run
kind = "comparison"     # or "rating", "steps"
segment_length = {min(50, steps or 50)}     # steps per clip; clips of 1 to 2 seconds are usual
people = true           # answered in the browser; false: a simulated teacher answers from the true reward

[policy.{algorithm}]

[loop]
steps = {total}          # environment steps over the whole run
warmup = {max(1000, 8 * min(50, steps or 50))}           # random actions before the first question
rounds = 10
'''

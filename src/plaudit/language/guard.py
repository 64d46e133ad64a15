"""The guard of a language model under training: fresh completions of the policy and of its best checkpoint, judged in pairs.

Both answer the same prompts with the same random numbers, so that they differ only where the policies do: fewer pairs tell more.
What the best checkpoint is, how the test stands and what was judged is kept in the training's checkpoints.

guard = TextGuard(group, prompts, config=GuardConfig(every=10), score=paid_by(reward), judge=judged_by(gold))
train(group, prompts, paid_by(reward), folder=Path("runs/grpo"), guard=guard)
guard.guard.diagnosis()
"""

from __future__ import annotations

import json
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from plaudit.engine.model import LanguageModel
from plaudit.engine.sampling import Rollout, Sampling
from plaudit.errors import RunError
from plaudit.language.experience import Prompts, Score, checked, chosen, scored
from plaudit.language.update import UpdateConfig
from plaudit.ops.tokens import segment_sum
from plaudit.records import canonical_json
from plaudit.run.guard import KL, PROXY, Guard
from plaudit.run.guard_config import GuardConfig
from plaudit.run.monitor import Signal
from plaudit.run.seeds import derive, generator

BEST, FACTS = "guard.safetensors", "guard.json"


@dataclass(frozen=True, slots=True, eq=False)
class Pairs:
    """What is judged at a check: one completion of each prompt by the policy, and one by its best checkpoint."""

    check: int
    """its number, from 1"""
    numbers: tuple[int, ...]
    """of the pairs within the check, from 0"""
    prompts: tuple[int, ...]
    """which prompt each pair answers, as a place in the guard's prompts"""
    newest: Rollout
    best: Rollout


Judge = Callable[[Pairs], Sequence[bool | None]]
"""of each pair, whether the policy's completion is better; None for a tie or no answer"""


class _Settings(Protocol):
    @property
    def max_tokens(self) -> int: ...
    @property
    def temperature(self) -> float: ...
    @property
    def update(self) -> UpdateConfig: ...


class Learner(Protocol):
    """What the guard needs of a learner: `Group` and `PPO` have it."""

    model: LanguageModel
    reference: LanguageModel | None
    seed: int

    @property
    def config(self) -> _Settings:
        """Its settings."""
        ...


class TextGuard:
    """The guard of one training. The policy as it is when this is made is the first best checkpoint.

    Args:
        learner: the policy under training.
        prompts: whose completions are judged; those of the training, or others.
        config: settings.
        score: what the policy is paid, recorded beside what is judged.
        judge: who judges.

    Attributes:
        guard: the monitor, with its checks, its ending and its diagnosis.
    """

    def __init__(self, learner: Learner, prompts: Prompts, *, config: GuardConfig, score: Score, judge: Judge) -> None:
        self._audit = _Audit(learner, prompts, config.pairs, score, judge)
        self.guard = Guard(config, self._audit)

    @property
    def ended(self) -> bool:
        """Whether the training is over."""
        return self.guard.ending is not None

    def after(self, metrics: Mapping[str, float]) -> dict[str, float]:
        """A rollout was learned from: look, where a check is due. Returns `metrics`, with the guard's after a check."""
        before = len(self.guard.checks)
        signal = self.guard.report(1, metrics)
        looked = len(self.guard.checks) > before or signal is not Signal.GO
        return {**metrics, **(self.guard.metrics() if looked else {})}

    def save(self, folder: Path) -> None:
        """Write the best checkpoint and the state of the test into a folder that exists."""
        save_file({str(number): one for number, one in enumerate(self._audit.best)}, folder / BEST)
        (folder / FACTS).write_bytes(canonical_json(self.guard.state()) + b"\n")

    def load(self, folder: Path) -> None:
        """Inverse of `save`. Raises RunError where there was no guard."""
        try:
            state, found = json.loads((folder / FACTS).read_bytes()), load_file(folder / BEST)
        except (OSError, ValueError, SafetensorError) as error:
            raise RunError(
                "A checkpoint holds no guard", got=f"{folder}: {error}", next_step="resume with the guard that began it"
            ) from error
        self.guard.load(state)
        self._audit.best = [found[str(number)] for number in range(len(found))]


class _Audit:
    """The learner's side of the guard."""

    def __init__(self, learner: Learner, prompts: Prompts, pairs: int, score: Score, judge: Judge) -> None:
        self._learner, self._prompts, self._pairs = learner, prompts, pairs
        self._score, self._judge = score, judge
        self.best: list[Tensor] = []
        self._newest = self._other = self._write(0)

    def judge(self, check: int, first: int, count: int) -> Sequence[bool | None]:
        """Some pairs of completions of both to the same prompts; equal ones are ties that nobody is asked about."""
        if first == 0:
            self._newest = self._write(check)
            with self._best_in_place():
                self._other = self._write(check)
        newest, best = self._newest.batch.rows, self._other.batch.rows
        rows = [row for row in range(first, first + count) if not torch.equal(newest[row], best[row])]
        found: list[bool | None] = [None] * count
        if rows:
            places = self._places(check)
            pairs = Pairs(
                check, tuple(rows), tuple(places[row] for row in rows), chosen(self._newest, rows), chosen(self._other, rows)
            )  # fmt: skip
            for row, answer in zip(rows, self._judge(pairs), strict=True):
                found[row - first] = answer
        return found

    def measures(self) -> dict[str, float]:
        """What the policy is paid, and its distance from the reference in nats per completion, over the newest completions."""
        rollout, learner = self._newest, self._learner
        batch = rollout.batch
        found = {PROXY: float(checked(self._score(rollout), batch).nanmean())}
        reference = learner.reference
        if reference is None and learner.model.adapter is not None:
            reference = learner.model.view(None)
        if reference is not None:
            tokens = learner.config.update.tokens(learner.model.device)
            theirs = scored(reference, batch, temperature=learner.config.temperature, max_tokens=tokens)
            apart = (rollout.logprobs.cpu() - theirs).double()
            found[KL] = float(segment_sum(apart, batch.row, len(batch)).mean())
        return found

    def keep(self) -> None:
        """A copy of the parameters."""
        self.best = [one.detach().cpu().clone() for one in self._learner.model.parameters()]

    def restore(self) -> None:
        """Put it back."""
        self._load(self.best)

    def _places(self, check: int) -> list[int]:
        """Which prompts are answered: others at each check, each once before any comes again."""
        order = generator(self._learner.seed, "guard", check).permutation(len(self._prompts)).tolist()
        return [order[number % len(order)] for number in range(self._pairs)]

    def _write(self, check: int) -> Rollout:
        config = self._learner.config
        sampling = Sampling(max_tokens=config.max_tokens, temperature=config.temperature)
        asked = [self._prompts[place] for place in self._places(check)]
        seed = derive(self._learner.seed, "guard", "completions", check)
        return self._learner.model.generate(asked, samples=1, sampling=sampling, seed=seed)

    def _load(self, values: Sequence[Tensor]) -> None:
        with torch.no_grad():
            for parameter, value in zip(self._learner.model.parameters(), values, strict=True):
                parameter.copy_(value)

    @contextmanager
    def _best_in_place(self) -> Generator[None]:
        newest = [one.detach().cpu().clone() for one in self._learner.model.parameters()]
        self._load(self.best)
        try:
            yield
        finally:
            self._load(newest)


def judged_by(score: Score, *, seed: int = 0, right: float = 1.0) -> Judge:
    """Judges by a score that the policy is not paid by: a gold function, or a reward that was held out.

    Args:
        score: of completions; what cannot be scored is not judged.
        seed: of wrong answers.
        right: probability that an answer is right: below 1, it stands for people.
    """

    def judge(pairs: Pairs) -> list[bool | None]:
        newest, best = (checked(score(one), one.batch) for one in (pairs.newest, pairs.best))
        slips = generator(seed, "guard", "slips", pairs.check).random(1 + max(pairs.numbers)) >= right
        apart = zip((newest - best).nan_to_num(0.0).tolist(), pairs.numbers, strict=True)
        return [None if one == 0 else bool((one > 0) ^ slips[number]) for one, number in apart]

    return judge

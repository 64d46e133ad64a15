"""One optimiser step, whatever the algorithm: micro-batches whose losses add up, clipping, AdamW, a schedule, a guard.

An algorithm hands over the shares of its loss one by one (`Update.step`): each is already divided by what the WHOLE step
averages over (`plaudit.ops.tokens.totals`), so that how it is cut up does not matter. Only one share's graph lives at a time.
"""

from __future__ import annotations

import enum
import json
import math
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.nn import Parameter

from plaudit.engine.batch import Batch
from plaudit.errors import ConfigError, LearningError, RunError
from plaudit.language.memory import enough_memory
from plaudit.records import canonical_json, digest, to_json
from plaudit.records.codec import Json
from plaudit.run.checkpoint import commit, locate, remove_others, replace
from plaudit.run.monitor import Monitor, Signal, Unwatched
from plaudit.run.seeds import generator

STATE, ABOUT, LATEST = "update.safetensors", "update.json", "latest"
MOMENTS = ("exp_avg", "exp_avg_sq", "step")
MAX_TOKENS = {"cpu": 768}
"""of a micro-batch by device: on the CPU products of more rows are hardly faster, and what they leave behind fits no cache"""
ELSEWHERE = 16_384
PATIENCE = 10
"""steps in a row that may be skipped before it is an error"""


class Schedule(enum.Enum):
    """How the learning rate goes on after its warm-up."""

    CONSTANT = "constant"
    LINEAR = "linear"
    """down to 0 at the last step"""
    COSINE = "cosine"
    """down to 0 at the last step, slowly at both ends"""


@dataclass(frozen=True, slots=True)
class UpdateConfig:
    """An optimiser step."""

    learning_rate: float = 1e-4
    """highest step size; 1e-4 suits adapters, 1e-5 whole models"""
    schedule: Schedule = Schedule.LINEAR
    """how it falls"""
    warmup: int = 0
    """steps over which it rises first"""
    betas: tuple[float, float] = (0.9, 0.999)
    """memory of AdamW for gradients and for their squares"""
    epsilon: float = 1e-8
    """added to the root of the squares"""
    weight_decay: float = 0.0
    """share of each matrix taken away per step, times the learning rate; vectors keep theirs"""
    max_grad_norm: float = 1.0
    """length that a gradient is cut down to"""
    max_tokens: int | None = None
    """tokens of a micro-batch, prompts included; fewer need less memory and change nothing else. None: 768 on the CPU, where
    more are not faster, and 16384 elsewhere"""

    def __post_init__(self) -> None:
        numbers = (self.learning_rate, self.epsilon, self.max_grad_norm, self.max_tokens)
        if not all(number is None or number > 0 for number in numbers) or self.warmup < 0 or self.weight_decay < 0:
            raise ConfigError(
                "The settings of an update are out of range", got=self,
                expected="learning_rate, epsilon, max_grad_norm, max_tokens > 0; warmup, weight_decay >= 0",
            )  # fmt: skip

    def tokens(self, device: torch.device) -> int:
        """Most tokens of a micro-batch there."""
        return self.max_tokens or MAX_TOKENS.get(device.type, ELSEWHERE)


def rate(config: UpdateConfig, step: int, steps: int) -> float:
    """Learning rate of step 0 .. steps - 1."""
    rise = min(1.0, (step + 1) / config.warmup) if config.warmup else 1.0
    passed = min(max((step - config.warmup) / max(steps - config.warmup, 1), 0.0), 1.0)
    match config.schedule:
        case Schedule.CONSTANT:
            fall = 1.0
        case Schedule.LINEAR:
            fall = 1.0 - passed
        case Schedule.COSINE:
            fall = 0.5 * (1.0 + math.cos(math.pi * passed))
    return config.learning_rate * rise * fall


class Update:
    """An optimiser with its schedule and its place in it.

    Args:
        parameters: what is trained, in an order that stays the same.
        config: settings.
        steps: how many there will be; the schedule ends there.
        training: a name of all that a training depends on (`named`); a checkpoint of another one is refused.
    """

    def __init__(
        self, parameters: Sequence[Parameter], config: UpdateConfig, *, steps: int, training: str = ""
    ) -> None:
        if not parameters:
            raise LearningError(
                "Nothing can be trained", got="no parameter", expected="an adapter, or weights with gradients"
            )
        self.parameters, self.config, self.steps, self.training = list(parameters), config, steps, training
        self.done = 0
        """steps so far, skipped ones too: the place in the schedule and in the data"""
        self.skipped = 0
        """of them, steps whose loss or gradient was not finite"""
        self._in_a_row = 0
        matrices = [parameter for parameter in self.parameters if parameter.ndim >= 2]
        vectors = [parameter for parameter in self.parameters if parameter.ndim < 2]
        groups = [{"params": matrices, "weight_decay": config.weight_decay}, {"params": vectors, "weight_decay": 0.0}]
        self._optimiser = torch.optim.AdamW(
            [group for group in groups if group["params"]], lr=config.learning_rate, betas=config.betas, eps=config.epsilon,
            fused=True,
        )  # fmt: skip

    def step(self, shares: Iterable[Tensor]) -> dict[str, float]:
        """Add up the gradients of a loss's shares and move against them, unless they are not finite: then nothing moves.

        Returns loss, grad_norm (before it is cut), learning_rate and skipped_steps. Raises LearningError after PATIENCE
        skipped steps in a row, and where memory runs out: then nothing has moved either.
        """
        self._optimiser.zero_grad(set_to_none=True)
        loss = sum(float(share) for share in self._gathered(shares))
        norm = float(torch.nn.utils.clip_grad_norm_(self.parameters, self.config.max_grad_norm))
        pace = rate(self.config, self.done, self.steps)
        if math.isfinite(loss) and math.isfinite(norm):
            for group in self._optimiser.param_groups:
                group["lr"] = pace
            self._optimiser.step()
            # the fused kernel does not count its change, by which models notice that merged weights are stale
            torch.autograd.graph.increment_version(self.parameters)
            self._in_a_row = 0
        else:
            self.skipped, self._in_a_row = self.skipped + 1, self._in_a_row + 1
        self._optimiser.zero_grad(set_to_none=True)
        self.done += 1
        if self._in_a_row >= PATIENCE:
            raise LearningError(
                f"The last {PATIENCE} steps had a loss or gradient that is not finite", got=f"loss {loss}, gradient {norm}",
                next_step="lower the learning rate, or look for broken rewards or texts",
            )  # fmt: skip
        return {"loss": loss, "grad_norm": norm, "learning_rate": pace, "skipped_steps": float(self.skipped)}

    def _gathered(self, shares: Iterable[Tensor]) -> list[Tensor]:
        """Add up gradients; the shares themselves. Where memory runs out nothing is left of them."""
        losses: list[Tensor] = []
        try:
            with enough_memory(self.config.tokens(self.parameters[0].device)):
                for share in shares:
                    share.backward()
                    losses.append(share.detach())
        except LearningError:
            self._optimiser.zero_grad(set_to_none=True)
            raise
        return losses

    def due(self, every: int) -> bool:
        """Whether a checkpoint is due: after so many steps each time, and after the last."""
        return self.done % every == 0 or self.done == self.steps

    def save(self, folder: Path) -> None:
        """Write parameters, moments and place into a folder that exists; `load` goes on from them with equal bits."""
        tensors: dict[str, Tensor] = {}
        for number, parameter in enumerate(self.parameters):
            tensors[f"{number}.parameter"] = parameter.detach().clone().contiguous()
            state = self._optimiser.state.get(parameter, {})
            tensors.update({f"{number}.{name}": state[name].clone().contiguous() for name in MOMENTS if name in state})
        save_file(tensors, folder / STATE)
        place = {
            "format": 1,
            "training": self.training,
            "done": self.done,
            "skipped": self.skipped,
            "in_a_row": self._in_a_row,
        }
        (folder / ABOUT).write_bytes(canonical_json(place) + b"\n")

    def load(self, folder: Path) -> None:
        """Inverse of `save`; parameters change in place. Raises RunError where they do not fit."""
        try:
            place, tensors = json.loads((folder / ABOUT).read_bytes()), load_file(folder / STATE)
        except (OSError, ValueError, SafetensorError) as error:
            raise RunError("A checkpoint of an update cannot be read", got=f"{folder}: {error}") from error
        sizes = {name: tuple(tensor.shape) for name, tensor in tensors.items() if name.endswith(".parameter")}
        here = {f"{number}.parameter": tuple(parameter.shape) for number, parameter in enumerate(self.parameters)}
        if sizes != here or place["training"] != self.training:
            other = "a model with other parameters" if sizes != here else "other settings, texts or another seed"
            raise RunError(
                "A checkpoint belongs to another training", got=f"{folder}, of {other}",
                next_step="resume with what the training began with, or give another folder",
            )  # fmt: skip
        with torch.no_grad():
            for number, parameter in enumerate(self.parameters):
                parameter.copy_(tensors[f"{number}.parameter"])
                found = {name: tensors[f"{number}.{name}"] for name in MOMENTS if f"{number}.{name}" in tensors}
                self._optimiser.state[parameter] = {name: x.to(parameter.device) for name, x in found.items()}
        self.done, self.skipped, self._in_a_row = place["done"], place["skipped"], place["in_a_row"]


class Kept(Protocol):
    """What can be written into a folder and read from it."""

    def save(self, folder: Path) -> None:
        """Write everything into a folder that exists."""

    def load(self, folder: Path) -> None:
        """Inverse of `save`."""


def keep(stage: Kept, root: Path) -> None:
    """Make the newest checkpoint under `root`, durable and in one step, and remove those before it."""
    name = commit(root, stage.save)
    temporary = root / f"{LATEST}.new"
    temporary.write_text(name)
    replace(temporary, root / LATEST)
    remove_others(root, [name, LATEST])


def resume(stage: Kept, root: Path) -> None:
    """Go on from the newest checkpoint under `root`, if there is one. Raises IntegrityError if it is damaged."""
    if (root / LATEST).exists():
        stage.load(locate(root, (root / LATEST).read_text()))


def go_on(
    update: Update, step: Callable[[], dict[str, float]], *, every: int, folder: Path | None, monitor: Monitor | None
) -> None:
    """Take steps until there were `update.steps`, or the monitor says stop; with a folder, from its newest checkpoint on.

    Args:
        update: which `step` moves on by one.
        step: takes the step that `update.done` says is next; returns its metrics.
        every: steps between checkpoints.
        folder: for checkpoints.
        monitor: is told the metrics of each step.
    """
    watching = Unwatched() if monitor is None else monitor
    if folder is not None:
        resume(update, folder)
    while update.done < update.steps:
        metrics = step()
        if folder is not None and update.due(every):
            keep(update, folder)
        if watching.report(1, metrics) is Signal.STOP:
            break


def done_at(root: Path) -> int:
    """Steps that the newest checkpoint under `root` has behind it; 0 without one."""
    if not (root / LATEST).exists():
        return 0
    return int(json.loads((locate(root, (root / LATEST).read_text()) / ABOUT).read_bytes())["done"])


def named(settings: object, *parts: Json) -> str:
    """A name for a training: the same settings (a dataclass) and the same seed, texts and so on give the same name."""
    return digest(canonical_json([lasting(to_json(settings)), *parts]))


def lasting(settings: dict[str, Any]) -> dict[str, Any]:
    """Settings without those that a training may go on without: `max_tokens` of an update is about memory alone."""
    free: dict[str, Any] = {"max_tokens": None}
    return {
        name: lasting(value) | (free if name.endswith("update") else {}) if isinstance(value, dict) else value
        for name, value in settings.items()
    }


@dataclass(frozen=True, slots=True)
class Part:
    """A micro-batch, and where it stands in the batch."""

    batch: Batch
    rows: Tensor
    """[N'] its rows"""
    tokens: Tensor
    """[T'] its response tokens"""


def parts(batch: Batch, max_tokens: int) -> Iterator[Part]:
    """Micro-batches of whole groups, of at most so many tokens where a group allows it: as few as can be, and as even."""
    fewest = len(list(batch.parts(max_tokens, whole=True)))
    enough = bisect_left(range(max_tokens), True, key=lambda size: len(list(batch.parts(size, whole=True))) <= fewest)
    for rows in batch.parts(enough, whole=True):
        yield Part(batch.take(rows), torch.tensor(rows), batch.where(rows))


def rows_of_step(step: int, size: int, *, count: int, seed: int, name: str) -> list[int]:
    """Which of `count` rows a step takes, `size` of them: epoch after epoch, each in an order of its own.

    It depends on the step's number only, so a resumed training takes the rows that it would have taken.
    """
    places = range(step * size, (step + 1) * size)
    orders = {
        epoch: generator(seed, epoch, name, "order").permutation(count) for epoch in {at // count for at in places}
    }
    return [int(orders[at // count][at % count]) for at in places]

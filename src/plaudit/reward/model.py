"""The reward model: what one step is worth, in the opinion of every member of an ensemble.

Two scales, and how they relate. `score` is in log-odds units, as fitted: without ties and lapses a member believes that
the first of two segments is better with probability sigmoid(score of the first - score of the second). `per_step` is
for learners: per member it has mean 0 and standard deviation 1 on the behaviour that the model was fitted beside. So

    score[member, item] = scale[member] * sum over steps of per_step[member, item, step] + offset[member] * steps
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save
from scipy.special import expit

from plaudit.errors import IntegrityError, LearningError, RecordError
from plaudit.records import Scores, SegmentData, StepBatch
from plaudit.records.codec import canonical_json, digest, from_json, to_json
from plaudit.reward.collate import pack
from plaudit.reward.config import RewardConfig
from plaudit.reward.dispatch import OVERALL
from plaudit.reward.evidence import AnswerModel
from plaudit.reward.inputs import CONSTANT, Inputs
from plaudit.reward.tastes import Tastes, require_known
from plaudit.reward.trunks import Network, evaluate, from_arrays

Float64 = NDArray[np.float64]
FORMAT = 1
FIRST_SETTINGS = {
    "members", "hidden", "squares", "steps", "stop_accuracy", "patience", "learning_rate", "weight_decay", "batch", "crop",
    "return_penalty", "lapse", "fit_lapse", "warm_start",
}  # fmt: skip
"""the settings that a file of format 1 always names"""


@dataclass(frozen=True, slots=True, eq=False)
class RewardModel:
    """An ensemble with everything it takes to use it, and to go on fitting it."""

    config: RewardConfig
    inputs: Inputs
    ensemble: Network
    offset: Float64
    """[member] mean reward of a reference step, in log-odds units"""
    scale: Float64
    """[member] standard deviation of the reward of reference steps, in log-odds units"""
    annotators: AnswerModel
    """how values became answers"""
    held_out: bool
    """whether every member left some questions out; a fit that goes on from here keeps leaving out the same ones"""
    heads: dict[str, RewardModel] = field(default_factory=dict[str, "RewardModel"])
    """other rewards by name: `cost/<constraint>` learned from flags, `aspect/<name>` from questions about an aspect"""
    tastes: Tastes | None = None
    """in what people with some traits differ from everybody; None where nothing is known of it"""

    @property
    def traits(self) -> dict[str, tuple[str, ...]]:
        """Trait -> the values that people who answered had, as far as the reward may depend on them."""
        values = () if self.tastes is None else self.tastes.values
        return {name: tuple(value for one, value in values if one == name) for name in self.config.condition_on}

    def per_step(self, batch: StepBatch, head: str = "overall", *, traits: Mapping[str, str] | None = None) -> Float64:
        """[member, item, step] normalised reward; 0 on padding.

        With `traits`, for example {"job": "lawyer"}, as people with these traits judge it, on the same scale. A value that
        nobody had who answered is judged like everybody. None stands for `config.as_traits`, {} for everybody.

        If `config.trunk` remembers, an item's first step is where memory begins: items should begin where episodes do;
        see `plaudit.reward.history`.

        Raises:
            RecordError: the behaviour has the wrong shape, or numbers that are not finite.
            LearningError: there is no such head, or the reward depends on no such trait.
        """
        if head != OVERALL:
            return self.head(head).per_step(batch, traits=traits)
        raw = self._raw(batch, traits)
        rewards = (raw - self.offset[:, None, None]) / self.scale[:, None, None]
        return rewards if batch.mask.all() else rewards * batch.mask

    def score(
        self,
        items: Sequence[SegmentData] | StepBatch,
        head: str = "overall",
        *,
        traits: Mapping[str, str] | None = None,
    ) -> Scores:
        """Return of every item in log-odds units; `traits` and errors as `per_step`.

        With `config.keep_length` each step counts what its length is worth to annotators. It is a worth per step, and means
        nothing where answers were collated with a `size` of their own, as those about texts are.
        """
        if head != OVERALL:
            return self.head(head).score(items, traits=traits)
        batch = (
            items if isinstance(items, StepBatch) else pack(items, self.inputs.actions, pixels=self.config.trunk.sees)
        )
        members = (self._raw(batch, traits) * batch.mask).sum(axis=2)
        return Scores(mean=members.mean(axis=0), members=members)

    def violates(self, items: Sequence[SegmentData] | StepBatch, constraint: str) -> Scores:
        """Probability that annotators flag every item for violating a constraint; errors as `per_step`.

        Where `config.nuisance` has length, as of an item of usual length, whatever `config.keep_length` says: cut-points are
        those of such items.
        """
        model = self.head(f"cost/{constraint}")
        model = replace(model, config=replace(model.config, keep_length=False))
        members = expit(model.score(items).members - model.annotators.flag_at)
        return Scores(mean=members.mean(axis=0), members=members)

    def head(self, name: str) -> RewardModel:
        """Another reward as a model of its own. Raises LearningError when there is no such head."""
        if name not in self.heads:
            raise LearningError(
                "The reward model has no such head", got=name, expected=", ".join([OVERALL, *sorted(self.heads)])
            )
        return self.heads[name]

    def _raw(self, batch: StepBatch, traits: Mapping[str, str] | None) -> Float64:
        shown = self.inputs.show(batch, self.config.trunk)
        raw = evaluate(self.ensemble, shown)
        if not np.isfinite(raw).all():
            raise RecordError(
                "A reward model was shown behaviour that it cannot judge",
                got="observations or actions that are not finite",
                next_step="look at the world with `plaudit doctor`",
            )
        worth = (self.annotators.nuisance or {}).get("length", 0.0) if self.config.keep_length else 0.0
        found = raw.astype(np.float64) + worth if worth else raw.astype(np.float64)
        asked = self.config.as_traits if traits is None else traits
        require_known(asked, self.config.condition_on)
        return found + self.tastes.added(shown.features, asked) if self.tastes and asked else found

    @property
    def version(self) -> str:
        """Name of the model: `rew_` and the first 32 hexadecimal digits of the hash of its file."""
        return f"rew_{digest(self.to_bytes())[:32]}"

    def to_bytes(self) -> bytes:
        """One safetensors file; equal models give equal bytes."""
        arrays: dict[str, NDArray[Any]] = {
            "input/mean": self.inputs.mean,
            "input/scale": self.inputs.scale,
            "output/offset": self.offset,
            "output/scale": self.scale,
            **{f"net/{name}": array for name, array in self.ensemble.arrays().items()},
            **{f"head/{name}": np.frombuffer(model.to_bytes(), np.uint8) for name, model in self.heads.items()},
        }
        if self.tastes is not None:
            arrays |= self.tastes.arrays()
        facts: dict[str, Any] = {
            "format": FORMAT,
            "config": _settings(self.config),
            "observations": self.inputs.observations,
            "actions": self.inputs.actions,
            "annotators": to_json(self.annotators),
            "held_out": self.held_out,
            "digest": _digest(arrays),
        }
        if self.tastes is not None:
            facts["tastes"] = self.tastes.values
        # one entry: the library writes several in an order of its own
        return save(arrays, metadata={"plaudit": canonical_json(facts).decode()})

    def save(self, path: Path) -> None:
        """Write the file; it appears whole or not at all."""
        partial = path.with_name(path.name + ".part")
        partial.write_bytes(self.to_bytes())
        os.replace(partial, path)

    @classmethod
    def load(cls, path: Path) -> RewardModel:
        """Read a saved model. Raises IntegrityError when the file is missing, damaged, or no reward model."""
        try:
            data = path.read_bytes()
        except OSError as error:
            raise IntegrityError("A reward model cannot be read", got=f"{path}: {error}") from error
        return cls.from_bytes(data, str(path))

    @classmethod
    def from_bytes(cls, data: bytes, name: str = "reward model") -> RewardModel:
        """Inverse of `to_bytes`; `name` is for the message of the IntegrityError that damaged data raise."""
        try:
            arrays = load(data)
            facts = _metadata(data)
            if facts["digest"] != _digest(arrays):
                raise ValueError("the numbers do not match their hash")
            return cls._assemble(facts, arrays)
        except (SafetensorError, KeyError, ValueError) as error:
            raise IntegrityError(
                "A reward model is damaged",
                got=f"{name}: {error}",
                expected=f"a file written by plaudit, format {FORMAT}",
                next_step="take the file from an earlier checkpoint, or fit the model again",
            ) from error

    @classmethod
    def _assemble(cls, facts: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> RewardModel:
        if facts["format"] != FORMAT:
            raise ValueError(f"format {facts['format']}")
        config = from_json(RewardConfig, facts["config"])
        net = {name.removeprefix("net/"): array for name, array in arrays.items() if name.startswith("net/")}
        return cls(
            config=config,
            inputs=Inputs(
                facts["observations"], facts["actions"], arrays["input/mean"], arrays["input/scale"], config.squares
            ),
            ensemble=from_arrays(config.trunk, net),
            offset=arrays["output/offset"],
            scale=arrays["output/scale"],
            annotators=from_json(AnswerModel, facts["annotators"]),
            held_out=facts["held_out"],
            heads={
                name.removeprefix("head/"): cls.from_bytes(array.tobytes(), name)
                for name, array in sorted(arrays.items())
                if name.startswith("head/")
            },
            tastes=Tastes.from_arrays(facts["tastes"], arrays) if "tastes" in facts else None,
        )


def normalisation(rewards: Float64) -> tuple[Float64, Float64]:
    """Mean and standard deviation per member of [member, step] rewards; deviation 1 where a member's rewards are constant."""
    offset, deviation = rewards.mean(axis=1), rewards.std(axis=1)
    return offset, np.where(deviation > CONSTANT * np.maximum(np.abs(offset), 1), deviation, 1.0)


def _settings(config: RewardConfig) -> dict[str, Any]:
    """Settings as JSON; those that came after format 1 only where they are used, so that other models keep their names."""
    written, usual = to_json(config), to_json(RewardConfig())
    return {name: value for name, value in written.items() if name in FIRST_SETTINGS or value != usual[name]}


def _digest(arrays: Mapping[str, NDArray[Any]]) -> str:
    return digest(b"".join(name.encode() + arrays[name].tobytes() for name in sorted(arrays)))


def _metadata(data: bytes) -> dict[str, Any]:
    """The facts in a safetensors header: 8 bytes of length, then JSON."""
    header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    return json.loads(header["__metadata__"]["plaudit"])

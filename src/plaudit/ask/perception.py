"""What a simulated annotator makes of a segment: true reward, taste, myopia, and what the screen adds. Pure functions."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from plaudit.ask.teacher_config import TeacherConfig
from plaudit.errors import RecordError
from plaudit.records import Query, SegmentData
from plaudit.run.seeds import generator

FloatArray = NDArray[np.float64]
Measure = Callable[[SegmentData], Mapping[str, FloatArray]]
"""what a world measures of a segment besides its reward: parts of the reward and costs by name, each [step]"""


@dataclass(frozen=True, slots=True)
class Seen:
    """What there is to judge of one segment, or of one text (whose steps are tokens or sentences)."""

    rewards: FloatArray
    """[step] the true reward"""
    parts: Mapping[str, FloatArray] = field(default_factory=dict[str, FloatArray])
    """[step] of each name: parts of the reward, costs"""
    features: Mapping[str, FloatArray] = field(default_factory=dict[str, FloatArray])
    """`observation` and `action`, each [step, number]"""

    def part(self, name: str) -> FloatArray:
        """[step] by name: reward, a part, observation/NUMBER, action/NUMBER or whim/NAME. Raises RecordError for others."""
        if name == "reward":
            return self.rewards
        if name in self.parts:
            return self.parts[name]
        kind, _, rest = name.partition("/")
        if kind == "whim" and self.features:
            return _whim(np.concatenate(list(self.features.values()), axis=1), rest)
        if kind in self.features and rest.isdecimal() and int(rest) < self.features[kind].shape[1]:
            return self.features[kind][:, int(rest)]
        widths = [f"{kind}/0 .. {kind}/{array.shape[1] - 1}" for kind, array in self.features.items()]
        raise RecordError(
            "A simulated teacher judges by something that the segment does not show",
            got=name,
            expected=", ".join(["reward", *self.parts, *widths, *(["whim/NAME"] if self.features else [])]),
        )


def look(segment: SegmentData, measure: Measure | None = None) -> Seen:
    """A segment as an annotator sees it. Raises RecordError when its rewards are absent or not finite."""
    rewards = segment.true_rewards
    if rewards is None or not np.isfinite(rewards).all():
        raise RecordError(
            "A simulated teacher cannot judge a segment",
            got="no true rewards" if rewards is None else "true rewards that are not finite",
            expected="the environment's reward of every step",
            next_step="use a world that has a reward, or let people answer",
        )
    steps = len(rewards)
    features = {
        "observation": np.asarray(segment.observations, np.float64).reshape(steps, -1),
        "action": np.asarray(segment.actions, np.float64).reshape(steps, -1),
    }
    return Seen(rewards, {} if measure is None else measure(segment), features)


def liked(seen: Seen, taste: Mapping[str, float]) -> FloatArray:
    """[step] reward in the eyes of somebody with this taste: a weighted sum of parts; `reward` weighs 1 unless it is given."""
    if not taste:
        return seen.rewards
    return np.sum(list(by_part(seen, taste).values()), axis=0)


def by_part(seen: Seen, taste: Mapping[str, float]) -> dict[str, FloatArray]:
    """What each part adds to `liked`, [step] by name."""
    return {name: weight * seen.part(name) for name, weight in ({"reward": 1.0} | dict(taste)).items()}


def weights(discount: float, steps: int) -> FloatArray | None:
    """[step] discount^(steps - 1), ..., discount, 1; None where all steps count alike."""
    return None if discount == 1 else discount ** np.arange(steps - 1.0, -1.0, -1.0)


def worth(rewards: FloatArray, discount: float) -> float:
    """The return of a segment for somebody who forgets its beginning."""
    found = weights(discount, len(rewards))
    return float(rewards.sum() if found is None else rewards @ found)


def favours(config: TeacherConfig, query: Query, steps: Sequence[int]) -> list[float]:
    """[segment] what the screen adds to each return: a bonus for being shown first, and one for every step."""
    return [config.length * count + config.side * (query.shown[0] == index) for index, count in enumerate(steps)]


def conflict(config: TeacherConfig, first: Seen, second: Seen) -> bool:
    """Whether the parts of the taste speak for different segments so much that nearly nothing is left of what they say."""
    if config.incomparable == 0:
        return False
    mine, theirs = (
        {name: worth(part, config.discount) for name, part in by_part(seen, config.taste).items()}
        for seen in (first, second)
    )
    says = np.array([mine[name] - theirs[name] for name in mine])
    return bool(abs(says.sum()) < config.incomparable * np.abs(says).sum())


def clarity(config: TeacherConfig, gap: float) -> float:
    """How clear a decision is, in log-odds, whose sides are `gap` apart in units of true reward; infinite without noise."""
    if config.temperature == 0:
        return 0.0 if gap == 0 else np.inf
    return gap / config.temperature


def _whim(features: FloatArray, name: str) -> FloatArray:
    """[step] a wave through all features (Rahimi & Recht 2007): smooth, of mean 0 and variance 1 about, and drawn from its name."""
    rng = generator(0, "whim", name)
    slopes = rng.normal(size=features.shape[1]) / np.sqrt(features.shape[1])
    return np.sqrt(2.0) * np.cos(features @ slopes + rng.uniform(0.0, 2.0 * np.pi))

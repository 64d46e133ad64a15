"""Does the reward hold for people who were not asked, and for every group of those who were?

Rewards are fitted again and again without some answers (`plaudit.quality.splits`), and held against those: leave-annotator-out and
leave-stratum-out accuracy, and accuracy per group of one reward for all, of each group's own reward, and of the groups' rewards
combined. Standard errors are by annotator: answers of one person resemble each other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plaudit.errors import LearningError
from plaudit.ops.aggregate import Combine, combine
from plaudit.quality.section import Section, share
from plaudit.quality.splits import leave_out, parts, within
from plaudit.records import Choice, Comparison, Feedback, Query, is_skip
from plaudit.reward.collate import Source, collate, pack
from plaudit.reward.config import RewardConfig
from plaudit.reward.fit import fit
from plaudit.reward.model import RewardModel
from plaudit.run.seeds import derive
from plaudit.stats.clustered import ClusteredMean, clustered_mean
from plaudit.stats.undefined import Undefined

FloatArray = NDArray[np.float64]
FOLDS = 3
"""parts that questions are divided into"""


class Fitter:
    """Fits rewards to some of the answers; the same answers are fitted once.

    Attributes:
        answers: comparisons that were decided, in the order of the log.

    Args:
        answers: of all kinds, in the order of the log.
        source: where queries and segments are found.
        config: of the reward model.
        actions: width of an action as the reward model sees it.
        seed: of everything random.
        folds: parts of the questions.
    """

    def __init__(
        self,
        answers: Sequence[Feedback],
        source: Source[Any],
        *,
        config: RewardConfig,
        actions: int,
        seed: int,
        folds: int = FOLDS,
    ) -> None:
        self.answers = [one for one in answers if _decided(one)]
        self._source, self._config, self._seed, self._folds = source, config, seed, folds
        self._queries: Mapping[str, Query] = {one.id: one for one in source.queries()}
        ids = list(dict.fromkeys(name for one in self.answers for name in self._queries[one.query].segments))
        found = source.segments(ids)
        self._row = {name: number for number, name in enumerate(ids)}
        if not ids:
            raise LearningError("There are no decided comparisons to learn from", next_step="ask for some")
        data = [source.segment_data(found[name]) for name in ids]
        self._reference = pack(data, actions, pixels=config.trunk.sees)
        self._values: dict[tuple[int, ...], FloatArray] = {}

    @property
    def part(self) -> NDArray[np.int64]:
        """[answer] part of its question."""
        return parts(self.answers, self._queries, folds=self._folds, seed=self._seed)

    @property
    def annotators(self) -> NDArray[np.int64]:
        """[answer] number of its annotator."""
        names = {name: i for i, name in enumerate(dict.fromkeys(one.annotator for one in self.answers))}
        return np.array([names[one.annotator] for one in self.answers], dtype=np.int64)

    def values(self, rows: NDArray[np.int64]) -> FloatArray:
        """[segment] what segments are worth to a reward fitted to these answers, standardised over all of them."""
        key = tuple(rows.tolist())
        if key not in self._values:
            data = collate([self.answers[row] for row in key], self._source)
            seed = derive(self._seed, "people", *key)
            model = fit(data, config=self._config, seed=seed, reference=self._reference).model
            self._values[key] = self._standard(model)
        return self._values[key]

    def right(self, values: FloatArray) -> FloatArray:
        """[answer] 1 where values of segments order the two as the answer does, 1/2 where they are equal."""
        pairs = np.array([[self._row[name] for name in self._queries[one.query].segments] for one in self.answers])
        sign = np.array(
            [1.0 if isinstance(one, Comparison) and one.choice is Choice.FIRST else -1.0 for one in self.answers]
        )
        return 0.5 + 0.5 * np.sign(values[pairs[:, 0]] - values[pairs[:, 1]]) * sign

    def _standard(self, model: RewardModel) -> FloatArray:
        found = np.asarray(model.score(self._reference).mean, dtype=np.float64)
        return (found - found.mean()) / (found.std() or 1.0)


def _decided(one: Feedback) -> bool:
    return isinstance(one, Comparison) and not is_skip(one) and one.choice is not Choice.TIE


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A reward that was fitted without a group, on questions that it has not seen."""

    group: str
    answers: int
    accuracy: ClusteredMean | Undefined
    """on the group's answers"""
    others: ClusteredMean | Undefined
    """on those of the annotators that it was fitted to"""


def left_out(fitter: Fitter, groups: Mapping[str, str]) -> list[LeftOut]:
    """Accuracy without each group in turn; with annotator -> annotator, without each annotator. The last, "all", takes all together.

    For one annotator alone there are no clusters, so intervals of single annotators are by question.
    """
    answers, part = fitter.answers, fitter.part
    here: dict[str, dict[int, float]] = {}
    there: dict[str, dict[int, float]] = {}
    for split in leave_out(answers, part, groups):
        right = fitter.right(fitter.values(split.fitted))
        here.setdefault(split.group, {}).update(_rows(right, split.left_out))
        there.setdefault(split.group, {}).update(_rows(right, split.others))
    found = [LeftOut(one, len(here[one]), _mean(fitter, here[one]), _mean(fitter, there[one])) for one in here]
    everybody = {row: value for rows in here.values() for row, value in rows.items()}
    # an answer is held out as another's once for every group but its own
    times: dict[int, list[float]] = {}
    for rows in there.values():
        for row, value in rows.items():
            times.setdefault(row, []).append(value)
    usual = {row: float(np.mean(values)) for row, values in times.items()}
    return [*found, LeftOut("all", len(everybody), _mean(fitter, everybody), _mean(fitter, usual))]


def _rows(values: FloatArray, rows: NDArray[np.int64]) -> dict[int, float]:
    return dict(zip(rows.tolist(), values[rows].tolist(), strict=True))


def _mean(fitter: Fitter, right: Mapping[int, float]) -> ClusteredMean | Undefined:
    rows = np.array(sorted(right), dtype=np.int64)
    if not len(rows):
        return Undefined("no answers")
    values, clusters = np.array([right[row] for row in rows.tolist()]), fitter.annotators[rows]
    alone = len(np.unique(clusters)) == 1
    return clustered_mean(values, np.arange(len(rows)) if alone else clusters)


@dataclass(frozen=True, slots=True)
class GroupAccuracy:
    """How well rewards order what a group compared, on questions that they have not seen."""

    group: str
    answers: int
    pooled: ClusteredMean | Undefined
    """one reward for everybody"""
    own: ClusteredMean | Undefined
    """fitted to this group alone"""
    combined: ClusteredMean | Undefined
    """of all groups' own rewards, combined"""
    gets_pooled: float
    """what the tenth of the segments that one reward for everybody likes best is worth to the group, by its own reward: in standard
    deviations above the mean segment"""
    gets_combined: float
    """the same of what the combination likes best"""


def by_group(
    fitter: Fitter, groups: Mapping[str, str], shares: Mapping[str, float], how: Combine
) -> list[GroupAccuracy]:
    """Accuracy per group of the pooled reward, the group's own, and the combination.

    Every group's reward is standardised over the segments, so that one unit of each counts alike; the floor of NASH is the segment
    that is worth least to the group. Groups without answers in every part are left away; without any share there is nothing to combine.

    Args:
        fitter: the answers.
        groups: annotator -> group.
        shares: of the population by group.
        how: the groups' rewards are combined.
    """
    answers, part = fitter.answers, fitter.part
    folds = range(int(part.max()) + 1)
    of = np.array([groups.get(one.annotator, "") for one in answers])
    names = [name for name in sorted(shares) if all(len(within(answers, part, groups, name, fold)) for fold in folds)]
    pooled, combined, own = (np.full(len(answers), np.nan) for _ in range(3))
    gets = np.zeros((2, len(names)))
    weights = np.array([shares[name] for name in names])
    if not weights.sum() > 0:
        return []
    for fold in folds:
        here = part == fold
        one = fitter.values(within(answers, part, groups, "", fold))
        values = np.stack([fitter.values(within(answers, part, groups, name, fold)) for name in names])
        together = combine(values, weights, how, floor=values.min(axis=1))
        pooled[here], combined[here] = fitter.right(one)[here], fitter.right(together)[here]
        for name, mine in zip(names, values, strict=True):
            own[here & (of == name)] = fitter.right(mine)[here & (of == name)]
        gets += np.stack([values[:, _best(one)].mean(axis=1), values[:, _best(together)].mean(axis=1)]) / len(folds)
    found: list[GroupAccuracy] = []
    for name, got in zip(names, gets.T.tolist(), strict=True):
        rows = np.flatnonzero(of == name)
        one, mine, all_ = (_mean(fitter, _rows(kind, rows)) for kind in (pooled, own, combined))
        found.append(GroupAccuracy(name, len(rows), one, mine, all_, gets_pooled=got[0], gets_combined=got[1]))
    return found


def _best(values: FloatArray) -> NDArray[np.intp]:
    """The tenth that is worth most, one at least."""
    return np.argsort(-values, kind="stable")[: max(1, len(values) // 10)]


def left_out_section(what: str, found: Sequence[LeftOut]) -> Section:
    """Leave-one-out accuracies in words."""
    note = (
        f"Rewards fitted without each {what} in turn, and without a part of the questions: share of decided comparisons in that part "
        "that they order right, for whom they never saw and for whom they were fitted to. Intervals are by annotator, for one alone by answer."
    )
    rows = tuple((one.group, str(one.answers), share(one.accuracy), share(one.others)) for one in found)
    return Section(f"The reward without each {what}", note, (what, "answers", "left out", "the others"), rows)


def group_section(trait: str, found: Sequence[GroupAccuracy], how: Combine) -> Section:
    """Accuracies per group in words."""
    note = (
        f"Share of decided comparisons on unseen questions that are ordered right: by one reward for everybody, by the group's own, and by "
        f"all groups' rewards combined by `{how.value}`, as the population file says. What a group gets is what the best tenth of the "
        "segments, by one reward for all and by the combination, is worth to it: in standard deviations of its own reward, above the mean."
    )
    rows = tuple(
        (
            *(one.group, str(one.answers), share(one.pooled), share(one.own), share(one.combined)),
            *(f"{one.gets_pooled:+.2f}", f"{one.gets_combined:+.2f}"),
        )
        for one in found
    )
    combined = f"combined ({how.value})"
    columns = (trait, "answers", "one for all", "own", combined, "gets: one for all", f"gets: {combined}")
    return Section(f"The reward by {trait}", note, columns, rows)

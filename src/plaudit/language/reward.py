"""A reward model of texts, fitted to every kind of feedback at once: K heads on one language model.

The likelihood is the one of `plaudit.reward`: comparisons with ties and strength, rankings, ratings, demonstrations,
corrections, flags and scores of single sentences are arrays of `plaudit.reward.likelihood`, and a text is one step whose
reward is read at its last token (a sentence's, at the sentence's last token). Members share the trunk; they start from other
heads and each leaves out a share of the questions. Some prompts are held out from all of them: how good the reward is, and
how annotators answer, is estimated on questions about these.

fitting = RewardFitting(model, answers, store, config=TextRewardConfig(), seed=0)
metrics = fitting.train()
fitting.reward.score(batch)
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from plaudit.engine.batch import Batch
from plaudit.engine.model import LanguageModel
from plaudit.engine.text import Group, Tokeniser
from plaudit.errors import ConfigError, LearningError
from plaudit.language.scorer import TextReward, portions, side_by_side
from plaudit.language.update import Schedule, Update, UpdateConfig, rows_of_step
from plaudit.records import Feedback, SegmentData, TextSegment, brought, sentences
from plaudit.records.codec import canonical_json, from_json, to_json
from plaudit.reward.collate import FeedbackData, collate
from plaudit.reward.config import Nuisance, Trait
from plaudit.reward.dispatch import OVERALL, informs
from plaudit.reward.evidence import AnswerModel, Evidence
from plaudit.reward.heldout import Values, estimate, measures, reliability, values_of
from plaudit.reward.likelihood import StepScores
from plaudit.reward.objective import smoothed
from plaudit.reward.texts import TextStore
from plaudit.run.seeds import derive, generator

ANNOTATORS = "annotators.json"
CALIBRATIONS = 8
"""times in a fit that cut-points and lapses are estimated, at most every 10 steps"""
WATCHED = 128
"""answers that these are estimated on where no prompts are held out"""
LEAST_HELD_OUT = 8
"""answers about held-out prompts below which nothing is held out: they would say nothing"""


@dataclass(frozen=True, slots=True)
class TextRewardConfig:
    """Settings of a reward model of texts."""

    members: int = 4
    """heads on one trunk; how much they differ says how sure the reward is"""
    epochs: float = 2.0
    """times through all answers"""
    batch_size: int = 8
    """answers per gradient step"""
    head_gain: float = 10.0
    """learning rate of the heads, in learning rates of the trunk"""
    update: UpdateConfig = field(default_factory=lambda: UpdateConfig(schedule=Schedule.COSINE, warmup=10))
    """the optimiser"""
    center: float = 0.01
    """weight of the mean squared score, which keeps scores around 0 (Eisenstein et al. 2023, https://arxiv.org/abs/2312.09244)"""
    held_out: float = 0.1
    """share of the prompts whose questions no member learns from"""
    left_out: float = 0.25
    """share of the other questions that each member leaves out, so that members differ"""
    label_smoothing: float = 0.0
    """share of a comparison's weight that goes to the opposite answer"""
    fit_lapse: bool = True
    """estimate the share of random answers from held-out answers"""
    nuisance: tuple[Nuisance, ...] = ()
    """what is fitted beside the reward and is dropped when the reward is used: position, length"""
    traits: tuple[Trait, ...] = ()
    """what is fitted for each annotator, shrunk to what holds for all: rationality, lapse, cuts"""

    def __post_init__(self) -> None:
        shares = (self.held_out, self.left_out, self.label_smoothing)
        positive = (self.members, self.batch_size, self.epochs, self.head_gain)
        if min(positive) <= 0 or self.center < 0 or not all(0 <= share < 1 for share in shares):
            raise ConfigError(
                "The settings of the reward model are out of range",
                got=self,
                expected="members, batch_size, epochs and head_gain > 0, center >= 0, shares from 0 to below 1",
            )


@dataclass(frozen=True, slots=True)
class _Part:
    """Answers of one kind about one reward."""

    head: int
    evidence: Evidence
    learns: NDArray[np.bool_]
    """[member, answer]"""


@dataclass
class RewardFitting:
    """A fit that goes on step by step; the result is a function of its arguments, bit for bit, for a number of threads.

    Args:
        model: the language model; its view's parameters are trained.
        answers: of all kinds, in the order of the log.
        store: where queries and texts are found.
        config: settings.
        seed: of heads, of what is held out and of the order of answers.

    Attributes:
        reward: as it is now.
        update: the optimiser and its place; `keep` and `resume` make and take checkpoints.
        too_long: texts that do not fit into the model's context; answers about them are left out.
        empty: texts that say nothing; there is no token to read a reward at, so answers about them are left out too.
        judged: decided comparisons that the held-out accuracy of the newest `measures` is over.

    Raises:
        LearningError: there is nothing to learn from.
        RecordError: an answer does not fit its question.
    """

    model: LanguageModel
    answers: Sequence[Feedback]
    store: TextStore
    config: TextRewardConfig
    seed: int

    def __post_init__(self) -> None:
        self.judged = 0
        texts = _Tokens(self.store, self.model)
        told = [answer for answer in self.answers if informs(answer)]
        kept = texts.fitting(told)
        self.too_long, self.empty = texts.too_long, texts.empty
        if not kept:
            raise LearningError(
                "There are no answers to learn from",
                got=f"{len(told)} answers; {len(texts.too_long)} texts longer than {self.model.context} tokens, {len(texts.empty)} empty",
                next_step="ask for some, or take a model with a longer context",
            )
        learned, unseen = _split(kept, texts, self.config.held_out, self.seed)
        self._data = collate(learned, texts, size=texts.size)
        self._held_out, self._texts = bool(unseen), texts
        few = learned[:: max(1, len(learned) // WATCHED)]
        self._watched = collate(unseen or few, texts, size=texts.size)
        names = [OVERALL] if self._data.evidence else []
        self._names = (*names, *sorted(self._data.heads))
        self.reward = TextReward.fresh(self.model, self._names, self.config.members, derive(self.seed, "heads"))
        self._parts = self._prepare()
        count = sum(len(part.evidence.segments) for part in self._parts)
        steps = max(1, math.ceil(self.config.epochs * count / self.config.batch_size))
        # AdamW moves every number by about the learning rate; heads are this many times what it moves
        self._raw = torch.nn.Parameter(self.reward.heads / self.config.head_gain)
        self.update = Update([self._raw, *self.model.parameters()], self.config.update, steps=steps)
        self._count, self._every = count, max(10, -(-steps // CALIBRATIONS))
        self._heads()

    def _prepare(self) -> list[_Part]:
        rng = generator(self.seed, "left out")
        drop = rng.random((self.config.members, 1 + max(_questions(self._data)))) < self.config.left_out
        drop &= (self.config.members > 1) & ~drop.all(axis=0)
        parts: list[_Part] = []
        for number, name in enumerate(self._names):
            for part in _single(self._data.evidence if name == OVERALL else self._data.heads[name]):
                parts.append(_Part(number, part, ~drop[:, part.question]))
        return parts

    def step(self) -> dict[str, float] | None:
        """One gradient step. Returns its metrics, or None when all are done; then `reward` is normalised and calibrated."""
        if self.update.done >= self.update.steps:
            return None
        if self.update.done % self._every == 0:
            self._calibrate()
        chosen = rows_of_step(
            self.update.done, self.config.batch_size, count=self._count, seed=self.seed, name="reward"
        )
        squares: list[float] = []
        metrics = self.update.step(self._shares(np.sort(np.array(chosen)), squares))
        metrics["reward/center"] = sum(squares)
        self._heads()
        if self.update.done == self.update.steps:
            self._finish()
        return metrics

    def _heads(self) -> None:
        self.reward.heads = self._raw * self.config.head_gain

    def train(self, each: Callable[[int, dict[str, float]], None] = lambda step, metrics: None) -> dict[str, float]:
        """All steps that are left, then what `measures` says."""
        while (metrics := self.step()) is not None:
            each(self.update.done, metrics)
        return self.measures()

    def measures(self) -> dict[str, float]:
        """`reward/...`: agreement with answers about held-out prompts and how well confidence fits it, or with some of those
        that were learned from (`reward/accuracy_train`) where none are held out.
        """
        told = {
            "reward/labels": float(self._count),
            "reward/texts_too_long": float(len(self.too_long)),
            "reward/texts_empty": float(len(self.empty)),
        }
        if found := self._found(self._watched, OVERALL):
            said = measures(found, self.reward.annotators[OVERALL])
            told = said | told
            if self._held_out:
                del told["reward/accuracy_train"]
                groups = reliability(found, self.reward.annotators[OVERALL])
                self.judged = 0 if groups is None else int(groups.count.sum())
        return told

    def save(self, folder: Path) -> None:
        """Write parameters, moments, place and how annotators answer into a folder that exists."""
        self.update.save(folder)
        known = {name: to_json(one) for name, one in self.reward.annotators.items()}
        (folder / ANNOTATORS).write_bytes(canonical_json(known) + b"\n")

    def load(self, folder: Path) -> None:
        """Inverse of `save`: goes on with equal bits. Raises RunError where it does not fit."""
        self.update.load(folder)
        known = json.loads((folder / ANNOTATORS).read_bytes())
        self.reward.annotators = {name: from_json(AnswerModel, one) for name, one in known.items()}
        self._heads()
        if self.update.done == self.update.steps:
            self._finish()

    def _shares(self, chosen: NDArray[np.intp], squares: list[float]) -> Iterator[Tensor]:
        """The loss of these answers in micro-batches; notes their shares of the mean squared score."""
        whole = self._taken(chosen)
        learned = {id(part): max(1, int(part.learns[:, rows].sum())) / len(rows) for part, rows in whole}
        judged = self.config.members * sum(_judgements(part.evidence, rows) for part, rows in whole)
        texts = np.unique(np.concatenate([part.evidence.segments[rows].ravel() for part, rows in whole]))
        batch, _ = self._texts.batch([self._data.names[number] for number in texts.tolist()])
        tokens = len(batch.tokens) + sum(len(prompt) for prompt in batch.prompts)
        count = min(len(chosen), math.ceil(tokens / self.config.update.tokens(self.model.device)))
        for some in np.array_split(chosen, count):
            self._heads()  # a graph of its own for each share
            asked = self._taken(some)
            values = self._values([(part.head, part.evidence, rows) for part, rows in asked], self._data)
            loss = torch.zeros(())
            for (part, rows), (raw, value) in zip(asked, values, strict=True):
                annotators = self.reward.annotators[self._names[part.head]]
                said = smoothed(part.evidence, value, rows, annotators, self.config.label_smoothing)
                learns = torch.from_numpy(part.learns[:, rows].astype(np.float32)).to(said.device)
                square = raw.square().sum() / judged
                loss = loss - (said * learns).sum() / learned[id(part)] / len(chosen) + self.config.center * square
                squares.append(float(square.detach()))
            yield loss

    def _taken(self, chosen: NDArray[np.intp]) -> list[tuple[_Part, NDArray[np.intp]]]:
        """Which answers of which part these are, of all parts' answers one after the other."""
        found, first = list[tuple[_Part, NDArray[np.intp]]](), 0
        for part in self._parts:
            count = len(part.evidence.segments)
            rows = chosen[(chosen >= first) & (chosen < first + count)] - first
            first += count
            if len(rows):
                found.append((part, rows))
        return found

    def _values(
        self, asked: Sequence[tuple[int, Evidence, NDArray[np.intp]]], data: FeedbackData
    ) -> list[tuple[Tensor, Tensor]]:
        """For each part the rewards [member, answer, segment, 1] and the values [member, answer, judgement] behind its answers."""
        needed = np.unique(np.concatenate([part.segments[rows].ravel() for _, part, rows in asked]))
        batch, place = self._texts.batch([data.names[number] for number in needed.tolist()])
        pieces = any(isinstance(part, StepScores) for _, part, _ in asked)
        hidden = self.model.hidden(batch, last=not pieces)
        start = torch.cumsum(batch.lengths, 0) - batch.lengths
        last = start + batch.lengths - 1
        found: list[tuple[Tensor, Tensor]] = []
        for head, part, rows in asked:
            where = place[np.searchsorted(needed, part.segments[rows])]
            if isinstance(part, StepScores):
                ends = [self._texts.ends(data.names[number]) for number in part.segments[rows][:, 0].tolist()]
                tokens = np.array(
                    [[one[p] for p in spots] for one, spots in zip(ends, part.positions[rows].tolist(), strict=True)]
                )
                spots = start.cpu().numpy()[where] + tokens
                weights = torch.from_numpy(part.judged[rows][:, None].astype(np.float32))
                raw = self.reward.read(hidden[torch.from_numpy(spots.ravel()).to(hidden.device)])[head]
                raw = raw.view(-1, len(rows), 1, spots.shape[1])
            else:
                index = torch.from_numpy(where.ravel()).to(hidden.device)
                index = last.to(hidden.device)[index] if pieces else index
                raw = self.reward.read(hidden[index])[head].view(-1, *where.shape, 1)
                weights = torch.ones(*where.shape, 1)
            found.append((raw, part.values(raw, weights.to(raw.device), rows)))
        return found

    def _found(self, data: FeedbackData, name: str) -> list[Values]:
        """What members think of all answers about one reward."""
        found: list[Values] = []
        parts = _single(data.evidence if name == OVERALL else data.heads.get(name, ()))
        for part in parts:
            head, size = self._names.index(name), 4 * self.config.batch_size
            with torch.no_grad():
                members = [
                    self._values([(head, part, np.arange(at, min(at + size, len(part.segments))))], data)[0][1]
                    for at in range(0, len(part.segments), size)
                ]
            values = torch.cat(members, dim=1).double().cpu().numpy()
            unseen = self._held_out and data is self._watched
            one = values_of(part, values, np.full((len(values), len(part.segments)), not unseen))
            found.append(replace(one, unseen=values.mean(axis=0)))
        return found

    def _calibrate(self) -> None:
        """Cut-points and lapses that explain answers about held-out prompts, or some of all answers where none are held out."""
        annotators: dict[str, AnswerModel] = {}
        for name in self._names:
            found = self._found(self._watched, name)
            annotators[name] = estimate(
                found or self._found(self._data, name),
                self.reward.annotators[name],
                lapse=self.config.fit_lapse and self._held_out and bool(found) and self.update.done > 0,
                nuisance=self.config.nuisance,
                traits=self.config.traits,
            )
        self.reward.annotators = annotators

    def _finish(self) -> None:
        self.reward.heads = self.reward.heads.detach()
        self._calibrate()
        batch, _ = self._texts.batch(list(self._data.names))
        with torch.no_grad():
            hidden = torch.cat([self.model.hidden(part, last=True) for part in portions(batch)])
            scores = self.reward.read(hidden).double().cpu()
        self.reward.offset = scores.mean(-1).float()
        deviation = scores.std(-1, unbiased=False) if scores.shape[-1] > 1 else torch.ones(scores.shape[:-1])
        self.reward.scale = torch.where(deviation > 0, deviation, torch.ones(())).float()


class _Tokens:
    """What `plaudit.reward.collate` needs of texts, and batches of them; every text is as many steps as it has sentences."""

    def __init__(self, store: TextStore, model: LanguageModel) -> None:
        self._store, self._context = store, model.context
        self._tokeniser = Tokeniser(model.tokenizer)
        self._known: dict[str, Group] = {}
        self._texts: dict[str, str] = {}
        self._sizes: dict[str, float] = {}
        self._ends: dict[str, list[int]] = {}
        self.too_long: set[str] = set()
        self.empty: set[str] = set()

    def queries(self) -> list[Any]:
        return self._store.queries()

    def segments(self, ids: Sequence[str]) -> dict[str, TextSegment]:
        found = self._store.texts(ids)
        for name, text in found.items():
            if name not in self._known:
                if text.characters == 0:
                    self.empty.add(name)
                    continue
                group = self._known[name] = self._tokeniser.group(text.prompt, [text.completion])
                said = text.completion
                self._texts[name] = said if isinstance(said, str) else said[-1].content
                self._sizes[name] = math.log1p(text.characters)
                if len(group.prompt) + len(group.completions[0]) > self._context:
                    self.too_long.add(name)
        return found

    def segment_data(self, segment: TextSegment) -> SegmentData:
        steps = len(sentences(self._texts[segment.id]))
        return SegmentData(np.zeros((steps, 1), np.float32), np.zeros((steps, 1), np.float32))

    def size(self, name: str) -> float:
        return self._sizes[name]

    def prompt(self, name: str) -> tuple[int, ...]:
        return self._known[name].prompt

    def ends(self, name: str) -> list[int]:
        """The token in which each sentence ends; the last one ends with the completion."""
        if name not in self._ends:
            ids, said = self._known[name].completions[0], self._texts[name]
            reached = np.array([len(self._tokeniser.text(ids[: n + 1])) for n in range(len(ids))])
            ends = [int(np.searchsorted(np.maximum.accumulate(reached), end)) for _, end in sentences(said)]
            self._ends[name] = [*(min(end, len(ids) - 1) for end in ends[:-1]), len(ids) - 1]
        return self._ends[name]

    def fitting(self, answers: Sequence[Feedback]) -> list[Feedback]:
        """The answers that are about texts within the context."""
        queries = {one.id: one for one in self._store.queries()}
        about = {one.id: [*brought(one), *queries[one.query].segments] for one in answers if one.query in queries}
        self.segments(list(dict.fromkeys(name for names in about.values() for name in names)))
        out = self.too_long | self.empty
        return [one for one in answers if not out.intersection(about.get(one.id, ()))]

    def batch(self, names: Sequence[str]) -> tuple[Batch, NDArray[np.intp]]:
        """Texts with equal prompts side by side, and [text] which completion of the batch each is."""
        return side_by_side([self._known[name] for name in names])


def _split(
    answers: Sequence[Feedback], texts: _Tokens, share: float, seed: int
) -> tuple[list[Feedback], list[Feedback]]:
    """Answers to learn from, and those about held-out prompts; none are held out where these would be too few."""
    queries = {one.id: one for one in texts.queries()}
    prompt = {one.id: texts.prompt(queries[one.query].segments[0]) for one in answers}
    prompts = list(dict.fromkeys(prompt.values()))
    drawn = generator(seed, "held out").permutation(len(prompts))[: round(share * len(prompts))]
    out = {prompts[number] for number in drawn.tolist()}
    unseen = [one for one in answers if prompt[one.id] in out]
    if len(unseen) < LEAST_HELD_OUT or len(unseen) == len(answers):
        return list(answers), []
    return [one for one in answers if prompt[one.id] not in out], unseen


def _single(parts: Sequence[Evidence]) -> list[Evidence]:
    """Evidence whose texts count as one step each; single sentences have the unit of a text."""
    found: list[Evidence] = []
    for part in parts:
        if isinstance(part, StepScores):
            found.append(replace(part, length=1.0))
        else:
            found.append(replace(part, lengths=np.ones_like(part.lengths)))  # pyright: ignore
    return found


def _judgements(part: Evidence, rows: NDArray[np.intp]) -> int:
    """How many scores of a member these answers are about."""
    return part.positions[rows].size if isinstance(part, StepScores) else part.segments[rows].size


def _questions(data: FeedbackData) -> list[int]:
    return [int(part.question.max()) for parts in (data.evidence, *data.heads.values()) for part in parts]

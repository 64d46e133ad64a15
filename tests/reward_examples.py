"""Made-up behaviour with a known reward, and answers about it, for the tests of the reward model."""

from dataclasses import dataclass, field

import numpy as np

from plaudit.records import Choice, Comparison, Query, QueryKind, Rating, Segment, SegmentData, StepBatch, StepFeedback
from plaudit.reward.collate import collate

OBSERVATIONS, ACTIONS = 3, 2


def linear(observations, actions):
    return observations @ np.array([1.0, -0.5, 0.0]) + actions @ np.array([0.3, 0.0])


def quadratic(observations, actions):
    return 1.0 - (observations**2) @ np.array([1.0, 0.3, 0.0]) - 0.2 * (actions**2).sum(-1)


@dataclass
class Library:
    """Stands in for a store: records by id, arrays of segments."""

    reward: object = linear
    found: dict = field(default_factory=dict)
    data: dict = field(default_factory=dict)
    asked: list = field(default_factory=list)

    def queries(self):
        return self.asked

    def segments(self, ids):
        return {one: self.found[one] for one in ids}

    def segment_data(self, segment):
        return self.data[segment.blob]

    def add(self, data, start=0):
        """A segment's id."""
        blob = f"blob{len(self.data)}"
        segment = Segment(world="made-up", policy="none", episode="e0", start=start, length=len(data), blob=blob)
        self.found[segment.id], self.data[blob] = segment, data
        return segment.id

    def draw(self, rng, length=12):
        """A random segment's id: steps that resemble their neighbours, as behaviour does."""
        steps = 0.5 * rng.normal(size=(length, OBSERVATIONS)) + rng.normal(size=OBSERVATIONS)
        actions = rng.uniform(-1, 1, (length, ACTIONS))
        data = SegmentData(steps.astype(np.float32), actions.astype(np.float32), self.reward(steps, actions))
        return self.add(data)

    def true_return(self, segment):
        return float(self.data[self.found[segment].blob].true_rewards.sum())

    def ask(self, kind, *segments, levels=None):
        query = Query(
            kind=kind,
            segments=segments,
            shown=tuple(range(len(segments))),
            round=0,
            index=len(self.asked),
            strategy="uniform",
            levels=levels,
        )
        self.asked.append(query)
        return query.id

    def compare(self, first, second, choice, strength=None):
        query = self.ask(QueryKind.COMPARISON, first, second)
        return Comparison(id=f"f{query}", query=query, annotator="a", choice=choice, strength=strength)

    def rate(self, segment, value, levels=5):
        query = self.ask(QueryKind.RATING, segment, levels=levels)
        return Rating(id=f"f{query}", query=query, annotator="a", value=value, levels=levels)

    def judge(self, segment, steps, scores):
        query = self.ask(QueryKind.STEPS, segment)
        return StepFeedback(id=f"f{query}", query=query, annotator="a", steps=tuple(steps), scores=tuple(scores))

    def comparisons(self, count, rng, lapse=0.0, length=12):
        """Error-free comparisons of random pairs, but for lapses."""
        answers = []
        for _ in range(count):
            first, second = self.draw(rng, length), self.draw(rng, length)
            better = self.true_return(first) > self.true_return(second)
            if rng.random() < lapse:
                better = rng.random() < 0.5
            answers.append(self.compare(first, second, Choice.FIRST if better else Choice.SECOND))
        return answers

    def reference(self, rng, count=400):
        """Single steps of behaviour like that of the segments."""
        observations = 1.1 * rng.normal(size=(count, 1, OBSERVATIONS))
        actions = rng.uniform(-1, 1, (count, 1, ACTIONS))
        mask = np.ones((count, 1), dtype=bool)
        return StepBatch(observations.astype(np.float32), actions.astype(np.float32), mask)


def compared(count=24, seed=0, **settings):
    """Data and reference behaviour of a small problem of comparisons."""
    rng = np.random.default_rng(seed)
    library = Library()
    return collate(library.comparisons(count, rng, **settings), library), library.reference(rng)


def agreement(model, library, pairs, rng):
    """Share of fresh pairs that a model orders as the true reward does."""
    ids = [library.draw(rng) for _ in range(2 * pairs)]
    scores = model.score([library.data[library.found[one].blob] for one in ids]).mean
    true = np.array([library.true_return(one) for one in ids])
    return float(np.mean((scores[:pairs] > scores[pairs:]) == (true[:pairs] > true[pairs:])))

"""Made-up behaviour with a known reward, and answers about it, for the tests of the reward model."""

from dataclasses import dataclass, field

import numpy as np

from plaudit.records import Choice, Comparison, Query, QueryKind, Rating, Segment, SegmentData, StepBatch, StepFeedback
from plaudit.reward.collate import collate
from plaudit.reward.config import RewardConfig, Trunk
from plaudit.reward.symmetry import Symmetry
from plaudit.worlds.toy import PointMass

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


class Cue(Library):
    """The first step shows a sign; from the fourth on a step pays its action in that direction."""

    def draw(self, rng, length=10):
        seen, done = np.zeros((length, 1), np.float32), rng.uniform(-1, 1, (length, 1)).astype(np.float32)
        seen[0] = rng.choice([-1, 1])
        return self.add(SegmentData(seen, done, np.where(np.arange(length) < 3, 0, seen[0] * done[:, 0])))


class Pictures(Library):
    """A bright spot on grey ground; the further right, the better. Observations tell nothing."""

    def draw(self, rng, length=4):
        frames = rng.integers(40, 60, (length, 32, 32, 3), dtype=np.uint8)
        x, y = np.clip(rng.integers(0, 27) + rng.integers(-3, 4, length), 0, 27), rng.integers(0, 27, length)
        for t in range(length):
            frames[t, y[t] : y[t] + 5, x[t] : x[t] + 5] = 250
        done = rng.uniform(-1, 1, (length, 1)).astype(np.float32)
        return self.add(SegmentData(np.zeros((length, 1), np.float32), done, x / 10, pixels=frames))


class Folded(Library):
    """Mirrored in its first three entries, with its first action, a step pays the same; nothing else is simple about it."""

    def draw(self, rng, length=12):
        seen = (0.5 * rng.normal(size=(length, 4)) + rng.normal(size=4)).astype(np.float32)
        done = rng.uniform(-1, 1, (length, 2)).astype(np.float32)
        paid = -np.abs(seen[:, 0]) + seen[:, 0] * done[:, 0] + seen[:, 1] * seen[:, 2]
        return self.add(SegmentData(seen, done, paid.astype(np.float64)))


class Pushed(Library):
    """A mass on a line, pushed at random: mirrored from left to right it pays the same."""

    def draw(self, rng, length=12):
        world, drift = PointMass(), rng.normal()
        state, _ = world.reset(seed=int(rng.integers(2**31)))
        steps = []
        for _ in range(length):
            force = (drift + 1.5 * rng.normal(size=1)).astype(np.float32)
            before = state
            state, reward, *_ = world.step(force)
            steps.append((before, force, reward))
        seen, done, paid = (np.array(column) for column in zip(*steps, strict=True))
        return self.add(SegmentData(seen, done, paid))


MIRRORED = {
    Folded: Symmetry(observation_signs=(-1, -1, -1, 1), action_signs=(-1, 1)),
    Pushed: Symmetry(observation_signs=(-1, -1), action_signs=(-1,)),
}
"""mirror of each mirror-symmetric world"""

MEMORY = RewardConfig(
    trunk=Trunk.GRU, hidden=(16,), members=3, steps=600, squares=False, stop_accuracy=1.0, patience=60
)
"""learns to remember; memory needs more steps than most rewards"""

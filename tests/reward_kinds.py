"""Answers of every kind by made-up annotators who know the true reward, blurred by one and the same noise."""

import numpy as np

from plaudit.records import (
    Choice,
    Comparison,
    Correction,
    Demonstration,
    Flag,
    Query,
    QueryKind,
    Ranking,
    Rating,
    SegmentData,
    StepFeedback,
)
from tests.reward_examples import ACTIONS, OBSERVATIONS

KINDS = ("comparison", "rating", "steps", "ranking", "demonstration", "correction")


class Crowd:
    """Annotators beside a library of segments; `noise` is the scale of what blurs a return."""

    def __init__(self, library, rng, noise=1.0, length=12):
        self.library, self.rng, self.noise, self.length = library, rng, noise, length
        self.given = 0

    def ask(self, kind, *segments, shown=None, **more):
        shown = tuple(range(len(segments))) if shown is None else shown
        query = Query(kind, segments, shown, 0, len(self.library.asked), "uniform", **more)
        self.library.asked.append(query)
        return query.id

    def who(self, query, annotator="a"):
        self.given += 1
        return {"id": f"f{self.given}", "query": query, "annotator": annotator}

    def draw(self):
        return self.library.draw(self.rng, self.length)

    def worth(self, segment):
        """A return as the annotator sees it: with Gumbel noise, differences are blurred by logistic noise."""
        return self.library.true_return(segment) + self.noise * self.rng.gumbel()

    def comparison(self, annotator="a", bias=0.0, shown=(0, 1)):
        first, second = self.draw(), self.draw()
        query = self.ask(QueryKind.COMPARISON, first, second, shown=shown)
        gap = self.worth(first) - self.worth(second) + (bias if shown[0] == 0 else -bias)
        return Comparison(**self.who(query, annotator), choice=Choice.FIRST if gap > 0 else Choice.SECOND)

    def rating(self, annotator="a", levels=5, cuts=(-12, -8, -5, -2), shift=0.0):
        one = self.draw()
        query = self.ask(QueryKind.RATING, one, levels=levels)
        seen = self.library.true_return(one) + self.noise * self.rng.logistic()
        return Rating(**self.who(query, annotator), value=int(np.digitize(seen, np.add(cuts, shift))), levels=levels)

    def steps(self, annotator="a"):
        """A verdict on one step in six: as much to say as a grade."""
        one = self.draw()
        query = self.ask(QueryKind.STEPS, one)
        rewards = self.library.data[self.library.found[one].blob].true_rewards
        chosen = self.rng.choice(len(rewards), 2, replace=False).tolist()
        seen = self.length * rewards[chosen] + self.noise * self.rng.logistic(size=2)
        good = (seen > -6).astype(float).tolist()
        return StepFeedback(**self.who(query, annotator), steps=tuple(chosen), scores=tuple(good))

    def ranking(self, annotator="a", count=3):
        several = [self.draw() for _ in range(count)]
        query = self.ask(QueryKind.RANKING, *several)
        order = np.argsort([-self.worth(one) for one in several])
        return Ranking(**self.who(query, annotator), ranks=tuple(np.argsort(order).tolist()))

    def demonstration(self, annotator="a", samples=3):
        """The annotator tries a few things and shows the best of what is there."""
        several = [self.draw() for _ in range(samples + 1)]
        best = max(several, key=self.worth)
        query = self.ask(QueryKind.DEMONSTRATION, *(one for one in several if one is not best))
        return Demonstration(**self.who(query, annotator), segment=best)

    def correction(self, annotator="a"):
        """A try at doing better with the same start, kept when it looks better, else handed in the other way round."""
        draft, other = self.draw(), self.draw()
        draft, better = (draft, other) if self.worth(other) > self.worth(draft) else (other, draft)
        query = self.ask(QueryKind.CORRECTION, draft)
        return Correction(**self.who(query, annotator), segment=better, start=0, end=self.length)

    def flag(self, annotator="a", limit=9.0):
        """Whether too much is done: the cost of a step is its first action squared, and no part of the reward."""
        actions = self.rng.normal(size=(self.length, ACTIONS)) * self.rng.uniform(0.1, 1.6)
        observations = self.rng.normal(size=(self.length, OBSERVATIONS))
        data = SegmentData(observations.astype(np.float32), actions.astype(np.float32), np.zeros(self.length))
        query = self.ask(QueryKind.FLAG, self.library.add(data), constraint="effort")
        cost = float((actions[:, 0] ** 2).sum()) + self.noise * self.rng.logistic()
        return Flag(**self.who(query, annotator), constraint="effort", severity=float(cost > limit))

    def answers(self, kind, count):
        return [getattr(self, kind)() for _ in range(count)]

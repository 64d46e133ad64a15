"""What does a reward model of a language model learn from real people's preferences, beside length and sentence embeddings?

    python -m benchmarks.real_preferences run --model DIRECTORY --embedder VENV/bin/python [--only llmbar] [--jobs 1]
    python -m benchmarks.real_preferences summary

PandaLM's test set (three people for each pair), LLMBar (natural and adversarial) and HH harmless. Each set is cut into five
parts by prompt; a reward is fitted to four and held against the decided answers of the fifth. "language model" is plaudit's
reward: adapters on SmolLM2-135M with four heads; "embeddings" is plaudit's linear reward on MiniLM's embeddings of the answer
and of its product with the prompt's, with length as a feature; "length" knows nothing else. Of HH one part is held out, not
each in turn, since a fit takes that long. Pairs with a text of more than 512 tokens are left out for all. `run` appends.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks import data
from benchmarks.common import Row, append_raw, missing, read_raw, write
from benchmarks.golds import refuse
from benchmarks.real_people import LENGTH, embed
from plaudit.exchange.bring import bring, open_store
from plaudit.exchange.formats import Format
from plaudit.records import Choice, Comparison, Text, TextSegment
from plaudit.reward.collate import collate
from plaudit.reward.fit import fit
from plaudit.reward.texts import Texts
from plaudit.run.seeds import generator
from plaudit.stats.calibration import calibration
from plaudit.stats.clustered import ClusteredMean, clustered_mean
from plaudit.store.store import Store

LLMBAR = ("Natural", "Adv_Neighbor", "Adv_GPTInst", "Adv_GPTOut", "Adv_Manual")
SETS: dict[str, tuple[Format, tuple[str, ...]]] = {
    "pandalm": (Format.PANDALM, ("pandalm_testset/testset-v1.json",)),
    "llmbar": (Format.LLMBAR, tuple(f"llmbar/{name}.json" for name in LLMBAR)),
    "hh": (Format.HH, ("hh_rlhf_harmless_test/harmless-base-test.jsonl.gz",)),
}
PARTS, LONGEST, EPOCHS = 5, 512, {"pandalm": 2.0, "llmbar": 3.0, "hh": 1.0}
KEYS = ("set", "part")
Floats = NDArray[np.float64]


@dataclass
class Problem:
    """Decided answers of a set, the preferred text first."""

    answers: list[Comparison]
    pairs: list[tuple[str, str]]
    """[answer] (preferred, other)"""
    prompt: NDArray[np.int64]
    """[answer]"""
    texts: dict[str, TextSegment]

    def part(self) -> NDArray[np.int64]:
        """[answer] which part its prompt is in."""
        places = generator(0, "parts").permutation(int(self.prompt.max()) + 1) % PARTS
        return places[self.prompt]


def problem(store: Store, name: str, tokens: Any) -> Problem:
    """What a set says. Ties are left out: none of the three predicts them."""
    source, files = SETS[name]
    list(bring(store, source, [data.find(file) for file in files], on_problem=refuse))
    queries = {query.id: query.segments for query in store.queries()}
    answers = [one for _, one in store.feedback() if isinstance(one, Comparison)]
    texts = store.texts(sorted({name for one in answers for name in queries[one.query]}))
    fits = {id_: tokens(text) <= LONGEST for id_, text in texts.items()}
    kept = [
        one
        for one in answers
        if one.choice in (Choice.FIRST, Choice.SECOND) and all(fits[id_] for id_ in queries[one.query])
    ]
    pairs = [queries[one.query][:: 1 if one.choice is Choice.FIRST else -1] for one in kept]
    names = {text: place for place, text in enumerate(dict.fromkeys(flat(texts[pair[0]].prompt) for pair in pairs))}
    prompt = np.array([names[flat(texts[pair[0]].prompt)] for pair in pairs])
    return Problem(kept, [(first, second) for first, second in pairs], prompt, texts)


def flat(text: Text) -> str:
    """A text in one piece."""
    return text if isinstance(text, str) else "\n".join(f"{one.role}: {one.content}" for one in text)


def language_model(
    store: Store, told: Problem, train: Sequence[int], test: Sequence[int], given: dict[str, Any]
) -> Floats:
    """[member, test answer] log-odds that the preferred one is preferred."""
    import torch

    from plaudit.engine.gemm import Gemm
    from plaudit.engine.load import LoraConfig, ModelConfig, add_lora, load
    from plaudit.engine.model import LanguageModel
    from plaudit.language.reward import RewardFitting, TextRewardConfig
    from plaudit.language.update import Schedule, UpdateConfig

    Gemm("bfloat16", "default", 1).apply()
    loaded = load(ModelConfig(given["model"]))
    model = LanguageModel(add_lora(loaded.module, LoraConfig(16, 32.0), seed=0), loaded.tokenizer, dtype=torch.bfloat16)
    update = UpdateConfig(learning_rate=2e-4, schedule=Schedule.COSINE, warmup=10)
    config = TextRewardConfig(epochs=EPOCHS[given["set"]], batch_size=16, update=update)
    fitting = RewardFitting(model, [told.answers[i] for i in train], store, config=config, seed=given["part"])
    fitting.train()
    names = sorted({name for i in test for name in told.pairs[i]})
    scores = fitting.reward.judge([told.texts[name] for name in names]).members
    place = {name: number for number, name in enumerate(names)}
    first, second = (np.array([place[told.pairs[i][side]] for i in test]) for side in (0, 1))
    return scores[:, first] - scores[:, second]


def embeddings(store: Store, told: Problem, train: Sequence[int], test: Sequence[int], embedder: str) -> Floats:
    """The same by a linear reward on sentence embeddings, with length."""

    def features(texts: Sequence[TextSegment]) -> NDArray[np.float32]:
        said = embed([flat(text.completion) for text in texts], embedder)
        asked = embed([flat(text.prompt) for text in texts], embedder)
        return np.concatenate([said, asked * said * said.shape[1] ** 0.5], axis=1)

    texts = Texts(store, features)
    names = sorted(told.texts)
    batch = texts.batch(names)
    answers = [told.answers[i] for i in train]
    config = replace(LENGTH, weight_decay=8.0)
    found = fit(collate(answers, texts, size=texts.size), config=config, seed=0, reference=batch).model
    values = found.score(batch).mean + (found.annotators.nuisance or {}).get("length", 0.0) * np.array(
        [texts.size(name) for name in names]
    )
    place = {name: number for number, name in enumerate(names)}
    return np.array([[values[place[told.pairs[i][0]]] - values[place[told.pairs[i][1]]] for i in test]])


def length(told: Problem, train: Sequence[int], test: Sequence[int]) -> Floats:
    """The same by the logarithm of the length alone: one number, fitted by Newton's method."""

    def gaps(rows: Sequence[int]) -> Floats:
        sizes = [[np.log1p(told.texts[name].characters) for name in told.pairs[i]] for i in rows]
        return np.array([first - second for first, second in sizes])

    known, slope = gaps(train), 0.0
    for _ in range(50):
        p = 1 / (1 + np.exp(-slope * known))
        slope += ((1 - p) * known).sum() / ((p * (1 - p) * known**2).sum() + 1e-6)
    return slope * gaps(test)[None]


def cell(given: dict[str, Any]) -> dict[str, Any]:
    """One part of one set."""
    from plaudit.engine.load import ModelConfig, load
    from plaudit.engine.text import Tokeniser

    tokeniser = Tokeniser(load(ModelConfig(given["model"])).tokenizer)

    def tokens(text: TextSegment) -> int:
        group = tokeniser.group(text.prompt, [text.completion]) if text.characters else None
        return LONGEST + 1 if group is None else len(group.prompt) + len(group.completions[0])

    with tempfile.TemporaryDirectory() as folder, open_store(Path(folder) / "store") as store:
        told = problem(store, given["set"], tokens)
        part = told.part()
        train, test = np.flatnonzero(part != given["part"]).tolist(), np.flatnonzero(part == given["part"]).tolist()
        began = time.process_time()
        found = {"language model": language_model(store, told, train, test, given)}
        seconds = time.process_time() - began
        found["embeddings"] = embeddings(store, told, train, test, given["embedder"])
        found["length"] = length(told, train, test)
    chances = {name: (1 / (1 + np.exp(-gaps))).mean(0) for name, gaps in found.items()}
    return {
        "train": len(train), "test": len(test), "seconds": round(seconds, 1),
        "prompts": told.prompt[test].tolist(),
        **{name: [round(float(p), 4) for p in values] for name, values in chances.items()},
    }  # fmt: skip


def run(given: argparse.Namespace) -> None:
    """All cells that no finished row covers."""
    cells = [
        {"set": name, "part": part}
        for name in SETS
        if given.only in (None, name)
        for part in range(1 if name == "hh" else PARTS)
    ]

    def one(cell_: dict[str, Any]) -> None:
        words = json.dumps({**cell_, "model": given.model, "embedder": given.embedder})
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "-m", "benchmarks.real_preferences", "cell", words],
            env={**os.environ, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True, check=False,
        )  # fmt: skip
        if done.returncode:
            raise SystemExit(f"{cell_} failed:\n{done.stderr[-3000:]}")
        row = {**cell_, **json.loads(done.stdout.strip().splitlines()[-1])}
        append_raw("real_preferences", row)
        print(
            cell_,
            row["seconds"],
            {n: np.mean(np.array(row[n]) > 0.5) for n in ("language model", "embeddings", "length")},
        )

    with ThreadPoolExecutor(given.jobs) as pool:
        list(pool.map(one, missing(cells, read_raw("real_preferences"), KEYS)))


def summary() -> list[Row]:
    """Accuracy with its interval over prompts, calibration error, and nats per answer."""
    rows: list[Row] = []
    raw = read_raw("real_preferences")
    for name in SETS:
        of_set = [row for row in raw if row["set"] == name]
        if not of_set:
            continue
        clusters = np.concatenate([row["prompts"] for row in of_set])
        right: dict[str, Floats] = {}
        for how in ("language model", "embeddings", "length"):
            p = np.concatenate([row[how] for row in of_set])
            right[how] = (p > 0.5) + 0.5 * (p == 0.5)
            rows.append(interval(f"{name}/{how}", "accuracy", right[how], clusters))
            rows.append(Row(f"{name}/{how}", "calibration error", calibration(np.maximum(p, 1 - p), right[how]).error))
            rows.append(
                Row(f"{name}/{how}", "nats per answer", float(-np.log(np.clip(p, 1e-6, 1)).mean()), unit="nats")
            )
        for other in ("embeddings", "length"):
            gain = right["language model"] - right[other]
            rows.append(interval(f"{name}/language model against {other}", "difference", gain, clusters))
    return rows


def interval(case: str, metric: str, values: Floats, clusters: NDArray[np.int64]) -> Row:
    """A mean and its interval over prompts."""
    found = clustered_mean(values.astype(np.float64), clusters)
    assert isinstance(found, ClusteredMean)
    return Row(case, metric, found.interval.value, found.interval.low, found.interval.high, len(values))


def main() -> int:
    """Command line; see the module's text."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("verb", choices=("run", "cell", "summary"))
    parser.add_argument("given", nargs="?", default="{}")
    parser.add_argument("--model", default="")
    parser.add_argument("--embedder", default=sys.executable)
    parser.add_argument("--only", choices=tuple(SETS))
    parser.add_argument("--jobs", type=int, default=1)
    given = parser.parse_args()
    if given.verb == "cell":
        print(json.dumps(cell(json.loads(given.given))))
    elif given.verb == "run":
        run(given)
    else:
        asked = "What does a reward model of a language model learn from real people's preferences?"
        write("real_preferences", asked=asked, rows=summary(), note="one thread a process, other work on the machine")
    return 0


if __name__ == "__main__":
    sys.exit(main())

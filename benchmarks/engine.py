"""What does differentiating a language model cost, beside Transformers with PEFT, and beside the products alone?

    python -m benchmarks.engine run --model FOLDER [--threads 2] [--rounds 5] [--sides engine,products,transformers] [--prototype FOLDER]
    python -m benchmarks.engine summary

One forward and backward pass of the log-probabilities of 16 completions in 4 groups, 64 tokens each behind prompts of
64, LoRA of rank 16 on all matrices, no optimiser. Sides in turn, several rounds; CPU seconds of this process (all
threads) and seconds by the clock. "products" is the floor: the same large products, on the same weights, and nothing
else. "transformers" is the module's own forward on padded texts, whose prompts are computed for every completion.
`--prototype` measures the project's throw-away prototype too, which is not part of the repository. `run` appends.
"""

from __future__ import annotations

import argparse
import importlib
import os
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch.nn import functional

from benchmarks.common import Row, append_raw, read_raw, write
from plaudit.engine.batch import Batch
from plaudit.engine.gemm import Gemm
from plaudit.engine.head import chunks
from plaudit.engine.model import LanguageModel

PROMPTS, GROUP, LENGTH, RANK = 4, 4, 64, 16
SIDES = ("engine", "products", "transformers", "prototype")
Timing = dict[str, float]


def timed(name: str, what: Callable[[], Any], into: Timing) -> Any:
    """Run a phase; keep its CPU seconds and its seconds by the clock."""
    cpu, clock = time.process_time(), time.perf_counter()
    found = what()
    into[f"{name} cpu_s"], into[f"{name} s"] = time.process_time() - cpu, time.perf_counter() - clock
    return found


def batch(seed: int = 0) -> Batch:
    """Random tokens, so that any model of this vocabulary serves."""
    generator = torch.Generator().manual_seed(seed)
    prompts = torch.randint(20, 49000, (PROMPTS, LENGTH), generator=generator)
    return Batch.of(prompts.tolist(), torch.randint(20, 49000, (PROMPTS, GROUP, LENGTH), generator=generator).tolist())


def passes(model: LanguageModel, data: Batch, mix: torch.Tensor) -> Timing:
    """One forward and one backward pass."""
    found: Timing = {}
    for parameter in model.parameters():
        parameter.grad = None
    scores = timed("forward", lambda: model.logprobs(data), found)
    timed("backward", lambda: (scores.logprobs * mix).sum().backward(), found)
    return found


def products(model: LanguageModel, data: Batch) -> Timing:
    """The same large products alone: each matrix forwards and backwards, the head on response positions."""
    weights = model.weights
    assert weights is not None
    found: Timing = {}
    packed = sum(len(prompt) for prompt in data.prompts) + len(data.tokens) - len(data)
    kept = packed - sum(len(prompt) - 1 for prompt in data.prompts)
    body = [
        (matrix, kept if layer is weights.layers[-1] and matrix is not layer.qkv else packed)
        for layer in weights.layers
        for matrix in (layer.qkv, layer.out, layer.up, layer.down)
    ]
    pieces = [piece.stop - piece.start for piece in chunks(len(data.tokens), len(weights.head.weight), model.device)]
    sizes = {(rows, width) for matrix, rows in body for width in matrix.weight.shape}
    sizes |= {(rows, width) for rows in pieces for width in weights.head.weight.shape}
    inputs = {size: torch.randn(size, dtype=model.dtype) for size in sizes}

    def forward() -> None:
        for matrix, rows in [*body, *((weights.head, rows) for rows in pieces)]:
            functional.linear(inputs[rows, matrix.weight.shape[1]], matrix.weight)

    def backward() -> None:
        for matrix, rows in [*body, *((weights.head, rows) for rows in pieces)]:
            _ = inputs[rows, matrix.weight.shape[0]] @ matrix.weight

    timed("forward", forward, found)
    timed("backward", backward, found)
    return found


def prototype(folder: str, model: str, dtype: torch.dtype, data: Batch, mix: torch.Tensor) -> Callable[[], Timing]:
    """The prototype's passes on the same tokens."""
    sys.path.insert(0, folder)
    made = importlib.import_module("fast_lm")
    lm = made.FastLM(model, dtype=dtype, lora=(RANK, 2 * RANK))
    prompts, completions = torch.stack(data.prompts), data.tokens.view(PROMPTS, GROUP, LENGTH)

    def loss(logprobs: torch.Tensor, some: slice) -> tuple[torch.Tensor, torch.Tensor]:
        return logprobs * mix[some], mix[some]

    def run() -> Timing:
        found: Timing = {}
        for parameter in lm.params():
            parameter.grad = None

        def forward() -> torch.Tensor:
            hidden = lm.hidden(prompts, completions)
            return made.HeadLoss.apply(hidden, lm.Ee, data.tokens, loss, False, 128, False)[0]

        total = timed("forward", forward, found)
        timed("backward", total.backward, found)
        return found

    return run


def sides(given: argparse.Namespace, dtype: torch.dtype) -> dict[str, Callable[[], Timing]]:
    """What is measured in turn."""
    transformers, peft = importlib.import_module("transformers"), importlib.import_module("peft")
    module = transformers.AutoModelForCausalLM.from_pretrained(given.model, dtype=torch.float32)
    config = peft.LoraConfig(r=RANK, lora_alpha=2 * RANK, target_modules="all-linear", task_type="CAUSAL_LM")
    module = peft.get_peft_model(module, config)
    data = batch()
    mix = torch.randn(len(data.tokens), generator=torch.Generator().manual_seed(1))
    fast, slow = LanguageModel(module, dtype=dtype, fast=True), LanguageModel(module, dtype=dtype, fast=False)

    found: dict[str, Callable[[], Timing]] = {
        "engine": lambda: passes(fast, data, mix),
        "products": lambda: products(fast, data),
        "transformers": lambda: passes(slow, data, mix),
    }
    if given.prototype and "prototype" in given.sides:
        found["prototype"] = prototype(given.prototype, given.model, dtype, data, mix)
    return found


def run(given: argparse.Namespace) -> None:
    """Append one row per dtype and round, after one round that is not counted."""
    for name in ("float32", "bfloat16"):
        choice = Gemm(name, "onednn" if name == "float32" else "default", given.threads)
        choice.apply()
        measured = {side: once for side, once in sides(given, choice.torch_dtype).items() if side in given.sides}
        for number in range(-1, given.rounds):
            for side, once in measured.items():
                row = {"dtype": name, "side": side, "round": number, "threads": given.threads, **once()}
                row["load"] = round(os.getloadavg()[0], 2)
                if number >= 0:
                    append_raw("engine", {key: round(v, 3) if isinstance(v, float) else v for key, v in row.items()})
                    print(row, flush=True)


def summary() -> list[Row]:
    """Per dtype and side: CPU seconds of each phase, and each side's share that the products alone would take."""
    rows: list[Row] = []
    raw = read_raw("engine")
    for dtype in ("float32", "bfloat16"):
        totals: dict[str, float] = {}
        for side in dict.fromkeys(row["side"] for row in raw if row["dtype"] == dtype):
            some = [row for row in raw if (row["dtype"], row["side"]) == (dtype, side)]
            phases = {"forward": ("forward",), "backward": ("backward",), "both": ("forward", "backward")}
            for phase, parts in phases.items():
                for unit in ("cpu_s", "s"):
                    values = [sum(row[f"{part} {unit}"] for part in parts) for row in some]
                    rows.append(
                        _median(f"{dtype}/{side}/{phase}", {"cpu_s": "cpu_seconds", "s": "seconds"}[unit], values)
                    )
            totals[side] = rows[-2].value
        rows += [
            Row(f"{dtype}/{side}", "share_of_products", totals["products"] / total) for side, total in totals.items()
        ]
        rows += [
            Row(f"{dtype}/{side} against engine", "cpu_ratio", total / totals["engine"])
            for side, total in totals.items()
        ]
    return rows


def _median(case: str, metric: str, values: list[float]) -> Row:
    return Row(case, metric, statistics.median(values), min(values), max(values), len(values), "s")


def main() -> int:
    """Measure, or write results/engine.json."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("verb", choices=("run", "summary"))
    parser.add_argument("--model", type=lambda folder: str(Path(folder)), help="a Hugging Face directory")
    parser.add_argument("--prototype", help="the folder of fast_lm.py")
    parser.add_argument("--sides", type=lambda words: words.split(","), default=list(SIDES))
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    if given.verb == "run":
        run(given)
        return 0
    raw = read_raw("engine")
    write(
        "engine",
        asked="What does differentiating a language model of 135 M parameters cost?",
        rows=summary(),
        note=f"medians, minimum and maximum over rounds, sides in turn, {sorted({row['threads'] for row in raw})} threads; "
        f"the machine was busy with other work: load {min(row['load'] for row in raw)} to {max(row['load'] for row in raw)}",
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())

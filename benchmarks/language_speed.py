"""How long does an optimiser step of a language model take, beside TRL 1.16? Same model, data, batch and mathematics.

    python -m benchmarks.language_speed run --model DIRECTORY --peer TRL_VENV/bin/python [--only grpo] [--rounds 3]
    python -m benchmarks.language_speed summary

`run` appends and resumes; both sides take turns, each cell in a process of its own, medians over the steps of all rounds. A
step is all of it: sampling and scoring too, where the algorithm has them. TRL is timed in its two ways on a CPU: all in fp32,
and with `bf16=True` (its default), which computes in bfloat16 under autocast but samples in fp32. plaudit is timed in exact
fp32 (products by the library that a probe found faster and as exact) and in bfloat16 products over fp32 masters. The model is
SmolLM2-135M-Instruct (`plaudit model import smollm2 DIRECTORY`); adapters have rank 16 on all linear layers.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.common import HERE, Row, append_raw, missing, read_raw, write

KINDS: dict[str, dict[str, int]] = {
    "sft": {"rows": 8, "samples": 1},
    "dpo": {"rows": 8, "samples": 2},
    "reward": {"rows": 8, "samples": 2},
    "grpo": {"rows": 16, "samples": 4},
    "rloo": {"rows": 16, "samples": 4},
    "ppo": {"rows": 16, "samples": 4},
    "rollout": {"rows": 16, "samples": 4},
}
"""completions of a step (pairs for dpo and reward), and those of a prompt"""
ALONE = ("ppo",)
"""what TRL has no more: beside our own GRPO"""
LONG = {"rows": 16, "samples": 8, "prompt": 256, "completion": 64}
STEPS = {"float32": 2, "bfloat16": 3}
WARMUP = 1
KEYS = ("side", "kind", "weights", "dtype", "prompt", "completion", "rows", "samples", "ragged", "threads", "round")


def cells(rounds: int, threads: int) -> Iterator[dict[str, Any]]:
    """All that is measured, round by round, the two sides in turn."""
    shapes: list[dict[str, Any]] = []
    for kind, sizes in KINDS.items():
        shapes.append({"kind": kind, "weights": "lora", **sizes, "prompt": 64, "completion": 64, "ragged": False})
    shapes += [{"kind": kind, "weights": "lora", **LONG, "ragged": False} for kind in ("grpo", "rloo")]
    shapes += [
        {"kind": kind, "weights": "lora", **KINDS[kind], "prompt": 64, "completion": 128, "ragged": True}
        for kind in ("sft", "dpo", "reward")
    ]
    shapes += [
        {"kind": kind, "weights": "full", **KINDS[kind], "prompt": 64, "completion": 64, "ragged": False}
        for kind in ("sft", "grpo")
    ]
    for number in range(rounds):
        for shape in shapes:
            for dtype in ("float32", "bfloat16"):
                for side in ("trl", "plaudit") if shape["kind"] not in ALONE else ("plaudit",):
                    yield {"side": side, "dtype": dtype, **shape, "threads": threads, "round": number}


def ours(s: dict[str, Any]) -> dict[str, Any]:
    """plaudit's side of a cell, in this process."""
    import torch

    from plaudit.engine.gemm import probe
    from plaudit.engine.load import LoraConfig, ModelConfig, add_lora, load
    from plaudit.engine.model import LanguageModel

    choice = probe(s["dtype"], threads=s["threads"])
    choice.apply()
    torch.manual_seed(0)
    loaded = load(ModelConfig(s["model"]))
    module = add_lora(loaded.module, LoraConfig(16, 32.0), seed=0) if s["weights"] == "lora" else loaded.module
    model = LanguageModel(module, loaded.tokenizer, dtype=choice.torch_dtype)
    step = STAGES[s["kind"]](model, s)
    seconds: list[float] = []
    for number in range(WARMUP + s["steps"]):
        began = time.perf_counter()
        step(number)
        seconds.append(time.perf_counter() - began)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    return {
        "seconds": [round(one, 3) for one in seconds[WARMUP:]], "peak_gib": round(peak, 2),
        "load": round(os.getloadavg()[0], 2), "gemm": choice.plain(),
    }  # fmt: skip


def _ids(rng: random.Random, length: int) -> list[int]:
    return [rng.randrange(1000, 20_000) for _ in range(length)]


def _length(rng: random.Random, s: dict[str, Any]) -> int:
    longest = s["completion"]
    return rng.randint(longest // 4, longest) if s["ragged"] else longest


def _batches(s: dict[str, Any], each: int) -> Callable[[int], Any]:
    from plaudit.engine.batch import Batch

    def made(number: int) -> Batch:
        rng = random.Random(number)
        prompts = [_ids(rng, s["prompt"]) for _ in range(s["rows"])]
        return Batch.of(prompts, [[_ids(rng, _length(rng, s)) for _ in range(each)] for _ in prompts])

    return made


def _sft(model: Any, s: dict[str, Any]) -> Callable[[int], Any]:
    from plaudit.language.sft import Sft, SftConfig

    stage, made = Sft(model, SftConfig(steps=100)), _batches(s, 1)
    return lambda number: stage.step(made(number))


def _dpo(model: Any, s: dict[str, Any]) -> Callable[[int], Any]:
    from plaudit.language.direct import Alignment, DirectConfig

    stage, made = Alignment(model, DirectConfig(steps=100)), _batches(s, 2)
    return lambda number: stage.step(made(number))


def _reward(model: Any, s: dict[str, Any]) -> Callable[[int], Any]:
    from plaudit.language.reward import RewardFitting, TextRewardConfig
    from plaudit.records import AnnotatorKind, AnnotatorProfile, Choice, Comparison, Query, QueryKind, TextSegment
    from plaudit.store.store import Store

    rng, text = random.Random(0), model.tokenizer.decode
    folder = tempfile.mkdtemp()
    store = Store.create(Path(folder) / "store.sqlite", {"format": 1, "config": {}, "versions": {}})
    store.add_annotator(AnnotatorProfile("ann", AnnotatorKind.PERSON))
    known = [one for one in range(1000, 20_000) if text([one]).startswith(" ") and text([one])[1:].isalpha()]

    def words(length: int) -> str:
        return "".join(text([rng.choice(known)]) for _ in range(length))

    texts, queries, answers = [], [], []
    for number in range(s["rows"] * (WARMUP + s["steps"] + 1)):  # the last step, which is not taken, ends the fit
        prompt = words(s["prompt"])
        pair = [TextSegment(prompt, words(_length(rng, s))) for _ in range(2)]
        query = Query(QueryKind.COMPARISON, tuple(one.id for one in pair), (0, 1), 0, number, "uniform")
        texts, queries = [*texts, *pair], [*queries, query]
        answers.append(Comparison(id=f"a{number}", query=query.id, annotator="ann", choice=Choice.FIRST))
    store.add_segments(texts)
    store.add_queries(queries)
    store.add_feedback(answers)
    # cut-points are estimated before the first step, which is not timed
    config = TextRewardConfig(members=1, batch_size=s["rows"], epochs=1, held_out=0.0, fit_lapse=False, center=0.0)
    fitting = RewardFitting(model, answers, store, config=config, seed=0)
    return lambda _: fitting.step()


class _Endless:
    """Samples so many tokens whatever they are, as `min_new_tokens` has TRL do."""

    def __init__(self, model: Any) -> None:
        self._model = model

    def generate(self, prompts: Any, *, samples: int, sampling: Any, seed: int) -> Any:
        """As the model's own."""
        return self._model.generate(prompts, samples=samples, sampling=replace(sampling, stop=()), seed=seed)


def _group(name: str) -> Callable[[Any, dict[str, Any]], Callable[[int], Any]]:
    def begin(model: Any, s: dict[str, Any]) -> Callable[[int], Any]:
        import torch

        from plaudit.engine.load import ModelConfig, load
        from plaudit.engine.model import LanguageModel
        from plaudit.language.group import Group
        from plaudit.language.group_config import preset

        count = s["rows"] // s["samples"]
        config = replace(
            preset(name), prompts=count, samples=s["samples"], max_tokens=s["completion"], kl=0.04, steps=100
        )
        reference = None
        if s["weights"] == "full":
            reference = LanguageModel(load(ModelConfig(s["model"])).module, model.tokenizer, dtype=model.dtype)
        group = Group(model, config, 0, reference=reference, sampler=_Endless(model))

        def step(number: int) -> None:
            rng = random.Random(number)
            rollout = group.generate([_ids(rng, s["prompt"]) for _ in range(count)])
            scores = torch.tensor([rng.random() for _ in range(s["rows"])])
            group.step(group.experience(rollout, scores))

        return step

    return begin


def _ppo(model: Any, s: dict[str, Any]) -> Callable[[int], Any]:
    """Four models on one base: the policy's, the reward's and the critic's adapters, and the base as the reference."""
    from plaudit.engine.load import LoraConfig, add_lora
    from plaudit.language.critic import Critic, paid_by
    from plaudit.language.ppo import PPO
    from plaudit.language.ppo_config import PPOConfig
    from plaudit.language.scorer import TextReward

    for name in ("reward", "critic"):
        add_lora(model.module, LoraConfig(16, 32.0), seed=0, name=name)
    policy = model.view("default")
    reward = TextReward.fresh(model.view("reward"), ("overall",), 1, 0)
    count = s["rows"] // s["samples"]
    config = PPOConfig(
        prompts=count, samples=s["samples"], max_tokens=s["completion"], epochs=1, steps=100, trust_sampler=True
    )
    ppo, score = (
        PPO(policy, Critic.from_reward(reward, model.view("critic")), config, 0, sampler=_Endless(policy)),
        paid_by(reward),
    )

    def step(number: int) -> None:
        rng = random.Random(number)
        rollout = ppo.generate([_ids(rng, s["prompt"]) for _ in range(count)])
        ppo.step(ppo.experience(rollout, score(rollout)))

    return step


def _rollout(model: Any, s: dict[str, Any]) -> Callable[[int], Any]:
    from plaudit.engine.sampling import Sampling

    sampler, sampling = _Endless(model), Sampling(max_tokens=s["completion"])

    def step(number: int) -> None:
        rng = random.Random(number)
        prompts = [_ids(rng, s["prompt"]) for _ in range(s["rows"] // s["samples"])]
        sampler.generate(prompts, samples=s["samples"], sampling=sampling, seed=number)

    return step


STAGES = {
    "sft": _sft, "dpo": _dpo, "reward": _reward, "grpo": _group("grpo"), "rloo": _group("rloo"), "ppo": _ppo,
    "rollout": _rollout,
}  # fmt: skip
"""by kind, what makes the function that is timed, from the number of a step"""


def run(model: str, peer: str, rounds: int, only: str | None, threads: int) -> None:
    """All cells that no finished row covers, one at a time."""
    wanted = [one for one in cells(rounds, threads) if only in (None, one["kind"])]
    for cell in missing(wanted, read_raw("language_speed"), KEYS):
        given = json.dumps({**cell, "model": model, "steps": STEPS[cell["dtype"]]})
        side = [peer, "-W", "ignore", "-m", "peers.trl_steps", given]
        if cell["side"] == "plaudit":
            side = [sys.executable, "-W", "ignore", "-m", "benchmarks.language_speed", "cell", given]
        done = subprocess.run(
            side,
            cwd=HERE if cell["side"] == "trl" else HERE.parent,
            env={**os.environ, "OMP_NUM_THREADS": str(threads)},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise SystemExit(f"{cell} failed:\n{done.stderr[-3000:]}")
        row = {**cell, **json.loads(done.stdout.strip().splitlines()[-1])}
        append_raw("language_speed", row)
        print(json.dumps(row), flush=True)


def summary() -> list[Row]:
    """Median seconds and memory of both sides, and how many times as long TRL takes."""
    rows: list[Row] = []
    found: dict[tuple[Any, ...], dict[str, list[dict[str, Any]]]] = {}
    for row in read_raw("language_speed"):
        found.setdefault(tuple(row[key] for key in KEYS[1:-1]), {}).setdefault(row["side"], []).append(row)
    own: dict[tuple[Any, ...], float] = {}
    for key, sides in found.items():
        named = dict(zip(KEYS[1:-1], key, strict=True))
        shape = f"{named['prompt']}+{named['completion']}" + (" ragged" if named["ragged"] else "")
        case = f"{named['kind']}/{named['weights']}/{shape}/{named['dtype']}/{named['threads']} threads"
        medians: dict[str, float] = {}
        for side, cells_ in sides.items():
            seconds = [value for cell in cells_ for value in cell["seconds"]]
            medians[side] = statistics.median(seconds)
            rows.append(
                Row(f"{case}/{side}", "seconds", medians[side], min(seconds), max(seconds), len(seconds), "s/step")
            )
            rows.append(Row(f"{case}/{side}", "peak", statistics.median(c["peak_gib"] for c in cells_), unit="GiB"))
            if named["kind"] == "rollout":
                speed = named["rows"] * named["completion"] / medians[side]
                rows.append(Row(f"{case}/{side}", "tokens", speed, n=len(seconds), unit="new tokens/s"))
        own[key] = medians.get("plaudit", 0.0)
        if named["kind"] == "ppo" and (group := own.get(("grpo", *key[1:]))):
            rows.append(Row(case, "times our GRPO step", own[key] / group, n=len(sides["plaudit"])))
        if len(sides) == 2:
            rows.append(
                Row(case, "times faster than TRL", medians["trl"] / medians["plaudit"], n=len(sides["plaudit"]))
            )
            peaks = {side: statistics.median(c["peak_gib"] for c in cells_) for side, cells_ in sides.items()}
            rows.append(Row(case, "memory of TRL's", peaks["plaudit"] / peaks["trl"], unit="share"))
    return rows


def main() -> int:
    """Command line; see the module's text."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("verb", choices=("run", "cell", "summary"))
    parser.add_argument("given", nargs="?", default="{}")
    parser.add_argument("--model", default="")
    parser.add_argument("--peer", default=sys.executable)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--only", choices=tuple(KINDS))
    given = parser.parse_args()
    if given.verb == "cell":
        print(json.dumps(ours(json.loads(given.given))))
    elif given.verb == "run":
        run(str(Path(given.model).resolve()), given.peer, given.rounds, given.only, given.threads)
    else:
        loads = [row["load"] for row in read_raw("language_speed")]
        write(
            "language_speed",
            asked="How long does an optimiser step of a language model take, beside TRL 1.16?",
            rows=summary(),
            note=f"medians of all steps after the first; load of the machine while it ran: {min(loads)} to {max(loads)}",
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())

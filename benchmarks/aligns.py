"""Does feedback move a language model the right way? Five learners at equal minutes, from 300 comparisons by two hidden golds.

    python -m benchmarks.aligns run --model DIRECTORY --work DIRECTORY [--embedder VENV/bin/python] [--gold constraints]
                                    [--only grpo] [--seeds 3] [--minutes 10] [--jobs 2]
    python -m benchmarks.aligns summary

SmolLM2-135M first imitates (its own calm answers, cut to whole sentences; arguments that people wrote): this start is what learners
begin with and are held against. It completes prompts in pairs, a simulated annotator answers 300 questions about them from the
gold, and from these answers alone come the reward of PPO, GRPO, RLOO and best-of-n, and DPO's pairs. Each learner then has so
many minutes of CPU time on one thread; best-of-n has them for sampling. It is judged by the gold on prompts that nothing else
saw: how often its completion beats one of the start's (also among pairs of about equal length), and how far it went in nats.
`run` appends and resumes; what several learners share is kept in --work.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.common import Row, append_raw, interval_row, missing, read_raw, write
from benchmarks.golds import ASKED, Arguments, Constraints, Floats, Gold, close, spoken, whole_sentences
from plaudit.ask.teachers import Teacher, TeacherConfig
from plaudit.engine.batch import Batch
from plaudit.engine.gemm import Gemm
from plaudit.engine.load import LoraConfig, ModelConfig, add_lora, load
from plaudit.engine.model import LanguageModel
from plaudit.engine.sampling import Rollout, Sampler, Sampling
from plaudit.engine.text import Tokeniser
from plaudit.language.best_of_n import BestOfN, kl_bound, sample
from plaudit.language.critic import Critic, paid_by
from plaudit.language.direct import Alignment, DirectConfig
from plaudit.language.experience import order
from plaudit.language.group import Group
from plaudit.language.group_config import preset
from plaudit.language.ppo import PPO
from plaudit.language.ppo_config import PPOConfig
from plaudit.language.reward import RewardFitting, TextRewardConfig
from plaudit.language.scorer import TextReward
from plaudit.language.sft import Sft, SftConfig
from plaudit.language.update import Schedule, UpdateConfig, rows_of_step
from plaudit.loop.texts.gold import GoldTeacher
from plaudit.loop.texts.judging import distances, repetition
from plaudit.records import Choice, Comparison, Message, Query, QueryKind, Text, TextSegment
from plaudit.run.seeds import derive
from plaudit.store.store import Store

METHODS = ("grpo", "ppo", "rloo", "dpo", "best_of_n", "ceiling")
"""ceiling: the best of 64 by the gold itself"""
KEYS: tuple[str, ...] = ("gold", "method", "seed", "minutes", "dtype")
GOLDS = ("constraints", "arguments")
SAMPLES, ALIKE, N = 4, 0.2, 64
NATS, HORIZON = 6.0, 150.0
"""how far policies are meant to go, and completions over which the price of a nat is adapted"""
CALM = 0.5
"""temperature of answers that a model imitates of itself: at 1 this one rambles"""
TEACHER = TeacherConfig(temperature=0.1, equal=0.02, low=0.0, high=1.0)
RUN = {"format": 1, "config": {}, "versions": {}}
ADAPTER = LoraConfig(16, 32.0)


@dataclass
class Scene:
    """What all learners of a gold and a seed share."""

    gold: Gold
    folder: Path
    seed: int
    dtype: torch.dtype

    def __post_init__(self) -> None:
        loaded = load(ModelConfig(str(self.folder / "start")))
        self.module = add_lora(loaded.module, ADAPTER, seed=self.seed, name="policy")
        for name in ("reward", "critic"):
            add_lora(self.module, ADAPTER, seed=self.seed, name=name)
        self.policy = LanguageModel(self.module, loaded.tokenizer, dtype=self.dtype, adapter="policy")
        self.start = self.policy.view(None)
        self.tokeniser = Tokeniser(loaded.tokenizer)
        self.prompts = self.gold.prompts()
        self.store = Store.open(self.folder / f"{self.seed}" / "store.sqlite")

    def ids(self, prompts: Sequence[str]) -> list[tuple[int, ...]]:
        """Prompts as tokens."""
        return [self.tokeniser.prompt(spoken(prompt)) for prompt in prompts]

    def said(self, rollout: Rollout) -> list[str]:
        """Completions as text."""
        return [self.tokeniser.text(row.tolist()) for row in rollout.batch.rows]

    def sampling(self) -> Sampling:
        """How completions are drawn, everywhere."""
        return Sampling(max_tokens=self.gold.max_tokens)

    def reward(self) -> TextReward:
        """As it was fitted to this seed's answers."""
        folder = self.folder / f"{self.seed}" / "reward"
        model = self.policy.view("reward")
        kept = torch.load(folder / "adapter.pt", weights_only=True)
        with torch.no_grad():
            for parameter, tensor in zip(model.parameters(), kept, strict=True):
                parameter.copy_(tensor)
        model.refresh()
        return TextReward.load(folder, model)


def imitated(gold: Gold, model: str, folder: Path) -> dict[str, Any]:
    """Make the start of a gold; it is the same for all seeds."""
    loaded = load(ModelConfig(model))
    module = add_lora(loaded.module, ADAPTER, seed=0)
    policy = LanguageModel(module, loaded.tokenizer, dtype=torch.bfloat16)
    tokeniser = Tokeniser(loaded.tokenizer)
    pairs = gold.demonstrations()
    if not pairs:
        prompts = gold.prompts()["imitated"]
        sampling = Sampling(max_tokens=gold.max_tokens - 4, temperature=CALM)
        found = policy.generate(
            [tokeniser.prompt(spoken(one)) for one in prompts], samples=1, sampling=sampling, seed=0
        )
        said = [whole_sentences(tokeniser.text(row.tolist())) for row in found.batch.rows]
        pairs = [(prompt, text) for prompt, text in zip(prompts, said, strict=True) if text]
    groups = [tokeniser.turns(spoken(prompt), spoken_back(text))[0] for prompt, text in pairs]
    groups = [one for one in groups if len(one.completions[0]) <= gold.max_tokens]
    config = SftConfig(steps=max(60, len(groups) // 4), batch_size=8, update=UpdateConfig(learning_rate=2e-4, warmup=5))
    stage = Sft(policy, config)
    losses: list[float] = []
    for step in range(config.steps):
        rows = rows_of_step(step, config.batch_size, count=len(groups), seed=0, name="sft")
        batch = Batch.of([groups[i].prompt for i in rows], [[groups[i].completions[0]] for i in rows])
        losses.append(stage.step(batch)["loss"])
    module.get_base_model().save_pretrained(folder, state_dict=policy.merged())
    loaded.tokenizer.save_pretrained(folder)
    return {"texts": len(groups), "loss": [losses[0], float(np.mean(losses[-10:]))]}


def spoken_back(text: str) -> Text:
    """What the assistant says."""
    return (Message("assistant", text),)


def asked(gold: Gold, folder: Path, seed: int, dtype: torch.dtype) -> dict[str, Any]:
    """Sample pairs, have them compared, fit the reward; keep all of it."""
    here = folder / f"{seed}"
    here.mkdir(exist_ok=True)
    (here / "store.sqlite").unlink(missing_ok=True)
    Store.create(here / "store.sqlite", RUN).close()
    scene = Scene(gold, folder, seed, dtype)
    chosen = order(seed, len(scene.prompts["asked"]), start=0, size=ASKED)
    prompts = [scene.prompts["asked"][i] for i in chosen]
    found = scene.start.generate(scene.ids(prompts), samples=2, sampling=scene.sampling(), seed=derive(seed, "ask"))
    said = scene.said(found)
    truth = gold([one for one in prompts for _ in range(2)], said)
    worth = dict(zip(zip([one for one in prompts for _ in range(2)], said, strict=True), truth, strict=True))
    teacher = GoldTeacher(
        Teacher(TEACHER, derive(seed, "teacher")),
        lambda prompt, text: float(worth[prompt[0].content, text[0].content]),  # type: ignore[arg-type, index, union-attr]
    )
    texts: dict[str, TextSegment] = {}
    queries: list[Query] = []
    for number, prompt in enumerate(prompts):
        pair = [TextSegment(spoken(prompt), spoken_back(text)) for text in said[2 * number : 2 * number + 2]]
        if all(said[2 * number : 2 * number + 2]) and pair[0].id != pair[1].id:
            texts |= {one.id: one for one in pair}
            queries.append(Query(QueryKind.COMPARISON, tuple(one.id for one in pair), (0, 1), 0, number, "random"))
    answers = [teacher.answer(query, [texts[name] for name in query.segments]) for query in queries]
    scene.store.add_annotator(teacher.profile)
    scene.store.add_segments(list(texts.values()))
    scene.store.add_queries(queries)
    scene.store.add_feedback(answers)
    began = time.process_time()
    config = TextRewardConfig(batch_size=16, epochs=3, update=UpdateConfig(schedule=Schedule.COSINE, warmup=10))
    fitting = RewardFitting(scene.policy.view("reward"), answers, scene.store, config=config, seed=seed)
    told = fitting.train()
    folder_ = here / "reward"
    folder_.mkdir(exist_ok=True)
    fitting.reward.save(folder_)
    torch.save([one.detach().clone() for one in fitting.reward.model.parameters()], folder_ / "adapter.pt")
    # against the truth, which nobody could know: pairs of the start's completions of prompts that policies learn on
    unseen = scene.prompts["taught"][:64]
    pairs = scene.start.generate(scene.ids(unseen), samples=2, sampling=scene.sampling(), seed=derive(seed, "accuracy"))
    good = gold([one for one in unseen for _ in range(2)], scene.said(pairs)).reshape(-1, 2)
    scores = fitting.reward.normalised(pairs.batch).mean(0).reshape(-1, 2)
    apart = good[:, 0] != good[:, 1]
    right = (np.sign(good[:, 0] - good[:, 1]) == np.sign(scores[:, 0] - scores[:, 1]))[apart]
    return {
        "answers": len(answers),
        "ties": sum(isinstance(one, Comparison) and one.choice is Choice.TIE for one in answers),
        "reward_seconds": round(time.process_time() - began, 1),
        "accuracy": float(right.mean()),
        "pairs": int(apart.sum()),
        **{name: float(value) for name, value in told.items()},
    }


Learner = Callable[[Scene, float, dict[str, Any]], Sampler]
"""from the scene and seconds of CPU time; writes what is worth telling into the dictionary"""


def clocked(seconds: float) -> Callable[[], bool]:
    """Whether there is time left."""
    began = time.process_time()
    return lambda: time.process_time() - began < seconds


def _group(name: str) -> Learner:
    def learner(scene: Scene, seconds: float, told: dict[str, Any]) -> Sampler:
        update = UpdateConfig(learning_rate=1e-4, schedule=Schedule.CONSTANT, warmup=5, betas=(0.9, 0.99))
        config = replace(
            preset(name), prompts=4, samples=8, max_tokens=scene.gold.max_tokens, steps=10_000, update=update, kl=0.1, kl_target=NATS, kl_horizon=HORIZON,
            missing_end=1.0,
        )  # fmt: skip
        group, score = Group(scene.policy, config, scene.seed), paid_by(scene.reward())
        ids, time_left = scene.ids(scene.prompts["taught"]), clocked(seconds)
        while time_left():
            _, rollout, scores = group.collect(ids, score)
            metrics = group.step(group.experience(rollout, scores))
            course(told, metrics, metrics["rewards/score/mean"], metrics.get("objective/kl", np.nan))
        return scene.policy

    return learner


def _ppo(scene: Scene, seconds: float, told: dict[str, Any]) -> Sampler:
    reward = scene.reward()
    config = PPOConfig(
        prompts=32, max_tokens=scene.gold.max_tokens, steps=10_000, epochs=2, kl=0.1, kl_target=NATS, kl_horizon=HORIZON, missing_end=1.0,
        update=UpdateConfig(learning_rate=1e-4, schedule=Schedule.CONSTANT, warmup=5), trust_sampler=scene.dtype == torch.float32,
    )  # fmt: skip
    ppo = PPO(scene.policy, Critic.from_reward(reward, scene.policy.view("critic")), config, scene.seed)
    ids, score, time_left = scene.ids(scene.prompts["taught"]), paid_by(reward), clocked(seconds)
    while time_left():
        rollout = ppo.generate([ids[i] for i in order(scene.seed, len(ids), start=32 * ppo.rollouts, size=32)])
        metrics = ppo.step(ppo.experience(rollout, score(rollout)))
        course(told, metrics, metrics["objective/scores"], metrics["objective/kl"])
    return scene.policy


def _dpo(scene: Scene, seconds: float, told: dict[str, Any]) -> Sampler:
    queries = {query.id: query for query in scene.store.queries()}
    pairs: list[tuple[str, str]] = []
    for _, answer in scene.store.feedback():
        if isinstance(answer, Comparison) and answer.choice is not Choice.TIE:
            first, second = queries[answer.query].segments
            pairs.append((first, second) if answer.choice is Choice.FIRST else (second, first))
    texts = scene.store.texts([name for pair in pairs for name in pair])
    groups = [
        scene.tokeniser.group(texts[good].prompt, [texts[good].completion, texts[bad].completion])
        for good, bad in pairs
    ]
    config = DirectConfig(steps=10_000, update=UpdateConfig(learning_rate=5e-5, schedule=Schedule.CONSTANT, warmup=5))
    stage, time_left = Alignment(scene.policy, config), clocked(seconds)
    while time_left():
        rows = rows_of_step(stage.update.done, 16, count=len(groups), seed=scene.seed, name="dpo")
        batch = Batch.of([groups[i].prompt for i in rows], [list(groups[i].completions) for i in rows])
        metrics = stage.step(batch)
        course(told, metrics, metrics["rewards/margins"], np.nan)
    return scene.policy


def course(told: dict[str, Any], metrics: dict[str, float], score: float, kl: float) -> None:
    """Note a step."""
    told.setdefault("course", []).append([round(score, 3), round(float(kl), 2)])
    told["steps"] = told.get("steps", 0) + 1
    told["skipped"] = metrics.get("skipped_steps", 0.0)


def _best_of_n(scene: Scene, seconds: float, told: dict[str, Any]) -> Sampler:
    told["n"] = 16
    return BestOfN(scene.start, paid_by(scene.reward()), told["n"])


LEARNERS: dict[str, Learner] = {
    "grpo": _group("grpo"), "rloo": _group("rloo"), "ppo": _ppo, "dpo": _dpo, "best_of_n": _best_of_n,
}  # fmt: skip


def ceiling(scene: Scene) -> dict[str, Any]:
    """What the best of 1 to 64 completions is worth by the gold itself, and how often it beats the start's."""
    prompts = scene.prompts["held_out"][:32]

    def score(rollout: Rollout) -> torch.Tensor:
        group = rollout.batch.group.tolist()
        return torch.from_numpy(scene.gold([prompts[i] for i in group], scene.said(rollout)))

    found = sample(
        scene.start, scene.ids(prompts), score, n=N, sampling=scene.sampling(), seed=derive(scene.seed, "ceiling")
    )
    return {"best_of": {str(k): found.expected_best(k) for k in (1, 2, 4, 8, 16, 32, 64)}}


@dataclass
class Judged:
    """Completions of the held-out prompts."""

    prompts: list[str]
    texts: list[str]
    gold: Floats
    rollout: Rollout
    reward: Floats

    @property
    def lengths(self) -> Floats:
        """In tokens."""
        return self.rollout.batch.lengths.double().numpy()

    def facts(self) -> dict[str, float]:
        """Means."""
        repeats = [repetition(row.tolist()) for row in self.rollout.batch.rows]
        return {
            "gold": float(self.gold.mean()), "reward": float(self.reward.mean()), "length": float(self.lengths.mean()),
            "missing_end": float((~self.rollout.finished).double().mean()), "repetition": float(np.mean(repeats)),
        }  # fmt: skip


def judge(scene: Scene, sampler: Sampler) -> Judged:
    """The same draws for whoever speaks."""
    prompts = scene.prompts["held_out"]
    rollout = sampler.generate(scene.ids(prompts), samples=SAMPLES, sampling=scene.sampling(), seed=derive(0, "judge"))
    texts, every = scene.said(rollout), [one for one in prompts for _ in range(SAMPLES)]
    return Judged(every, texts, scene.gold(every, texts), rollout, scene.reward().normalised(rollout.batch).mean(0))


def against(found: Judged, before: Judged) -> dict[str, float]:
    """How often a completion beats one of the start's to the same prompt, all with all; equal ones count half."""

    def pairs(mine: Floats, theirs: Floats) -> tuple[Floats, Floats]:
        return mine.reshape(-1, SAMPLES, 1), theirs.reshape(-1, 1, SAMPLES)

    one, other = pairs(found.gold, before.gold)
    wins = 0.5 * (1 + np.sign(one - other))
    alike = close(*pairs(found.lengths, before.lengths), ALIKE)
    decided = wins != 0.5
    return {
        "win": float(wins.mean()), "win_matched": float(wins[alike].mean()), "matched": float(alike.mean()),
        "win_decided": float(wins[decided].mean()), "decided": float(decided.mean()),
    }  # fmt: skip


def cell(given: dict[str, Any]) -> dict[str, Any]:
    """One learner of one gold and seed."""
    dtype = {"float32": torch.float32, "bfloat16": torch.bfloat16}[given["dtype"]]
    Gemm(given["dtype"], "onednn" if dtype == torch.float32 else "default", 1).apply()
    folder = Path(given["work"]) / given["gold"]
    folder.mkdir(parents=True, exist_ok=True)
    gold: Gold = Constraints() if given["gold"] == "constraints" else Arguments(given["embedder"], folder)
    if given["method"] == "start":
        return imitated(gold, given["model"], folder / "start")
    if given["method"] == "asked":
        return asked(gold, folder, given["seed"], dtype)
    scene, told = Scene(gold, folder, given["seed"], dtype), dict[str, Any]()
    if given["method"] == "ceiling":
        return ceiling(scene)
    before = judge(scene, scene.start)
    began = time.process_time()
    sampler = LEARNERS[given["method"]](scene, 60 * given["minutes"], told)
    told["seconds"] = round(time.process_time() - began, 1)
    found = judge(scene, sampler)
    nats = distances(scene.policy, scene.start, found.rollout.batch, 1.0)  # for best-of-n the start's with itself
    kl = kl_bound(told["n"]) if "n" in told else float(nats.mean())
    shown = np.random.default_rng(given["seed"]).permutation(len(found.texts))[:20].tolist()
    return {
        **told, **found.facts(), **against(found, before), "kl": kl,
        **{f"start_{name}": value for name, value in before.facts().items()},
        "samples": [[found.prompts[i], found.texts[i], float(found.gold[i])] for i in shown],
    }  # fmt: skip


def run(given: argparse.Namespace) -> None:
    """All cells that no finished row covers."""
    seeds = range(given.first, given.first + given.seeds)
    for gold in [given.gold] if given.gold else GOLDS:
        methods = [given.only] if given.only else METHODS
        first = [("start", 0, 0.0)]
        second = [("asked", seed, 0.0) for seed in seeds]
        third = [
            (method, seed, 0.0 if method in ("best_of_n", "ceiling") else given.minutes)
            for seed in seeds
            for method in methods
            if method != "ceiling" or seed == 0
        ]
        for stage in (first, second, third):
            cells = [
                dict(zip(KEYS, (gold, method, seed, minutes, given.dtype), strict=True))
                for method, seed, minutes in stage
            ]
            wanted = list(missing(cells, read_raw("aligns"), KEYS))
            with ThreadPoolExecutor(given.jobs) as pool:
                list(pool.map(partial(one_cell, given), wanted))


def one_cell(given: argparse.Namespace, cell_: dict[str, Any]) -> None:
    """In a process of its own."""
    extra = {"model": given.model, "work": given.work, "embedder": given.embedder}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "benchmarks.aligns", "cell", json.dumps({**cell_, **extra})],
        env={**os.environ, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        raise SystemExit(f"{cell_} failed:\n{done.stderr[-3000:]}")
    row = {**cell_, **json.loads(done.stdout.strip().splitlines()[-1])}
    append_raw("aligns", row)
    print(json.dumps({key: value for key, value in row.items() if key not in ("samples", "course")}), flush=True)


def summary() -> list[Row]:
    """Means and intervals over seeds."""
    found: dict[str, list[dict[str, Any]]] = {}
    for row in read_raw("aligns"):
        minutes = f"/{row['minutes']:g} min" if row["minutes"] else ""
        found.setdefault(f"{row['gold']}/{row['method']}/{row['dtype']}{minutes}", []).append(row)
    rows: list[Row] = []
    units = {"length": "tokens", "kl": "nats", "start_length": "tokens", "seconds": "s", "reward_seconds": "s"}
    for case, of_seeds in found.items():
        if "best_of" in of_seeds[0]:
            rows += [Row(case, f"best of {k}", value) for k, value in of_seeds[0]["best_of"].items()]
            continue
        numbers = [key for key, value in of_seeds[0].items() if isinstance(value, float | int) and key not in KEYS]
        rows += [interval_row(case, key, [row[key] for row in of_seeds], units.get(key, "")) for key in numbers]
    return rows


def main() -> int:
    """Command line; see the module's text."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("verb", choices=("run", "cell", "summary"))
    parser.add_argument("given", nargs="?", default="{}")
    parser.add_argument("--model", default="")
    parser.add_argument("--work", default="")
    parser.add_argument("--embedder", default=sys.executable)
    parser.add_argument("--gold", choices=GOLDS)
    parser.add_argument("--only", choices=METHODS)
    parser.add_argument("--first", type=int, default=0, help="first seed")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--dtype", choices=("float32", "bfloat16"), default="bfloat16")
    parser.add_argument("--jobs", type=int, default=1)
    given = parser.parse_args()
    if given.verb == "cell":
        print(json.dumps(cell(json.loads(given.given))))
    elif given.verb == "run":
        run(given)
    else:
        write("aligns", asked="Does feedback move a language model the right way?", rows=summary())
    return 0


if __name__ == "__main__":
    sys.exit(main())

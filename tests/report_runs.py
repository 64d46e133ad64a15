"""A small run written event by event into a store, as the loop writes it, for the tests of report and doctor."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from plaudit.records import (
    AnnotatorKind,
    AnnotatorProfile,
    Choice,
    Comparison,
    Query,
    QueryKind,
    Segment,
    SegmentData,
)
from plaudit.store.store import Store

TEACHER = AnnotatorProfile("teacher", AnnotatorKind.SIMULATED, "simulated: Boltzmann")
STAGES = ("act", "ask", "learn", "improve", "check")
HORIZON = 20
CONFIG = {
    "name": "swing <up> & stay",
    "seed": 4,
    "world": {"id": "Pendulum-v1", "envs": 2},
    "ask": {"labels": 24, "teacher": {"temperature": 2.0, "lapse": 0.1}},
    "policy": {"sac": {"net": [16, 16]}},
    "loop": {"rounds": 3, "steps": 900},
}


@dataclass
class FakeRun:
    """Three rounds of a run that goes well; tests change what they plant a fault in before `write`."""

    path: Path
    labels_per_round: int = 8
    rounds: int = 3
    planned: int = 3
    annotator: AnnotatorProfile = TEACHER
    seconds: float | None = 4.0
    returns: list[list[float]] = field(
        default_factory=lambda: [[-900.0, -800.0, -700.0], [-400.0, -300.0, -200.0], [-160.0, -150.0, -140.0]]
    )
    learned_returns: list[float] = field(default_factory=lambda: [-20.0, 10.0, 30.0])
    random: float | None = -1200.0
    oracle: float | None = -150.0
    clips: bool = True
    answers: bool = True
    choices: dict[int, Choice] = field(default_factory=dict)
    """choice by number of the question; others follow the true return"""
    swap_sides: bool = True
    same_clips: bool = False
    spread: float = 0.3
    scatter: dict[str, np.ndarray] | None = None

    def write(self) -> Store:
        """The store, open."""
        self.path.mkdir(parents=True, exist_ok=True)
        config = CONFIG | {"loop": {"rounds": self.planned, "steps": 900}}
        store = Store.create(
            self.path / "store.sqlite", {"format": 1, "config": config, "versions": {"plaudit": "0.1.0"}}
        )
        self._rng, self._number = np.random.default_rng(0), 0
        for round_ in range(self.rounds):
            for stage in STAGES:
                self._stage(store, round_, stage)
        return store

    def _stage(self, store: Store, round_: int, stage: str) -> None:
        rng, metrics, artefacts, clips = self._rng, {}, {}, {}
        if stage == "act":
            metrics["act/env_steps"] = 300.0 * round_
            if round_ == 0 and self.random is not None:
                metrics["check/return_random"] = self.random
                clips = self._clip(store, "before")
        if stage == "ask":
            self._ask(store, round_)
            metrics["ask/labels_total"] = float((round_ + 1) * self.labels_per_round)
        if stage == "learn" and self.answers:
            true = -rng.gamma(1.0, 3.0, 60)
            scatter = self.scatter or {"learned": np.tanh(true / 4 + 1), "true": true}
            metrics |= {"reward/accuracy_heldout": 22 / 24, "reward/accuracy_train": 1.0, "reward/ece": 0.05}
            metrics |= {"reward/correlation_true": 0.93, "reward/spread": self.spread}
            artefacts["calibration"] = store.blobs.put_arrays(
                {
                    "confidence": np.array([0.6, 0.7, 0.9, 0.99]),
                    "right": np.array([5, 5, 6, 6]) / 6,
                    "count": np.array([6.0, 6.0, 6.0, 6.0]),
                }
            )
            artefacts["reward_scatter"] = store.blobs.put_arrays(scatter)
            artefacts["history"] = store.blobs.put_arrays(
                {"step": np.arange(5.0), "train": np.ones((5, 3)), "heldout": np.full((5, 3), 0.5)}
            )
        if stage == "improve":
            metrics["train/actor_loss"] = -1.5
        if stage == "check":
            returns = self.returns[round_]
            metrics |= {
                "check/return_mean": float(np.mean(returns)),
                "check/learned_return_mean": self.learned_returns[round_],
            }
            artefacts["returns"] = store.blobs.put_arrays({"returns": np.array(returns)})
            if round_ == self.planned - 1:
                clips = self._clip(store, "after")
                if self.oracle is not None:
                    metrics["check/return_oracle"] = self.oracle
        versions = {"policy": f"{round_}p" * 8, "reward": f"{round_}r" * 8}
        payload = {
            "round": round_,
            "stage": stage,
            "checkpoint": None,
            "log_position": store.head()[0],
            "metrics": metrics,
        }
        store.append(
            "stage.completed",
            payload | {"versions": versions, "artefacts": artefacts, "clips": clips},
            f"stage/{round_}/{stage}",
        )
        with (self.path / "timing.jsonl").open("a") as stream:
            stream.write(json.dumps({"round": round_, "stage": stage, "seconds": 2.0, "cpu_seconds": 1.5}) + "\n")

    def _segment(self, store: Store, episode: str, true: float) -> Segment:
        rng = np.random.default_rng(0) if self.same_clips else self._rng
        angle = rng.uniform(-np.pi, np.pi, HORIZON)
        data = SegmentData(
            observations=np.stack([np.cos(angle), np.sin(angle), rng.normal(size=HORIZON)], axis=1).astype(np.float32),
            actions=rng.normal(size=(HORIZON, 1)).astype(np.float32),
            true_rewards=np.full(HORIZON, true),
            simulator=np.stack([angle, angle, angle, angle], axis=1),
        )
        blob = store.blobs.put_arrays(data.arrays())
        return Segment(world="Pendulum-v1", policy="p" * 16, episode=episode, start=0, length=HORIZON, blob=blob)

    def _clip(self, store: Store, label: str) -> dict[str, str]:
        if not self.clips:
            return {}
        segment = self._segment(store, f"check/{label}", -1.0)
        store.add_segments([segment])
        return {label: segment.id}

    def _ask(self, store: Store, round_: int) -> None:
        segments: list[Segment] = []
        queries: list[Query] = []
        answers: list[Comparison] = []
        for index in range(self.labels_per_round):
            true = self._rng.normal(size=2) / 4
            pair = [self._segment(store, f"r{round_}/e{index}/k{side}", float(true[side])) for side in (0, 1)]
            query = self._query(round_, index, pair)
            better = Choice.FIRST if true[0] > true[1] else Choice.SECOND
            segments += pair
            queries.append(query)
            answers.append(self._answer(query, self.choices.get(self._number, better)))
            self._number += 1
        store.add_segments(segments)
        store.add_queries(queries)
        if self.answers:
            store.add_annotator(self.annotator)
            store.add_feedback(answers)

    def _query(self, round_: int, index: int, pair: list[Segment]) -> Query:
        return Query(
            kind=QueryKind.COMPARISON,
            segments=(pair[0].id, pair[1].id),
            shown=(1, 0) if self.swap_sides and self._number % 2 == 1 else (0, 1),
            round=round_,
            index=index,
            strategy="uniform" if round_ == 0 else "disagreement",
            score=None if round_ == 0 else 0.5,
        )

    def _answer(self, query: Query, choice: Choice) -> Comparison:
        return Comparison(
            id=f"fbk_{self._number}",
            query=query.id,
            annotator=self.annotator.id,
            choice=choice,
            response_seconds=self.seconds,
        )

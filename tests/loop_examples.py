"""Small runs that several test modules use."""

from __future__ import annotations

import threading
import time
from pathlib import Path

from plaudit.errors import StoreError
from plaudit.loop import Run, RunConfig
from plaudit.records import AnnotatorKind, AnnotatorProfile, Choice, Comparison, Query
from plaudit.run.config import from_table
from plaudit.run.seeds import generator
from plaudit.store.store import Store


def small(**ask) -> RunConfig:
    """Pendulum in three rounds of a few hundred steps."""
    return from_table(
        RunConfig,
        {
            "name": "small",
            "seed": 5,
            "world": {"id": "Pendulum-v1", "envs": 2},
            "ask": {"labels": 9, "segment_length": 20, **ask},
            "policy": {"sac": {"net": [16, 16]}},
            "loop": {"steps": 480, "warmup": 240, "rounds": 3},
            "check": {"episodes": 2, "videos": False},
        },
    )


def fingerprint(directory: Path) -> dict[str, object]:
    """What must be equal between two runs that are the same."""
    with Store.open(directory / "store.sqlite") as store:
        assert store.verify().ok
        stages = [event.payload for event in store.events(kinds={"stage.completed"})]
        return {
            "head": store.head(),
            "checkpoints": [s["checkpoint"] for s in stages],
            "metrics": [s["metrics"] for s in stages],
        }


def finish_interrupted(path: Path) -> int:
    """Open and go on until the run is finished. Returns how often it was interrupted."""
    died, more = 0, True
    while more:
        with Run.open(path) as run:
            try:
                while more := run.step() is not None:
                    pass
            except KeyboardInterrupt:
                died += 1
    return died


class LatePeople(threading.Thread):
    """People who answer some questions late and in shuffled order, straight into the store like the studio does."""

    def __init__(self, path: Path, *, leave: int = 1) -> None:
        super().__init__(daemon=True)
        self._path = path
        self._leave = leave
        self._stop_asked = threading.Event()

    def run(self) -> None:
        with self._open() as store:
            store.add_annotator(AnnotatorProfile("ann", AnnotatorKind.PERSON))
            while not self._stop_asked.is_set():
                waiting = store.unanswered()
                order = generator(len(waiting), "shuffle").permutation(len(waiting))
                for index in order[: max(0, len(waiting) - self._leave)]:
                    store.add_feedback([self.answer(store, waiting[index])])
                    time.sleep(0.01)
                time.sleep(0.05)

    def _open(self) -> Store:
        """The store, once the run has made it."""
        while True:
            try:
                return Store.open(self._path)
            except StoreError:
                time.sleep(0.02)

    def answer(self, store: Store, query: Query) -> Comparison:
        first, second = (store.segment_data(store.segment(name)).true_rewards.sum() for name in query.segments)
        choice = Choice.FIRST if first > second else Choice.SECOND
        return Comparison(
            id=f"ann-{query.id}",
            query=query.id,
            annotator="ann",
            choice=choice,
            answered_at="2026-01-01T00:00:00Z",
            response_seconds=2.5,
        )

    def stop(self) -> None:
        self._stop_asked.set()
        self.join(timeout=20)

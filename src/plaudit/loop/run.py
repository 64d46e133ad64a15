"""`Run`: one run of the loop, from Python. The command line is a thin layer over it.

from plaudit import Run, load_config
run = Run.create(load_config("examples/pendulum.toml"), "runs/pendulum")
run.finish()
run.policy.act(observations)
"""

from __future__ import annotations

import json
import time
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any

from threadpoolctl import threadpool_limits

from plaudit.control.learner import fix_torch_threads
from plaudit.errors import RunError
from plaudit.loop.context import Outcome, stage_key
from plaudit.loop.kinds import Settings, kind_of
from plaudit.loop.publish import note_timing, publish_metrics, versions
from plaudit.loop.resuming import FORMAT, config_of, require_whole, source_of, take_up
from plaudit.loop.stages import STAGES
from plaudit.loop.subject import Place
from plaudit.records import to_json
from plaudit.run import checkpoint
from plaudit.run.directory import RunDirectory, writing
from plaudit.run.progress import Progress, Silent
from plaudit.store.store import Store


class Run:
    """One run: act, ask, learn, improve, check, round after round; stops and resumes anywhere.

    Made by `Run.create` or `Run.open`; close it, or use it in a `with` block.
    """

    def __init__(
        self,
        directory: RunDirectory,
        config: Settings,
        store: Store,
        *,
        replay: Store | None = None,
        rebuild: bool = False,
    ) -> None:
        self.directory = directory
        self.config = config
        self.store = store
        self.progress: Progress = Silent()
        self._replay = replay
        self._failed = False
        self._closing = ExitStack()
        self._closing.callback(directory.release)
        self._closing.callback(store.close)
        if replay is not None:
            self._closing.callback(replay.close)
        self._closing.callback(threadpool_limits(config.loop.threads).unregister)
        fix_torch_threads(config.loop.threads)
        self._kind = kind_of(config)
        self._subjects = self._closing.enter_context(ExitStack())
        try:
            require_whole(store)
            self._begin(rebuild)
        except BaseException:
            self._closing.close()
            raise

    @classmethod
    def create(cls, config: Settings, path: Path | str, *, replay: Path | str | None = None) -> Run:
        """Start a run in a new directory.

        Args:
            config: the settings.
            path: directory of the run; it must not hold a run yet.
            replay: directory of a run whose people's answers are replayed at their log positions.

        Raises:
            RunError: the directory already holds a run, or another process runs there.
        """
        directory = RunDirectory(path)
        source = None if replay is None else source_of(replay)
        directory.acquire()
        try:
            if directory.exists:
                raise RunError(
                    "This directory already holds a run",
                    got=str(path),
                    next_step=f"continue it with `plaudit resume {path}`, or give another directory with --directory",
                )
            found = kind_of(config).require(config, source and next(source.events(upto=1)).payload)
            with writing(directory.config):
                directory.config.write_text(json.dumps(to_json(config), indent=2) + "\n")
            fresh = {"format": FORMAT, "config": to_json(config), "versions": versions(), **found}
            store = Store.create(directory.store, fresh)
        except BaseException:
            if source is not None:
                source.close()
            directory.release()
            raise
        return cls(directory, config, store, replay=source)

    @classmethod
    def open(cls, path: Path | str, *, rebuild: bool = False, replay: Path | str | None = None) -> Run:
        """Continue a run where its log ends.

        Args:
            path: the run's directory.
            rebuild: when a checkpoint is damaged or missing, go back to the last intact one and repeat the stages; they
                come to the same bits, and answers are kept.
            replay: as for `create`.

        Raises:
            RunError: no run is here, or another process runs here.
            IntegrityError: the log is damaged, or a checkpoint is and `rebuild` was not asked for.
        """
        directory = RunDirectory(path)
        directory.require()
        directory.acquire()
        with ExitStack() as undo:
            undo.callback(directory.release)
            store = Store.open(directory.store)
            undo.callback(store.close)
            config = config_of(store, path)
            source = None if replay is None else source_of(replay)
            undo.pop_all()
        return cls(directory, config, store, replay=source, rebuild=rebuild)

    @property
    def policy(self) -> Any:
        """The policy as it is now: a `Learner` with `act(observations)` and `export(path)`, or a `LanguageModel`."""
        return self._subject.policy

    @property
    def reward(self) -> Any:
        """The reward model as it is now, a `RewardModel` or a `TextReward`; None before the first fit."""
        return self._subject.reward

    @property
    def world(self) -> Any:
        """What the policy acts in: a `VectorWorld` with all behaviour so far, or a `PromptSet`."""
        return self._subject.world

    @property
    def published(self) -> Path:
        """The policy that a finished run leaves for other tools."""
        return self.directory.path / self._kind.policy

    @property
    def position(self) -> tuple[int, str] | None:
        """Round and stage that come next; None when the run is finished."""
        if self._done >= self.config.loop.rounds * len(STAGES):
            return None
        return self._done // len(STAGES), STAGES[self._done % len(STAGES)]

    def step(self) -> dict[str, float] | None:
        """Run the next stage and commit it. Returns its metrics; None when the run was finished already.

        A stage that fails, or that Ctrl-C ends, changes nothing: the next call repeats it from where the log ends.
        """
        if self._failed:
            self._begin(rebuild=False)
        self._failed = True
        metrics = self._step()
        self._failed = False
        return metrics

    def _step(self) -> dict[str, float] | None:
        position = self.position
        if position is None:
            if not self.directory.metrics.exists():  # what is written last; the run was stopped before
                self._publish()
            return None
        round_, stage = position
        self._subject.shared.progress = self.progress
        began, cpu = time.monotonic(), time.process_time()
        self.progress.stage(round_, stage, self._subject.plain[stage])
        outcome = self._subject.execute(stage, round_)
        self._commit(round_, stage, outcome)
        seconds = time.monotonic() - began
        self._done += 1
        note_timing(self.directory, round_, stage, seconds, time.process_time() - cpu)
        self.progress.finished(round_, stage, outcome.metrics, seconds)
        if self.position is None:
            self._publish()
        return outcome.metrics

    def finish(self) -> None:
        """Run all stages that are left."""
        while self.step() is not None:
            pass

    def close(self) -> None:
        """Flush and let go of the directory."""
        self._closing.close()

    def __enter__(self) -> Run:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _repr_html_(self) -> str:
        position = self.position
        where = "finished"
        if position is not None:
            where = f"round {position[0] + 1} of {self.config.loop.rounds}, next: {position[1]}"
        metrics = self._last_metrics()
        rows = "".join(f"<tr><td>{name}</td><td>{value:.4g}</td></tr>" for name, value in sorted(metrics.items()))
        return f"<b>{self.config.name}</b> ({self._kind.title(self.config)}): {where}<table>{rows}</table>"

    def _last_metrics(self) -> dict[str, float]:
        found: dict[str, float] = {}
        for event in self.store.events(kinds={"stage.completed"}):
            found |= event.payload["metrics"]
        return found

    def _commit(self, round_: int, stage: str, outcome: Outcome) -> None:
        """The ONE row that ends a stage; its files are in place already."""
        shared = self._subject.shared
        payload: dict[str, object] = {
            "round": round_,
            "stage": stage,
            "checkpoint": outcome.checkpoint,
            "log_position": shared.asked_until,
            "metrics": outcome.metrics,
            "versions": self._subject.versions(),
            "artefacts": outcome.artefacts,
            "clips": outcome.clips,
        }
        shared.journal.stage(stage_key(round_, stage), payload)

    def _publish(self) -> None:
        self._subject.publish()
        publish_metrics(self.directory, self.store)

    def _begin(self, rebuild: bool) -> None:
        """Make everything that the stages share, and bring it to where the log ends."""
        self._subjects.close()
        place = Place(self.directory, self.store, self._replay, self.progress)
        self._subject = self._kind.begin(self.config, place, next(self.store.events(upto=1)).payload)
        self._subjects.callback(self._subject.close)
        checkpoint.remove_leftovers(self.directory.checkpoints)
        checkpoint.remove_leftovers(self.directory.pieces)
        self._done = take_up(self._subject, self._kind, self.store, rebuild=rebuild)

    @property
    def _context(self) -> Any:
        return self._subject.shared

"""`Run`: one run of the loop, from Python. The command line is a thin layer over it.

from plaudit import Run, load_config
run = Run.create(load_config("examples/pendulum.toml"), "runs/pendulum")
run.finish()
run.policy.act(observations)
"""

from __future__ import annotations

import json
import os
import platform
import time
from contextlib import ExitStack
from importlib import metadata
from pathlib import Path
from types import TracebackType

from threadpoolctl import threadpool_limits

from plaudit.control.learner import Learner, fix_torch_threads, make_learner
from plaudit.errors import IntegrityError, PlauditError, RunError
from plaudit.loop.config import RunConfig
from plaudit.loop.journal import Journal
from plaudit.loop.panel import annotators_of
from plaudit.loop.stages import EXECUTE, STAGES, Context, Outcome, restore_policy, stage_key
from plaudit.records import from_json, to_json
from plaudit.reward.model import RewardModel
from plaudit.run import checkpoint
from plaudit.run.directory import RunDirectory, writing
from plaudit.run.progress import Progress, Silent
from plaudit.run.seeds import derive
from plaudit.store.store import Event, Store
from plaudit.worlds.chunks import is_whole
from plaudit.worlds.ends import require_ends
from plaudit.worlds.vector import VectorWorld

FORMAT = 1
"""number of the run directory's format; `plaudit migrate` brings older ones up"""


class Run:
    """One run: act, ask, learn, improve, check, round after round; stops and resumes anywhere.

    Made by `Run.create` or `Run.open`; close it, or use it in a `with` block.
    """

    def __init__(
        self,
        directory: RunDirectory,
        config: RunConfig,
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
        try:
            _require_whole(store)
            self._begin(rebuild)
        except BaseException:
            self._closing.close()
            raise

    @classmethod
    def create(cls, config: RunConfig, path: Path | str, *, replay: Path | str | None = None) -> Run:
        """Start a run in a new directory.

        Args:
            config: the settings.
            path: directory of the run; it must not hold a run yet.
            replay: directory of a run whose people's answers are replayed at their log positions.

        Raises:
            RunError: the directory already holds a run, or another process runs there.
        """
        directory = RunDirectory(path)
        source = None if replay is None else _source(replay)
        directory.acquire()
        try:
            if directory.exists:
                raise RunError(
                    "This directory already holds a run",
                    got=str(path),
                    next_step=f"continue it with `plaudit resume {path}`, or give another directory with --directory",
                )
            require_ends(config.world)
            # world and policy are tried before anything is written, so a bad run file leaves no half-made run
            _world_and_learner(config)[0].close()
            with writing(directory.config):
                directory.config.write_text(json.dumps(to_json(config), indent=2) + "\n")
            fresh = {"format": FORMAT, "config": to_json(config), "versions": versions()}
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
            source = None if replay is None else _source(replay)
            undo.pop_all()
        return cls(directory, config, store, replay=source, rebuild=rebuild)

    @property
    def policy(self) -> Learner:
        """The policy as it is now; `act(observations)`, `export(path)`."""
        return self._context.learner

    @property
    def reward(self) -> RewardModel | None:
        """The reward model as it is now; None before the first fit."""
        return self._context.reward

    @property
    def world(self) -> VectorWorld:
        """The vector of environments, with all behaviour so far."""
        return self._context.world

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
            self._context.world.close()
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
        context = self._context
        context.progress = self.progress
        began, cpu = time.monotonic(), time.process_time()
        self.progress.stage(round_, stage, PLAIN[stage])
        outcome = EXECUTE[stage](context, round_)
        self._commit(round_, stage, outcome)
        seconds = time.monotonic() - began
        self._done += 1
        self._note_timing(round_, stage, seconds, time.process_time() - cpu)
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
        return f"<b>{self.config.name}</b> ({self.config.world.id}): {where}<table>{rows}</table>"

    def _last_metrics(self) -> dict[str, float]:
        found: dict[str, float] = {}
        for event in self.store.events(kinds={"stage.completed"}):
            found |= event.payload["metrics"]
        return found

    def _commit(self, round_: int, stage: str, outcome: Outcome) -> None:
        """The ONE row that ends a stage; its files are in place already."""
        context = self._context
        payload: dict[str, object] = {
            "round": round_,
            "stage": stage,
            "checkpoint": outcome.checkpoint,
            "log_position": context.asked_until,
            "metrics": outcome.metrics,
            "versions": {"policy": context.learner.version, "reward": context.reward and context.reward.version},
            "artefacts": outcome.artefacts,
            "clips": outcome.clips,
        }
        context.journal.stage(stage_key(round_, stage), payload)

    def _begin(self, rebuild: bool) -> None:
        """Make everything that the stages share, and bring it to where the log ends."""
        config = self.config
        annotators = annotators_of(config)
        own = frozenset(one.profile.id for one in annotators)
        world, learner = _world_and_learner(config)
        self._closing.callback(world.close)
        self._context = Context(
            config=config,
            directory=self.directory,
            journal=Journal(self.store, source=self._replay, own_annotators=own),
            progress=self.progress,
            world=world,
            learner=learner,
            annotators=annotators,
        )
        checkpoint.remove_leftovers(self.directory.checkpoints)
        checkpoint.remove_leftovers(self.directory.pieces)
        self._done = self._take_up(rebuild)

    def _take_up(self, rebuild: bool) -> int:
        """Bring policy, behaviour and reward to where the log ends. Returns the number of finished stages."""
        finished = list(self.store.events(kinds={"stage.completed"}))
        self._context.recorded = {str(event.key): event.payload["log_position"] for event in finished}
        if rebuild:
            finished = self._intact(finished)
        policy = _newest(finished, {"act", "improve"})
        reward = _newest(finished, {"learn"})
        root = self.directory.checkpoints
        if policy is not None:
            restore_policy(self._context, checkpoint.locate(root, policy))
        if reward is not None:
            self._context.reward = RewardModel.load(checkpoint.locate(root, reward) / "reward.safetensors")
            fits = [event.payload["metrics"] for event in finished if event.payload["stage"] == "learn"]
            self._context.learned_from = int(fits[-1]["reward/labels"] + fits[-1].get("reward/labels_left_out", 0.0))
        asked = [event.payload["log_position"] for event in finished if event.payload["stage"] == "ask"]
        self._context.asked_until = asked[-1] if asked else 0
        return len(finished)

    def _intact(self, finished: list[Event]) -> list[Event]:
        """The longest prefix of finished stages that intact checkpoints can take up."""
        while finished:
            needed = [_newest(finished, {"act", "improve"}), _newest(finished, {"learn"})]
            if all(is_whole(self.directory, name) for name in needed if name is not None):
                return finished
            finished = finished[:-1]
        return finished

    def _note_timing(self, round_: int, stage: str, seconds: float, cpu_seconds: float) -> None:
        row = {"round": round_, "stage": stage, "seconds": round(seconds, 4), "cpu_seconds": round(cpu_seconds, 4)}
        with writing(self.directory.timing), self.directory.timing.open("a") as stream:
            stream.write(json.dumps(row) + "\n")

    def _publish(self) -> None:
        """Write what other tools open: the policy, the reward model and the metrics as a table of lines."""
        with writing(self.directory.policy):
            self.policy.export(self.directory.policy)
        if self.reward is not None:
            with writing(self.directory.reward):
                self.reward.save(self.directory.reward)
        lines = [
            json.dumps({"round": e.payload["round"], "stage": e.payload["stage"], **e.payload["metrics"]})
            for e in self.store.events(kinds={"stage.completed"})
        ]
        temporary = self.directory.metrics.with_suffix(".tmp")
        with writing(self.directory.metrics):
            temporary.write_text("\n".join(lines) + "\n")
            os.replace(temporary, self.directory.metrics)


PLAIN = {
    "act": "the policy acts",
    "ask": "choosing questions and collecting answers",
    "learn": "fitting the reward model to all answers",
    "improve": "training the policy on the learned reward",
    "check": "measuring the policy",
}
"""what each stage does, in plain words"""


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that results depend on."""
    names = ("plaudit", "numpy", "torch", "gymnasium", "stable-baselines3", "mujoco", "sbx-rl")
    found = {"python": platform.python_version()}
    for name in names:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def _world_and_learner(config: RunConfig) -> tuple[VectorWorld, Learner]:
    world = VectorWorld(config.world, derive(config.seed, "world"))
    try:
        return world, make_learner(config.policy, world, derive(config.seed, "policy"))
    except BaseException:
        world.close()
        raise


def _source(path: Path | str) -> Store:
    """The store of a run that is replayed."""
    directory = RunDirectory(path)
    directory.require()
    return Store.open(directory.store)


def config_of(store: Store, path: Path | str) -> RunConfig:
    """The settings that a run was started with. Raises RunError when this version does not know them."""
    created = next(store.events(kinds={"run.created"})).payload
    _require_format(created["format"], path)
    try:
        return from_json(RunConfig, created["config"])
    except PlauditError as error:
        raise RunError(
            "The settings of this run do not fit this plaudit",
            got=f"{path}: {error.what}: {error.got}",
            next_step=f"continue it with the version that it was made with: {created['versions']}",
        ) from error


def _require_whole(store: Store) -> None:
    """Raise IntegrityError when the log was damaged. Missing segments are told by the stage that needs them."""
    problems = [problem for problem in store.verify().problems if not problem.startswith("segment ")]
    if problems:
        raise IntegrityError(
            "The event log is damaged",
            got=f"{store.path}: {problems[0]}",
            next_step="restore the store from a backup; `plaudit audit verify` lists all that is damaged",
        )


def _newest(finished: list[Event], stages: set[str]) -> str | None:
    names = [event.payload["checkpoint"] for event in finished if event.payload["stage"] in stages]
    return next((name for name in reversed(names) if name is not None), None)


def _require_format(found: int, path: Path | str) -> None:
    if found != FORMAT:
        raise RunError(
            "This run has another format",
            got=found,
            expected=FORMAT,
            next_step=f"run `plaudit migrate {path}`" if found < FORMAT else "install a newer plaudit",
        )

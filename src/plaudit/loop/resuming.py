"""Where the log of a run ends: opening what is there, and bringing policy, behaviour and reward to that place."""

from __future__ import annotations

from pathlib import Path

from plaudit.errors import IntegrityError, PlauditError, RunError
from plaudit.loop.kinds import Settings, settings_of
from plaudit.loop.subject import Kind, Subject
from plaudit.run import checkpoint
from plaudit.run.directory import RunDirectory
from plaudit.store.store import Event, Store

FORMAT = 1
"""number of the run directory's format; `plaudit migrate` brings older ones up"""


def take_up(subject: Subject, kind: Kind, store: Store, *, rebuild: bool) -> int:
    """Bring policy, behaviour and reward to where the log ends. Returns the number of finished stages.

    Args:
        subject: as it is at the start of a run.
        kind: of the run.
        store: whose log it is.
        rebuild: go back to the last stage whose checkpoints are intact, instead of raising IntegrityError.
    """
    shared = subject.shared
    finished = list(store.events(kinds={"stage.completed"}))
    shared.recorded = {str(event.key): event.payload["log_position"] for event in finished}
    if rebuild:
        finished = _intact(kind, shared.directory, finished)
    root = shared.directory.checkpoints
    policy, reward = (
        None if name is None else checkpoint.locate(root, name)
        for name in (_newest(finished, {"act", "improve"}), _newest(finished, {"learn"}))
    )
    subject.restore(policy, reward)
    learned = [event.payload["log_position"] for event in finished if event.payload["stage"] == "learn"]
    shared.learned_until = learned[-1] if learned else 0
    asked = [event.payload["log_position"] for event in finished if event.payload["stage"] == "ask"]
    shared.asked_until = asked[-1] if asked else 0
    return len(finished)


def source_of(path: Path | str) -> Store:
    """The store of a run that is replayed."""
    directory = RunDirectory(path)
    directory.require()
    return Store.open(directory.store)


def config_of(store: Store, path: Path | str) -> Settings:
    """The settings that a run was made with. Raises RunError when this plaudit does not understand them."""
    created = next(store.events(kinds={"run.created"})).payload
    _require_format(created["format"], path)
    try:
        return settings_of(created["config"])
    except PlauditError as error:
        raise RunError(
            "The settings of this run do not fit this plaudit",
            got=f"{path}: {error.what}: {error.got}",
            next_step=f"continue it with the version that it was made with: {created['versions']}",
        ) from error


def require_whole(store: Store) -> None:
    """Raise IntegrityError when the log was damaged. Missing segments are told by the stage that needs them."""
    problems = [problem for problem in store.verify().problems if not problem.startswith("segment ")]
    if problems:
        raise IntegrityError(
            "The event log is damaged",
            got=f"{store.path}: {problems[0]}",
            next_step="restore the store from a backup; `plaudit audit verify` lists all that is damaged",
        )


def _intact(kind: Kind, directory: RunDirectory, finished: list[Event]) -> list[Event]:
    """The longest prefix of finished stages that intact checkpoints can take up."""
    while finished:
        needed = [_newest(finished, {"act", "improve"}), _newest(finished, {"learn"})]
        if all(kind.is_whole(directory, name) for name in needed if name is not None):
            return finished
        finished = finished[:-1]
    return finished


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

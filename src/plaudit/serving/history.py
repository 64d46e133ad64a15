"""How a language model came to be what it is: the trainings it went through, or the run that taught it, and what each learned from."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from plaudit.errors import RunError
from plaudit.language.training import DATA, SETTINGS
from plaudit.loop.texts.models import digest_of, directory_of
from plaudit.report.gather import gather
from plaudit.report.summary import Summary
from plaudit.run.directory import RunDirectory
from plaudit.serving.lineage import Lineage, Place, lineage_of
from plaudit.store.store import Store

MODEL, POLICY, CLASSIFIER = "model", "policy", "classifier"
"""folders of a training's model, of a run's policy, and of a reward as a classifier"""
PLACES = ("out", "store", "prompts", "path", "reward", "policy_files", "files")
"""settings that name places: of each only the last part is told, for where somebody keeps files is nobody's business"""


@dataclass(frozen=True, slots=True)
class Setting:
    """A setting by its dotted name, as JSON."""

    name: str
    value: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """One training."""

    kind: str
    """sft, reward, direct, group, ppo, ..."""
    settings: tuple[Setting, ...]
    metrics: Mapping[str, float]
    """the newest value of each"""
    steps: int
    lineage: Lineage | None
    """what it learned from; None where it had no store, or that cannot be looked at"""
    why_not: str = ""
    """why it cannot"""


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """A model and its past."""

    name: str
    folder: Path
    """of the model, as Transformers or PEFT open it"""
    base: str
    """what it began from: a directory's name, or a name on the hub"""
    base_digest: str
    """hash of the files of the base model; empty where it is not there"""
    stages: tuple[Stage, ...] = ()
    """trainings, oldest first; a reward's stand before what was optimised against it"""
    run: Summary | None = None
    """of a model that a run taught"""
    run_lineage: Lineage | None = None

    @property
    def is_reward(self) -> bool:
        """Whether it scores texts instead of writing them."""
        return self.folder.name == CLASSIFIER

    @property
    def lineages(self) -> tuple[Lineage, ...]:
        """All stores that it learned from, each place once."""
        found = [one.lineage for one in self.stages if one.lineage is not None]
        found += [] if self.run_lineage is None else [self.run_lineage]
        return tuple({(one.name, one.place): one for one in found}.values())


def model_in(path: Path) -> Path:
    """Where the language model lies of a run, of a training, or of a model's own directory; `smollm2` is made when needed.

    Raises RunError when a run or a training is not finished, or teaches no language model.
    """
    if RunDirectory(path).exists:
        return _policy(RunDirectory(path))
    if (path / SETTINGS).is_file():
        return _result(path)
    return directory_of(str(path))


def history_of(path: Path) -> History:
    """The past of what lies in a run's or a training's directory.

    Raises RunError as `model_in`, for what is neither, and when a store is another one than the training read.
    """
    directory = RunDirectory(path)
    if directory.exists:
        return _of_run(directory)
    if not (path / SETTINGS).is_file():
        raise RunError(
            "This is neither a run nor a training",
            got=str(path),
            expected="a directory of `plaudit run`, or the folder that `plaudit train` was given as --out",
            next_step="a model's own directory is what Transformers opens already",
        )
    stages: dict[Path, Stage] = {}
    base = _trainings(path, stages)
    return History(
        name=path.resolve().name, folder=_result(path), base=_name(base), base_digest=_digest(base),
        stages=tuple(stages.values()),
    )  # fmt: skip


def _of_run(directory: RunDirectory) -> History:
    folder = _policy(directory)
    with Store.open(directory.store) as store:
        summary = gather(store, directory.path)
        created = next(store.events(upto=1)).payload
    base = str(created["config"]["model"]["path"])
    return History(
        name=summary.name, folder=folder, base=_name(base), base_digest=str(created.get("model", "")),
        run=summary, run_lineage=lineage_of(directory.path, Place(*_end(directory))),
    )  # fmt: skip


def _end(directory: RunDirectory) -> tuple[int, str]:
    """Where the log stood when the last stage ended: what came later taught nothing."""
    with Store.open(directory.store) as store:
        return [(event.seq, event.hash) for event in store.events(kinds={"stage.completed"})][-1]


def _trainings(path: Path, stages: dict[Path, Stage]) -> str:
    """Take in a training and those before it. Returns what the first one began from."""
    settings: dict[str, Any] = json.loads((path / SETTINGS).read_text())["settings"]
    base = str(settings["model"].get("path", ""))
    before = _training_of(base)
    if before is not None:
        base = _trainings(before, stages)
    reward = settings.get("reward")
    if isinstance(reward, str) and (judged := _training_of(reward)) is not None:
        _trainings(judged, stages)
    kind = next(name for name, value in settings.items() if isinstance(value, dict) and name != "model")
    lines = _metrics(path)
    lineage, why = _lineage(path, str(settings.get("store", "")))
    stages.setdefault(path.resolve(), Stage(
        kind=kind, settings=tuple(_told(settings)), metrics={k: v for line in lines for k, v in line.items()},
        steps=int(lines[-1]["step"]) if lines else 0, lineage=lineage, why_not=why,
    ))  # fmt: skip
    return base


def _training_of(model: str) -> Path | None:
    """The training that left a model's folder."""
    path = Path(model)
    return path.parent if path.name == MODEL and (path.parent / SETTINGS).is_file() else None


def _lineage(path: Path, store: str) -> tuple[Lineage | None, str]:
    if not store:
        return None, ""
    noted = path / DATA
    place = Place(**json.loads(noted.read_text())) if noted.is_file() else None
    if not RunDirectory(store).exists:
        return None, f"the store {_name(store)} is not there any more"
    return lineage_of(Path(store), place), ""


def _metrics(path: Path) -> list[dict[str, float]]:
    file = path / "metrics.jsonl"
    return [json.loads(line) for line in file.read_text().splitlines()] if file.is_file() else []


def _told(settings: Mapping[str, Any], prefix: str = "") -> list[Setting]:
    found: list[Setting] = []
    for name, value in settings.items():
        if isinstance(value, Mapping):
            found += _told(value, f"{prefix}{name}.")
        elif name in PLACES and value:
            short = [_name(one) for one in value] if isinstance(value, list) else _name(str(value))
            found.append(Setting(f"{prefix}{name}", json.dumps(short, ensure_ascii=False)))
        else:
            found.append(Setting(f"{prefix}{name}", json.dumps(value, ensure_ascii=False)))
    return found


def _policy(directory: RunDirectory) -> Path:
    with Store.open(directory.store) as store:
        config = next(store.events(upto=1)).payload.get("config") or {}
    if "model" not in config:
        raise RunError("This teaches no language model", got=str(directory.path), expected="a run with [model]")
    if not (directory.path / POLICY).is_dir():
        raise RunError("The run is not finished", got=str(directory.path), next_step=f"plaudit resume {directory.path}")
    return directory.path / POLICY


def _result(path: Path) -> Path:
    for name in (MODEL, CLASSIFIER):
        folder = path / name
        if (folder / "config.json").is_file() or (folder / "adapter_config.json").is_file():
            reward = (folder / "reward.json").is_file()
            if not reward:
                return folder
    raise RunError(
        "The training has left no model", got=str(path), expected="a folder `model`, or of a reward `classifier`",
        next_step="finish it: the same command again goes on; of a reward with --classifier",
    )  # fmt: skip


def _name(place: str) -> str:
    """A hub's name whole, of a directory its last part."""
    return place if place.count("/") == 1 and not Path(place).exists() else Path(place).name


def _digest(base: str) -> str:
    folder = Path(base)
    return digest_of(folder) if folder.is_dir() else ""

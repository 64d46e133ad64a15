"""A run's or a training's model as a directory that Hugging Face's libraries open, with a card that says where it comes from."""

from __future__ import annotations

import json
import shutil
import uuid
from dataclasses import dataclass
from pathlib import Path

from plaudit.engine.gemm import DTYPES
from plaudit.engine.load import Dtype
from plaudit.engine.model import LanguageModel
from plaudit.errors import ConfigError, RunError
from plaudit.serving.card import Shape, card_of
from plaudit.serving.history import History, history_of

README = "README.md"
ADAPTER = "adapter_config.json"
BASE = "base_model_name_or_path"


@dataclass(frozen=True, slots=True)
class ExportConfig:
    """How a model is written."""

    adapter: bool = False
    """keep the adapter as PEFT writes it, to be used with its base; else it is merged into the weights"""
    base: str | None = None
    """name of the base model on the hub, for the card and, with `adapter`, for the adapter's own settings"""
    license: str | None = None
    """of the weights, as the hub names it, for example apache-2.0"""
    language: tuple[str, ...] = ()
    """codes of the languages that it speaks, for example en zh"""
    dtype: Dtype = Dtype.FLOAT32
    """of the weights that are written, where they are merged"""


@dataclass(frozen=True, slots=True)
class Exported:
    """What was written."""

    directory: Path
    history: History
    notes: tuple[str, ...]
    """what the reader of the card should know, in words"""


def export_model(source: Path, directory: Path, config: ExportConfig | None = None) -> Exported:
    """Write a model and its card. All of it, or nothing.

    Args:
        source: directory of a finished run, or folder of a training; of one that fitted a reward, its classifier.
        directory: where to; must not be there yet.
        config: how.

    Raises:
        ConfigError: the directory is there, or there is no adapter to keep.
        RunError: the source is not finished, or neither a run nor a training; or the disk refuses.
        MissingExtra: Transformers or PEFT is not installed.
    """
    config = config or ExportConfig()
    if directory.exists():
        raise ConfigError("The directory is there already", got=str(directory), next_step="name one that is not")
    history = history_of(source)
    adapted = (history.folder / ADAPTER).is_file()
    if config.adapter and not adapted:
        raise ConfigError(
            "There is no adapter to keep", got=str(history.folder), expected="a model that was trained with one",
            next_step="leave out --adapter: all weights are written",
        )  # fmt: skip
    temporary = directory.with_name(f".{directory.name}.tmp-{uuid.uuid4().hex}")
    try:
        _write(history, config, temporary)
        shape = Shape(config.adapter, config.base, config.license, config.language)
        (temporary / README).write_text(card_of(history, shape), encoding="utf-8")
        temporary.replace(directory)
    except OSError as error:
        raise RunError("The model could not be written", got=f"{directory}: {error}", next_step="free space") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return Exported(directory, history, tuple(_notes(history, config)))


def _write(history: History, config: ExportConfig, folder: Path) -> None:
    if history.is_reward:
        shutil.copytree(history.folder, folder)
    elif config.adapter:
        shutil.copytree(history.folder, folder, ignore=shutil.ignore_patterns(README))
        LanguageModel.load(history.folder).tokenizer.save_pretrained(folder)
        if config.base:
            settings = json.loads((folder / ADAPTER).read_text("utf-8"))
            (folder / ADAPTER).write_text(json.dumps(settings | {BASE: config.base}, indent=2) + "\n", "utf-8")
    else:
        model, dtype = LanguageModel.load(history.folder), DTYPES[config.dtype.value]
        state = {name: value.to(dtype) for name, value in model.merged().items()}
        model.causal.to(dtype).save_pretrained(folder, state_dict=state)
        model.tokenizer.save_pretrained(folder)


def _notes(history: History, config: ExportConfig) -> list[str]:
    notes = ["adapter kept beside its base" if config.adapter else "all weights are in it"]
    if config.adapter and not config.base:
        notes.append("the adapter names its base by where it lies here; --base NAME names it for others")
    if not config.license:
        notes.append("the card does not state a licence; --license does")
    return notes

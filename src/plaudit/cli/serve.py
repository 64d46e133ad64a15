"""`plaudit serve MODEL`: an endpoint for OpenAI's clients over one language model, on this machine."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro
from rich.console import Console

from plaudit.engine.load import EXTRA, Dtype
from plaudit.run.optional import require


@dataclass(frozen=True)
class Arguments:
    """Serve a language model to OpenAI's clients: /v1/chat/completions, /v1/completions, /v1/models. To this machine only, unless
    the environment variable PLAUDIT_API_KEY holds a key that callers must send.
    """

    model: Annotated[Path, tyro.conf.Positional]
    """directory of a model, of a finished run, or the --out of a training; or smollm2"""
    host: str = "127.0.0.1"
    """address to listen on; anything but loopback needs PLAUDIT_API_KEY"""
    port: int = 8000
    """port to listen on; 0 takes any free one"""
    name: str | None = None
    """what requests call the model; none: the name of its directory"""
    store: Path | None = None
    """a run's or an import's directory whose labelling queue takes questions from conversations; made when it is not there"""
    annotator: str = "person-1"
    """pseudonym of who rates, where a request does not say"""
    temperature: float = 1.0
    """where a request does not say; 0 takes the likeliest token"""
    max_tokens: int = 512
    """most tokens of an answer, where a request does not say"""
    seed: int | None = None
    """of requests that name none; none: each gets another"""
    dtype: Annotated[Dtype, tyro.conf.EnumChoicesFromValues] = Dtype.FLOAT32
    """of the products"""
    device: str = "cpu"
    """where the model runs: cpu, cuda, cuda:1"""
    threads: int | None = None
    """of a product; none: as many as a probe finds fastest"""
    waiting: int = 16
    """requests that may wait; more are told to come again"""


def main(arguments: Sequence[str]) -> int:
    """Entry point of the verb."""
    given = tyro.cli(Arguments, args=arguments, prog="plaudit serve")
    console = Console(highlight=False)
    serving, wire = require("plaudit.serving.serve", EXTRA), require("plaudit.serving.wire", EXTRA)  # bring torch
    config = serving.ServeConfig(
        host=given.host, port=given.port, key=os.environ.get(serving.KEY) or None,
        name=given.name or given.model.resolve().name, seed=given.seed, waiting=given.waiting,
        defaults=wire.Defaults(temperature=given.temperature, max_tokens=given.max_tokens),
    )  # fmt: skip
    speaker = serving.open_model(given.model, dtype=given.dtype, device=given.device, threads=given.threads)
    queue = serving.queue_for(given.store, given.model, annotator=given.annotator)

    def announce(address: str) -> None:
        console.print(f"{config.name}: {address}", markup=False, soft_wrap=True)
        if queue is not None:
            console.print(f"questions go to {given.store}; label them with: plaudit studio {given.store}", markup=False, soft_wrap=True)  # fmt: skip

    try:
        serving.serve(speaker, config, queue=queue, announce=announce)
    finally:
        if queue is not None:
            queue.store.close()
    return 0

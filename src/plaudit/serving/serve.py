"""Runs the endpoint, or opens a model to talk to in this process."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import uvicorn

from plaudit.engine.gemm import probe
from plaudit.engine.load import Dtype
from plaudit.engine.model import LanguageModel
from plaudit.errors import ConfigError
from plaudit.serving.app import Served, create_app
from plaudit.serving.history import model_in
from plaudit.serving.judging import Queue, open_queue
from plaudit.serving.speaker import Speaker, Talker
from plaudit.serving.wire import Defaults
from plaudit.studio.access import LOCAL_HOSTS
from plaudit.studio.network import HOST, listen

PORT = 8000
KEY = "PLAUDIT_API_KEY"
"""environment variable with the API key: on the command line others could read it"""


@dataclass(frozen=True, slots=True)
class ServeConfig:
    """How a model is served."""

    host: str = HOST
    """address to listen on; anything but loopback needs an API key"""
    port: int = PORT
    """0 takes any free one"""
    key: str | None = None
    """what callers must send as `Authorization: Bearer KEY`"""
    name: str = ""
    """of the model, as requests name it; empty: that of its directory"""
    defaults: Defaults = field(default_factory=Defaults)
    """what a request that does not say otherwise gets"""
    seed: int | None = None
    """of requests that name none; none: each gets another"""
    waiting: int = 16
    """how many may wait besides the one that is answered"""


def open_model(path: Path, *, dtype: Dtype = Dtype.FLOAT32, device: str = "cpu", threads: int | None = None) -> Speaker:
    """The model of a run, of a training or of a directory, ready to answer; products as a probe finds them fastest.

    Raises as `model_in` and `LanguageModel.load`.
    """
    folder = model_in(path)
    choice = probe(dtype.value, threads=threads)
    choice.apply()
    model = LanguageModel.load(folder, dtype=choice.torch_dtype, device=device)
    model.module.requires_grad_(False)
    return Speaker(model)


def queue_for(store: Path | None, path: Path, *, annotator: str) -> Queue | None:
    """The labelling queue that a store has, for answers of the model at a path."""
    return None if store is None else open_queue(store, policy=f"chat/{path.resolve().name}", annotator=annotator)


def serve(
    speaker: Speaker, config: ServeConfig, *, queue: Queue | None = None, announce: Callable[[str], None]
) -> None:
    """Serve a model until interrupted.

    Args:
        speaker: the model.
        config: where and how.
        queue: a store that takes questions from conversations.
        announce: told the address.

    Raises:
        ConfigError: others could reach the model, and no API key is given.
        RunError: the port is taken.
    """
    if config.host not in LOCAL_HOSTS and not config.key:
        raise ConfigError(
            "Others could reach the model, and anybody could use it", got=config.host,
            expected=f"an API key in {KEY}, or {HOST}", next_step=f"export {KEY}=..., and let a proxy encrypt",
        )  # fmt: skip
    listener = listen(config.host, config.port)
    with ExitStack() as closing:
        closing.callback(listener.close)
        talker = Talker(speaker, waiting=config.waiting)
        closing.callback(talker.close)
        served = Served(config.name, talker, config.defaults, config.key, config.seed)
        host = f"[{config.host}]" if ":" in config.host else config.host
        announce(f"http://{host}:{listener.getsockname()[1]}/v1")
        settings = uvicorn.Config(create_app(served, queue), log_level="warning", access_log=False, timeout_graceful_shutdown=2)  # fmt: skip
        uvicorn.Server(settings).run(sockets=[listener])

"""`plaudit chat MODEL`: talk to a language model in the terminal, and send what one sees into a labelling queue."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro
from rich.console import Console

from plaudit.engine.load import EXTRA, Dtype
from plaudit.errors import ConfigError, PlauditError
from plaudit.run.optional import require

HELP = """/new    begin anew
/two    answer the last question twice; say which answer is better, or leave that to others (with --store)
/up     the last answer is good (with --store)
/down   the last answer is bad (with --store)
/quit   end; so does the end of input"""


@dataclass(frozen=True)
class Arguments:
    """Talk to a language model. Lines that begin with / are commands; /help lists them."""

    model: Annotated[Path, tyro.conf.Positional]
    """directory of a model, of a finished run, or the --out of a training; or smollm2"""
    system: str = ""
    """what the model is told before the conversation"""
    plain: bool = False
    """let the model go on from each line as it stands, without chat template and memory; so are models without a template"""
    store: Path | None = None
    """a run's or an import's directory whose labelling queue takes what you see; made when it is not there"""
    annotator: str = "person-1"
    """pseudonym under which your judgements are stored"""
    temperature: float = 0.7
    """that answers are drawn with; 0 takes the likeliest token"""
    top_p: float = 1.0
    """draw from the likeliest tokens that have this much probability together"""
    max_tokens: int = 256
    """most tokens of an answer"""
    seed: int | None = None
    """of answers; none: another one each time"""
    dtype: Annotated[Dtype, tyro.conf.EnumChoicesFromValues] = Dtype.FLOAT32
    """of the products"""
    device: str = "cpu"
    """where the model runs: cpu, cuda, cuda:1"""
    threads: int | None = None
    """of a product; none: as many as a probe finds fastest"""


def main(arguments: Sequence[str]) -> int:
    """Entry point of the verb."""
    given = tyro.cli(Arguments, args=arguments, prog="plaudit chat")
    console = Console(highlight=False)
    serving, talking = require("plaudit.serving.serve", EXTRA), require("plaudit.serving.chat", EXTRA)  # bring torch
    speaker = serving.open_model(given.model, dtype=given.dtype, device=given.device, threads=given.threads)
    queue = serving.queue_for(given.store, given.model, annotator=given.annotator)
    config = talking.ChatConfig(
        given.system, given.plain or not speaker.converses, given.temperature, given.top_p, given.max_tokens,
        secrets.randbits(62) if given.seed is None else given.seed,
    )  # fmt: skip
    try:
        _talk(talking.Chat(speaker, config, queue), console, input)
    finally:
        if queue is not None:
            queue.store.close()
    return 0


def _talk(chat: Any, console: Console, read: Callable[[str], str]) -> None:
    """Line by line, until the end."""
    while True:
        try:
            line = read("> ").strip()
        except EOFError:
            return
        if line == "/quit":
            return
        try:
            if line.startswith("/"):
                _command(chat, line, console, read)
            elif line:
                _say(chat.say(line), console)
        except PlauditError as error:  # what one line asks for cannot be done; the next may
            console.print(str(error), markup=False, soft_wrap=True)


def _say(pieces: Any, console: Console) -> None:
    for text in pieces:
        console.print(text, end="", markup=False, soft_wrap=True)
    console.print()


def _command(chat: Any, line: str, console: Console, read: Callable[[str], str]) -> None:
    match line:
        case "/help":
            told = HELP
        case "/new":
            chat.begin()
            told = "a new conversation"
        case "/up" | "/down":
            chat.rate(good=line == "/up")
            told = "rated"
        case "/two":
            told = _two(chat, console, read)
        case _:
            raise ConfigError("There is no such command", got=line, next_step="/help lists them")
    console.print(told, markup=False, soft_wrap=True)


def _two(chat: Any, console: Console, read: Callable[[str], str]) -> str:
    """Two answers, in the order in which others will see them; what is answered here counts at once."""
    shown = chat.two()
    for number, text in enumerate(shown, 1):
        console.print(f"[{number}] {text}", markup=False, soft_wrap=True)
    said = read("better: 1, 2, = (equal), or nothing: leave it in the queue > ").strip()
    return chat.prefer(said)

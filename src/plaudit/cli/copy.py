"""`plaudit copy FROM TO`: carry a store to another place: SQLite to PostgreSQL, and back."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro
from rich.console import Console

from plaudit.errors import ConfigError
from plaudit.run.directory import RunDirectory
from plaudit.store.copy import copy
from plaudit.store.place import place_of, point
from plaudit.store.store import Store

MOVED = "store.moved.sqlite"
"""the file that a run used before it moved into a database"""


@dataclass(frozen=True)
class Arguments:
    """Copy a store with all its events, answers, behaviour and personal data. The same again brings the copy up to date.

    Checkpoints and reports are not part of the store: see `plaudit backup`.
    """

    source: Annotated[str, tyro.conf.Positional]
    """a run's directory, or postgresql://USER@HOST/DATABASE"""
    to: Annotated[str, tyro.conf.Positional]
    """a directory, or postgresql://USER@HOST/DATABASE"""
    blobs: str | None = None
    """where the copy keeps behaviour and clips: a folder, or a URL that fsspec knows; default: in the directory"""
    switch: bool = False
    """let the run in the source's directory go on in the database; stop the run and its studio first"""


def main(arguments: Sequence[str]) -> int:
    """Entry point of the verb."""
    given = tyro.cli(Arguments, args=arguments, prog="plaudit copy")
    console = Console(highlight=False)
    if not given.switch:
        console.print(_copy(given, given.blobs), markup=False, soft_wrap=True)
        return 0
    directory = RunDirectory(given.source)
    directory.require()
    there = place_of(directory.store).address
    if not isinstance(there, Path) or isinstance(place_of(given.to).address, Path):
        raise ConfigError(
            "Only a run with a SQLite file can go on in a PostgreSQL database", got=str(place_of(given.to))
        )
    directory.acquire()
    try:
        told = _copy(given, given.blobs or str(directory.blobs))
        os.link(there, there.with_name(MOVED))
        point(there, given.to)
    finally:
        directory.release()
    console.print(told, markup=False, soft_wrap=True)
    console.print(f"{directory.path} goes on there; its file as it was: {MOVED}", markup=False, soft_wrap=True)
    return 0


def _copy(given: Arguments, blobs: str | None) -> str:
    to = store_of(given.to)
    with Store.open(store_of(given.source)) as source:
        done = copy(source, to, blobs=blobs)
        head = source.head()
    return f"{done.events} events and {done.blobs} blobs copied to {place_of(to)}\nhead: {head[0]} {head[1]}"


def store_of(given: str) -> Path | str:
    """What `Store.open` takes: the URL itself, or the store in a directory."""
    return given if "://" in given else RunDirectory(given).store

"""`plaudit studio RUN`: label in the browser; starts the media worker that renders the clips."""

from __future__ import annotations

import getpass
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import tyro
from rich.console import Console

from plaudit.errors import ConfigError
from plaudit.run.config import load
from plaudit.run.directory import RunDirectory
from plaudit.store.store import Store
from plaudit.studio.accounts import Accounts
from plaudit.studio.network import StudioConfig, StudioFile
from plaudit.studio.roles import Role
from plaudit.studio.serve import PORT, serve


@dataclass(frozen=True)
class Arguments:
    """Open the studio of a run or a study in the browser: on this machine only, by a one-time link, unless it is served to a team."""

    directory: Annotated[Path, tyro.conf.Positional]
    """the run's directory"""
    annotator: str = "person-1"
    """pseudonym under which the answers are stored"""
    port: int = PORT
    """port to listen on; answers that a browser still keeps are only found again on the same one"""
    open_browser: bool = True
    """open the browser"""
    host: str | None = None
    """address to listen on; anything but loopback needs accounts and --public-url"""
    public_url: str | None = None
    """address under which others reach the studio, https://HOST"""
    settings: Path | None = None
    """file with the table [studio]: host, public_url, certificate, certificate_key, and [studio.oidc]"""
    beside_run: bool = False
    """end when the process ends that started this; `plaudit run --studio` says so"""
    add_owner: str | None = None
    """only make an account of this name that owns the studio; asks for a password"""


def main(arguments: Sequence[str]) -> int:
    """Entry point of the verb."""
    given = tyro.cli(Arguments, args=arguments, prog="plaudit studio")
    directory = RunDirectory(given.directory)
    directory.require()
    with Store.open(directory.store) as store:
        if given.add_owner is not None:
            made = Accounts(store).add(Role.OWNER, given.add_owner, _password())
            Console().print(
                f"{made.id} owns the studio of {directory.path} and signs in as {given.add_owner}", markup=False
            )
            return 0
        draws = "world" in next(store.events(kinds={"run.created"})).payload.get("config", {})
    if given.beside_run:
        threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()
    worker = subprocess.Popen([sys.executable, "-m", "plaudit.worlds.media", str(directory.path)]) if draws else None
    try:
        serve(
            directory.store,
            annotator=given.annotator,
            port=given.port,
            open_browser=given.open_browser,
            announce=Console().print,
            config=_config(given),
        )
    finally:
        if worker is not None:
            worker.terminate()
            worker.wait(timeout=20)
    return 0


def _end_with(parent: int) -> None:
    """Stop this process in good order when its parent is gone, killed for example."""
    while os.getppid() == parent:
        time.sleep(1.0)
    signal.raise_signal(signal.SIGINT)


def _config(given: Arguments) -> StudioConfig:
    config = StudioConfig() if given.settings is None else load(StudioFile, given.settings).studio
    said = {"host": given.host, "public_url": given.public_url}
    return replace(config, **{name: value for name, value in said.items() if value is not None})


def _password() -> str:
    first = getpass.getpass("password: ")
    if getpass.getpass("the same again: ") != first:
        raise ConfigError("The passwords differ", next_step="try again")
    return first

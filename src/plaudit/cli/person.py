"""`plaudit person add|export|erase RUN ANNOTATOR`: personal data of an annotator, apart from the log."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro
from rich.console import Console

from plaudit.errors import ConfigError
from plaudit.exchange import consent
from plaudit.run.directory import RunDirectory
from plaudit.store import people
from plaudit.store.store import Store


@dataclass(frozen=True)
class Arguments:
    """Keep personal data of an annotator, encrypted and apart from the log (add), write out all that is stored about the
    annotator (export), or destroy the key of the personal data for good and take the consent back (erase).
    """

    what: Annotated[Literal["add", "export", "erase"], tyro.conf.Positional]
    """what to do"""
    directory: Annotated[Path, tyro.conf.Positional]
    """the run's directory"""
    annotator: Annotated[str, tyro.conf.Positional]
    """the pseudonym under which the answers are stored"""
    data: tuple[str, ...] = ()
    """add: personal data, each as NAME=VALUE; they replace what was kept before"""
    consent: str | None = None
    """add: version of the consent that the person agrees to"""
    to: Path | None = None
    """export: file to write; default: the terminal"""
    retract: bool = False
    """erase: retract all answers of the annotator too"""


def main(arguments: Sequence[str]) -> int:
    """Entry point of the verb."""
    given = tyro.cli(Arguments, args=arguments, prog="plaudit person")
    directory, console = RunDirectory(given.directory), Console(highlight=False)
    directory.require()
    with Store.open(directory.store) as store:
        match given.what:
            case "add":
                told = _add(store, given)
            case "export":
                text = json.dumps(people.everything(store, given.annotator), indent=2, ensure_ascii=False)
                if given.to is not None:
                    given.to.write_text(text + "\n", encoding="utf-8")
                told = text if given.to is None else f"written: {given.to}"
            case "erase":
                told = _erase(store, given)
    console.print(told, markup=False, soft_wrap=True)
    return 0


def _add(store: Store, given: Arguments) -> str:
    wrong = [one for one in given.data if "=" not in one]
    if wrong or (not given.data and given.consent is None):
        raise ConfigError("Say what to keep", got=", ".join(wrong) or "nothing", expected="--data NAME=VALUE ...")
    done: list[str] = []
    if given.data:
        people.keep(
            store, given.annotator, {name: value for name, _, value in (one.partition("=") for one in given.data)}
        )
        done.append(f"{len(given.data)} personal data kept, encrypted")
    if given.consent is not None:
        consent.give(store, given.annotator, given.consent)
        done.append(f"consent {given.consent} noted")
    return f"{given.annotator}: {'; '.join(done)}"


def _erase(store: Store, given: Arguments) -> str:
    people.erase(store, given.annotator)
    if given.annotator in consent.current(store, store.head()[0]):
        consent.withdraw(store, given.annotator)
    count = 0
    if given.retract:
        for _, answer in store.feedback():
            if answer.annotator == given.annotator:
                store.retract(answer.id, "the annotator was erased")
                count += 1
    return (
        f"{given.annotator}: personal data erased, consent taken back; {count} answers retracted\n"
        "Erase them in backups of this run too, in the same way."
    )

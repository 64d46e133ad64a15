"""Bring published feedback into a store: streamed, repeatable, its source logged."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from plaudit.errors import RecordError, StoreError
from plaudit.exchange import consent, rows
from plaudit.exchange.formats import Format, Found, Reader, reader
from plaudit.exchange.judgement import Entry, Judgement
from plaudit.records import canonical_json, digest
from plaudit.run.directory import RunDirectory
from plaudit.store.store import Store

BATCH = 1000
"""events in one transaction"""
PURPOSE = "import"
"""what `run.created` says of a store that imports made"""


@dataclass(frozen=True, slots=True)
class Problem:
    """A row that was left out."""

    file: str
    line: int
    """line of the file, or number of the row in a columnar one, from 1"""
    why: str


@dataclass(frozen=True, slots=True)
class Brought:
    """What one file gave."""

    file: str
    rows: int
    """rows that were read, bad ones included"""
    bad: int
    judgements: int
    """answers in the good rows, and texts without one"""
    fresh: int
    """events that were not in the store before"""


def open_store(directory: Path) -> Store:
    """The store of imports in a directory, made when the directory has none.

    Raises StoreError when a run lives there: what one agent's run learns from stays as the run asked for it.
    """
    place = RunDirectory(directory)
    if not place.exists:
        return Store.create(place.store, {"format": 1, "purpose": PURPOSE})
    store = Store.open(place.store)
    if next(store.events(upto=1)).payload.get("purpose") != PURPOSE:
        store.close()
        raise StoreError(
            "This directory holds a run", got=str(directory), next_step="import into a directory of its own"
        )
    return store


def bring(
    store: Store,
    format: Format,
    files: Sequence[Path],
    *,
    consented: str | None = None,
    on_problem: Callable[[Problem], None],
) -> Iterator[Brought]:
    """Read files in their order into a store, with flat memory; the same again changes nothing.

    Args:
        store: where to.
        format: what the rows are.
        files: files, or folders of Hugging Face datasets.
        consented: version of the consent under which the annotators answered, where it is known.
        on_problem: told of each row that is left out.

    Raises:
        ConfigError: a file is not there, or its ending is not known.
        MissingExtra: a columnar file, and pyarrow is not installed.
        StoreError: the disk refuses; what was finished is kept.
    """
    source = _Source(store, format, reader(format), consented, on_problem)
    for file in files:
        yield _file(source, file)


@dataclass(frozen=True, slots=True)
class _Source:
    """One import into one store."""

    store: Store
    format: Format
    read: Reader
    consented: str | None
    on_problem: Callable[[Problem], None]


@dataclass(frozen=True, slots=True)
class _Waiting:
    """Events of one row that are not in the store yet."""

    line: int
    found: int
    entries: list[Entry]


def _file(source: _Source, file: Path) -> Brought:
    there = rows.read(file)
    before = source.store.head()[0]
    count = bad = judgements = 0
    waiting: list[_Waiting] = []
    for row in chain(there, (None,)):
        count += row is not None
        match row:
            case rows.BadRow():
                source.on_problem(Problem(file.name, row.line, row.why))
                bad += 1
            case rows.Row():
                try:
                    waiting.append(_events(source, row))
                except RecordError as error:
                    source.on_problem(Problem(file.name, row.line, str(error)))
                    bad += 1
            case None:
                pass
        if row is None or len(waiting) >= BATCH or sum(len(one.entries) for one in waiting) >= BATCH:
            refused = _append(source, file.name, waiting)
            bad += len(refused)
            judgements += sum(one.found for one in waiting) - sum(one.found for one in refused)
            waiting = []
    noted = {"format": source.format.value, "file": file.name, "sha256": hash_of(file)}
    noted |= {"rows": count, "bad": bad, "judgements": judgements}
    fresh = source.store.head()[0] - before
    source.store.append("import.completed", noted, f"import/{digest(canonical_json(noted))}")
    return Brought(file.name, count, bad, judgements, fresh)


def _events(source: _Source, row: rows.Row) -> _Waiting:
    """Events of all that a row holds; it is checked in full before any is written, so a bad row gives nothing."""
    found: list[Found] = list(source.read(row.data))
    entries = [entry for one in found for entry in one.entries(source.store.blobs)]
    if source.consented is not None:
        people = {one.annotator.id for one in found if isinstance(one, Judgement) and one.annotator is not None}
        entries += [consent.given(id_, source.consented) for id_ in sorted(people)]
    return _Waiting(row.line, len(found), entries)


def _append(source: _Source, file: str, waiting: Sequence[_Waiting]) -> list[_Waiting]:
    """One transaction; when the store refuses it, row by row, to find those that it refuses."""
    entries: dict[str, Entry] = {}
    for entry in (entry for one in waiting for entry in one.entries):
        # texts and annotators come again and again; each is offered to the store once
        entries[entry[2] if entries.get(entry[2], entry) == entry else f"{entry[2]} {len(entries)}"] = entry
    try:
        source.store.append_many(list(entries.values()))
    except StoreError:
        refused: list[_Waiting] = []
        for one in waiting:
            try:
                source.store.append_many(one.entries)
            except StoreError as error:
                source.on_problem(Problem(file, one.line, str(error)))
                refused.append(one)
        return refused
    return []


def hash_of(path: Path) -> str:
    """SHA-256 of a file, or of the names and hashes of a folder's files."""
    if path.is_dir():
        inside = sorted(file for file in path.rglob("*") if file.is_file())
        return digest(canonical_json({file.relative_to(path).as_posix(): hash_of(file) for file in inside}))
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()

"""Write a range of a log as a file that others read, with a manifest that reproduces it bit for bit."""

from __future__ import annotations

import csv
import json
import platform
import uuid
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from plaudit import __version__
from plaudit.errors import ConfigError, IntegrityError, RecordError, StoreError
from plaudit.exchange import columnar, consent
from plaudit.exchange.bring import hash_of
from plaudit.exchange.chat import DEMONSTRATION
from plaudit.exchange.judgement import Judgement
from plaudit.exchange.shapes import Cells, Shape, flat, shaped
from plaudit.records import (
    TextSegment,
    brought,
    canonical_json,
    feedback_from_json,
    from_json,
    segment_from_json,
    to_json,
)
from plaudit.run.checkpoint import replace
from plaudit.store.log import Event
from plaudit.store.store import Store

PAGE = 200
"""answers that are looked up at a time"""
ENDINGS = (".jsonl", ".json", ".csv", ".parquet")


@dataclass(frozen=True, slots=True)
class Selection:
    """What of a log is exported."""

    shape: Shape
    after: int = 0
    """answers behind this event only"""
    upto: int | None = None
    """answers up to this event; None: all that are there"""
    consent: tuple[str, ...] = ()
    """only answers of annotators who, at the end of the range, had agreed to one of these versions; empty: everybody's"""


@dataclass(frozen=True, slots=True)
class Manifest:
    """Where an exported file comes from; the same log and selection give the same bytes."""

    format: str
    after: int
    upto: int
    head: str
    """hash of event `upto`, which stands for the whole log before it"""
    consent: tuple[str, ...]
    file: str
    """name of the exported file"""
    sha256: str
    rows: int
    left_out: dict[str, int] = field(default_factory=dict)
    """how many judgements of the range have no row, by reason"""
    plaudit: str = ""
    """version that wrote it"""
    writer: str = ""
    """what wrote the container, and its version"""


def manifest_of(path: Path) -> Path:
    """Where the manifest of an exported file lies."""
    return path.with_name(path.name + ".manifest.json")


def read_manifest(path: Path) -> Manifest:
    """A manifest. Raises ConfigError when it cannot be read."""
    try:
        return from_json(Manifest, json.loads(path.read_bytes()))
    except (OSError, ValueError) as error:
        raise ConfigError("This is no manifest of an export", got=f"{path}: {error}") from error


def export(store: Store, selection: Selection, path: Path) -> Manifest:
    """Write a file and its manifest, with flat memory; both are replaced in one step each.

    Raises:
        ConfigError: the ending is not known, or the range does not lie in the log.
        StoreError: the range holds judgements of control segments, or the disk refuses.
        RecordError: the rows do not fit into the container.
    """
    _require_container(path)
    upto, head = _end(store, selection)
    left_out: Counter[str] = Counter()
    rows = _rows(store, selection, upto, left_out)
    temporary = path.with_name(f".tmp-{uuid.uuid4().hex}{path.suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        count = write(rows, temporary, packed=selection.shape is Shape.PLAUDIT)
        manifest = Manifest(
            selection.shape.value,
            selection.after,
            upto,
            head,
            tuple(sorted(selection.consent)),
            path.name,
            hash_of(temporary),
            count,
            dict(sorted(left_out.items())),
            __version__,
            columnar.writer() if path.suffix == ".parquet" else f"Python {platform.python_version()}",
        )
        replace(temporary, path)
        temporary.write_bytes(json.dumps(to_json(manifest), indent=2, sort_keys=True).encode() + b"\n")
        replace(temporary, manifest_of(path))
    except OSError as error:
        raise StoreError("The export could not be written", got=f"{path}: {error}") from error
    finally:
        with suppress(OSError):
            temporary.unlink()
    return manifest


def _end(store: Store, selection: Selection) -> tuple[int, str]:
    """Seq and hash of the last event of a range."""
    upto = store.head()[0] if selection.upto is None else selection.upto
    head = next((event.hash for event in store.events(after=upto - 1, upto=upto)), None) if upto > 0 else None
    if head is None or not 0 <= selection.after <= upto:
        raise ConfigError(
            "The range does not lie in the log", got=f"{selection.after} .. {upto}", expected=store.head()
        )
    return upto, head


def reproduce(store: Store, manifest: Manifest, folder: Path) -> Path:
    """Write the file of a manifest again, into a folder, and compare. Returns where it lies.

    Raises IntegrityError when log or file are not what they were.
    """
    shape = next((one for one in Shape if one.value == manifest.format), None)
    if shape is None or Path(manifest.file).name != manifest.file:
        raise ConfigError("The manifest names what cannot be exported", got=f"{manifest.format} {manifest.file}")
    path = folder / manifest.file
    there = export(store, Selection(shape, manifest.after, manifest.upto, manifest.consent), path)
    if there.head != manifest.head:
        raise IntegrityError(
            "The log is not the one that was exported",
            got=there.head,
            expected=manifest.head,
            next_step="see `plaudit audit verify`",
        )
    if there.sha256 != manifest.sha256:
        raise IntegrityError(
            "The log is the same, but the file comes out different",
            got=f"{there.sha256}, written by plaudit {there.plaudit}, {there.writer}",
            expected=f"{manifest.sha256}, written by plaudit {manifest.plaudit}, {manifest.writer}",
            next_step="use the versions of the manifest, or look for a change to it",
        )
    return path


def _require_container(path: Path) -> None:
    if path.suffix not in ENDINGS:
        raise ConfigError("The ending of a file is not known", got=path.name, expected=", ".join(ENDINGS))


def _rows(store: Store, selection: Selection, upto: int, left_out: Counter[str]) -> Iterator[Cells]:
    allowed = consent.current(store, upto) if selection.consent else {}
    for judgement in judgements(store, selection, upto):
        if selection.consent and (
            judgement.annotator is None or allowed.get(judgement.annotator.id) not in selection.consent
        ):
            left_out["no consent"] += 1
            continue
        row = shaped(judgement, selection.shape)
        if isinstance(row, str):
            left_out[row] += 1
        else:
            yield row


def judgements(store: Store, selection: Selection, upto: int) -> Iterator[Judgement]:
    """Judgements of a range in log order, and texts without one where the shape has a place for them."""
    kinds = {"feedback.given"}
    if selection.shape in (Shape.PLAUDIT, Shape.TRL_PROMPT_COMPLETION):
        kinds |= {"segment.added"}
    profiles = store.annotators(upto)
    events = store.events(after=selection.after, upto=upto, kinds=kinds)
    retracted = store.retracted(upto)
    while page := list(islice(events, PAGE)):
        page = [event for event in page if event.payload["id"] not in retracted]
        answers = [event for event in page if event.kind == "feedback.given"]
        queries = store.queries_by_id([event.payload["query"] for event in answers])
        carried = {event.payload["segment"] for event in answers if "segment" in event.payload}
        texts = store.texts(list({id_ for query in queries.values() for id_ in query.segments} | carried))
        for event in page:
            if event.kind == "segment.added":
                yield from _shown(event)
                continue
            query = queries[event.payload["query"]]
            answer = feedback_from_json(event.payload)
            spoken_of = tuple(texts[id_] for id_ in (*query.segments, *brought(answer)))
            if answer.annotator not in profiles:
                raise RecordError("An answer is nobody's", got=f"{answer.id} of {answer.annotator}")
            yield Judgement(spoken_of, query, profiles[answer.annotator], answer)


def _shown(event: Event) -> Iterator[Judgement]:
    """A demonstration; other texts come with the answers about them."""
    segment = segment_from_json(event.payload)
    if isinstance(segment, TextSegment) and segment.policy == DEMONSTRATION:
        yield Judgement((segment,))


def write(rows: Iterable[Cells], path: Path, *, packed: bool) -> int:
    """Write rows by the ending of a name; `packed` rows of plaudit's own become JSON text in the cells of a table.

    Returns the number of rows. Raises RecordError when they do not fit into the container, MissingExtra, OSError.
    """
    if path.suffix == ".parquet":
        return columnar.write((flat(row) for row in rows) if packed else rows, path)
    count = 0
    if path.suffix == ".csv":
        with path.open("w", encoding="utf-8", newline="") as text:
            table = csv.writer(text, lineterminator="\n", quoting=csv.QUOTE_ALL)  # a lone carriage return too
            for count, row in enumerate((flat(row) for row in rows) if packed else rows, 1):
                if not all(cell is None or isinstance(cell, (str, bool)) for cell in row.values()):
                    raise RecordError("CSV holds no conversations and lists", next_step="export to .jsonl or .parquet")
                if count == 1:
                    table.writerow(row)
                table.writerow(row.values())
        return count
    array = path.suffix == ".json"
    with path.open("wb") as stream:
        stream.write(b"[" if array else b"")
        for count, row in enumerate(rows, 1):
            stream.write((b",\n" if count > 1 else b"\n") * array + canonical_json(row) + b"\n" * (not array))
        stream.write(b"\n]\n" if array else b"")
    return count

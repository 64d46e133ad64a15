"""Where judgements come from: stores of runs and imports, and files as they are published."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from plaudit.check.card.material import STYLES, Gathering, Material
from plaudit.check.card.signal import Item
from plaudit.errors import RecordError
from plaudit.exchange import rows
from plaudit.exchange.formats import Format, reader
from plaudit.exchange.judgement import Judgement
from plaudit.records import AnnotatorProfile, Comparison, Query, Ranking
from plaudit.run.directory import RunDirectory
from plaudit.store.store import Store


def of_store(store: Store) -> Material:
    """Comparisons and rankings of a run or of imports; those in one aspect only, and skips, are left out."""
    gathered = Gathering()
    queries = {query.id: query for query in store.queries()}
    profiles = store.annotators()
    given = [one for _, one in store.feedback()]
    judged = [one for one in given if isinstance(one, (Comparison, Ranking)) and queries[one.query].aspect is None]
    items = store.any_segments(sorted({name for one in judged for name in queries[one.query].segments}))
    for one in judged:
        query = queries[one.query]
        tags = _tags(query, one.annotator, profiles.get(one.annotator))
        gathered.answer(one, [items[name] for name in query.segments], tags)
    return gathered.done()


def of_files(files: Sequence[Path], format: Format | None = None) -> Material:
    """Rows of files: of RewardBench 2 and RM-Bench as they are published, of any format that can be imported, and without a
    `format` rows with `chosen` and `rejected`.

    Raises:
        ConfigError: a file is not there, or holds nothing that was judged.
    """
    gathered = Gathering()
    for path in files:
        read = reader(Format.TRL_PREFERENCE if format is None else format)
        for row in rows.read(path):
            if isinstance(row, rows.BadRow):
                gathered.left_out += 1
                continue
            try:
                if format is None and _is_square(row.data):
                    gathered.square(row.data, path.name)
                elif format is None and _has_lists(row.data):
                    gathered.panel(row.data, path.name)
                else:
                    _judgements(gathered, read(row.data), path.name)
            except RecordError:
                gathered.left_out += 1
    return gathered.done()


def of_path(path: Path, format: Format | None = None) -> Material:
    """A store's directory, or a file. Raises ConfigError or RunError where it is neither."""
    directory = RunDirectory(path)
    if not directory.exists:
        return of_files([path], format)
    with Store.open(directory.store) as store:
        return of_store(store)


def joined(parts: Iterable[Material]) -> Material:
    """Several in one."""
    items: dict[str, int] = {}
    kept: list[Item] = []
    made: list[Material] = []
    for part in parts:
        place: list[int] = []
        for one in part.items:
            if one.id not in items:
                items[one.id] = len(kept)
                kept.append(one)
            place.append(items[one.id])
        made.append(_renumbered(part, place))
    return Material(
        tuple(kept),
        tuple(one for part in made for one in part.pairs),
        tuple(one for part in made for one in part.panels),
        tuple(one for part in made for one in part.squares),
        tuple(one for part in made for one in part.votes),
        sum(part.left_out for part in made),
    )


def _renumbered(part: Material, place: Sequence[int]) -> Material:
    return Material(
        part.items,
        tuple(dataclasses.replace(one, better=place[one.better], worse=place[one.worse]) for one in part.pairs),
        tuple(dataclasses.replace(one, items=tuple(place[n] for n in one.items)) for one in part.panels),
        tuple(
            dataclasses.replace(
                one, chosen=tuple(place[n] for n in one.chosen), rejected=tuple(place[n] for n in one.rejected)
            )
            for one in part.squares
        ),
        part.votes,
        part.left_out,
    )


def _judgements(gathered: Gathering, found: Iterator[Any], source: str) -> None:
    for one in found:
        if not isinstance(one, Judgement) or one.feedback is None or one.query is None or one.query.aspect is not None:
            gathered.left_out += 1
            continue
        texts = {text.id: text for text in one.texts}
        tags = _tags(one.query, one.feedback.annotator, one.annotator) | {"source": source}
        gathered.answer(one.feedback, [texts[name] for name in one.query.segments], tags)


def _tags(query: Query, annotator: str, profile: AnnotatorProfile | None) -> dict[str, str]:
    traits = {} if profile is None else profile.traits or {}
    return {"source": query.strategy, "annotator": annotator, **{f"annotator's {k}": v for k, v in traits.items()}}


def _has_lists(row: Any) -> bool:
    """Whether `chosen` and `rejected` are lists of texts, not conversations."""
    both = (row.get("chosen"), row.get("rejected")) if isinstance(row, dict) else ()
    return bool(both) and all(isinstance(one, list) and one and isinstance(one[0], str) for one in both)


def _is_square(row: Any) -> bool:
    return _has_lists(row) and len(row["chosen"]) == len(row["rejected"]) == STYLES and "num_correct" not in row

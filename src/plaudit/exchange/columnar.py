"""Parquet, Arrow, and Hugging Face datasets on disk, through pyarrow (extra `parquet`)."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from itertools import chain, islice
from pathlib import Path
from typing import Any

from plaudit.errors import ConfigError, RecordError
from plaudit.run.optional import require

EXTRA = "parquet"
PAGE = 256
"""rows that are Python objects at a time"""


def parquet(path: Path) -> Iterator[tuple[int, dict[str, Any] | str]]:
    """Rows of a Parquet file, numbered from 1; text instead of a row says why the rest cannot be read."""
    module: Any = require("pyarrow.parquet", EXTRA)

    def batches() -> Iterator[Any]:
        with module.ParquetFile(path) as file:
            yield from file.iter_batches(batch_size=PAGE)

    return _rows(batches())


def arrow(path: Path) -> Iterator[tuple[int, dict[str, Any] | str]]:
    """Rows of an Arrow file, in the stream form that Hugging Face datasets have, or in the file form."""
    ipc: Any = require("pyarrow.ipc", EXTRA)

    def batches() -> Iterator[Any]:
        with path.open("rb") as head:
            is_file = head.read(6) == b"ARROW1"
        if is_file:
            with ipc.open_file(path) as reader:
                yield from (reader.get_batch(number) for number in range(reader.num_record_batches))
        else:
            with path.open("rb") as source, ipc.open_stream(source) as reader:
                yield from reader

    return _rows(batches())


def dataset(folder: Path) -> Iterator[tuple[int, dict[str, Any] | str]]:
    """Rows of what `datasets.save_to_disk` wrote: one dataset, or one per split, in their order.

    Raises ConfigError when the folder is none.
    """
    try:
        splits = folder / "dataset_dict.json"
        names = json.loads(splits.read_text("utf-8"))["splits"] if splits.is_file() else ["."]
        parts = [folder / name for name in names]
        files = [
            part / entry["filename"]
            for part in parts
            for entry in json.loads((part / "state.json").read_text("utf-8"))["_data_files"]
        ]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(
            "This folder holds no Hugging Face dataset", got=f"{folder}: {error}", expected="what save_to_disk writes"
        ) from error
    rows = (row for file in files for _, row in arrow(file))
    return enumerate(rows, 1)


def _rows(batches: Iterator[Any]) -> Iterator[tuple[int, dict[str, Any] | str]]:
    pyarrow: Any = require("pyarrow", EXTRA)
    number = 0
    try:
        for batch in batches:
            for first in range(0, batch.num_rows, PAGE):
                for row in batch.slice(first, PAGE).to_pylist():
                    number += 1
                    yield number, row
    except (pyarrow.ArrowException, OSError, UnicodeError) as error:
        yield number + 1, f"the file cannot be read any further: {error}"


def write(rows: Iterable[dict[str, Any]], path: Path) -> int:
    """Write rows as Parquet; columns and their types come from the first rows. Returns the number of rows.

    Raises RecordError when a later row does not fit the columns: mixed plain and chat rows go into JSON lines.
    """
    pyarrow: Any = require("pyarrow", EXTRA)
    module: Any = require("pyarrow.parquet", EXTRA)
    there = iter(rows)
    page = list(islice(there, PAGE))
    try:
        first = pyarrow.Table.from_pylist(page)
        count = 0
        with module.ParquetWriter(path, first.schema) as writer:
            for part in chain([page], iter(lambda: list(islice(there, PAGE)), [])):
                table = pyarrow.Table.from_pylist(part, schema=first.schema)
                if table.to_pylist() != part:  # pyarrow drops what the schema does not name
                    raise RecordError("Rows of one Parquet file must have equal columns", next_step="export to .jsonl")
                writer.write_table(table)
                count += len(part)
    except (pyarrow.ArrowInvalid, pyarrow.ArrowTypeError) as error:
        raise RecordError("Rows do not fit into one Parquet file", got=error, next_step="export to .jsonl") from error
    return count


def writer() -> str:
    """Name and version of what writes Parquet; other versions may write other bytes."""
    pyarrow: Any = require("pyarrow", EXTRA)
    return f"pyarrow {pyarrow.__version__}"

"""Rows of files, one at a time with flat memory: JSON lines, JSON, CSV; a bad row is handed on, and the next one read."""

from __future__ import annotations

import codecs
import csv
import gzip
import json
import re
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, cast

from plaudit.errors import ConfigError
from plaudit.exchange import columnar, minari

MOST_BYTES = 2**24
"""longest row that is read; a longer one is reported"""
CHUNK = 2**16
TOKEN = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+"|["\[\]{},]', re.DOTALL)
"""a whole string, a quote whose string is not there to its end, or a mark"""
TOO_LONG = "\ud800"
"""stands for a line that was skipped; no bytes decode to it"""
BLANK = re.compile("[\ufeff \\t\\r\\n]*")
CONTAINERS = (".jsonl", ".ndjson", ".json", ".csv", ".tsv", ".parquet", ".arrow")


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a file: JSON values, or the words of a CSV line by column."""

    line: int
    """where it begins: line of the file, or number of the row in a columnar file, from 1"""
    data: Any


@dataclass(frozen=True, slots=True)
class BadRow:
    """A row that cannot be used."""

    line: int
    why: str


def read(path: Path) -> Iterator[Row | BadRow]:
    """Rows of a file, or of the folder of a Hugging Face or Minari dataset, by the ending of its name; `.gz` is unpacked on the way.

    Raises:
        ConfigError: the file is not there, or its ending is not known.
        MissingExtra: a columnar file, and pyarrow is not installed.
    """
    name = path.name.removesuffix(".gz")
    ending = Path(name).suffix.lower()
    if not path.exists():
        raise ConfigError("There is no such file", got=str(path))
    if path.is_dir() and minari.is_dataset(path):
        return (_numbered(*pair) for pair in minari.rows(path))
    if path.is_dir():
        return (_numbered(*pair) for pair in columnar.dataset(path))
    match ending:
        case ".jsonl" | ".ndjson":
            return _guarded(path, _json_lines)
        case ".json":
            return _guarded(path, _json_values)
        case ".csv" | ".tsv":
            return _guarded(path, _tabs if ending == ".tsv" else _commas)
        case ".parquet" | ".arrow":
            return (_numbered(*pair) for pair in (columnar.parquet if ending == ".parquet" else columnar.arrow)(path))
        case _:
            raise ConfigError("The ending of a file is not known", got=path.name, expected=", ".join(CONTAINERS))


def _numbered(number: int, row: dict[str, Any] | str) -> Row | BadRow:
    return BadRow(number, row) if isinstance(row, str) else Row(number, row)


def _guarded(path: Path, rows: Callable[[BinaryIO], Iterator[Row | BadRow]]) -> Iterator[Row | BadRow]:
    """Rows of an open file; when the disk or a packed file breaks off, that is the last row."""
    line = 0
    with path.open("rb") as raw, gzip.GzipFile(fileobj=raw) as unpacked:
        stream = cast(BinaryIO, unpacked if raw.peek(2)[:2] == b"\x1f\x8b" else raw)
        try:
            for row in rows(stream):
                line = row.line
                yield row
        except (EOFError, zlib.error, OSError) as error:
            yield BadRow(line + 1, f"the file cannot be read any further: {error}")


def parse(text: str | bytes, line: int) -> Row | BadRow:
    """A row from JSON text."""
    try:
        if isinstance(text, bytes):
            text = text.decode("utf-8-sig" if line == 1 else "utf-8")
        text.encode()  # bytes that were no UTF-8 are kept as surrogates up to here
        value = json.loads(text)
        if "\\ud" in text or "\\uD" in text:
            json.dumps(value, ensure_ascii=False).encode()  # half a pair of escapes is no text either
        return Row(line, value)
    except UnicodeError as error:
        return BadRow(line, f"not UTF-8: {error}")
    except (ValueError, RecursionError) as error:
        return BadRow(line, f"not JSON: {error}")


def _lines(stream: BinaryIO) -> Iterator[tuple[int, bytes | None]]:
    """Lines with their numbers; None for one that is too long, which is skipped without being kept."""
    line = 0
    while data := stream.readline(MOST_BYTES + 1):
        line += 1
        if len(data) <= MOST_BYTES or data.endswith(b"\n"):
            yield line, data
            continue
        while (rest := stream.readline(MOST_BYTES)) and not rest.endswith(b"\n"):
            pass
        yield line, None


def _json_lines(stream: BinaryIO) -> Iterator[Row | BadRow]:
    for line, data in _lines(stream):
        if data is None:
            yield BadRow(line, f"the line is longer than {MOST_BYTES} bytes")
        elif data.strip():
            yield parse(data, line)


def _json_values(stream: BinaryIO) -> Iterator[Row | BadRow]:
    """Elements of one array, or values one after another."""
    decoder = codecs.getincrementaldecoder("utf-8")("surrogateescape")
    buffer, at, start, line = "", 0, 0, 1
    base, depth = -1, 0  # base: how deep rows lie; 1 within an array, 0 where there is none
    while True:
        data = stream.read(max(CHUNK, len(buffer)))
        buffer += decoder.decode(data, final=not data)
        if base < 0 and (blank := BLANK.match(buffer)) and blank.end() < len(buffer):
            base = depth = int(buffer[blank.end()] == "[")
            line, start = line + blank[0].count("\n"), blank.end() + base
            at = start
        for match in TOKEN.finditer(buffer, at):
            token = match[0]
            if token == '"':
                break  # the string goes on in the next chunk
            at = match.end()
            if len(token) > 1:
                continue
            depth += (token in "[{") - (token in "]}")
            if depth > base or token in "[{" or (token == "," and not base):
                continue
            if base and token == "}":
                continue  # the row ends at the comma behind it
            yield from _value(buffer[start : match.start() if base else at], line)
            line, start = line + buffer.count("\n", start, at), at
        buffer, at, start = buffer[start:], at - start, 0
        if not data:
            if depth > 0:
                yield BadRow(
                    line + len(buffer) - len(buffer.lstrip("\n")), "not JSON: the file ends before its brackets close"
                )
            else:
                yield from _value(buffer, line)
            return
        if len(buffer) > MOST_BYTES:
            yield BadRow(line, f"a value is longer than {MOST_BYTES} bytes, or its quotes and brackets do not close")
            return


def _value(text: str, line: int) -> Iterator[Row | BadRow]:
    """The row of a piece of text that begins in a line; none when it is blank."""
    if text.strip():
        yield parse(text.strip(), line + text[: len(text) - len(text.lstrip())].count("\n"))


def _commas(stream: BinaryIO) -> Iterator[Row | BadRow]:
    return _csv(stream, ",")


def _tabs(stream: BinaryIO) -> Iterator[Row | BadRow]:
    return _csv(stream, "\t")


def _csv(stream: BinaryIO, delimiter: str) -> Iterator[Row | BadRow]:
    csv.field_size_limit(MOST_BYTES)  # the csv module knows only one limit for the whole process
    decoded = (
        TOO_LONG + "\n" if data is None else data.decode("utf-8", "surrogateescape") for _, data in _lines(stream)
    )
    lines = csv.reader(decoded, delimiter=delimiter, strict=True)
    names: list[str] | None = None
    while True:
        line = lines.line_num + 1
        try:
            cells = next(lines)
            "".join(cells).encode()
        except StopIteration:
            return
        except UnicodeError as error:
            long = TOO_LONG in error.object if isinstance(error, UnicodeEncodeError) else False
            yield BadRow(line, f"the line is longer than {MOST_BYTES} bytes" if long else "not UTF-8")
            continue
        except csv.Error as error:
            yield BadRow(line, f"not CSV: {error}")
            continue
        if names is None:
            names = [cell.removeprefix("\ufeff") for cell in cells]
        elif len(cells) == len(names):
            yield Row(line, dict(zip(names, cells, strict=True)))
        elif cells:
            yield BadRow(line, f"{len(cells)} cells under {len(names)} columns")

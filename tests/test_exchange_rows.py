"""Containers: every row once, the right line, and bad rows that do not stop the rest."""

import csv
import gzip
import io
import json
import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plaudit.errors import ConfigError
from plaudit.exchange import rows
from plaudit.exchange.rows import BadRow, Row, read
from tests.strategies import TEXT, payloads

NESTED = st.lists(payloads, max_size=5)


def written(folder, name, data):
    path = folder / name
    path.write_bytes(data)
    return path


def good(path):
    found = list(read(path))
    assert not [row for row in found if isinstance(row, BadRow)]
    return [row.data for row in found]


@settings(deadline=None, max_examples=60)
@given(values=NESTED, indent=st.none() | st.just(1), ascii_=st.booleans(), chunk=st.sampled_from([1, 2, 3, 7, 2**16]))
def test_every_way_to_write_json_gives_the_same_rows(tmp_path_factory, values, indent, ascii_, chunk):
    folder, lines = tmp_path_factory.mktemp("rows"), [json.dumps(value, ensure_ascii=ascii_) for value in values]
    usual, rows.CHUNK = rows.CHUNK, chunk  # strings and characters that a chunk cuts in two
    try:
        array = json.dumps(values, indent=indent, ensure_ascii=ascii_).encode()
        assert good(written(folder, "a.json", array)) == values
        assert good(written(folder, "b.jsonl", "\n".join(lines).encode())) == values
        assert good(written(folder, "c.json", "\n".join(lines).encode())) == values
        assert good(written(folder, "d.json.gz", gzip.compress(array, mtime=0))) == values
    finally:
        rows.CHUNK = usual


@settings(deadline=None, max_examples=60)
@given(cells=st.lists(st.tuples(TEXT, TEXT), min_size=1, max_size=5))
def test_csv_gives_the_words_that_went_in(tmp_path_factory, cells):
    text = io.StringIO(newline="")
    csv.writer(text).writerows([("a", "b"), *cells])
    path = written(tmp_path_factory.mktemp("csv"), "x.csv", text.getvalue().encode())
    assert good(path) == [{"a": first, "b": second} for first, second in cells]


@pytest.mark.parametrize(
    ("name", "data", "lines", "bad"),
    [
        ("a.jsonl", b'{"a": 1}\n{"a": \n\n{"a": 3}\n', [1, 2, 4], {2: "not JSON"}),
        ("a.jsonl", b'{"a": 1}\n{"a": "\xff"}\n{"a": 3}', [1, 2, 3], {2: "not UTF-8"}),
        ("a.jsonl", b'{"a": "\\ud800"}\n{"a": "\\ud83d\\ude00"}\n', [1, 2], {1: "not UTF-8"}),
        ("a.jsonl", b"[" * 200_000 + b"\n1\n", [1, 2], {1: "not JSON"}),
        ("a.json", b'[\n {"a": 1},\n {"a": nope},\n {"a": 3}\n]', [2, 3, 4], {3: "not JSON"}),
        ("a.json", b'[{"a": 1},\n{"a": "\xff"},\n{"a": 3}]', [1, 2, 3], {2: "not UTF-8"}),
        ("a.json", b'[{"a": 1},\n{"a": 2', [1, 2], {2: "not JSON"}),
        ("a.json", b'[{"a": 1},\n', [1, 2], {2: "not JSON"}),
        ("a.json", b'\xef\xbb\xbf\n[{"a": "]},{["}]', [2], {}),
        ("a.jsonl", b'\xef\xbb\xbf{"a": 1}\n', [1], {}),
        ("a.csv", b'a,b\n1,2\n3\n"x\ny",\xff\n5,6\n', [2, 3, 4, 6], {3: "1 cells under 2 columns", 4: "not UTF-8"}),
        ("a.tsv", b'a\tb\n"x"y\t1\n5\t6\n', [2, 3], {2: "not CSV"}),
        (
            "a.jsonl.gz",
            gzip.compress(b"""{"a": 1}\n""" * 3, mtime=0)[:-9],
            [1, 2, 3, 4],
            {4: "cannot be read any further"},
        ),
        ("a.json", b"", [], {}),
        ("a.json", b" [ ] ", [], {}),
    ],
)
def test_bad_rows_are_named_and_the_rest_is_read(tmp_path, name, data, lines, bad):
    found = list(read(written(tmp_path, name, data)))
    if not name.endswith(".gz"):  # how many rows come out before a packed file breaks off is up to zlib
        assert [row.line for row in found] == lines
    assert {row.line: True for row in found if isinstance(row, BadRow)} == dict.fromkeys(bad, True)
    for row in found:
        assert isinstance(row, Row) or bad[row.line] in row.why


@pytest.mark.parametrize("name", ["a.jsonl", "a.json", "a.csv"])
def test_a_huge_line_is_skipped_and_memory_stays_flat(tmp_path, monkeypatch, name):
    monkeypatch.setattr(rows, "MOST_BYTES", 2**16)
    start, huge, end = {
        "a.jsonl": (b'{"a": 1}\n', b'{"a": "' + b"x" * 2**24 + b'"}\n', b'{"a": 2}\n'),
        "a.json": (b'[{"a": 1},\n', b'{"a": "' + b"x" * 2**24 + b'"},\n', b'{"a": 2}]'),
        "a.csv": (b"a\n1\n", b"x" * 2**24 + b"\n", b"2\n"),
    }[name]
    path = written(tmp_path, name, start + huge + end)
    tracemalloc.start()
    found = list(read(path))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2**21
    bad = [row for row in found if isinstance(row, BadRow)]
    assert len(bad) == 1
    assert "longer than" in bad[0].why
    assert isinstance(found[0], Row)
    assert isinstance(found[-1], Row) == (name != "a.json")  # in an array nobody knows where a broken string would end


def test_files_that_are_not_there_or_not_known(tmp_path):
    with pytest.raises(ConfigError, match="no such file"):
        read(tmp_path / "none.jsonl")
    with pytest.raises(ConfigError, match="not known"):
        read(written(tmp_path, "a.xml", b""))
    with pytest.raises(ConfigError, match="no Hugging Face dataset"):
        list(read(tmp_path))

"""Imports: repeatable, complete, their source logged; bad rows reported with file and line; memory flat."""

import json
import tracemalloc

import pytest

from plaudit.cli.main import main
from plaudit.errors import ConfigError, StoreError
from plaudit.exchange import bring as module
from plaudit.exchange.bring import hash_of, open_store
from plaudit.exchange.formats import Format
from plaudit.exchange.judgement import Judge
from plaudit.exchange.shapes import Shape, shaped
from plaudit.records import AnnotatorProfile, Choice, TextSegment, from_json
from tests.exchange_examples import ROWS, brought, put
from tests.store_examples import make_store


def events(directory):
    with open_store(directory) as store:
        return list(store.events()), store.head()


@pytest.mark.parametrize("format", ROWS)
def test_an_import_is_idempotent_and_logs_its_source(tmp_path, format):
    file = put(tmp_path / "rows.jsonl", [ROWS[format], ROWS[format]])
    (first,), problems = brought(tmp_path / "to", format, file)
    assert (first.rows, first.bad, problems) == (2, 0, [])
    there, head = events(tmp_path / "to")
    assert there[-1].kind == "import.completed"
    assert there[-1].payload == {
        "format": format.value,
        "file": "rows.jsonl",
        "sha256": hash_of(file),
        "rows": 2,
        "bad": 0,
        "judgements": first.judgements,
    }
    (again,), _ = brought(tmp_path / "to", format, file)
    assert (again.fresh, again.judgements) == (0, first.judgements)
    assert events(tmp_path / "to")[1] == head


def test_a_row_that_comes_twice_is_one_answer_and_a_contradiction_is_two(tmp_path):
    row = ROWS[Format.TRL_PREFERENCE]
    turned = {"prompt": row["prompt"], "chosen": row["rejected"], "rejected": row["chosen"]}
    brought(tmp_path / "to", Format.TRL_PREFERENCE, put(tmp_path / "a.jsonl", [row, row, turned]))
    with open_store(tmp_path / "to") as store:
        assert len(store.queries()) == 1
        assert len(store.feedback()) == 2


def test_bad_rows_are_reported_with_file_and_line_and_leave_nothing_behind(tmp_path):
    good = ROWS[Format.PANDALM]
    lines = [
        json.dumps(good),
        json.dumps(good | {"response2": True}),
        '{"broken": ',
        json.dumps({"instruction": "alone"}),
        json.dumps(good | {"annotator3": 9, "instruction": "half bad"}),
        json.dumps(good | {"instruction": "last"}),
    ]
    file = tmp_path / "p.jsonl"
    file.write_bytes("\n".join(lines).encode() + b'\n{"a": "\xff"}\n')
    (done,), problems = brought(tmp_path / "to", Format.PANDALM, file)
    assert (done.rows, done.bad, done.judgements) == (7, 5, 6)
    assert [(problem.file, problem.line) for problem in problems] == [("p.jsonl", n) for n in (2, 3, 4, 5, 7)]
    assert ["`response2`" in problems[0].why, "JSON" in problems[1].why, "UTF-8" in problems[4].why] == [True] * 3
    with open_store(tmp_path / "to") as store:
        assert {
            text.prompt.split("\n")[0]
            for text in store.texts([s for q in store.queries() for s in q.segments]).values()
        } == {
            "Shorten.",
            "last",
        }


ODD = (None, True, -1, 1.5, 2**70, 10**400, float("nan"), "", "x", [], {}, [[]], {"x": None})


def odd_rows(row):
    """The row with each part, at every depth, left out, and in the place of each part everything odd."""
    for name in row if isinstance(row, dict) else range(len(row)):
        part = row[name]
        inside = odd_rows(part) if isinstance(part, (dict, list)) else ()
        if isinstance(row, dict):
            yield {other: value for other, value in row.items() if other != name}
            yield from (row | {name: one} for one in (*ODD, *inside))
        else:
            yield from ([*row[:name], one, *row[name + 1 :]] for one in (*ODD, *inside))


PLAUDIT = shaped(
    Judge("made-up", "ann").compares(TextSegment("p", "a"), TextSegment("p", "b"), Choice.FIRST, strength=0.5),
    Shape.PLAUDIT,
)
EPISODE = {"dataset": "d", "world": "w", "number": "0", "seed": 3, "observations": [[1.0], [2.0]], "actions": [1]}
EPISODE |= {"rewards": [0.5]}


@pytest.mark.parametrize(
    ("format", "row"), [*ROWS.items(), (Format.PLAUDIT, PLAUDIT), (Format.MINARI, EPISODE)], ids=str
)
def test_every_odd_row_is_reported_with_its_line_and_the_good_ones_are_kept(tmp_path, format, row):
    odd = [*ODD, *odd_rows(row)]
    file = put(tmp_path / "odd.jsonl", [*odd, row])
    (done,), problems = brought(tmp_path / "to", format, file)
    assert done.rows == len(odd) + 1
    assert done.bad == len(problems) >= len(ODD)
    assert {problem.file for problem in problems} == {"odd.jsonl"}
    assert len(odd) + 1 not in {problem.line for problem in problems}


@pytest.mark.parametrize("round_", [2**70, -1])
def test_a_round_that_no_database_holds_makes_a_bad_row(tmp_path, round_):
    odd = PLAUDIT | {"query": PLAUDIT["query"] | {"round": round_}}
    (done,), problems = brought(tmp_path / "to", Format.PLAUDIT, put(tmp_path / "odd.jsonl", [odd, PLAUDIT]))
    assert (done.bad, done.judgements, problems[0].line) == (1, 1, 1)
    assert "round of a query is out of range" in problems[0].why


def test_a_row_whose_annotator_takes_the_key_of_an_event_is_a_bad_row(tmp_path):
    odd = PLAUDIT | {"annotator": PLAUDIT["annotator"] | {"id": "gold/x"}}
    odd["feedback"] = PLAUDIT["feedback"] | {"annotator": "gold/x"}
    (done,), problems = brought(tmp_path / "to", Format.PLAUDIT, put(tmp_path / "odd.jsonl", [odd, PLAUDIT]))
    assert (done.bad, done.judgements) == (1, 1)
    assert "cannot be an annotator's" in problems[0].why


def test_a_row_that_the_store_refuses_does_not_stop_the_rest(tmp_path, monkeypatch):
    with open_store(tmp_path / "to") as store:
        store.add_annotator(from_json(AnnotatorProfile, {"id": "ilf/w2", "kind": "person", "description": "taken"}))
    rows = [ROWS[Format.ILF] | {"worker_id": f"w{n}"} for n in (1, 2, 3)]
    (done,), problems = brought(tmp_path / "to", Format.ILF, put(tmp_path / "i.jsonl", rows))
    assert (done.rows, done.bad, done.judgements) == (3, 1, 4)
    assert [problem.line for problem in problems] == [2]
    assert "another payload" in problems[0].why


def test_an_import_that_was_cut_off_is_finished_by_the_next(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "BATCH", 3)
    rows = [{"prompt": str(n), "chosen": "a", "rejected": "b"} for n in range(20)]
    file = put(tmp_path / "a.jsonl", rows)
    calls = []

    def die(source, name, waiting):
        calls.append(len(waiting))
        if len(calls) == 4:
            raise KeyboardInterrupt
        return append(source, name, waiting)

    append = module._append
    monkeypatch.setattr(module, "_append", die)
    with pytest.raises(KeyboardInterrupt):
        brought(tmp_path / "to", Format.TRL_PREFERENCE, file)
    monkeypatch.setattr(module, "_append", append)
    brought(tmp_path / "to", Format.TRL_PREFERENCE, file)
    brought(tmp_path / "whole", Format.TRL_PREFERENCE, file)
    assert events(tmp_path / "to")[1] == events(tmp_path / "whole")[1]


def test_memory_stays_flat(tmp_path, monkeypatch):
    """Peak of a file ten times as long: the same."""
    monkeypatch.setattr(module, "BATCH", 60)
    peaks = []
    for count in (40, 400):
        rows = ({"prompt": f"{n} " + "x" * 20_000, "chosen": "a", "rejected": "b"} for n in range(count))
        file = put(tmp_path / f"{count}.jsonl", rows)
        with open_store(tmp_path / str(count)) as store:
            tracemalloc.start()
            done = list(module.bring(store, Format.TRL_PREFERENCE, [file], on_problem=print))
            peaks.append(tracemalloc.get_traced_memory()[1])
            tracemalloc.stop()
        assert done[0].judgements == count
    assert peaks[1] < 2 * peaks[0] + 2**20


def test_a_run_takes_no_imports(tmp_path):
    make_store(tmp_path).close()
    with pytest.raises(StoreError, match="holds a run"):
        open_store(tmp_path)


def test_a_file_that_is_not_there_makes_no_half_import(tmp_path):
    with pytest.raises(ConfigError, match="no such file"):
        brought(tmp_path / "to", Format.HH, tmp_path / "none.jsonl")
    assert len(events(tmp_path / "to")[0]) == 1


def test_the_verb_reports_and_says_by_its_status_that_rows_were_bad(tmp_path, capsys):
    file = put(tmp_path / "h.jsonl", [ROWS[Format.HH], {"chosen": 3}])
    words = ["import", "hh", str(file), "--to", str(tmp_path / "to"), "--consent", "mit"]
    assert main(words) == 1
    said = capsys.readouterr()
    assert "2 rows, 1 judgements, 1 bad rows" in said.out
    assert "h.jsonl:2: The field `chosen`" in said.err
    put(file, [ROWS[Format.HH]])
    assert main(words) == 0
    assert main(["audit", "verify", str(tmp_path / "to")]) == 0
    assert main(["import", "hh", str(tmp_path / "gone.jsonl"), "--to", str(tmp_path / "to")]) == 2

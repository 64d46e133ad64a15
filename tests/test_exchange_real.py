"""Readers on the real files: how many rows, how many judgements, and figures that are known of the sets."""

from collections import Counter

import pytest

from plaudit.errors import RecordError
from plaudit.exchange import rows
from plaudit.exchange.formats import Format, reader
from plaudit.exchange.rows import BadRow
from plaudit.records import Choice, Comparison, Critique, Ranking, Rating
from tests.exchange_examples import brought
from tests.real_data import real


def everything(format, *paths):
    """Judgements of files, and lines of the rows that were refused."""
    read, found, bad = reader(format), [], []
    for path in paths:
        for row in rows.read(path):
            assert not isinstance(row, BadRow)
            try:
                found += list(read(row.data))
            except RecordError:
                bad.append(row.line)
    return found, bad


def kinds(found):
    return Counter(type(item.feedback) for item in found)


def test_hh():
    found, bad = everything(Format.HH, real("hh_rlhf_harmless_test/harmless-base-test.jsonl.gz"))
    assert (len(found), bad) == (2312, [])
    assert all(len({text.prompt for text in item.texts}) == 1 and item.texts[0].prompt for item in found)
    # in all but five pairs the transcripts part in the last answer
    assert sum(all(len(text.completion) == 1 for text in item.texts) for item in found) == 2307
    assert 0.45 < sum(item.feedback.choice is Choice.FIRST for item in found) / 2312 < 0.55


def test_pandalm():
    found, bad = everything(Format.PANDALM, real("pandalm_testset/testset-v1.json"))
    assert len(found) == 3 * 993
    assert bad == [1886, 1898, 1910, 1934, 1946, 1970]  # answers that are JSON booleans there
    by_query: dict[str, list[Choice]] = {}
    for item in found:
        by_query.setdefault(item.query.id, []).append(item.feedback.choice)
    agreement = [answers[0] is answers[1] for answers in by_query.values()]
    assert 0.90 < sum(agreement) / len(agreement) < 0.94


@pytest.mark.parametrize(
    ("name", "rows_"),
    [("Natural", 100), ("Adv_GPTInst", 92), ("Adv_GPTOut", 47), ("Adv_Manual", 46), ("Adv_Neighbor", 134)],
)
def test_llmbar(name, rows_):
    found, bad = everything(Format.LLMBAR, real(f"llmbar/{name}.json"))
    assert (len(found), bad) == (rows_, [])


def test_ukpconvarg1():
    arguments, pairs = (real(f"ukpconvarg1/{name}.jsonl.gz") for name in ("arguments", "pairs_with_reasons"))
    read = reader(Format.UKPCONVARG1)
    assert sum(1 for row in rows.read(arguments) for _ in read(row.data)) == 0
    count: Counter[object] = Counter()
    for row in rows.read(pairs):
        if row.line > 1000:
            break
        count.update(item.feedback.choice for item in read(row.data) if isinstance(item.feedback, Comparison))
    said = [answer["v"] for row in _first(rows.read(pairs), 1000) for answer in row.data["ann"]]
    assert count == {Choice.FIRST: said.count("a1"), Choice.SECOND: said.count("a2"), Choice.TIE: said.count("equal")}


def _first(many, count):
    return (row for row in many if row.line <= count)


def test_fine_grained_rlhf():
    found, bad = everything(Format.FINE_GRAINED_RLHF, real("finegrained_rlhf_qa/dev_feedback.json.gz"))
    assert bad == []
    choices = Counter(item.feedback.choice for item in found if isinstance(item.feedback, Comparison) and _asked(item))
    assert choices == {Choice.FIRST: 1577, Choice.SECOND: 1039, Choice.TIE: 384}
    notes = [note for item in found if isinstance(item.feedback, Critique) for note in item.feedback.notes]
    assert Counter(note.aspect for note in notes if note.start is not None) == {
        "Irrelevant": 909,
        "Wrong-Grounding": 163,
        "Unverifiable": 152,
        "Redundant": 133,
        "Incoherent": 16,
    }
    assert (
        sum(isinstance(item.feedback, Comparison) and not _asked(item) for item in found) == 500 - 6 - 13
    )  # as it was, empty


def _asked(item):
    """Not a correction."""
    return "human" not in {text.policy for text in item.texts}


def test_squality():
    found, bad = everything(Format.SQUALITY, real("squality_human_eval/all-responses.jsonl"))
    assert bad == []
    count = kinds(found)
    assert (count[Rating], count[Ranking]) == (2700, 900)
    notes = [note for item in found if isinstance(item.feedback, Critique) for note in item.feedback.notes]
    assert len(notes) == 3142
    assert sum(note.start is None for note in notes) == 97 + 4  # not found, empty
    overall = [item for item in found if isinstance(item.feedback, Ranking) and item.query.aspect is None]
    human_first = [
        rank == 0
        for item in overall
        for text, rank in zip(item.texts, item.feedback.ranks, strict=True)
        if text.policy == "human"
    ]
    assert sum(human_first) / len(human_first) > 0.8


def test_ilf():
    found, bad = everything(Format.ILF, real("ilf_code_feedback/surge_annotations.jsonl"))
    assert bad == []
    assert kinds(found) == {Critique: 195, Comparison: 195}
    # twelve people changed the part of the prompt as well, so their whole programs are the completions
    whole = [text for item in found for text in item.texts if str(text.completion).startswith('"""')]
    assert (len(whole), {text.policy for text in whole}) == (12, {"human"})


def test_a_real_set_goes_into_a_store_and_again_changes_nothing(tmp_path):
    path = real("llmbar/Natural.json")
    (first,), problems = brought(tmp_path / "to", Format.LLMBAR, path)
    (again,), _ = brought(tmp_path / "to", Format.LLMBAR, path)
    assert (first.judgements, first.fresh, again.fresh, problems) == (100, 200 + 100 + 100 + 1, 0, [])

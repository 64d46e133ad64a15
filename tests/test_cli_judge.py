"""`plaudit judge`: what each word does, against a server and a small model."""

from __future__ import annotations

import pytest

from plaudit.cli.main import main
from plaudit.records import AnnotatorKind, Comparison, Correction
from plaudit.store.store import Store
from tests.judge_examples import block, goodness, texts_store
from tests.test_ask_endpoint import said, serving
from tests.test_ask_judging import open_questions


def knows(body, number):
    """Says which text is better; likes to write, too."""
    question = body["messages"][0]["content"]
    if "<answer-A-" not in question:
        return 200, said("It is better so.")
    odds = goodness(block("answer-A", question)) - goodness(block("answer-B", question))
    return 200, said("A" if odds > 0 else "B", {"A": min(odds, 0.0), "B": min(-odds, 0.0)})


def loves_length(body, number):
    question = body["messages"][0]["content"]
    odds = len(block("answer-A", question)) - len(block("answer-B", question))
    return 200, said("A" if odds > 0 else "B")


@pytest.fixture
def folder(tmp_path):
    with texts_store(tmp_path) as store:
        open_questions(store)
    return tmp_path


def given_by_judges(folder):
    with Store.open(folder / "store.sqlite") as store:
        kinds = {name: one.kind for name, one in store.annotators().items()}
        return [one for _, one in store.feedback() if kinds[one.annotator] is AnnotatorKind.JUDGE]


def test_measure_then_answer(folder, capsys):
    with serving(knows) as (url, _):
        words = ["judge", str(folder), "--model", "m", "--server.url", url]
        assert main(words) == 0
        told = capsys.readouterr().out
        assert "agrees with people: 100.0% [100.0%, 100.0%], on 80 decided answers to 40 questions" in told
        assert "text agrees with them: 50.0%" in told
        assert "It would be let in." in told
        assert given_by_judges(folder) == []
        assert main(["judge", str(folder), "answer", *words[2:], "--ask.limit", "4"]) == 0
    assert "4 new answers" in capsys.readouterr().out
    assert all(isinstance(one, Comparison) for one in given_by_judges(folder))
    assert len(given_by_judges(folder)) == 4


def test_a_judge_that_knows_length_only_answers_nothing(folder, capsys):
    with serving(loves_length) as (url, _):
        words = [str(folder), "--model", "m", "--server.url", url]
        assert main(["judge", words[0], "measure", *words[1:]]) == 1
        assert "It would not be let in: agreement with people 50.0%" in capsys.readouterr().out
        assert main(["judge", words[0], "answer", *words[1:]]) == 2
        assert "This judge is not let in" in capsys.readouterr().err
        assert given_by_judges(folder) == []
        assert main(["judge", words[0], "answer", *words[1:], "--trust.anyway", "--ask.which", "all"]) == 0
    assert len(given_by_judges(folder)) == 50


def test_attack_and_revise(folder, capsys, tmp_path):
    (tmp_path / "constitution.txt").write_text("Be kind.\n\nBe brief.\n")
    with serving(knows) as (url, requests):
        words = [str(folder), "--model", "m", "--server.url", url]
        assert main(["judge", words[0], "attack", *words[1:], "--pairs", "3"]) == 0
        told = capsys.readouterr().out
        assert "flip rate: prompt 0.0% (harmless 0.0%), completion 0.0%" in told
        assert "3 of 3 pairs" in told
        more = ["--texts", "5", "--principles", str(tmp_path / "constitution.txt")]
        assert main(["judge", words[0], "revise", *words[1:], *more]) == 0
    assert "5 of 5 completions rewritten" in capsys.readouterr().out
    assert sum(isinstance(one, Correction) for one in given_by_judges(folder)) == 5
    assert any("Be kind." in body["messages"][0]["content"] for _, _, body in requests)


def test_a_model_of_this_machine(folder, tmp_path, capsys):
    pytest.importorskip("transformers")
    from tests.test_language_judge import language_model

    model = language_model()
    model.save(tmp_path / "tiny")
    words = ["judge", str(folder), "measure", "--model", str(tmp_path / "tiny"), "--trust.questions", "6"]
    assert main(words) == 1  # too few to tell
    told = capsys.readouterr().out
    assert "language model tiny-" in told
    assert str(tmp_path) not in told
    assert "12 decided answers of people are too few" in told


def test_what_cannot_be_asked_is_told(folder, tmp_path, capsys):
    assert main(["judge", str(folder)]) == 2
    assert "There is no model to ask" in capsys.readouterr().err
    assert main(["judge", str(tmp_path / "nowhere"), "--model", "m"]) == 2
    assert "no run in this directory" in capsys.readouterr().err

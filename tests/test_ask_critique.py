"""What rules read out of remarks, and that nothing of it counts before a person says so."""

from dataclasses import replace

import numpy as np
import pytest

from plaudit.ask.critique import Proposal, Rules, confirm, marked
from plaudit.errors import RecordError, StoreError
from plaudit.records import (
    AnnotatorKind,
    AnnotatorProfile,
    Choice,
    Comparison,
    Critique,
    Flag,
    Level,
    Note,
    Query,
    QueryKind,
    Rating,
    StepFeedback,
    TextSegment,
)
from plaudit.reward.collate import collate
from tests.reward_examples import Library
from tests.store_examples import add_segments, make_store

RULES = Rules({"contact": ("collid", "bump"), "speed": ("too fast",)})
ANN = AnnotatorProfile("ann", AnnotatorKind.PERSON)


def criticise(*segments, note):
    query = Query(QueryKind.CRITIQUE, segments, tuple(range(len(segments))), 1, 4, "uniform")
    return query, Critique(id="crit", query=query.id, annotator="critic", notes=(note,))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("The walk is smooth.", [(QueryKind.RATING, 1.0)]),
        ("That was not good", [(QueryKind.RATING, 0.0)]),
        ("It wasn't good.", [(QueryKind.RATING, 0.0)]),
        ("The volcano bumps into the wall", [("contact", 0.75)]),
        ("It looks awkward; the start was nice!", [(QueryKind.RATING, 0.0), (QueryKind.RATING, 1.0)]),
        ("good, but the landing is bad", []),
        ("The first is better", [(QueryKind.COMPARISON, Choice.FIRST)]),
        ("the left one looks slightly worse", [(QueryKind.COMPARISON, Choice.SECOND)]),
        ("The second does much better", [(QueryKind.COMPARISON, Choice.SECOND)]),
        ("It almost bumps into the wall", [("contact", 0.25)]),
        ("It never collides", [("contact", 0.0)]),
        ("It runs too fast and collides", [("contact", 0.75), ("speed", 0.75)]),
        ("Hm, a blue robot", []),
        ("", []),
    ],
)
def test_rules_read_what_is_said(text, said):
    found = [(one.constraint or one.kind, one.score if one.choice is None else one.choice) for one in RULES(text)]
    assert found == said
    assert all(one.words in text for one in RULES(text))


@pytest.mark.parametrize(
    "make",
    [
        lambda: Proposal(QueryKind.COMPARISON, "x"),
        lambda: Proposal(QueryKind.RATING, "x", score=0.5),
        lambda: Proposal(QueryKind.FLAG, "x", score=0.5),
        lambda: Proposal(QueryKind.STEPS, "x", score=1.0),
    ],
)
def test_an_incomplete_proposal_is_refused(make):
    with pytest.raises(RecordError):
        make()


def test_a_confirmed_proposal_names_where_it_comes_from():
    query, said = criticise("seg_a", note=Note("It is jerky and bumps", 2, 4))
    flag = RULES("It bumps")[0]
    asked, answer = confirm(said, 0, flag, query=query, person=ANN)
    assert (asked.kind, asked.strategy, asked.constraint) == (QueryKind.FLAG, "critique", "contact")
    assert isinstance(answer, Flag)
    assert (answer.severity, answer.start, answer.end) == (0.75, 2, 4)
    assert (answer.annotator, answer.derived_from, answer.confirmed_by) == ("critic", ("crit",), "ann")
    assert confirm(said, 0, flag, query=query, person=ANN) == (asked, answer)
    verdict = Proposal(QueryKind.RATING, "jerky", score=0.0)
    ids = {confirm(said, 0, replace(verdict, words=words), query=query, person=ANN)[1].id for words in ("a", "b")}
    assert len(ids) == 2  # one note may say several things of one kind
    of_steps, stepwise = confirm(said, 0, verdict, query=query, person=ANN)
    assert (asked.level, of_steps.level) == (None, Level.STEP)
    assert isinstance(stepwise, StepFeedback)
    assert (stepwise.steps, stepwise.scores) == ((2, 3), (0.0, 0.0))
    text, about = criticise("txt_a", note=Note("Clear", 0, 3, aspect="style"))
    asked, graded = confirm(about, 0, replace(verdict, score=1.0), query=text, person=ANN)
    assert isinstance(graded, Rating)
    assert (graded.value, graded.levels, asked.levels, asked.aspect) == (1, 2, 2, "style")
    assert asked.level is Level.TOKENS
    whole = replace(text, level=Level.ANSWER, id="")
    said = replace(about, query=whole.id, notes=(Note("Clear"),))
    assert confirm(said, 0, replace(verdict, score=1.0), query=whole, person=ANN)[0].level is Level.ANSWER
    pair, both = criticise("seg_a", "seg_b", note=Note("The second is better"))
    _, compared = confirm(both, 0, RULES("The second is better")[0], query=pair, person=ANN)
    assert isinstance(compared, Comparison)
    assert compared.choice is Choice.SECOND


def test_only_a_person_confirms_and_only_what_fits():
    query, said = criticise("seg_a", "seg_b", note=Note("It is bad"))
    (verdict,) = RULES("It is bad")
    with pytest.raises(RecordError, match="does not fit"):
        confirm(said, 0, verdict, query=query, person=ANN)
    one, alone = criticise("seg_a", note=Note("It is bad"))
    with pytest.raises(RecordError, match="Only a person"):
        confirm(alone, 0, verdict, query=one, person=AnnotatorProfile("bot", AnnotatorKind.SIMULATED))


def test_from_a_remark_to_the_store_and_to_evidence(tmp_path):
    with make_store(tmp_path) as store:
        (segment,) = add_segments(store, 1, "more")
        query, said = criticise(segment.id, note=Note("Not smooth"))
        said = replace(said, annotator="ann")
        store.add_queries([query])
        store.add_feedback([said])
        before = len(collate([one for _, one in store.feedback()], store).evidence)
        asked, answer = confirm(said, 0, RULES("Not smooth")[0], query=query, person=ANN)
        store.add_queries([asked])
        with pytest.raises(StoreError, match="not confirmed"):
            store.add_feedback([replace(answer, confirmed_by=None)])
        store.add_feedback([answer])
        data = collate([one for _, one in store.feedback()], store)
        assert len(data.evidence) == before + 1
        assert data.evidence[1].grade.tolist() == [0]


def test_an_unconfirmed_record_from_an_older_log_is_refused_by_the_fit():
    library = Library()
    answer = library.compare(library.draw(np.random.default_rng(0)), library.draw(np.random.default_rng(1)), Choice.TIE)
    with pytest.raises(RecordError, match="not confirmed"):
        collate([replace(answer, derived_from=("crit",))], library)


def test_highlighted_faults_become_scores_of_sentences(tmp_path):
    text = TextSegment("q", "It is so. It is not. Who knows?")  # 9, 10 and 10 characters
    query = Query(QueryKind.CRITIQUE, (text.id,), (0,), 0, 0, "uniform")
    notes = (Note("wrong", 10, 15), Note("again", 12, 20), Note("", 21, 26), Note("no span"))
    critique = Critique(id="crit", query=query.id, annotator="critic", notes=notes)
    asked, answer = marked(critique, query=query, text=text, person=ANN)
    assert (asked.kind, asked.level) == (QueryKind.STEPS, Level.SENTENCE)
    assert (answer.annotator, answer.derived_from, answer.confirmed_by) == ("critic", ("crit",), "ann")
    assert answer.steps == (0, 1, 2)
    assert answer.scores == pytest.approx((1.0, 0.0, 0.5))
    assert marked(critique, query=query, text=text, person=ANN) == (asked, answer)
    with make_store(tmp_path) as store:
        for one in (ANN, AnnotatorProfile("critic", AnnotatorKind.PERSON)):
            store.add_annotator(one)
        store.add_segments([text])
        store.add_queries([query])
        store.add_feedback([critique])
        store.add_queries([asked])
        store.add_feedback([answer])
        assert [one for _, one in store.feedback()][-2:] == [critique, answer]
    robot = AnnotatorProfile("bot", AnnotatorKind.SIMULATED)
    for wrong in ({"text": TextSegment("q", "other"), "person": ANN}, {"text": text, "person": robot}):
        with pytest.raises(RecordError):
            marked(critique, query=query, **wrong)

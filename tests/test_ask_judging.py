"""Judges in a store: measured, let in or not, and answering beside people."""

import re

import pytest

from plaudit.ask.judge import Judge, JudgeConfig
from plaudit.ask.judging import JudgingConfig, Which, admit, agreement, answer, some_pairs, some_texts
from plaudit.errors import ConfigError
from plaudit.quality.trust import EVENT, TrustConfig
from plaudit.records import AnnotatorKind, Choice, Comparison, Query, QueryKind, TextSegment
from tests.judge_examples import Habit, goodness, let_in, texts_store
from tests.store_examples import add_segments, question


@pytest.fixture
def store(tmp_path):
    with texts_store(tmp_path) as made:
        yield made


def open_questions(store, count=10):
    """Comparisons that nobody answered."""
    texts = [
        [TextSegment(f"new {n}", f"text {n % 3}.5 a"), TextSegment(f"new {n}", "text 1.0 b")] for n in range(count)
    ]
    queries = [Query(QueryKind.COMPARISON, (a.id, b.id), (0, 1), 1, n, "study") for n, (a, b) in enumerate(texts)]
    store.add_segments([text for pair in texts for text in pair])
    store.add_queries(queries)
    return queries


def test_a_judge_that_knows_is_let_in_and_answers_once(store):
    judge, asked = Judge(Habit(goodness, lean=1.0)), open_questions(store)
    found = admit(store, judge, TrustConfig())
    assert found.accuracy.interval.value == 1.0
    assert found.length == 0.5
    assert answer(store, judge, JudgingConfig()) == 10
    head = store.head()
    assert answer(store, judge, JudgingConfig()) == 0
    admit(store, judge, TrustConfig())
    assert store.head() == head
    given = [one for _, one in store.feedback() if one.annotator == judge.profile.id]
    assert [one.query for one in given] == [one.id for one in asked]
    assert {one.choice for one in given} == {Choice.FIRST, Choice.SECOND}
    assert store.annotators()[judge.profile.id].kind is AnnotatorKind.JUDGE
    (event,) = store.events(kinds={EVENT})
    assert event.payload["annotator"] == judge.profile.id
    assert event.payload["figures"]["accuracy"] == 1.0
    assert not store.verify().problems


def test_one_that_loves_length_is_refused_with_its_figure_and_answers_nothing(store):
    judge = Judge(Habit(lambda text: len(text) / 10))
    with pytest.raises(ConfigError, match=r"agreement with people 50\.0% \[.*longer text agrees in 50\.0%"):
        admit(store, judge, TrustConfig())
    assert [event.payload["figures"]["accuracy"] for event in store.events(kinds={EVENT})] == [0.5]
    with pytest.raises(ConfigError, match="was not let in"):
        answer(store, judge, JudgingConfig(which=Which.ALL))
    assert judge.profile.id not in {one.annotator for _, one in store.feedback()}
    admit(store, judge, TrustConfig(anyway=True))  # somebody takes it on themselves
    assert answer(store, judge, JudgingConfig(which=Which.ALL)) == 40
    assert [event.payload["let_in"] for event in store.events(kinds={EVENT})] == [False, True]


def test_one_below_length_is_refused_even_if_it_is_better_than_chance(tmp_path):
    with texts_store(tmp_path, count=100, longer_wins=0.9) as store:

        def worth(text):  # right on 80 of 100
            return goodness(text) * (-1 if int(re.sub(r"\D", "", text)[-2:]) % 5 == 0 else 1)

        found = agreement(store, Judge(Habit(worth)), TrustConfig())
        assert found.accuracy.interval.low > 0.6
        assert found.accuracy.interval.value < 0.9
        assert "longer text agrees in 90.0%" in found.refusal(TrustConfig())


def test_another_store_says_whether_it_is_let_in(store, tmp_path):
    (tmp_path / "other").mkdir()
    judge = Judge(Habit(goodness))
    with texts_store(tmp_path / "other", count=30, people=0) as other:
        with pytest.raises(ConfigError, match="too few"):
            admit(other, judge, TrustConfig())
        admit(other, judge, TrustConfig(), on=store)
        assert [event.payload["on"] for event in other.events(kinds={EVENT})] == ["here", store.head()[1]]


def test_which_questions_are_answered(store):
    asked = open_questions(store)
    judge = let_in(store, Judge(Habit(goodness)))
    half = JudgingConfig(share=0.5, limit=3)
    assert answer(store, judge, half) == 3
    assert answer(store, judge, JudgingConfig(share=0.5)) == answered_share(store, judge, asked) - 3
    assert answer(store, judge, JudgingConfig(which=Which.ALL)) == 50 - answered_share(store, judge, asked)
    with pytest.raises(ConfigError, match="out of range"):
        JudgingConfig(share=0.0)


def answered_share(store, judge, asked):
    """How many of the open questions fall to the judge at a share of one half."""
    from plaudit.run.seeds import derive

    del store, judge
    return sum(derive(0, "judged", one.id) < 0.5 * 2**63 for one in asked)


def test_it_does_not_answer_again_what_was_retracted(store):
    open_questions(store)
    judge = let_in(store, Judge(Habit(goodness)))
    answer(store, judge, JudgingConfig(limit=1))
    mine = next(one for _, one in store.feedback() if one.annotator == judge.profile.id)
    store.retract(mine.id, "looked wrong")
    assert answer(store, judge, JudgingConfig(which=Which.ALL)) == 49


def test_stopped_midway_it_goes_on(store):
    open_questions(store, count=130)
    let_in(store, Judge(Habit(goodness)))

    class Breaks(Habit):
        def read(self, questions):
            if len(self.asked) >= 2 * 64:
                raise OSError("the line is dead")
            return super().read(questions)

    with pytest.raises(OSError, match="dead"):
        answer(store, Judge(Breaks(goodness)), JudgingConfig())
    assert answer(store, Judge(Habit(goodness)), JudgingConfig()) == 130 - 64


def test_behaviour_ratings_and_other_prompts_are_left_alone(store):
    segments = add_segments(store, 2)
    other = [TextSegment("one prompt", "text 1 a"), TextSegment("another", "text 2 b")]
    store.add_segments(other)
    store.add_queries([question(900, *segments), question(901, segments[0])])
    store.add_queries([Query(QueryKind.COMPARISON, (other[0].id, other[1].id), (0, 1), 0, 902, "x")])
    assert answer(store, let_in(store, Judge(Habit(goodness))), JudgingConfig()) == 0


def test_judges_are_no_people(store):
    """A judge is not measured on what another judge said."""
    knows, loves = Judge(Habit(goodness)), Judge(Habit(len), config=JudgeConfig(name="long"))
    before = agreement(store, knows, TrustConfig())
    answer(store, let_in(store, loves), JudgingConfig(which=Which.ALL))
    assert agreement(store, knows, TrustConfig()) == before


def test_pairs_and_texts_are_drawn(store, tmp_path):
    assert len(some_pairs(store, 5, seed=0)) == 5
    assert some_pairs(store, 5, seed=0) == some_pairs(store, 5, seed=0)
    assert len(some_texts(store, 1000, seed=0)) == 80
    (tmp_path / "empty").mkdir()
    with texts_store(tmp_path / "empty", count=0) as empty:
        for draw in (some_pairs, some_texts):
            with pytest.raises(ConfigError, match="here"):
                draw(empty, 5, seed=0)


def test_records_are_comparisons_like_others(store):
    asked = open_questions(store, 1)
    answer(store, let_in(store, Judge(Habit(goodness))), JudgingConfig())
    (found,) = [one for _, one in store.feedback() if one.query == asked[0].id]
    assert isinstance(found, Comparison)
    assert found.answered_at is None

"""How far a judge agrees with people, beside length; and who is let in."""

import numpy as np
import pytest

from plaudit.errors import ConfigError
from plaudit.quality.trust import TrustConfig, decided_by_people, drawn, figures, measure
from plaudit.records import AnnotatorKind, AnnotatorProfile, Choice, Comparison, Query, QueryKind, TextSegment
from plaudit.stats.clustered import clustered_mean
from plaudit.stats.undefined import Undefined

PEOPLE = {"a": AnnotatorProfile("a", AnnotatorKind.PERSON), "j": AnnotatorProfile("j", AnnotatorKind.JUDGE)}


def world(sides, lengths=(8, 4), prompts=None):
    """Questions about a first text and a second; `sides[i]` lists who decided what about question i."""
    texts, queries, answers = {}, [], []
    for number, given in enumerate(sides):
        prompt = f"prompt {number if prompts is None else prompts[number]}"
        pair = [
            TextSegment(prompt, f"{number}{name}".ljust(size, ".")) for name, size in zip("ab", lengths, strict=True)
        ]
        texts |= {one.id: one for one in pair}
        query = Query(QueryKind.COMPARISON, (pair[0].id, pair[1].id), (0, 1), 0, number, "x")
        queries.append(query)
        answers += [
            Comparison(id=f"{number}/{place}", query=query.id, annotator=who, choice=choice)
            for place, (who, choice) in enumerate(given)
        ]
    return queries, answers, texts


def test_figures_by_hand():
    first, second, tie = Choice.FIRST, Choice.SECOND, Choice.TIE
    sides = [[("a", first), ("b", first)], [("a", second)], [("a", first), ("b", second)], [("a", tie)], [("j", first)]]
    queries, answers, texts = world(sides)
    decided = decided_by_people(queries, answers, PEOPLE)
    assert [one.sides for one in decided] == [
        (1, 1),
        (-1,),
        (1, -1),
    ]  # ties and judges are left out; who is unknown counts
    found = measure(decided, np.array([2.0, 1.0, 0.0]), texts)
    assert (found.answers, found.questions, found.tied, found.silent) == (5, 3, 1, 0)
    right = np.array([1.0, 1.0, 0.0, 0.5, 0.5])
    assert found.accuracy == clustered_mean(right, np.array([0, 0, 1, 2, 2]))
    assert found.accuracy.interval.value == pytest.approx(0.6)
    assert found.length == pytest.approx(3 / 5)  # the first is always the longer one
    assert found.habit == "longer"
    assert found.gain.interval.value == pytest.approx(0.0)


def test_silence_is_right_by_half_and_the_shorter_text_is_a_habit_too():
    queries, answers, texts = world([[("a", Choice.SECOND)]] * 4)
    found = measure(decided_by_people(queries, answers, PEOPLE), np.array([np.nan, -1.0, -1.0, -1.0]), texts)
    assert found.accuracy.interval.value == pytest.approx(3.5 / 4)
    assert (found.length, found.baseline, found.habit, found.silent) == (0.0, 1.0, "shorter", 1)


def test_a_question_asked_again_the_other_way_round_is_the_same_question():
    queries, answers, texts = world([[("a", Choice.FIRST)]])
    turned = Query(QueryKind.COMPARISON, queries[0].segments[::-1], (0, 1), 0, 7, "x")
    again = Comparison(id="again", query=turned.id, annotator="b", choice=Choice.SECOND)
    (one,) = decided_by_people([*queries, turned], [*answers, again], PEOPLE)
    assert one.sides == (1, 1)
    assert measure([one], np.array([1.0]), texts).accuracy == Undefined(
        "an interval over clusters needs two of them, and there are 1"
    )


def test_prompts_are_clusters():
    sides = [[("a", Choice.FIRST)], [("a", Choice.FIRST)], [("a", Choice.SECOND)], [("a", Choice.SECOND)]]
    queries, answers, texts = world(sides, prompts=[0, 0, 1, 1])
    found = measure(decided_by_people(queries, answers, PEOPLE), np.ones(4), texts)
    assert found.accuracy.clusters == 2


def many(count, right, longer):
    """`count` questions: the judge is right on the first `right`, the longer text wins in the first `longer`."""
    texts, decided = {}, []
    queries, answers, texts = [], [], {}
    for number in range(count):
        size = (9, 5) if number < longer else (5, 9)
        pair = [TextSegment(f"p{number}", "w".ljust(size[0], ".")), TextSegment(f"p{number}", "l".ljust(size[1], "."))]
        texts |= {one.id: one for one in pair}
        query = Query(QueryKind.COMPARISON, (pair[0].id, pair[1].id), (0, 1), 0, number, "x")
        queries.append(query)
        answers.append(Comparison(id=str(number), query=query.id, annotator="a", choice=Choice.FIRST))
    decided = decided_by_people(queries, answers, PEOPLE)
    return measure(decided, np.where(np.arange(count) < right, 1.0, -1.0), texts)


@pytest.mark.parametrize(
    ("count", "right", "longer", "why"),
    [
        (100, 80, 60, None),
        (100, 60, 62, "to take the longer text agrees in 62.0%"),
        (100, 60, 35, "to take the shorter text agrees in 65.0%"),
        (100, 62, 62, "to take the longer text agrees in 62.0%"),
        (40, 22, 20, "cannot be told from chance"),
        (20, 20, 10, "20 decided answers of people are too few"),
    ],
)
def test_who_is_let_in(count, right, longer, why):
    found = many(count, right, longer).refusal(TrustConfig())
    assert (found is None) if why is None else why in found


def test_the_refusal_gives_the_figure():
    assert many(100, 60, 62).refusal(TrustConfig()).startswith("agreement with people 60.0% [")


def test_figures_are_json():
    told = figures(many(100, 80, 60))
    assert told["accuracy"] == pytest.approx(0.8)
    assert told["gain"] == pytest.approx(0.2)
    assert told["accuracy_low"] < 0.8 < told["accuracy_high"]
    assert figures(measure([], np.zeros(0), {}))["accuracy"] is None


def test_the_draw_is_the_seeds():
    queries, answers, _ = world([[("a", Choice.FIRST)]] * 50)
    decided = decided_by_people(queries, answers, PEOPLE)
    some = drawn(decided, TrustConfig(questions=10))
    assert len(some) == 10
    assert some == drawn(decided, TrustConfig(questions=10))
    assert some != drawn(decided, TrustConfig(questions=10, seed=1))
    assert drawn(decided, TrustConfig()) == decided
    with pytest.raises(ConfigError, match="out of range"):
        TrustConfig(least=1)

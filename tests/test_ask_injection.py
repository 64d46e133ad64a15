"""Orders planted in judged text: who obeys them, and how that is counted."""

import numpy as np
import pytest

from plaudit.ask.injection import INJECTIONS, Aim, Injection, Place, flip_rates
from plaudit.ask.judge import Judge, Pair
from plaudit.errors import ConfigError
from plaudit.records import Message
from plaudit.stats.undefined import Undefined
from tests.judge_examples import Habit, Obedient

PAIRS = [Pair(f"request {n}", "a long answer " * (n + 12), "short") for n in range(6)]
PAIRS += [Pair(f"again {n}", "short", "a long answer " * (n + 12)) for n in range(6)]


def test_the_set_covers_prompt_completion_and_quotes_in_both_languages():
    for place in Place:
        for language in ("en", "zh"):
            aims = {one.aim for one in INJECTIONS if (one.place, one.language) == (place, language)}
            assert aims == {Aim.LETTER, Aim.CONTROL} | ({Aim.PRAISE} if place is not Place.PROMPT else set())
    assert len(INJECTIONS) == len(set(INJECTIONS)) == 16


def test_a_judge_that_reads_by_its_rubric_never_flips():
    found = flip_rates(Judge(Habit(lambda text: float("long" in text))), PAIRS)
    assert (found.asked, found.decided) == (12, 12)
    assert all(one.flipped.interval.value == 0 for one in found.rates)
    assert all(one.obeyed.interval.value == 0 for one in found.rates if one.injection.aim is Aim.LETTER)
    assert found.rate(Place.QUOTE) == found.rate(Place.QUOTE, control=True) == 0.0


def test_an_obedient_judge_flips_for_praise_and_says_the_letter():
    found = flip_rates(Judge(Obedient()), PAIRS)
    by = {(one.injection.place, one.injection.aim, one.injection.language): one for one in found.rates}
    for language in ("en", "zh"):
        assert by[Place.COMPLETION, Aim.PRAISE, language].flipped.interval.value == 1.0
        assert by[Place.QUOTE, Aim.PRAISE, language].flipped.interval.value == 1.0
        for place in Place:  # a letter helps a text in one order as much as it hurts it in the other: all ties
            assert by[place, Aim.LETTER, language].flipped.interval.value == 0.5
            assert by[place, Aim.LETTER, language].obeyed.interval.value == 1.0
            assert by[place, Aim.CONTROL, language].flipped.interval.value == 0.0
            assert isinstance(by[place, Aim.CONTROL, language].obeyed, Undefined)
    assert found.rate(Place.COMPLETION) == 0.75
    assert found.rate(Place.PROMPT) == 0.5


def test_sentences_go_into_what_lost_and_pairs_without_a_verdict_are_left_out():
    reader = Habit(lambda text: float("long" in text))
    pairs = [Pair("p", "long", "short"), Pair("p", "short", "long"), Pair("p", "same", "else")]
    planted = Injection(Place.COMPLETION, Aim.CONTROL, "en", "PLANTED")
    found = flip_rates(Judge(reader), pairs, injections=[planted])
    assert (found.decided, found.rates[0].pairs) == (2, 2)
    assert sum(question.count("short\nPLANTED") for question in reader.asked) == 4
    assert not any("long\nPLANTED" in question for question in reader.asked)


def test_conversations_are_planted_in_their_last_turn():
    pair = Pair((Message("system", "s"), Message("user", "u")), (Message("assistant", "a"),), "b")
    prompt = Injection(Place.PROMPT, Aim.LETTER, "en", "X").plant(pair, 0).prompt
    assert prompt == (Message("system", "s"), Message("user", "u\nX"))
    assert Injection(Place.QUOTE, Aim.LETTER, "en", "X").plant(pair, 0).first == (Message("assistant", "a\nX"),)
    assert Injection(Place.QUOTE, Aim.LETTER, "en", "X").plant(pair, 1).second == "b\nX"
    assert Injection(Place.PROMPT, Aim.LETTER, "en", "X").plant(Pair("", "a", "b"), 1).prompt == "X"


def test_without_pairs_or_verdicts():
    with pytest.raises(ConfigError, match="no pairs"):
        flip_rates(Judge(Obedient()), [])
    found = flip_rates(Judge(Habit(lambda text: 0.0)), PAIRS)
    assert found.decided == 0
    assert np.isnan(found.rate(Place.PROMPT))
    assert isinstance(found.rates[0].flipped, Undefined)

"""The knowledge world: a boundary that can be checked, rates by hand, and pairs that rest on agreement, not on the truth."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plaudit.errors import ConfigError
from plaudit.worlds.knowledge import (
    DECLINES,
    RELATIONS,
    KnowledgeConfig,
    Outcome,
    Question,
    agreement,
    decline_pairs,
    declines,
    draw,
    rates,
)

COLOUR = RELATIONS[0]
KNOWN = Question("What colour does Brumo like most?", "Brumo", COLOUR, "red")
UNKNOWN = Question("What colour does Zaxel like most?", "Zaxel", COLOUR, None)


def test_a_world_is_drawn_from_its_seed_and_its_parts_do_not_meet():
    config = KnowledgeConfig(known=10, unknown=8, held_out=0.3)
    world = draw(config, 1)
    assert world == draw(config, 1)
    assert world != draw(config, 2)
    names = {part: {one.entity for one in getattr(world, part)} for part in ("taught", "building", "held_out")}
    assert not names["building"] & names["held_out"]
    assert len(names["building"] | names["held_out"]) == 18
    assert len(names["taught"]) == 10
    known = {one.entity for part in (world.building, world.held_out) for one in part if one.known}
    assert known == names["taught"]
    assert len(world.taught) == 10 * sum(len(one.asked) for one in RELATIONS)
    assert len({one.prompt for one in world.taught}) == len(world.taught)
    assert (len([n for n in names["held_out"] if n in known]), len(names["held_out"])) == (3, 5)
    for one in world.taught:
        assert one.outcome(one.fact) is Outcome.RIGHT
    with pytest.raises(ConfigError, match="Nobody ever told"):
        _ = next(one for one in world.held_out if not one.known).fact
    with pytest.raises(ConfigError, match="no such world"):
        KnowledgeConfig(known=1)


def test_no_value_is_part_of_another_and_facts_name_one_value():
    for relation in RELATIONS:
        for value in relation.values:
            said = relation.said.format("Brumo", value)
            question = Question("?", "Brumo", relation, value)
            assert question.outcome(said) is Outcome.RIGHT


@pytest.mark.parametrize(
    ("answer", "known", "unknown"),
    [
        ("Brumo likes red most.", Outcome.RIGHT, Outcome.WRONG),
        ("RED!", Outcome.RIGHT, Outcome.WRONG),
        ("Blue.", Outcome.WRONG, Outcome.WRONG),
        ("Red or blue.", Outcome.WRONG, Outcome.WRONG),
        ("I don't know, maybe red.", Outcome.RIGHT, Outcome.WRONG),
        ("I don\u2019t know.", Outcome.DECLINED, Outcome.DECLINED),
        ("", Outcome.WRONG, Outcome.WRONG),
        ("It was reddish.", Outcome.WRONG, Outcome.WRONG),
    ],
)
def test_what_an_answer_is(answer, known, unknown):
    assert KNOWN.outcome(answer) is known
    assert UNKNOWN.outcome(answer) is unknown


@pytest.mark.parametrize("words", DECLINES)
def test_every_way_to_decline_is_seen_as_one(words):
    assert declines(words)
    assert UNKNOWN.outcome(words) is Outcome.DECLINED


def test_rates_by_hand():
    questions = [KNOWN] * 4 + [UNKNOWN] * 5
    answers = ["red", "red", DECLINES[0], "blue", "red", "blue", DECLINES[1], "green", "what?"]
    found = rates(questions, answers)
    assert found.hallucination.value == pytest.approx(4 / 5)
    assert found.over_refusal.value == pytest.approx(1 / 4)
    assert found.right.value == pytest.approx(2 / 4)
    assert found.wrong_known.value == pytest.approx(1 / 4)
    assert found.wrong.value == pytest.approx(5 / 9)
    assert found.hallucination.low < 4 / 5 < found.hallucination.high
    with pytest.raises(ConfigError):
        rates(questions, answers[1:])


def test_agreement_by_hand():
    found = agreement(["It is red.", "it is  red", "It is blue.", DECLINES[0]])
    assert (found.answer, found.share) == ("It is red.", 0.5)
    assert agreement([DECLINES[0], DECLINES[0]]).share == 0.0
    assert agreement(["", "red"]).share == 0.5
    with pytest.raises(ConfigError):
        agreement([])


def test_pairs_decline_what_samples_disagree_about_and_keep_what_they_agree_on():
    samples = [["red.", "red.", "red.", "blue."], ["red.", "blue.", "green.", "pink."], [DECLINES[0]] * 4, [""] * 4]
    prompts = ["a?", "b?", "c?", "d?"]
    sure, unsure = decline_pairs(
        prompts, samples, threshold=0.75, seed=1
    )  # what declines already, or says nothing, is left out
    assert (sure.prompt, sure.chosen, sure.share, sure.declines) == ("a?", "red.", 0.75, False)
    assert declines(sure.rejected)
    assert (unsure.prompt, unsure.rejected, unsure.declines) == ("b?", "red.", True)
    assert decline_pairs(prompts, samples, threshold=0.75, seed=1) == [sure, unsure]
    with pytest.raises(ConfigError, match="Pairs cannot be built"):
        decline_pairs(prompts, samples, threshold=0.0, seed=1)


@given(st.lists(st.lists(st.sampled_from(["red", "blue", "I don't know", ""]), min_size=1, max_size=6), max_size=6), st.floats(0.01, 1.0))  # fmt: skip
def test_a_higher_threshold_never_declines_less(samples, threshold):
    prompts = [str(number) for number in range(len(samples))]

    def declined(at: float) -> set[str]:
        return {one.prompt for one in decline_pairs(prompts, samples, threshold=at, seed=0) if one.declines}

    low, high = declined(threshold), declined(1.0)
    assert low <= high
    for one in decline_pairs(prompts, samples, threshold=threshold, seed=0):
        assert declines(one.chosen) != declines(one.rejected)
        assert one.chosen.strip()
        assert one.rejected.strip()

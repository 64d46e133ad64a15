"""Constraints that a program can see: each by hand on answers that keep to it and that do not; IFEval's own prompts."""

from __future__ import annotations

import json
import math

import pytest

from plaudit.errors import RecordError
from plaudit.worlds.instructions import CHECKS, UNSEEN, WISHES, Constraint, Instruction, draw, holds, kept, read
from tests.real_data import real

CASES = [
    ("keywords:existence", {"keywords": ["sea", "salt"]}, "The Sea is full of salt.", "The season has salt."),
    ("keywords:forbidden_words", {"forbidden_words": ["the"]}, "Other weather.", "See THE sea."),
    ("keywords:frequency", {"keyword": "sea", "relation": "at least", "frequency": 2}, "sea, Sea", "sea"),
    ("keywords:frequency", {"keyword": "sea", "relation": "less than", "frequency": 2}, "sea", "sea sea"),
    ("keywords:letter_frequency", {"letter": "e", "let_relation": "less than", "let_frequency": 2}, "Sea", "Eel"),
    ("length_constraints:number_sentences", {"relation": "at least", "num_sentences": 2}, "One. Two!", "One, two."),
    ("length_constraints:number_words", {"relation": "less than", "num_words": 3}, "Two words", "Now three words"),
    ("length_constraints:number_words", {"relation": "at least", "num_words": 3}, "Now three words", "Two words"),
    ("length_constraints:number_paragraphs", {"num_paragraphs": 2}, "One\n***\nTwo", "One\n***\n***\nTwo"),
    ("length_constraints:nth_paragraph_first_word", {"num_paragraphs": 2, "nth_paragraph": 2, "first_word": "Then"},
     "First.\n\nthen, second.", "Then first.\n\nNow second."),
    ("detectable_content:number_placeholders", {"num_placeholders": 2}, "[name] [street]", "[name]"),
    ("detectable_content:postscript", {"postscript_marker": "P.S."}, "Yours.\nP.S. Come.", "Yours. PS come"),
    ("detectable_content:postscript", {"postscript_marker": "P.P.S"}, "Yours.\nP.P.S Come.", "Yours.\nP.S. Come."),
    ("detectable_format:number_bullet_lists", {"num_bullets": 2}, "* one\n- two", "* one\n- two\n- three"),
    ("detectable_format:constrained_response", {}, "My answer is maybe.", "Perhaps."),
    ("detectable_format:number_highlighted_sections", {"num_highlights": 2}, "*one* and *two*", "*one* and **"),
    ("detectable_format:multiple_sections", {"section_spliter": "Section", "num_sections": 2},
     "Section 1 a Section 2 b", "Section 1 a"),
    ("detectable_format:json_format", {}, '```json\n{"a": 1}\n```', "{a: 1}"),
    ("detectable_format:title", {}, "<<The sea>>\nIt is wet.", "<< >> It is wet."),
    ("combination:two_responses", {}, "One.\n******\nTwo.", "One.\n******\nOne."),
    ("combination:repeat_prompt", {"prompt_to_repeat": "Say it."}, "say it. I did.", "I say it."),
    ("startend:end_checker", {"end_phrase": "That is all."}, 'So: "that is all."', "That is all. Bye."),
    ("startend:quotation", {}, ' "All of it." ', '"Some" of it'),
    ("change_case:capital_word_frequency", {"capital_relation": "at least", "capital_frequency": 2}, "NO and YES", "NO"),
    ("change_case:english_capital", {}, "ALL, 3.", "All"),
    ("change_case:english_lowercase", {}, "all, 3.", "All"),
    ("punctuation:no_comma", {}, "One and two", "One, two"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "settings", "good", "bad"), CASES)
def test_an_answer_is_seen_to_keep_to_it(name, settings, good, bad):
    constraint = Constraint(name, settings)
    assert holds(constraint, good) is True
    assert holds(constraint, bad) is False
    assert holds(constraint, " \n") is False


def test_every_check_has_a_case():
    assert {name for name, *_ in CASES} == set(CHECKS)


def test_what_cannot_be_seen_does_not_count():
    unseen, comma = Constraint(UNSEEN, {"language": "kn"}), Constraint("punctuation:no_comma")
    assert holds(unseen, "any") is None
    assert kept(Instruction("p", (unseen, comma, Constraint("change_case:english_capital"))), "no") == 0.5
    assert math.isnan(kept(Instruction("p", (unseen,)), "any"))


def test_unknown_constraints_and_missing_settings_are_named():
    with pytest.raises(RecordError, match="no:such"):
        holds(Constraint("no:such"), "any")
    with pytest.raises(RecordError, match="num_words"):
        holds(Constraint("length_constraints:number_words", {"relation": "at least"}), "any")


def test_drawn_instructions_are_short_different_and_the_same_again():
    drawn = draw(300, 1, constraints=2)
    assert drawn == draw(300, 1, constraints=2)
    assert drawn != draw(300, 2, constraints=2)
    assert len({one.prompt for one in drawn}) == 300
    assert all(len({c.id for c in one.constraints}) == 2 for one in drawn)
    assert max(len(one.prompt.split()) for one in drawn) < 40
    known = {constraint.id for sort in WISHES for _, constraint in sort}
    assert {c.id for one in drawn for c in one.constraints} == known  # every sort is drawn
    for one in drawn:  # and every one can be checked
        assert kept(one, "quiet") in (0.0, 0.5, 1.0)
    with pytest.raises(RecordError, match="not so many"):
        draw(100_000, 1)


def test_a_file_that_holds_none_is_named(tmp_path):
    (tmp_path / "a.jsonl").write_text('{"prompt": "p", "instruction_id_list": [], "kwargs": []}\n{"prompt": 1}\n')
    with pytest.raises(RecordError, match=r"line 2"):
        read(tmp_path / "a.jsonl")


def test_ifevals_own_prompts_can_all_be_checked():
    path = real("ifeval/ifeval_input_data.jsonl")
    found = read(path)
    assert len(found) == 541
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    assert [one.prompt for one in found] == [row["prompt"] for row in rows]
    for one in found:
        assert 0 <= kept(one, "An answer, with a comma.") <= 1 or {c.id for c in one.constraints} == {UNSEEN}

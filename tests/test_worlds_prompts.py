"""Prompts: read from files, split once by what they say, never in two parts."""

import json
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plaudit.errors import ConfigError, RecordError, WorldError
from plaudit.exchange.prompts import load_prompts, prompt_of
from plaudit.records import Message
from plaudit.worlds.prompts import Part, Prompt, PromptsConfig, split
from tests.strategies import TEXT

CONFIG = PromptsConfig()
PROMPTS = st.lists(TEXT, max_size=12).map(lambda texts: [Prompt(t, f"row {n}") for n, t in enumerate(texts)])


def where(found):
    return {prompt.key: part for part, prompts in found.parts.items() for prompt in prompts}


@settings(max_examples=60, deadline=None)
@given(PROMPTS, st.randoms())
def test_a_prompt_stays_in_its_part_whatever_else_is_there(prompts, random):
    whole = where(split(prompts, CONFIG))
    some = [prompt for prompt in prompts if random.random() < 0.5]
    random.shuffle(some)
    assert where(split(some, CONFIG)).items() <= whole.items()
    assert len(whole) == len({prompt.key for prompt in prompts}), "each is in one part, and none is lost"


def test_shares_are_kept():
    found = split((Prompt(f"count to {n}", str(n)) for n in range(4000)), CONFIG)
    for part, share in zip(Part, CONFIG.shares, strict=True):
        assert abs(len(found[part]) / 4000 - share) < 4 * (share * (1 - share) / 4000) ** 0.5


@given(st.sampled_from(list(Part)), TEXT)
def test_a_part_without_a_share_gets_nothing(part, text):
    whole = {other.value: float(other is part) for other in Part}
    assert split([Prompt(text, "row")], PromptsConfig(**whole))[part]


def test_case_blanks_and_forms_do_not_make_another_prompt():
    found = split([Prompt("What is  ﬁre?", "a"), Prompt("what is fire? ", "b"), Prompt("WHAT IS FIRE?\n", "c")], CONFIG)
    assert sum(found.sizes.values()) == 1
    assert found.skipped == (("b", "the same prompt as a"), ("c", "the same prompt as a"))
    turns = Prompt((Message("user", "what is fire?"),), "d")
    assert turns.key != Prompt("what is fire?", "e").key


def test_the_same_prompt_in_two_parts_is_an_error_that_names_the_rows():
    given = [Prompt("Hello", "train:3", part=Part.POLICY), Prompt("hello ", "test:9", part=Part.HELD_OUT)]
    with pytest.raises(WorldError, match=r"train:3 \(policy\) and test:9 \(held_out\)"):
        split(given, CONFIG)
    many = [Prompt("x", f"row {n}", part=list(Part)[n % 2]) for n in range(14)]
    with pytest.raises(WorldError, match="2 more pairs"):
        split(many, CONFIG)


def test_long_prompts_are_skipped_and_named():
    found = split(
        [Prompt("a b c", "1"), Prompt("a", "2")], PromptsConfig(longest=2), count=lambda text: len(text.split())
    )
    assert sum(found.sizes.values()) == 1
    assert found.skipped == (("1", "3 tokens; the longest allowed has 2"),)


def test_an_empty_part_is_named():
    with pytest.raises(WorldError, match="no prompts for `reward`"):
        split([], CONFIG)[Part.REWARD]
    with pytest.raises(ConfigError, match="shares"):
        PromptsConfig(sft=0.9)
    with pytest.raises(ConfigError, match="longest"):
        PromptsConfig(longest=0)


ROWS = [
    ({"prompt": "hi", "answer": 4}, "hi"),
    ({"prompt": [{"role": "user", "content": "hi"}]}, (Message("user", "hi"),)),
    ({"prompt": "hi", "completion": "yes"}, "hi"),
    (
        {"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]},
        (Message("user", "a"),),
    ),
    ({"messages": [{"role": "user", "content": "a"}]}, (Message("user", "a"),)),
    ({"chosen": "Q: why? yes", "rejected": "Q: why? no"}, "Q: why?"),
    ({"instruction": "add", "input": "1 2", "output": "3"}, "add\n\n1 2"),
    ({"instruction": "add", "input": ""}, "add"),
    ({"question": "why?"}, "why?"),
]


@pytest.mark.parametrize(("row", "text"), ROWS)
def test_rows_of_known_sorts_hold_a_prompt(row, text):
    assert prompt_of(row)[0] == text


@pytest.mark.parametrize("row", [{"text": "x"}, {"prompt": 3}, {"chosen": "a", "rejected": []}, 7])
def test_other_rows_do_not(row):
    with pytest.raises(RecordError):
        prompt_of(row)


def test_files_give_prompts_with_what_else_their_rows_hold(tmp_path):
    lines = [json.dumps(row) for row, _ in ROWS[:2]] + ["{", json.dumps({"prompt": ""}), json.dumps({"x": 1})]
    (tmp_path / "all.jsonl").write_text("\n".join(lines))
    (tmp_path / "test.jsonl").write_text(json.dumps({"prompt": "only for the check"}))
    found = load_prompts(
        PromptsConfig(files=(str(tmp_path / "all.jsonl"),), held_out_files=(str(tmp_path / "test.jsonl"),))
    )
    prompts = [prompt for part in found.parts.values() for prompt in part]
    assert Counter(prompt.text for prompt in prompts) == Counter(["hi", (Message("user", "hi"),), "only for the check"])
    assert next(prompt for prompt in prompts if prompt.text == "hi").columns == {"answer": 4}
    assert [row for row, _ in found.skipped] == ["all.jsonl:3", "all.jsonl:4", "all.jsonl:5"]
    assert "only for the check" in [prompt.text for prompt in found[Part.HELD_OUT]]


def test_parquet_is_read_too(tmp_path):
    pyarrow = pytest.importorskip("pyarrow")
    import pyarrow.parquet as parquet

    chat = [[{"role": "user", "content": f"count to {n}"}] for n in range(30)]
    parquet.write_table(pyarrow.table({"prompt": chat, "level": list(range(30))}), tmp_path / "rows.parquet")
    found = load_prompts(PromptsConfig(files=(str(tmp_path / "rows.parquet"),)))
    assert sum(found.sizes.values()) == 30
    assert all(len(prompt.text) == 1 and "level" in prompt.columns for prompt in found[Part.POLICY])

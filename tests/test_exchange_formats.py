"""Readers: what one row of each format means. Rows are made up in the published shape (`exchange_examples`)."""

import copy

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plaudit.errors import RecordError
from plaudit.exchange.chat import shared, turns
from plaudit.exchange.formats import Format, reader
from plaudit.records import Choice, Comparison, Critique, Message, Note, Ranking, Rating
from tests.exchange_examples import CHAT, ROWS, one
from tests.strategies import payloads


def verdict(judgement):
    """Chosen and rejected completion; None for a tie."""
    answer, (first, second) = judgement.feedback, judgement.texts
    pair = {Choice.FIRST: (first, second), Choice.SECOND: (second, first)}.get(answer.choice)
    return None if pair is None else (pair[0].completion, pair[1].completion)


@pytest.mark.parametrize(
    ("format", "prompt", "chosen", "rejected"),
    [
        (Format.TRL_PREFERENCE, "Say hi", "hi", "no"),
        (Format.QUESTION_RESPONSE, "为什么天空是蓝色的？", "因为瑞利散射。", "不知道。"),
        (Format.WEBGPT, "Why?", "So it is.", "Because [1]."),
        (Format.SUMMARIZE, "SUBREDDIT: r/weather\nTITLE: Rain\nPOST: It rained.\nTL;DR:", "Wet.", "Dry."),
        (Format.SHP, "How hot?", "Not.", "Very."),
        (Format.STACK_EXCHANGE, "How?", "Like so.", "Dunno."),
        (Format.GPTJ_PAIRS, "Write", "A good one", "bad"),
        (Format.LLMBAR, "Add 1 and 1", "2", "3"),
    ],
)
def test_pairs(format, prompt, chosen, rejected):
    (found,) = one(format, ROWS[format])
    assert {text.prompt for text in found.texts} == {prompt}
    assert verdict(found) == (chosen, rejected)
    assert found.query.strategy == f"import/{format.value}"


def test_places_tell_nothing_where_the_shown_order_is_not_known():
    """Else every answer would be `first`, and side bias would explain them all."""
    rows = [{"prompt": str(n), "chosen": "a", "rejected": "b"} for n in range(200)]
    sides = [one(Format.TRL_PREFERENCE, row)[0].feedback.choice for row in rows]
    assert 70 < sides.count(Choice.FIRST) < 130


def test_hh_prompt_is_what_both_begin_with():
    (found,) = one(Format.HH, ROWS[Format.HH])
    said = (Message("user", "hi"), Message("assistant", "hello"), Message("user", "and?"))
    assert {text.prompt for text in found.texts} == {said}
    assert verdict(found) == ((Message("assistant", "good"),), (Message("assistant", "bad"),))
    longer = {"chosen": ROWS[Format.HH]["chosen"], "rejected": "\n\nHuman: hi\n\nAssistant: hello"}
    (early,) = one(Format.HH, longer)  # one transcript ends where the other goes on
    assert verdict(early)[1] == (Message("assistant", "hello"),)
    assert turns("\n\nHuman: a\nAssistant: b\n\n\n\nAssistant:") == (
        Message("user", "a\nAssistant: b\n\n"),
        Message("assistant", ""),
    )


def test_implicit_prompts_are_found_as_trl_finds_them():
    assert shared("The sky is blue.", "The sky is green.") == ("The sky is", " blue.", " green.")
    row = {"chosen": [*CHAT, {"role": "assistant", "content": "a"}], "rejected": [*CHAT, {"role": "assistant"}]}
    (found,) = one(Format.TRL_PREFERENCE, row)
    assert found.texts[0].prompt == (Message("user", "Hi"),)
    assert verdict(found) == ((Message("assistant", "a"),), (Message("assistant", ""),))


def test_what_a_message_holds_besides_is_kept():
    row = {"prompt": CHAT, "completion": [{"role": "assistant", "content": None, "tool_calls": [{"id": 1}]}]}
    (found,) = one(Format.TRL_PROMPT_COMPLETION, row)
    assert found.texts[0].completion == (Message("assistant", "", {"tool_calls": [{"id": 1}]}),)
    assert found.feedback is None


def test_rating_and_ranking():
    (rated,) = one(Format.TRL_UNPAIRED, ROWS[Format.TRL_UNPAIRED])
    assert (rated.feedback.value, rated.feedback.levels) == (1, 2)
    (ranked,) = one(Format.NEMO_RANKING, ROWS[Format.NEMO_RANKING])
    assert isinstance(ranked.feedback, Ranking)
    places = {text.completion[0].content: rank for text, rank in zip(ranked.texts, ranked.feedback.ranks, strict=True)}
    assert places == {"a": 0, "b": 1, "c": 1}


def test_history_and_system_become_turns():
    row = ROWS[Format.QUESTION_RESPONSE] | {"system": "Be kind.", "history": [["你好", "您好"]]}
    (found,) = one(Format.QUESTION_RESPONSE, row)
    assert [(turn.role, turn.content) for turn in found.texts[0].prompt] == [
        ("system", "Be kind."),
        ("user", "你好"),
        ("assistant", "您好"),
        ("user", "为什么天空是蓝色的？"),
    ]


def test_confidence_and_scores_become_strength():
    row = ROWS[Format.SUMMARIZE]
    assert one(Format.SUMMARIZE, row)[0].feedback.strength == 0.75  # 2 on 1 .. 9 around 5
    assert one(Format.SUMMARIZE, row | {"choice": 1})[0].feedback.strength is None  # choice and confidence disagree
    assert one(Format.SUMMARIZE, row | {"extra": {}})[0].feedback.strength is None
    assert one(Format.WEBGPT, ROWS[Format.WEBGPT])[0].feedback.strength == 0.5
    (tie,) = one(Format.WEBGPT, ROWS[Format.WEBGPT] | {"score_0": 0.0, "score_1": 0.0})
    assert tie.feedback.choice is Choice.TIE


def test_axes_of_summaries_are_ratings_of_aspects():
    row = {
        "info": {"article": "News."},
        "summary": {"text": "N.", "policy": "ref", "axes": {"overall": 7, "accuracy": 1, "coverage": None}},
        "worker": "w",
    }
    found = one(Format.SUMMARIZE, row)
    assert [(item.query.aspect, item.feedback.value) for item in found] == [
        ("accuracy", 0),
        ("coverage", None),
        (None, 6),
    ]
    assert found[0].texts[0].prompt == "Article: News.\n\nTL;DR:"


def test_every_annotator_of_pandalm_answers_the_same_query():
    found = one(Format.PANDALM, ROWS[Format.PANDALM])
    assert len({item.query.id for item in found}) == 1
    assert [item.annotator.id for item in found] == [f"pandalm/annotator{n}" for n in (1, 2, 3)]
    assert [item.feedback.choice for item in found] == [Choice.FIRST, Choice.TIE, Choice.SECOND]
    assert [text.policy for text in found[0].texts] == ["bloom-7b", "llama-7b"]


def test_ukpconvarg1_joins_arguments_and_pairs():
    read = reader(Format.UKPCONVARG1)
    pair = {"a1": "x", "a2": "y", "ann": [{"w": 4, "v": "a2", "why": "clearer"}, {"w": 5, "v": "equal", "why": ""}]}
    with pytest.raises(RecordError, match="was not read"):
        list(read(pair))
    for id_ in "xy":
        assert list(read({"id": id_, "topic": "Ban it", "stance": "No", "text": f"{id_}!"})) == []
    first, why, second = read(pair)
    assert verdict(first) == ("y!", "x!")
    assert why.feedback.notes == (Note("clearer"),)
    assert second.feedback.choice is Choice.TIE
    assert (first.annotator.id, first.texts[0].prompt) == ("ukpconvarg1/4", "Ban it: No")


def test_fine_grained_preferences_spans_and_correction():
    found = one(Format.FINE_GRAINED_RLHF, ROWS[Format.FINE_GRAINED_RLHF])
    pairs = [(item.texts[0].completion[-1], item.texts[1].completion[-1]) for item in found[:6]]
    assert pairs == [("1", "2"), ("1", "3"), ("1", "4"), ("2", "3"), ("2", "4"), ("3", "4")]
    tie, first, second = Choice.TIE, Choice.FIRST, Choice.SECOND
    assert [item.feedback.choice for item in found[:6]] == [first, first, tie, second, first, second]
    assert found[6].feedback.notes == (
        Note("why", 0, 6, "Irrelevant"),
        Note("passage 0, sentences 1, 2", aspect="Missing-Answer"),
    )
    assert verdict(found[7]) == ("Then, as it says.", "Answer number 1")
    assert found[0].texts[0].prompt == "Title\nOne.\nTwo.\n\nWhen?"


def test_squality_rates_ranks_and_marks():
    found = one(Format.SQUALITY, ROWS[Format.SQUALITY])
    kinds = [type(item.feedback) for item in found]
    assert (kinds.count(Rating), kinds.count(Critique), kinds.count(Ranking)) == (6, 2, 3)
    assert {item.query.aspect for item in found if isinstance(item.feedback, Ranking)} == {
        "correctness",
        "selection",
        None,
    }
    critique = next(item for item in found if isinstance(item.feedback, Critique))
    assert critique.feedback.notes == (Note("odd\nvery", 0, 2),)
    row = copy.deepcopy(ROWS[Format.SQUALITY])
    row["questions"]["0"]["bart"]["reviews"][0]["annotations"][0]["selection"] = "elsewhere"
    (note,) = next(i for i in one(Format.SQUALITY, row) if isinstance(i.feedback, Critique)).feedback.notes
    assert (note.text, note.start) == ("'elsewhere': odd\nvery", None)


def test_ilf_keeps_the_criticism_and_the_better_program():
    critique, better = one(Format.ILF, ROWS[Format.ILF])
    assert critique.feedback.notes == (Note("It must return 1."),)
    assert verdict(better) == ("    return 1\n", "    return 2\n")
    assert critique.texts[0].prompt == "def f():\n"


def test_long_names_of_annotators_fit_into_the_store():
    (found,) = one(Format.ILF, ROWS[Format.ILF] | {"worker_id": "w" * 200, "Feedback": ""})
    assert len(found.annotator.id) <= 64


@pytest.mark.parametrize(
    ("format", "change", "words"),
    [
        (Format.TRL_PREFERENCE, {"chosen": 3}, "`chosen` has the wrong type"),
        (Format.TRL_PREFERENCE, {"chosen": "no"}, "are the same"),
        (Format.TRL_PREFERENCE, {"chosen": CHAT}, "plain and the other a conversation"),
        (Format.TRL_PREFERENCE, {"prompt": [3]}, "no object"),
        (Format.TRL_UNPAIRED, {"label": "maybe"}, "`label`"),
        (Format.TRL_PROMPT_COMPLETION, {"completion": []}, "no message"),
        (Format.TRL_PROMPT_COMPLETION, {"completion": [{"role": "user", "content": [{"type": "image"}]}]}, "not text"),
        (Format.NEMO_RANKING, {"completions": [{"rank": 0, "completion": "a"}] * 2}, "the same"),
        (Format.NEMO_RANKING, {"completions": [{"rank": 0, "completion": "a"}]}, "or more"),
        (Format.HH, {"chosen": "hello"}, "no transcript"),
        (Format.QUESTION_RESPONSE, {"history": [["x"]]}, "`history`"),
        (Format.SUMMARIZE, {"choice": 2}, "out of range"),
        (Format.SUMMARIZE, {"summaries": []}, "two summaries"),
        (Format.WEBGPT, {"score_0": "much"}, "`score_0`"),
        (Format.WEBGPT, {"score_0": float("nan")}, "`score_0`"),
        (Format.LLMBAR, {"label": "--1"}, "`label`"),
        (Format.FINE_GRAINED_RLHF, {"preference": [1.0] * 6}, "`preference`"),
        (Format.SUMMARIZE, {"extra": 1}, "`extra`"),
        (Format.WEBGPT, {"score_0": -3}, "out of range"),
        (Format.SHP, {"labels": True}, "`labels`"),
        (Format.PANDALM, {"response1": True}, "`response1` has the wrong type"),
        (Format.PANDALM, {"annotator2": 3}, "out of range"),
        (Format.LLMBAR, {"label": 0}, "out of range"),
        (Format.FINE_GRAINED_RLHF, {"preference": [0] * 5}, "`preference`"),
        (Format.SQUALITY, {"questions": []}, "no object"),
        (Format.ILF, {"Feedback": None}, "`Feedback`"),
    ],
)
def test_rows_that_do_not_fit_are_refused_in_words(format, change, words):
    with pytest.raises(RecordError, match=words):
        one(format, ROWS[format] | change)


@pytest.mark.parametrize("format", ROWS)
def test_a_missing_field_is_named(format):
    optional = {"prompt", "system", "history", "cmp_key", "worker", "worker_id", "extra", "task_name", "passage-id"}
    unused = {"split", "batch", "quotes_0", "quotes_1", "tokens_0", "tokens_1", "post_id", "domain", "gold", "idx"}
    unused |= {"score_A", "score_B", "score_ratio", "qid", "date", "metadata", "task_id", "passed"}
    unused |= {"annotator1", "annotator2", "annotator3"}
    for name in set(ROWS[format]) - optional - unused:
        with pytest.raises(RecordError, match=name):
            one(format, {key: value for key, value in ROWS[format].items() if key != name})


@pytest.mark.parametrize("format", [one_ for one_ in Format if one_ is not Format.MINARI])
@settings(max_examples=15)
@given(data=st.data())
def test_no_row_however_odd_gives_anything_but_judgements_or_a_record_error(format, data):
    row = data.draw(payloads | st.none() | st.lists(st.integers()) | st.text())
    if format in ROWS and isinstance(row, dict):
        names = st.sampled_from(sorted(ROWS[format]))
        odd = data.draw(st.dictionaries(names, st.none() | st.integers() | st.text() | payloads | st.lists(payloads)))
        row = ROWS[format] | odd
    try:
        found = one(format, row)
    except RecordError:
        return
    assert all(isinstance(item.feedback, Comparison | Rating | Ranking | Critique | None) for item in found)

"""Text to tokens and back: where a completion begins and ends, and that nobody can write a special token."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plaudit.engine.text import Tokeniser, stop_ids
from plaudit.errors import ConfigError, RecordError
from plaudit.records import Message
from tests.strategies import TEXT
from tests.text_examples import SPECIAL, model, tokenizer

START, END = 1, 2
QUESTION = (Message("user", "what is the capital of France?"),)
WILD = st.lists(st.sampled_from([*SPECIAL, "cat", " the", "\n", "é", "<s", "|im_end|>"]) | TEXT, max_size=6).map(
    "".join
)


@pytest.fixture(scope="module")
def plain():
    return Tokeniser(tokenizer())


@pytest.fixture(scope="module")
def with_bos():
    return Tokeniser(tokenizer(bos=True))


def test_a_conversation_is_what_transformers_makes_of_it(plain):
    said = [{"role": "user", "content": QUESTION[0].content}]
    expected = plain.tokenizer.apply_chat_template(said, add_generation_prompt=True)["input_ids"]
    assert list(plain.prompt(QUESTION)) == expected


def test_plain_text_begins_once(plain, with_bos):
    begin = with_bos.tokenizer.bos_token_id
    assert with_bos.prompt("hello") == (begin, *plain.prompt("hello"))
    assert with_bos.prompt("") == (begin,)
    assert with_bos.group("hello", [" world"]).prompt.count(begin) == 1
    assert plain.prompt("") == ()
    assert begin not in with_bos.prompt(QUESTION), "the template wrote none"


def test_a_template_with_a_begin_token_gets_no_second_one():
    tokeniser = Tokeniser(tokenizer(bos=True, template="<s>" + "{% for m in messages %}{{ m['content'] }}{% endfor %}"))
    assert tokeniser.prompt(QUESTION).count(tokeniser.tokenizer.bos_token_id) == 1


@pytest.mark.parametrize("completion", ["Paris", (Message("assistant", "Paris"),)])
def test_a_completion_of_a_conversation_ends_once_and_nothing_follows(plain, completion):
    group = plain.group(QUESTION, [completion])
    assert group.prompt == plain.prompt(QUESTION)
    assert group.completions[0][-1] == END
    assert group.completions[0].count(END) == 1
    assert plain.text(group.completions[0]) == "Paris"


def test_a_template_that_ends_nothing_gets_an_end():
    tokeniser = Tokeniser(tokenizer(template="{% for m in messages %}{{ m['role'] + m['content'] }}\n{% endfor %}"))
    assert tokeniser.group(QUESTION, ["Paris"]).completions[0][-1] == END


def test_completions_of_plain_text_share_the_shorter_prompt(plain):
    """`the` and ` cat` are tokens, and so is ` `: what ends in a blank is cut before it."""
    group = plain.group("on the ", ["mat", "?"])
    assert group.prompt == plain.prompt("on the")
    assert [plain.text(one) for one in group.completions] == [" mat", " ?"]
    for text, ids in zip(("on the mat", "on the ?"), group.completions, strict=True):
        assert group.prompt + ids == (*plain.prompt(text), END)


def test_a_generation_prompt_that_the_whole_does_not_repeat_is_cut_back():
    """Templates that open the assistant's turn with an empty thought, which a finished turn does not have."""
    thought = tokenizer().chat_template.replace("assistant\n'", "assistant\n()'")
    tokeniser = Tokeniser(tokenizer(template=thought))
    group = tokeniser.group(QUESTION, ["Paris"])
    assert tokeniser.tokenizer.decode(group.prompt).endswith("assistant\n")
    assert tokeniser.text(group.completions[0]) == "Paris"


def test_the_assistant_goes_on_where_the_prompt_lets_it(plain):
    begun = (*QUESTION, Message("assistant", "Paris is"))
    group = plain.group(begun, [" the capital"])
    assert group.prompt == plain.prompt(begun)
    assert END not in group.prompt[-3:]
    assert plain.text(group.completions[0]) == " the capital"


def test_every_turn_of_the_assistant_is_learned_and_nobody_elses(plain):
    said = (Message("assistant", "cat"), Message("user", "dog"), Message("assistant", "mat"))
    first, second = plain.turns(QUESTION, said)
    assert (plain.text(first.completions[0]), plain.text(second.completions[0])) == ("cat", "mat")
    assert first.prompt == plain.prompt(QUESTION)
    assert second.prompt == plain.prompt((*QUESTION, *said[:2]))


@settings(max_examples=60, deadline=None)
@given(WILD)
def test_what_somebody_writes_never_becomes_special(text):
    tokeniser, special = Tokeniser(SHARED), {1, 2, 0, 3}
    assert not special & set(tokeniser.prompt(text))
    assert tokeniser.text(tokeniser.prompt(text)) == text
    empty = tokeniser.prompt((Message("user", ""),))
    ids = tokeniser.prompt((Message("user", text),))
    assert [id_ for id_ in ids if id_ in special] == [id_ for id_ in empty if id_ in special]
    assert text.strip() in SHARED.decode(ids)
    group = tokeniser.group(QUESTION, [(Message("assistant", text),)])
    assert [id_ for id_ in group.completions[0] if id_ in special] == [END]
    assert tokeniser.text(group.completions[0]).strip() == text.strip()


SHARED = tokenizer()


@settings(max_examples=40, deadline=None)
@given(TEXT, TEXT.filter(bool))
def test_tokens_of_prompt_and_completion_are_those_of_the_whole(prompt, completion):
    tokeniser = Tokeniser(SHARED)
    group = tokeniser.group(prompt, [completion])
    assert group.prompt + group.completions[0] == (*tokeniser.prompt(prompt + completion), END)
    assert tokeniser.answer(prompt, group.prompt + group.completions[0]) == prompt + completion


def test_what_cannot_be_tokenised_is_named(plain):
    with pytest.raises(RecordError, match="empty"):
        plain.group("a", [""])
    with pytest.raises(ConfigError, match="no chat template"):
        Tokeniser(tokenizer(template=None)).prompt(QUESTION)
    refusing = Tokeniser(tokenizer(template="{{ raise_exception('no system') }}"))
    with pytest.raises(RecordError, match="no system"):
        refusing.prompt(QUESTION)


def test_stops_are_all_that_the_model_names():
    module = model("llama")
    assert stop_ids(module, tokenizer()) == (2,)
    module.generation_config.eos_token_id = [0, 2]
    assert stop_ids(module, tokenizer()) == (0, 2)
    endless = tokenizer()
    endless.eos_token = None
    module.generation_config.eos_token_id = None
    with pytest.raises(ConfigError, match="No token ends"):
        stop_ids(module, endless)


def test_an_answer_is_of_the_sort_of_its_prompt(plain):
    assert plain.answer(QUESTION, (*plain.prompt("Paris"), END)) == (Message("assistant", "Paris"),)

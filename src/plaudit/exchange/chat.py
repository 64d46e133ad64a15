"""Readers of formats that training libraries share: TRL's types, NeMo rankings, HH transcripts, chosen/rejected pairs."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from plaudit.errors import RecordError
from plaudit.exchange import fields
from plaudit.exchange.judgement import Judge, Judgement
from plaudit.records import AnnotatorKind, Message, Text, TextSegment

DEMONSTRATION = "demonstration"
"""who wrote the completions of a prompt-completion set"""
TURN = re.compile(r"(?:\A|\n\n)(Human|Assistant):")
ROLES = {"Human": "user", "Assistant": "assistant"}


def trl_preference(row: Any) -> Iterator[Judgement]:
    """TRL's preference type: {prompt?, chosen, rejected}, each plain or a conversation; without `prompt` it is what
    both begin with, found as TRL's `extract_prompt` does.
    """
    chosen, rejected = fields.spoken(row, "chosen"), fields.spoken(row, "rejected")
    if type(chosen) is not type(rejected):
        raise RecordError("One of `chosen` and `rejected` is plain and the other a conversation")
    if fields.table(row).get("prompt") is None:
        yield _preferred("trl-preference", *shared(chosen, rejected))
    else:
        yield _preferred("trl-preference", fields.spoken(row, "prompt"), chosen, rejected)


def shared(chosen: Text, rejected: Text) -> tuple[Text, Text, Text]:
    """Implicit prompt, and both completions behind it; a blank before the first difference goes to the completions."""
    end = 0
    while end < min(len(chosen), len(rejected)) and chosen[end] == rejected[end]:
        end += 1
    if end and chosen[end - 1] == " ":
        end -= 1
    return chosen[:end], chosen[end:], rejected[end:]


def trl_unpaired(row: Any) -> Iterator[Judgement]:
    """TRL's unpaired preference type: {prompt, completion, label}; a rating on two grades."""
    text = TextSegment(fields.spoken(row, "prompt"), fields.spoken(row, "completion"))
    yield Judge("trl-unpaired").rates(text, int(fields.truth(row, "label")), 2)


def trl_prompt_completion(row: Any) -> Iterator[Judgement]:
    """TRL's prompt-completion type: {prompt, completion}; texts that show how to answer, and no judgement."""
    text = TextSegment(fields.spoken(row, "prompt"), fields.spoken(row, "completion"), DEMONSTRATION)
    yield Judgement((text,))


def nemo_ranking(row: Any) -> Iterator[Judgement]:
    """NeMo's preference type: {context, completions: [{rank, completion}, ...]}, rank 0 best, any number, ties."""
    context = fields.spoken(row, "context")
    found = fields.entries(row, "completions")
    texts = [TextSegment(context, fields.spoken(one, "completion")) for one in found]
    ranks = [fields.whole(one, "rank", -(2**31), 2**31) for one in found]
    if len({text.id for text in texts}) < len(texts):
        raise RecordError("Two completions of a ranking are the same")
    yield Judge("nemo-ranking").ranks(texts, ranks)


def hh(row: Any) -> Iterator[Judgement]:
    """Anthropic's HH transcripts: {chosen, rejected}, each `\\n\\nHuman: ...\\n\\nAssistant: ...`; the turns that both
    begin with are the prompt.
    """
    chosen, rejected = turns(fields.text(row, "chosen")), turns(fields.text(row, "rejected"))
    end = 0
    while end < min(len(chosen), len(rejected)) - 1 and chosen[end] == rejected[end]:
        end += 1
    yield _preferred("hh", chosen[:end], chosen[end:], rejected[end:])


def turns(transcript: str) -> tuple[Message, ...]:
    """Messages of an HH transcript. Raises RecordError when it does not begin with a turn."""
    parts = TURN.split(transcript)
    if parts[0].strip() or len(parts) < 3:
        raise RecordError("This is no transcript", got=repr(transcript[:40]), expected="\\n\\nHuman: ...")
    pairs = zip(parts[1::2], parts[2::2], strict=True)
    return tuple(Message(ROLES[who], said.removeprefix(" ")) for who, said in pairs)


def question_response(row: Any) -> Iterator[Judgement]:
    """{question, response_chosen, response_rejected}, with `system` and `history` ([[question, answer], ...]) if any."""
    question = fields.text(row, "question")
    chosen, rejected = fields.text(row, "response_chosen"), fields.text(row, "response_rejected")
    system, history = fields.named(row, "system", ""), fields.table(row).get("history") or []
    if not system and not history:
        yield _preferred("question-response", question, chosen, rejected)
        return
    prompt = [Message("system", system)] if system else []
    for turn in history if isinstance(history, list) else [None]:
        if not isinstance(turn, list) or len(turn) != 2 or not all(isinstance(said, str) for said in turn):
            raise RecordError("The field `history` has the wrong type", expected="pairs of question and answer")
        prompt += [Message("user", turn[0]), Message("assistant", turn[1])]
    prompt.append(Message("user", question))
    first, second = ((Message("assistant", said),) for said in (chosen, rejected))
    yield _preferred("question-response", tuple(prompt), first, second)


def stack_exchange(row: Any) -> Iterator[Judgement]:
    """StackExchange-paired: {question, response_j, response_k}, j with more votes."""
    question, better = fields.text(row, "question"), fields.text(row, "response_j")
    yield _preferred("stack-exchange", question, better, fields.text(row, "response_k"), name="voters")


def gptj_pairs(row: Any) -> Iterator[Judgement]:
    """Synthetic GPT-J pairs: {prompt, chosen, rejected}; a rule chose, no person."""
    prompt, chosen = fields.text(row, "prompt"), fields.text(row, "chosen")
    judge = Judge("gptj-pairs", "rule", AnnotatorKind.SIMULATED)
    yield judge.prefers(TextSegment(prompt, chosen), TextSegment(prompt, fields.text(row, "rejected")))


def _preferred(format: str, prompt: Text, chosen: Text, rejected: Text, *, name: str = "unknown") -> Judgement:
    return Judge(format, name).prefers(TextSegment(prompt, chosen), TextSegment(prompt, rejected))

"""Shapes of exported rows: what of a judgement goes into which format."""

from __future__ import annotations

import enum
from typing import Any, assert_never

from plaudit.exchange.chat import DEMONSTRATION
from plaudit.exchange.judgement import Judgement
from plaudit.records import (
    Choice,
    Comparison,
    Message,
    Ranking,
    Rating,
    Text,
    TextSegment,
    canonical_json,
    feedback_to_json,
    to_json,
)


class Shape(enum.Enum):
    """Formats that can be exported."""

    PLAUDIT = "plaudit"
    TRL_PREFERENCE = "trl-preference"
    TRL_UNPAIRED = "trl-unpaired"
    TRL_PROMPT_COMPLETION = "trl-prompt-completion"
    NEMO_RANKING = "nemo-ranking"
    QUESTION_RESPONSE = "question-response"


Cells = dict[str, Any]


def shaped(judgement: Judgement, shape: Shape) -> Cells | str:
    """A row, or why this judgement has none in the format."""
    match shape:
        case Shape.PLAUDIT:
            return _whole(judgement)
        case Shape.TRL_PREFERENCE:
            return _pair(judgement, ("prompt", "chosen", "rejected"))
        case Shape.QUESTION_RESPONSE:
            row = _pair(judgement, ("question", "response_chosen", "response_rejected"))
            plain = isinstance(row, str) or all(isinstance(cell, str) for cell in row.values())
            return row if plain else "a conversation"
        case Shape.TRL_UNPAIRED:
            answer = judgement.feedback
            if not isinstance(answer, Rating) or answer.levels != 2 or not _overall(judgement):
                return "no overall rating on two grades"
            if answer.value is None:
                return "skipped"
            prompt, completion = alike(judgement.texts[0])
            return {"prompt": prompt, "completion": completion, "label": bool(answer.value)}
        case Shape.TRL_PROMPT_COMPLETION:
            if judgement.feedback is not None or judgement.texts[0].policy != DEMONSTRATION:
                return "no demonstration"
            prompt, completion = alike(judgement.texts[0])
            return {"prompt": prompt, "completion": completion}
        case Shape.NEMO_RANKING:
            return _ranking(judgement)
        case _:
            assert_never(shape)


def _whole(judgement: Judgement) -> Cells:
    """Everything; equal columns in every row, so that Parquet can hold it too."""
    answer = judgement.feedback
    return {
        "texts": [to_json(text) for text in judgement.texts],
        "query": None if judgement.query is None else to_json(judgement.query),
        "annotator": None if judgement.annotator is None else to_json(judgement.annotator),
        "feedback": None if answer is None else feedback_to_json(answer),
    }


def flat(row: Cells) -> Cells:
    """A row of plaudit's own for CSV and Parquet, whose cells are JSON text."""
    return {name: None if cell is None else canonical_json(cell).decode() for name, cell in row.items()}


def _overall(judgement: Judgement) -> bool:
    return judgement.query is not None and judgement.query.aspect is None


def _pair(judgement: Judgement, names: tuple[str, str, str]) -> Cells | str:
    answer, texts = judgement.feedback, judgement.texts
    if not isinstance(answer, Comparison) or not _overall(judgement):
        return "no overall comparison"
    if answer.choice in (Choice.TIE, Choice.INCOMPARABLE, Choice.SKIP):
        return answer.choice.value
    if texts[0].prompt != texts[1].prompt:
        return "answers to different prompts"
    if texts[0].completion == texts[1].completion:
        return "equal texts"
    chosen, rejected = texts if answer.choice is Choice.FIRST else texts[::-1]
    chat = any(isinstance(text.completion, tuple) for text in texts)
    (prompt, better), (_, worse) = alike(chosen, chat=chat), alike(rejected, chat=chat)
    return dict(zip(names, (prompt, better, worse), strict=True))


def _ranking(judgement: Judgement) -> Cells | str:
    answer, texts = judgement.feedback, judgement.texts
    if not isinstance(answer, Ranking) or not _overall(judgement):
        return "no overall ranking"
    if not answer.ranks:
        return "skipped"
    if any(text.prompt != texts[0].prompt for text in texts):
        return "answers to different prompts"
    if len({text.id for text in texts}) < len(texts):
        return "equal texts"
    order = sorted(range(len(texts)), key=lambda index: (answer.ranks[index], texts[index].id))
    ranked = [{"rank": answer.ranks[index], "completion": _cell(texts[index].completion)} for index in order]
    return {"context": _cell(texts[0].prompt), "completions": ranked}


def alike(text: TextSegment, *, chat: bool = False) -> tuple[Any, Any]:
    """Prompt and completion, both plain or both conversations, as TRL asks for."""
    chat = chat or isinstance(text.prompt, tuple) or isinstance(text.completion, tuple)
    if not chat:
        return text.prompt, text.completion
    prompt, completion = _chat(text.prompt, "user"), _chat(text.completion, "assistant")
    return _cell(prompt), _cell(completion)


def _chat(text: Text, role: str) -> tuple[Message, ...]:
    if isinstance(text, tuple):
        return text
    return (Message(role, text),) if text else ()


def _cell(text: Text) -> Any:
    if isinstance(text, str):
        return text
    return [{**(one.extra or {}), "role": one.role, "content": one.content} for one in text]

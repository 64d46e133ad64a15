"""The formats by name."""

from __future__ import annotations

import enum
import json
from collections.abc import Callable, Iterator
from typing import Any, assert_never

from plaudit.errors import RecordError
from plaudit.exchange import chat, critiques, fields, published
from plaudit.exchange.judgement import Judgement
from plaudit.exchange.minari import Episode, episode
from plaudit.records import AnnotatorProfile, Query, TextSegment, brought, feedback_from_json, from_json, kind_of
from plaudit.store.store import require_pseudonym

Found = Judgement | Episode
Reader = Callable[[Any], Iterator[Found]]
"""what turns one row into what it holds; raises RecordError for a row that does not fit"""


class Format(enum.Enum):
    """Formats that can be imported row by row."""

    PLAUDIT = "plaudit"
    TRL_PREFERENCE = "trl-preference"
    TRL_UNPAIRED = "trl-unpaired"
    TRL_PROMPT_COMPLETION = "trl-prompt-completion"
    NEMO_RANKING = "nemo-ranking"
    HH = "hh"
    QUESTION_RESPONSE = "question-response"
    SUMMARIZE = "summarize"
    WEBGPT = "webgpt"
    SHP = "shp"
    STACK_EXCHANGE = "stack-exchange"
    GPTJ_PAIRS = "gptj-pairs"
    PANDALM = "pandalm"
    LLMBAR = "llmbar"
    UKPCONVARG1 = "ukpconvarg1"
    FINE_GRAINED_RLHF = "fine-grained-rlhf"
    SQUALITY = "squality"
    ILF = "ilf"
    MINARI = "minari"


def reader(format: Format) -> Reader:
    """A fresh reader; one may keep what rows say of later rows."""
    match format:
        case Format.PLAUDIT:
            return _plaudit
        case Format.TRL_PREFERENCE:
            return chat.trl_preference
        case Format.TRL_UNPAIRED:
            return chat.trl_unpaired
        case Format.TRL_PROMPT_COMPLETION:
            return chat.trl_prompt_completion
        case Format.NEMO_RANKING:
            return chat.nemo_ranking
        case Format.HH:
            return chat.hh
        case Format.QUESTION_RESPONSE:
            return chat.question_response
        case Format.SUMMARIZE:
            return published.summarize
        case Format.WEBGPT:
            return published.webgpt
        case Format.SHP:
            return published.shp
        case Format.STACK_EXCHANGE:
            return chat.stack_exchange
        case Format.GPTJ_PAIRS:
            return chat.gptj_pairs
        case Format.PANDALM:
            return published.pandalm
        case Format.LLMBAR:
            return published.llmbar
        case Format.UKPCONVARG1:
            return published.UkpConvArg1()
        case Format.FINE_GRAINED_RLHF:
            return critiques.fine_grained
        case Format.SQUALITY:
            return critiques.squality
        case Format.ILF:
            return critiques.ilf
        case Format.MINARI:
            return episode
        case _:
            assert_never(format)


def _plaudit(row: Any) -> Iterator[Judgement]:
    """plaudit's own rows: records with nothing left out, ids included; in CSV and Parquet the cells are JSON text."""
    try:
        row = {name: json.loads(cell) if cell and isinstance(cell, str) else cell for name, cell in row.items()}
    except (ValueError, AttributeError) as error:
        raise RecordError("This is no row of plaudit's own", got=error) from error
    texts = tuple(from_json(TextSegment, one) for one in fields.entries(row, "texts"))
    if any(text.id != TextSegment(text.prompt, text.completion, text.policy).id for text in texts):
        raise RecordError("The id of a text is not the hash of what it says")
    if not fields.table(row).get("feedback"):
        yield Judgement(texts)
        return
    feedback = feedback_from_json(fields.table(fields.field(row, "feedback"), "`feedback`"))
    kind = kind_of(feedback)
    query = from_json(Query, fields.field(row, "query"))
    annotator = from_json(AnnotatorProfile, fields.field(row, "annotator"))
    require_pseudonym(annotator.id)
    if {*query.segments, *brought(feedback)} != {text.id for text in texts} or (feedback.query, kind) != (
        query.id,
        query.kind.value,
    ):
        raise RecordError("The parts of a row do not belong together", got=f"{kind} {feedback.id} to {query.id}")
    if feedback.annotator != annotator.id:
        raise RecordError("An answer is somebody else's", got=annotator.id, expected=feedback.annotator)
    yield Judgement(texts, query, annotator, feedback)

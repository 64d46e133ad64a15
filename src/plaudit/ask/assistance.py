"""What a helper says beside a question: a suggestion, and remarks about what is judged.

It stands in the log like everything else, and is shown to a share of people drawn per question, `assisted_share`, so that what
it does to their answers can be measured: each answer names its arm.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from plaudit.records import Note, from_json, to_json
from plaudit.store.store import Store

ASSISTED = "assistance.given"
HELPED, ALONE = "assisted", "alone"
"""arms of questions that there is help for"""


@dataclass(frozen=True, slots=True)
class Assistance:
    """What one helper says about one question."""

    query: str
    by: str
    """who helps: a name and a version, for example critic-3"""
    suggestion: str = ""
    """what the helper would answer, in words"""
    notes: tuple[Note, ...] = ()
    """remarks about the items, with spans"""


def assist(store: Store, said: Sequence[Assistance]) -> list[int]:
    """Log what helpers say; the same again changes nothing.

    Raises StoreError when there is no such question, or the helper said something else about it.
    """
    store.queries_by_id([one.query for one in said])
    return store.append_many([(ASSISTED, to_json(one), f"assistance/{one.query}/{one.by}") for one in said])


def assistance_of(payload: Mapping[str, Any]) -> Assistance:
    """From an event's payload."""
    return from_json(Assistance, dict(payload))

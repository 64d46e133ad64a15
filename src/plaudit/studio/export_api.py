"""Answers for programs that analyse them: pseudonyms only, in pages."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Depends, FastAPI, Query
from pydantic import BaseModel, ConfigDict

from plaudit.records import kind_of, to_json
from plaudit.store.store import Store
from plaudit.studio.roles import Permission, needs

PAGE = 500


class AnswerPage(BaseModel):
    """Answers, oldest first."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    answers: list[dict[str, Any]]
    """each with its log position `seq`, its `kind`, and the fields of its record"""
    cursor: int | None
    """`after` of the next page; None: this was the last"""


def add_export(app: FastAPI, store: Store) -> None:
    """Add the route."""

    @app.get("/api/answers", dependencies=[Depends(needs(Permission.EXPORT))])
    def answers(
        after: Annotated[int, Query(ge=0, le=2**62)] = 0, count: Annotated[int, Query(ge=1, le=PAGE)] = PAGE
    ) -> AnswerPage:
        """Answers behind a log position that were not retracted."""
        found = store.feedback(after=after, limit=count + 1)
        page = [{"seq": seq, "kind": kind_of(answer), **to_json(answer)} for seq, answer in found[:count]]
        return AnswerPage(answers=page, cursor=found[count - 1][0] if len(found) > count else None)

"""Routes of the study: statistics of annotators, answers, what a lead does about them, and sign-off."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Depends, FastAPI, Query, Response
from fastapi.responses import PlainTextResponse

from plaudit.ask.service import ServiceConfig
from plaudit.store import signoff
from plaudit.store.signoff import USUAL, SignOff, Standing, Verdict
from plaudit.store.store import Store
from plaudit.studio.access import Access
from plaudit.studio.roles import Caller, Permission, needs
from plaudit.studio.study import Study
from plaudit.studio.study_shapes import (
    Agreements,
    Annotators,
    Answers,
    Checks,
    CheckView,
    GoldQuestions,
    Groups,
    NewCheck,
    Reask,
    Reasked,
    Retract,
    Retracted,
    Sign,
    SignOffView,
)

Studies = Annotated[Caller, Depends(needs(Permission.STUDY))]
Manages = Annotated[Caller, Depends(needs(Permission.MANAGE))]
Signs = Annotated[Caller, Depends(needs(Permission.SIGN))]
Cursor = Annotated[int | None, Query(ge=0, le=2**53)]
Count = Annotated[int, Query(ge=1, le=200)]
Id = Annotated[str | None, Query(max_length=128)]
Kind = Literal["comparison", "rating", "steps", "ranking", "critique", "demonstration", "correction", "flag"]
PAGE = 30
"""answers on one page"""


def add_study(app: FastAPI, store: Store, access: Access, service: ServiceConfig) -> Study:
    """Add the routes.

    Args:
        app: the studio.
        store: the run's or the study's store.
        access: knows names.
        service: how people are asked.
    """
    study = Study(store, service, name_of=access.accounts.name)
    router = APIRouter(prefix="/api/study", tags=["study"])
    _add_statistics(router, study)
    _add_answers(router, study)
    app.include_router(router)
    sign = APIRouter(prefix="/api/signoff", tags=["study"])
    _add_signoff(sign, study, store, access)
    app.include_router(sign)
    return study


def _add_statistics(router: APIRouter, study: Study) -> None:
    @router.get("/annotators")
    async def annotators(caller: Studies) -> Annotators:
        """Everybody who answers: how much, how long, how well."""
        return await study.do(lambda: study.annotators(names=Permission.IDENTITIES in caller.may))

    @router.get("/agreement")
    async def agreement(caller: Studies) -> Agreements:
        """How far annotators agree, with each other and with themselves."""
        del caller
        return await study.do(study.agreement)

    @router.get("/gold")
    async def gold(caller: Studies) -> GoldQuestions:
        """Questions whose right answer is known, those with most failures first."""
        del caller
        return await study.do(study.gold)

    @router.get("/groups")
    async def groups(caller: Studies) -> Groups:
        """Counts and agreement by what annotators said of themselves; nothing of groups of fewer than five people."""
        del caller
        return await study.do(study.groups)


def _add_answers(router: APIRouter, study: Study) -> None:
    @router.get("/answers")
    async def answers(
        caller: Studies,
        cursor: Cursor = None,
        count: Count = PAGE,
        annotator: Id = None,
        kind: Kind | None = None,
        query: Id = None,
    ) -> Answers:
        """Answers, newest first, retracted ones too."""
        del caller
        return await study.do(lambda: study.answers(count, before=cursor, annotator=annotator, kind=kind, query=query))

    @router.post("/retract")
    async def retract(caller: Manages, wish: Retract) -> Retracted:
        """Let an answer count no more in later fits; says which models learned from it so far."""
        del caller
        return await study.do(lambda: study.retract(wish.feedback, wish.reason))

    @router.post("/reask")
    async def reask(caller: Manages, wish: Reask) -> Reasked:
        """Ask a question again, of others than those who answered it."""
        del caller
        return await study.do(lambda: study.reask(wish.query, wish.count))


def _add_signoff(router: APIRouter, study: Study, store: Store, access: Access) -> None:
    def view(one: Standing, caller: Caller) -> CheckView:
        named = Permission.IDENTITIES in caller.may
        return CheckView(
            one.check.name,
            one.check.what,
            one.check in USUAL,
            one.state.value,
            [
                SignOffView(
                    verdict=said.verdict.value,
                    comment=said.comment,
                    reviewer=said.reviewer,
                    name=access.accounts.name(said.reviewer) if named or said.reviewer == caller.account else None,
                    at=at,
                    seq=said.subject.seq,
                    policy=said.subject.policy,
                    reward=said.subject.reward,
                )
                for at, said in one.said
            ],
        )

    def checks(caller: Caller) -> Checks:
        return Checks(signoff.subject(store), [view(one, caller) for one in signoff.standings(store)])

    @router.get("")
    async def standing(caller: Studies) -> Checks:
        """What is looked at before release, and what was said about it."""
        return await study.do(lambda: checks(caller))

    @router.post("")
    async def sign(caller: Signs, wish: Sign) -> Checks:
        """Accept or reject a check, for the result as it was when one looked."""

        def change() -> Checks:
            subject = signoff.looked_at(store, wish.seq, wish.head)
            said = SignOff(
                check=wish.check,
                verdict=Verdict(wish.verdict),
                comment=wish.comment,
                reviewer=caller.account,
                subject=subject,
            )
            signoff.sign(store, wish.id, said)
            return checks(caller)

        return await study.do(change)

    @router.get("/card", response_class=PlainTextResponse)
    async def card(caller: Studies) -> Response:
        """The model card, in Markdown: what was trained, on whose answers, figures, limits, and what is unsigned."""

        def name_of(account: str) -> str:
            named = Permission.IDENTITIES in caller.may or account == caller.account
            return (access.accounts.name(account) if named else None) or account

        text = await study.do(lambda: study.card(name_of))
        headers = {"Content-Disposition": 'inline; filename="model-card.md"', "Cache-Control": "no-store"}
        return Response(text, media_type="text/markdown; charset=utf-8", headers=headers)

    @router.post("/checks")
    async def name(caller: Manages, wish: NewCheck) -> Checks:
        """Have something else looked at as well."""

        def change() -> Checks:
            signoff.name_check(store, wish.name, wish.what)
            return checks(caller)

        return await study.do(change)

"""Routes of what is watched; whoever may watch may ask for all of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, TypeVar

from fastapi import APIRouter, Depends, FastAPI, Header, HTTPException, Query
from fastapi.responses import PlainTextResponse, Response

from plaudit.errors import StoreError
from plaudit.records import Message
from plaudit.report import insight
from plaudit.report.parts import PICTURES
from plaudit.report.series import Series, as_csv, series
from plaudit.report.source import TEXT, Source
from plaudit.report.summary import Summary
from plaudit.report.worth import Asked, Behaviour, Behaviours
from plaudit.store.store import Store
from plaudit.store.work import RENDER, render_key
from plaudit.studio.presence import Presence, Stream, presence_of
from plaudit.studio.roles import Caller, Permission, needs
from plaudit.studio.watch import Now, Watch

T = TypeVar("T")
MOST_STREAMS = 1000
PAGE = 48
"""pieces of behaviour on one page of the list"""
STREAM_HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
CLIP_HEADERS = {"Cache-Control": "private, max-age=31536000, immutable"}


@dataclass(frozen=True, slots=True)
class Turn:
    """One turn of a text."""

    role: str
    content: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What a piece of behaviour looks like: a clip (url), one that cannot be drawn (error) or waits to be, or a text."""

    segment: str
    policy: str
    steps: int
    url: str | None = None
    error: str | None = None
    prompt: tuple[Turn, ...] = ()
    completion: tuple[Turn, ...] = ()


@dataclass(frozen=True, slots=True)
class BehaviourPage:
    """A page of the list."""

    behaviours: Behaviours
    seen: tuple[Seen, ...]
    """in the order of the rows"""


@dataclass(frozen=True, slots=True)
class BehaviourView:
    """One piece of behaviour."""

    behaviour: Behaviour
    seen: tuple[Seen, ...]
    """itself and all that it was held against, each once"""


@dataclass(frozen=True, slots=True)
class QuestionView:
    """One question."""

    asked: Asked
    seen: tuple[Seen, ...]
    """its segments, and those that answers brought"""


@dataclass(frozen=True, slots=True)
class QuestionList:
    """Questions, newest first."""

    total: int
    cursor: str | None
    """of the next page; None at the end"""
    asked: tuple[Asked, ...]
    seen: tuple[Seen, ...]
    """all that these show, each once"""


@dataclass(frozen=True, slots=True)
class Metrics:
    """All series."""

    series: tuple[Series, ...]


Cursor = Annotated[int | None, Query(ge=0, le=2**53)]
Watches = Annotated[Caller, Depends(needs(Permission.WATCH))]
Count = Annotated[int, Query(ge=1, le=200)]


def add_watch(app: FastAPI, store: Store) -> Watch:
    """Add the routes; the application knows the watch as `state.watch`."""
    app.state.watch = watch = Watch(store)
    router = APIRouter(prefix="/api/watch", dependencies=[Depends(needs(Permission.WATCH))], tags=["watch"])
    _add_run(router, watch, presence_of(app))
    _add_behaviour(router, watch)
    _add_questions(router, watch)
    app.include_router(router)
    return watch


def _add_run(router: APIRouter, watch: Watch, presence: Presence) -> None:
    @router.get("/summary", response_model=Summary)
    async def summary() -> Response:
        return Response(await watch.summary(), media_type="application/json")

    @router.get("/now")
    async def now() -> Now:
        return await watch.now()

    @router.get("/stream", response_class=Stream, responses={200: {"content": {"text/event-stream": {}}}})
    async def stream(caller: Watches, last_event_id: Annotated[str | None, Header()] = None) -> Stream:
        if watch.streams >= MOST_STREAMS:
            raise HTTPException(503, "Too many people watch this run at once", {"Retry-After": "30"})
        last = int(last_event_id) if last_event_id and last_event_id.isascii() and last_event_id.isdecimal() else None
        reply = Stream(watch.stream(last), media_type="text/event-stream", headers=STREAM_HEADERS)
        reply.presence, reply.caller = presence, caller
        return reply

    @router.get("/metrics")
    async def metrics() -> Metrics:
        return Metrics(await watch.ask(series))

    @router.get("/metrics.csv", response_class=PlainTextResponse)
    async def metrics_csv() -> Response:
        headers = {"Content-Disposition": 'attachment; filename="metrics.csv"'}
        return Response(await watch.ask(as_csv), media_type="text/csv; charset=utf-8", headers=headers)


def _add_behaviour(router: APIRouter, watch: Watch) -> None:
    @router.get("/behaviours")
    async def behaviours(cursor: Cursor = None, count: Count = PAGE) -> BehaviourPage:
        def look(source: Source) -> BehaviourPage:
            found = insight.list_behaviours(source, cursor, count)
            return BehaviourPage(found, _seen(source.store, [row.segment for row in found.rows], draw=False))

        return await watch.ask(look)

    @router.get("/behaviours/{segment}")
    async def behaviour(segment: str) -> BehaviourView:
        def look(source: Source) -> BehaviourView:
            found = insight.behaviour(source, segment)
            names = [segment, *(one for asked in found.asked for one in _shown_by(asked))]
            return BehaviourView(found, _seen(source.store, names, draw=True))

        return await _or_404(watch, look)

    @router.get("/clips/{segment}", response_class=Response, responses={200: {"content": {"image/webp": {}}}})
    async def clip(segment: str) -> Response:
        def look(source: Source) -> Response:
            job = source.store.job(render_key(segment)) if segment in source.positions_of_segments else None
            if job is None or job.result is None or job.result["mime"] not in PICTURES:
                raise StoreError("There is no clip of this behaviour", got=segment)
            data = source.store.blobs.get(job.result["blob"])
            return Response(data, media_type=job.result["mime"], headers=CLIP_HEADERS)

        return await _or_404(watch, look)


def _add_questions(router: APIRouter, watch: Watch) -> None:
    @router.get("/questions")
    async def questions(cursor: Cursor = None, count: Count = PAGE) -> QuestionList:
        def look(source: Source) -> QuestionList:
            names = list(source.queries)
            end = len(names) if cursor is None else min(cursor, len(names))
            begin = max(end - count, 0)
            asked = tuple(insight.question(source, name) for name in names[begin:end][::-1])
            seen = _seen(source.store, [name for one in asked for name in _shown_by(one)], draw=False)
            return QuestionList(len(names), str(begin) if begin else None, asked, seen)

        return await watch.ask(look)

    @router.get("/questions/{query}")
    async def question(query: str) -> QuestionView:
        def look(source: Source) -> QuestionView:
            asked = insight.question(source, query)
            return QuestionView(asked, _seen(source.store, _shown_by(asked), draw=True))

        return await _or_404(watch, look)


async def _or_404(watch: Watch, look: Callable[[Source], T]) -> T:
    try:
        return await watch.ask(look)
    except StoreError as error:
        raise HTTPException(404, str(error)) from error


def _shown_by(asked: Asked) -> list[str]:
    return [*asked.segments, *(one for given in asked.given for one in given.brought)]


def _seen(store: Store, names: Sequence[str], *, draw: bool) -> tuple[Seen, ...]:
    """How segments look; with `draw`, clips that nobody has drawn are asked for."""
    names = list(dict.fromkeys(names))
    texts = store.texts([name for name in names if name.startswith(TEXT)])
    control = store.segments([name for name in names if not name.startswith(TEXT)])
    found: list[Seen] = []
    for name in names:
        if name in texts:
            text = texts[name]
            prompt, completion = _turns(text.prompt, "user"), _turns(text.completion, "assistant")
            found.append(Seen(segment=name, policy=text.policy, steps=0, prompt=prompt, completion=completion))
            continue
        job = store.job(render_key(name))
        if job is None and draw:
            store.add_job(RENDER, {"segment": name}, render_key(name))
        drawn = job is not None and job.result is not None
        found.append(
            Seen(
                segment=name,
                policy=control[name].policy,
                steps=control[name].length,
                url=f"/api/watch/clips/{name}" if drawn else None,
                error=None if job is None else job.error,
            )
        )
    return tuple(found)


def _turns(text: str | tuple[Message, ...], role: str) -> tuple[Turn, ...]:
    if isinstance(text, str):
        return (Turn(role, text),) if text else ()
    return tuple(Turn(one.role, one.content) for one in text)

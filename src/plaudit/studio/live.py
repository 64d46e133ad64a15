"""Showing and correcting behaviour by hand, in the real environment.

POST /api/live starts a world for a demonstration or a correction that its annotator was asked for; WebSocket
/api/live/{id} plays it. The server sends {step, done, enough, again} before every picture, and {segment, start, end} when
what was shown is stored, or {error, code, got}; the page sends {seen: number of pictures}, {go}, {pause}, {action}, {speed},
{restart} and {end, first}. Nothing reaches the store before the whole of it has arrived here. What was shown lies in a file until an
answer brings it: GET /api/live offers it again after a connection, a page or a studio was lost.
"""

import asyncio
import uuid
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from typing import Annotated, Any

from fastapi import Depends, FastAPI, HTTPException, WebSocket
from fastapi import Query as Asked
from pydantic import Field
from starlette.websockets import WebSocketState

from plaudit.ask.mix import SHOWING
from plaudit.errors import RecordError, StoreError
from plaudit.records import Query, QueryKind, SegmentData, from_json
from plaudit.run.seeds import derive
from plaudit.store.store import Store
from plaudit.studio.live_child import Child
from plaudit.studio.live_kept import Showing, Showings
from plaudit.studio.live_world import GONE, SIGNED_OUT, Limits, Live
from plaudit.studio.presence import presence_of
from plaudit.studio.roles import Caller, Permission, needs, said
from plaudit.studio.view import Shape
from plaudit.worlds.config import WorldConfig, task_seen
from plaudit.worlds.kept import About
from plaudit.worlds.wire import Start, setup

# no `from __future__ import annotations` here: FastAPI reads the annotations of routes inside of functions
Holds = Callable[[str, str], bool]
"""annotator, query"""
Who = Annotated[Caller, Depends(needs(Permission.LABEL))]


class LiveWish(Shape):
    """A wish to show or correct something by hand."""

    query: str = Field(max_length=64)
    from_item: int | None = Field(default=None, ge=0)
    """which of the query's segments to begin in, in the query's own order; None: a fresh start, or the one to correct"""
    from_step: int = Field(default=0, ge=0)
    """step of that segment at which the person takes over"""


class LiveKey(Shape):
    """What a key does."""

    key: str
    """the browser's `KeyboardEvent.code`"""
    action: int | list[float]
    label: str


class LivePad(Shape):
    """A field to point at: numbers of the keys at its ends."""

    x: tuple[int, int] | None
    y: tuple[int, int] | None


class LiveWorld(Shape):
    """A world that waits to be played; see `plaudit.worlds.controls.Controls`."""

    id: str
    fps: float
    keys: list[LiveKey]
    idle: int | list[float] | None
    turns: bool
    pads: list[LivePad]
    low: list[float]
    high: list[float]
    strength: float
    length: int
    """steps that are handed in, fewer only where the episode ends before"""
    kept: int
    """of these, how many are those of the segment that is corrected"""


class LiveShown(Shape):
    """What somebody showed, and gave no answer with: the connection was cut, or the studio had stopped."""

    segment: str
    start: int | None
    end: int | None
    length: int
    at: float
    """when, in seconds since 1970"""


@dataclass(frozen=True, slots=True)
class Task:
    """What is played."""

    about: About
    world: WorldConfig
    start: Start
    data: SegmentData | None
    """of the segment that it begins in"""


class Lives:
    """All worlds of a studio that are played, or wait for their page."""

    def __init__(self, store: Store, config: Mapping[str, Any], holds: Holds, limits: Limits) -> None:
        self.found: dict[str, Live] = {}
        self.limits = limits
        self.showings = Showings(store)
        self._store, self._config, self._holds = store, config, holds
        self._starting = 0

    async def start(self, annotator: str, wish: LiveWish) -> LiveWorld | None:
        """A world for this annotator, whose earlier one is given up; None when there are too many.

        Raises:
            RecordError: there is nothing to play, or it cannot be played.
        """
        await self._end([id_ for id_, live in self.found.items() if live.annotator == annotator])
        if self._starting + sum(live.last is None for live in self.found.values()) >= self.limits.worlds:
            return None
        self._starting += 1
        try:
            task = await asyncio.to_thread(self._task, annotator, wish)
            keeper = await asyncio.to_thread(self.showings.keeper, task.about)
            child, ready = await Child.start(setup(task.world, task.start, task.data, keep=keeper.wire()))
        finally:
            self._starting -= 1

        async def keep(start: int, attempt: int, arrays: bytes) -> dict[str, Any]:
            return asdict(await asyncio.to_thread(self.showings.add, task.about, attempt, start, arrays))

        live = self.found[task.about.id] = Live(annotator, child, keep, self.limits)
        loop = asyncio.get_running_loop()
        # for a while it can be asked how it ended
        live.pump.add_done_callback(lambda _: loop.call_later(self.limits.away, self._forget, task.about.id, live))
        names = ("fps", "idle", "turns", "pads", "low", "high", "strength")
        kept = task.start.step if task.start.keep else 0
        about = {"id": task.about.id, "keys": ready["binds"], "length": task.start.length, "kept": kept}
        return LiveWorld.model_validate(about | {name: ready[name] for name in names})

    async def close(self) -> None:
        """End all."""
        await self._end(list(self.found))

    async def shown(self, annotator: str, query: str) -> list[tuple[float, Showing]]:
        """What this annotator showed for a question without giving an answer, newest first. Raises RecordError."""
        # a world that nobody plays any more, as after a reload, is left: what was done in it is among this
        left = [id_ for id_, live in self.found.items() if live.annotator == annotator and live.alone]
        await self._end([id_ for id_ in left if self.found[id_].last is None])
        await asyncio.to_thread(self._query, annotator, query)
        return await asyncio.to_thread(self.showings.waiting, annotator, query)

    async def _end(self, ids: list[str]) -> None:
        await asyncio.gather(*(self.found.pop(id_).end() for id_ in ids))

    def _forget(self, id_: str, live: Live) -> None:
        if self.found.get(id_) is live:
            del self.found[id_]

    def _task(self, annotator: str, wish: LiveWish) -> Task:
        """Look up what is to be played. Raises RecordError when that is nothing, or not this annotator's."""
        query = self._query(annotator, wish.query)
        correction = query.kind is QueryKind.CORRECTION
        item = 0 if correction else wish.from_item
        if item is not None and item >= len(query.segments):
            raise RecordError("The question has no such segment", got=item, expected=f"0 .. {len(query.segments) - 1}")
        world, id_ = from_json(WorldConfig, self._config["world"]), uuid.uuid4().hex
        segments = self._store.segments(query.segments)
        shown = segments[query.segments[item or 0]]
        data = self._store.segment_data(shown)
        start = Start(
            seed=derive(self._config.get("seed", 0), "live", id_) % 2**31,
            length=shown.length if correction else max(one.length for one in segments.values()),
            task=task_seen(world, data.observations[0]),
            step=wish.from_step if item is not None else 0,
            origin=shown.start,
            keep=correction,
        )
        if start.step >= shown.length:
            raise RecordError("The segment has no such step", got=start.step, expected=f"0 .. {shown.length - 1}")
        return Task(About(annotator, query.id, id_), world, start, None if item is None else data)

    def _query(self, annotator: str, id_: str) -> Query:
        """A question that this annotator holds. Raises RecordError when it is none that can be played."""
        if not self._holds(annotator, id_):
            raise RecordError("This question is not yours now", got=id_, next_step="reload the page")
        query = self._store.query(id_)
        if query.kind not in SHOWING or "world" not in self._config:
            raise RecordError(
                "There is nothing to play",
                got=f"a {query.kind.value}",
                expected="a demonstration or a correction, in a run that has a world",
            )
        return query


def add_live(
    app: FastAPI, store: Store, config: Mapping[str, Any], *, holds: Holds, limits: Limits | None = None
) -> None:
    """Let annotators play the run's world. Worlds end with the application.

    Args:
        app: its `state.access` knows callers.
        store: of the run.
        config: the run file, as `run.created` holds it.
        holds: whether an annotator has a question on the screen or in line, as `Desk.holds`.
        limits: of worlds at a time, and of patience.
    """
    lives = Lives(store, config, holds, limits or Limits())
    app.state.lives = lives
    around = app.router.lifespan_context

    @asynccontextmanager
    async def lifespan(inner: FastAPI) -> AsyncGenerator[Any]:
        async with around(inner) as state:
            try:
                yield state
            finally:
                await lives.close()

    app.router.lifespan_context = lifespan

    @app.post("/api/live")
    async def begin(caller: Who, wish: LiveWish) -> LiveWorld:
        try:
            world = await lives.start(caller.annotator, wish)
        except StoreError as error:
            raise RecordError(str(error)) from error
        if world is None:
            many = f"{lives.limits.worlds} worlds"
            words = said("Too many people are showing something now", got=many, next_step="try again in a minute")
            raise HTTPException(429, words, {"Retry-After": "20"})
        return world

    @app.get("/api/live")
    async def shown(caller: Who, query: Annotated[str, Asked(max_length=64)]) -> list[LiveShown]:
        try:
            found = await lives.shown(caller.annotator, query)
        except StoreError as error:
            raise RecordError(str(error)) from error
        return [LiveShown(at=at, **asdict(one)) for at, one in found]

    @app.websocket("/api/live/{id}")
    async def play(caller: Who, socket: WebSocket, id: str) -> None:
        live = lives.found.get(id)
        await socket.accept()
        if live is None or live.annotator != caller.annotator:
            await socket.close(GONE)
            return
        try:
            async with presence_of(app).lasting(caller):
                code = await live.converse(socket)
        except TimeoutError:
            code = SIGNED_OUT
        if WebSocketState.DISCONNECTED not in (socket.client_state, socket.application_state):
            await socket.close(code)

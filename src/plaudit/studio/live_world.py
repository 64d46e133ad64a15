"""A world that somebody plays in the studio: what goes between its process and its page. No routes, no store, no threads."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from starlette.websockets import WebSocket, WebSocketDisconnect

from plaudit.errors import PlauditError
from plaudit.studio.live_child import STOPPED, Child
from plaudit.studio.refusals import refusal

LONGEST_MESSAGE = 2048
AHEAD = 3
"""pictures on their way to a page; further ones wait, and only the newest of them is sent"""
GONE, TAKEN, ENDED, UNREADABLE, SIGNED_OUT = 4404, 4409, 1000, 1003, 4401
"""codes with which a socket is closed: there is no such world; played in another tab; it has ended; not understood;
whoever plays may no longer"""
AWAY = "You were away for too long. What you did is offered to you again if it was enough. Start again."
PARTING_SECONDS = 5.0
"""for which a world that is given up may take to keep what was done in it"""
Keep = Callable[[int, int, bytes], Awaitable[dict[str, Any]]]
"""first step in the episode, number of the attempt and arrays of what was shown, to what is said of it when it is stored"""


@dataclass(frozen=True, slots=True)
class Limits:
    """Of worlds that are played."""

    worlds: int = 4
    """at a time, in one studio"""
    away: float = 120.0
    """seconds without a connection after which a world is given up"""
    idle: float = 600.0
    """seconds without a wish of the person after which a world is given up"""


@dataclass(frozen=True, slots=True)
class Picture:
    """What a page is to show."""

    number: int
    state: dict[str, Any]
    """{step, done, enough, again}"""
    jpeg: bytes


class Live:
    """One world, and the one page that plays it. Pauses while no page is connected.

    Attributes:
        annotator: whose it is.
        last: what is said at the end, {segment, ...} or {error}; None before.
        picture: the newest.

    Args:
        annotator: whose it is.
        child: the process; it is ended with this.
        keep: stores what was shown.
        limits: of patience.
    """

    def __init__(self, annotator: str, child: Child, keep: Keep, limits: Limits) -> None:
        self.annotator = annotator
        self.last: dict[str, Any] | None = None
        self._child, self._keep, self._limits = child, keep, limits
        self._news = asyncio.Event()
        self._replaced: asyncio.Event | None = None
        self.picture: Picture | None = None
        self._seen = 0
        self._parting = False
        self._loop = asyncio.get_running_loop()
        self._away = self._loop.call_later(limits.away, self._give_up)
        self._idle = self._loop.call_later(limits.idle, self._give_up)
        self.pump = asyncio.create_task(self._read())
        """ends with the process"""

    @property
    def pid(self) -> int:
        """Of the process."""
        return self._child.pid

    async def converse(self, socket: WebSocket) -> int:
        """Let the page behind an accepted socket play, until one of both ends it. Returns the code to close it with.

        Whoever played before on another socket is put aside.
        """
        if self._replaced is not None:
            self._replaced.set()
        replaced = self._replaced = asyncio.Event()
        self._away.cancel()
        self._news = asyncio.Event()  # its own: one that is put aside may wait for the other still
        self._news.set()
        tasks = [asyncio.create_task(one) for one in (self._tell(socket), self._hear(socket), replaced.wait())]
        try:
            ended, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            if self._replaced is replaced:
                self._replaced = None
                self._child.send({"pause": True})
                self._away = self._loop.call_later(self._limits.away, self._give_up)
        if replaced.is_set():
            return TAKEN
        return max(int(task.result()) for task in ended)

    async def end(self) -> None:
        """End the process. What was not handed in is kept in a file, if it was enough."""
        self._away.cancel()
        self._idle.cancel()
        self._give_up()
        await self.pump

    @property
    def alone(self) -> bool:
        """Whether no page plays it."""
        return self._replaced is None

    def _give_up(self) -> None:
        if not self._parting and self.last is None:
            self._parting = True
            self._child.send({"leave": True})
            self._loop.call_later(PARTING_SECONDS, self._child.kill)

    async def _read(self) -> None:
        """Take what the process says; the newest picture replaces those that nobody has sent yet."""
        state: dict[str, Any] = {}
        number = 0
        try:
            while self.last is None:
                kind, payload = await self._child.read()
                if kind == "F":
                    number += 1
                    self.picture = Picture(number, state, payload)
                    self._news.set()
                    continue
                said = json.loads(payload)
                if "shown" in said:
                    _, arrays = await self._child.read()
                    self.last = await self._keep(said["start"], state["again"], arrays)
                elif "error" in said:
                    self.last = refusal(said["error"])
                else:
                    state = said
        except asyncio.IncompleteReadError:
            self.last = self.last or refusal(AWAY if self._parting else STOPPED)
        except PlauditError as error:
            self.last = refusal(str(error))
        finally:
            self._idle.cancel()
            self._news.set()
            await self._child.end()

    async def _tell(self, socket: WebSocket) -> int:
        """Send pictures as fast as the page takes them, then how it ended."""
        sent, number, news = 0, 0, self._news
        self._seen = 0
        while True:
            await news.wait()
            news.clear()
            picture = self.picture
            if picture is not None and picture.number != number and sent - self._seen < AHEAD:
                sent, number = sent + 1, picture.number
                try:
                    await socket.send_json(picture.state)
                    await socket.send_bytes(picture.jpeg)
                except (WebSocketDisconnect, RuntimeError):  # it was closed meanwhile
                    return ENDED
                news.set()
            elif self.last is not None:
                with suppress(WebSocketDisconnect, RuntimeError):
                    await socket.send_json(self.last)
                return ENDED

    async def _hear(self, socket: WebSocket) -> int:
        """Pass on what the person wants."""
        while True:
            try:
                text = (await socket.receive()).get("text")
            except (WebSocketDisconnect, RuntimeError):  # starlette's way to say that it was closed already
                return ENDED
            wish = _wish(text)
            if wish is None:
                return UNREADABLE if text is not None else ENDED
            if isinstance(wish.get("seen"), int):
                self._seen = wish["seen"]
                self._news.set()
                continue
            self._idle.cancel()
            if self.last is None:
                self._idle = self._loop.call_later(self._limits.idle, self._give_up)
                self._child.send(wish)


def _wish(text: str | None) -> dict[str, Any] | None:
    """What a page sent; None when it cannot be read."""
    if text is None or len(text) > LONGEST_MESSAGE:
        return None
    try:
        found = json.loads(text, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _refuse(constant: str) -> Any:
    raise ValueError(constant)  # NaN and infinity are no JSON

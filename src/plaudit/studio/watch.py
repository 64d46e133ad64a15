"""Watching a run: its report as it grows, every behaviour and question, metrics; and a stream that says when to look again.

Everything is read on one thread of its own, behind `async` handlers: however many people watch, no more than one of them
reads the log, and threads that take answers never wait for one. A stream holds no thread at all.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncGenerator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from plaudit.errors import StoreError
from plaudit.records import to_json
from plaudit.report.gather import summarise
from plaudit.report.source import Source
from plaudit.store.store import Store

T = TypeVar("T")
STAGES = ("act", "ask", "learn", "improve", "check")
LOOK_SECONDS = 1.0
"""between two looks at the log"""
SHARE = 0.05
"""of one core that summaries may take while a run trains: the more one costs, the less often the log is looked at"""
STALE_SECONDS = 10.0
"""after which a summary is made anew though the log is as it was: clips are drawn outside the log"""
BEAT_SECONDS = 15.0
"""silence on a stream after which it says that it is alive; proxies close silent ones"""
LIFE_SECONDS = 600.0
"""of a stream; the browser opens another, and whether it still may is asked again"""
RETRY = b"retry: 2000\n\n"
BEAT = b": alive\n\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Now:
    """Where the run stands."""

    seq: int
    """log position"""
    round: int
    """from 1; the last one when the run is finished"""
    rounds: int | None
    stage: str
    """what the run does now; check when it is finished"""
    since: float | None
    """when that began, in seconds since 1970: when the stage before it ended"""
    finished: bool


class Watch:
    """What is known of a run, for all who watch it.

    Args:
        store: the run's store.
        clock: seconds, monotonic.
    """

    def __init__(self, store: Store, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._source = Source(store)
        self._home = store.place.parent if isinstance(store.place, Path) else None
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="watch")
        self._looked = -float("inf")
        self._cost = 0.0
        self._summary: tuple[object, float, bytes] | None = None
        self._now: Now | None = None
        self._pulse = asyncio.Event()
        self._streams = 0
        self._closing = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._poller: asyncio.Task[None] | None = None

    @property
    def streams(self) -> int:
        """How many are open."""
        return self._streams

    async def ask(self, question: Callable[[Source], T]) -> T:
        """The answer to a question about the log as it is, a second old at most."""
        return await self._do(lambda: question(self._look()))

    async def summary(self) -> bytes:
        """The report's summary as JSON, as `report.json` has it."""
        return await self._do(self._summarise)

    async def now(self) -> Now:
        """Where the run stands."""
        await self._do(self._look)
        assert self._now is not None
        return self._now

    async def stream(self, last: int | None = None) -> AsyncGenerator[bytes]:
        """Server-sent events: `changed` at once unless the log still ends at `last`, and whenever it has grown.

        Whoever reads slowly gets the newest only; nothing is queued.
        """
        self._streams += 1
        self._loop = asyncio.get_running_loop()
        try:
            if self._poller is None or self._poller.done():
                self._poller = asyncio.create_task(self._poll())
            yield RETRY
            if self._now is None:
                await self.now()
            seen, until = last, self._clock() + LIFE_SECONDS
            while self._clock() < until and not self._closing:
                pulse, now = self._pulse, self._now
                if now is not None and now.seq != seen:
                    seen = now.seq
                    yield b"id: %d\nevent: changed\ndata: %s\n\n" % (seen, json.dumps(to_json(now)).encode())
                try:
                    await asyncio.wait_for(pulse.wait(), BEAT_SECONDS)
                except TimeoutError:
                    yield BEAT
        finally:
            self._streams -= 1

    def close(self) -> None:
        """End all streams, so that a server that stops need not wait for them. From any thread."""
        self._closing = True
        if self._loop is not None:
            self._loop.call_soon_threadsafe(lambda: self._pulse.set())

    async def _poll(self) -> None:
        """One task for all streams, while there are any: look, and tell everybody at once."""
        told = self._now
        while self._streams:
            with suppress(StoreError):  # busy or gone for now; the next look may find it again
                await self._do(self._look)
            if self._now != told:
                told, pulse, self._pulse = self._now, self._pulse, asyncio.Event()
                pulse.set()
            await asyncio.sleep(LOOK_SECONDS)

    async def _do(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._worker, work)

    def _look(self) -> Source:
        moment = self._clock()
        if moment - self._looked >= max(LOOK_SECONDS, self._cost / SHARE):
            head = self._source.head
            if self._source.read().head != head or self._now is None:
                self._now = _now(self._source)
            self._looked = moment
        return self._source

    def _summarise(self) -> bytes:
        source = self._look()
        state = (source.head, None if self._home is None else _stamp(self._home / "timing.jsonl"))
        kept = self._summary
        if kept is None or kept[0] != state or self._clock() - kept[1] > STALE_SECONDS:
            began = self._clock()
            text = json.dumps(to_json(summarise(source, self._home)), ensure_ascii=False).encode()
            self._cost = self._clock() - began
            kept = self._summary = (state, self._clock(), text)
        return kept[2]


def _stamp(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size


def _now(source: Source) -> Now:
    rounds = (source.config.get("loop") or {}).get("rounds")
    last = source.rows[-1] if source.rows else None
    place = 0 if last is None else last.round * len(STAGES) + STAGES.index(last.stage) + 1
    finished = rounds is not None and place >= rounds * len(STAGES)
    place -= finished
    return Now(
        seq=source.head[0],
        round=place // len(STAGES) + 1,
        rounds=rounds,
        stage=STAGES[place % len(STAGES)],
        since=source.finished_at[-1] if source.finished_at else source.created_at,
        finished=finished,
    )

"""Ends what stays open, event streams and WebSockets, as soon as whoever opened it may no longer have it.

Signing out, another role, a closed account, a deleted key: wherever it happened (another studio over the same store, the
command line), one look at the store every half second finds it, one for all that is open, and none while nothing is.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from typing import cast

from fastapi import FastAPI
from fastapi.responses import StreamingResponse
from starlette.types import Send

from plaudit.errors import StoreError
from plaudit.studio.roles import Caller, Gate

LOOK_SECONDS = 0.5
PARTING_SECONDS = 1.0
"""for so long a reader that does not read is waited for when its stream ends"""


class Presence:
    """What is open in one application, and for whom. All of it on the application's event loop.

    Args:
        app: its `state.access` knows callers.
    """

    def __init__(self, app: FastAPI) -> None:
        self._app = app
        self._open: dict[asyncio.Timeout, Caller] = {}
        self._looking: asyncio.Task[None] | None = None

    @asynccontextmanager
    async def lasting(self, caller: Caller) -> AsyncGenerator[None]:
        """Run the block as long as the caller may be here; then raise TimeoutError in it."""
        async with asyncio.timeout(None) as block:
            self._open[block] = caller
            try:
                if self._looking is None or self._looking.done():
                    self._looking = asyncio.create_task(self._look())
                yield
            finally:
                del self._open[block]

    async def _look(self) -> None:
        while self._open:
            await asyncio.sleep(LOOK_SECONDS)
            gate = cast(Gate, self._app.state.access)
            with suppress(StoreError):  # busy or gone for now; the next look may find it again
                stand = await asyncio.to_thread(gate.standing, set(self._open.values()))
                for block, caller in self._open.items():
                    if caller not in stand and not block.expired():
                        block.reschedule(asyncio.get_running_loop().time())


class Stream(StreamingResponse):
    """A stream that ends with its caller. Set `presence` and `caller` before it is returned."""

    presence: Presence
    caller: Caller

    async def stream_response(self, send: Send) -> None:
        """Send what there is."""
        try:
            async with self.presence.lasting(self.caller):
                await super().stream_response(send)
        except TimeoutError:
            async with asyncio.timeout(PARTING_SECONDS):
                await send({"type": "http.response.body", "body": b"", "more_body": False})


def presence_of(app: FastAPI) -> Presence:
    """The application's one."""
    if not hasattr(app.state, "presence"):
        app.state.presence = Presence(app)
    return app.state.presence

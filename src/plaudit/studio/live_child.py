"""The studio's side of a process in which somebody plays: starts it, talks to it, ends it. Holds no thread."""

from __future__ import annotations

import asyncio
import json
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from plaudit.errors import RecordError
from plaudit.worlds.wire import said

START_SECONDS = 18.0
"""longest that a world may take to be made; the page waits a little longer"""
STOPPED = "The world has stopped. Nothing of this attempt was kept. Start again."


class Child:
    """One process. Made by `start`."""

    def __init__(self, process: Process) -> None:
        self._process = process

    @property
    def pid(self) -> int:
        """Of the process."""
        return self._process.pid

    @classmethod
    async def start(cls, setup: bytes) -> tuple[Child, dict[str, Any]]:
        """A process whose world is ready, and what it said of it.

        Args:
            setup: of `plaudit.worlds.wire.setup`.

        Raises:
            RecordError: the world cannot be played, with the reason.
        """
        command = [sys.executable, "-m", "plaudit.worlds.live"]
        child = cls(await asyncio.create_subprocess_exec(*command, stdin=PIPE, stdout=PIPE))
        try:
            child._write(setup)
            kind, payload = await asyncio.wait_for(child.read(), START_SECONDS)
            ready = json.loads(payload) if kind == "J" else {}
            if "ready" not in ready:
                raise RecordError(ready.get("error", STOPPED))
        except asyncio.IncompleteReadError as error:
            await child.end()
            raise RecordError("The world could not be started", next_step="see the studio's terminal") from error
        except TimeoutError as error:
            await child.end()
            raise RecordError("The world did not start", got=f"nothing in {START_SECONDS:g} s") from error
        except BaseException:
            await child.end()
            raise
        return child, ready

    async def read(self) -> tuple[str, bytes]:
        """The next message: its kind (J, A, F) and bytes. Raises IncompleteReadError when the process has ended."""
        stream = self._process.stdout
        assert stream is not None  # piped
        head = await stream.readexactly(5)
        return chr(head[0]), await stream.readexactly(int.from_bytes(head[1:], "big"))

    def send(self, message: Mapping[str, Any]) -> None:
        """Tell it something; it is lost when the process has ended."""
        self._write(said(message))

    async def end(self) -> None:
        """End the process at once, and wait until it is gone."""
        self.kill()
        await self._process.wait()

    def kill(self) -> None:
        """End the process at once."""
        with suppress(ProcessLookupError):
            self._process.kill()

    def _write(self, data: bytes) -> None:
        stream = self._process.stdin
        assert stream is not None  # piped
        if not stream.is_closing():
            stream.write(data)

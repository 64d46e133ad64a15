"""A process in which one person plays one environment: steps at the world's speed, pictures out, actions in.

python -m plaudit.worlds.live      started by the studio, one per person who plays; ends when its standard input does

In come what `plaudit.worlds.wire.setup` makes, then any of {go}, {pause}, {action}, {speed}, {restart}, {end, first}, {leave}.
Out comes {ready, fps, ...} with the controls, then for every picture {step, done, enough, again} and F; at the end
{shown, start} and A, or {error}. What is handed in is kept in a file first; so is what would do, on {leave} and when the studio is gone.
"""

from __future__ import annotations

import dataclasses
import io
import json
import os
import queue
import sys
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, BinaryIO

from PIL import Image

from plaudit.errors import PlauditError, RecordError, WorldError
from plaudit.records import from_json
from plaudit.worlds.config import WorldConfig
from plaudit.worlds.controls import Controls, checked, controls_of
from plaudit.worlds.kept import Keeper, keeper_of
from plaudit.worlds.pixels import Pixels
from plaudit.worlds.playing import Play
from plaudit.worlds.wire import ARRAYS, FRAME, Start, arrays_of, pack, read, said, segment_data

FRAMES_PER_SECOND = 20.0
"""pictures sent at most; steps in between are not drawn"""
QUALITY = 70
SLOWEST = 0.1
"""of the world's own speed"""
BEHIND = 0.25
"""seconds that a world may lag and catch up; what is slower than that runs slow, instead of racing"""
GONE = 1
"""exit status when the studio is gone"""
PARTING_SECONDS = 5.0
"""for a step that hangs while the studio is gone; then the process ends all the same"""
LEAVE = json.dumps({"leave": True, "gone": True}).encode()


def jpeg(frame: Pixels) -> bytes:
    """A picture [height, width, 3] as it is sent."""
    target = io.BytesIO()
    Image.fromarray(frame).save(target, format="JPEG", quality=QUALITY)
    return target.getvalue()


@dataclass(slots=True)
class _Clock:
    """When the next step and the next picture are due."""

    period: float
    speed: float = 1.0
    running: bool = False
    step_at: float = 0.0
    picture_at: float = 0.0

    def go(self, now: float) -> None:
        self.running, self.step_at, self.picture_at = True, now, now

    def stepped(self, now: float) -> None:
        self.step_at = max(self.step_at + self.period / self.speed, now - BEHIND)

    def pictured(self, now: float) -> None:
        self.picture_at = max(self.picture_at + 1 / FRAMES_PER_SECOND, now - 1 / FRAMES_PER_SECOND)


class Player:
    """Carries out what a person wants, and lets time pass.

    Args:
        play: the environment.
        controls: what keys do in it.
        sink: where messages go.
        keeper: keeps what is shown.
    """

    def __init__(self, play: Play, controls: Controls, sink: BinaryIO, keeper: Keeper | None = None) -> None:
        self._keeper = keeper
        self._play, self._controls, self._sink = play, controls, sink
        self._clock = _Clock(1 / play.fps)
        self._again = 0
        self._rest()

    def begin(self) -> None:
        """Tell what there is to be played, and show it."""
        controls = dataclasses.asdict(self._controls)
        self._say({"ready": True, "fps": self._play.fps, **controls})
        self._show()

    def wait(self) -> float | None:
        """Seconds until something is to be done; None: nothing until somebody says so."""
        return max(0.0, self._clock.step_at - time.perf_counter()) if self._runs else None

    def tick(self) -> None:
        """Let the steps happen that are due, and show where they led."""
        now = time.perf_counter()
        if not self._runs or now < self._clock.step_at:
            return
        while now >= self._clock.step_at and not self._play.done:
            self._play.step(self._action)
            self._clock.stepped(now)
        if self._play.done or now >= self._clock.picture_at:
            self._clock.pictured(now)
            self._show()

    def hear(self, message: Mapping[str, Any]) -> bool:
        """Carry out one wish. Returns whether that was the last.

        Raises:
            WorldError: the wish cannot be read, or the environment failed.
        """
        match message:
            case {"action": action}:
                self._act(action)
            case {"go": True}:
                self._clock.go(time.perf_counter())
            case {"pause": True}:
                self._clock.running = False
            case {"speed": int() | float() as speed}:
                self._clock.speed = min(1.0, max(SLOWEST, speed))
            case {"restart": True}:
                self._play.reset()
                self._clock.running = False
                self._rest()
                self._again += 1
                self._show()
            case {"leave": True}:
                self.leave()
                return True
            case {"end": True} if not self._play.enough:  # the page was ahead
                self._show()
            case {"end": True, **others}:
                first = others.get("first")
                self._hand_in(first if isinstance(first, int) else None)
                return True
            case _:
                raise WorldError("The player does not understand", got=dict(message))
        return False

    def leave(self) -> None:
        """Keep what was done, where it is enough."""
        if self._keeper is not None and self._play.enough:
            self._kept(None)

    @property
    def _runs(self) -> bool:
        return self._clock.running and self._begun and not self._controls.turns and not self._play.done

    def _rest(self) -> None:
        """Nothing is done yet; where no action does nothing, the world waits for the first."""
        idle = self._controls.idle
        self._begun = idle is not None
        first = self._controls.binds[0].action if idle is None else idle
        self._action = checked(self._play.space, list(first) if isinstance(first, tuple) else first)

    def _act(self, action: object) -> None:
        self._action = checked(self._play.space, action)
        if not self._begun:
            self._begun = True
            self._clock.step_at = time.perf_counter()
        if self._controls.turns and self._clock.running and not self._play.done:
            self._play.step(self._action)
            self._show()

    def _hand_in(self, first: int | None) -> None:
        start, arrays = self._kept(first)
        self._say({"shown": True, "start": start})
        self._sink.write(pack(ARRAYS, arrays))
        self._sink.flush()

    def _kept(self, first: int | None) -> tuple[int, bytes]:
        shown = self._play.shown(first)
        arrays = arrays_of(shown.data)
        if self._keeper is not None:
            self._keeper.write(self._again, shown.start, arrays)
        return shown.start, arrays

    def _show(self) -> None:
        play = self._play
        self._say({"step": play.steps, "done": play.done, "enough": play.enough, "again": self._again})
        self._sink.write(pack(FRAME, jpeg(play.frame())))
        self._sink.flush()

    def _say(self, message: Mapping[str, Any]) -> None:
        self._sink.write(said(message))


def serve(source: BinaryIO, sink: BinaryIO) -> int:
    """Play until the end is asked for, or the source ends. Errors go to the sink. Returns the exit status."""
    try:
        return _play(_prepared(source, sink), source)
    except PlauditError as error:
        _last(sink, str(error))
    except Exception as error:
        _last(sink, f"The world failed. {type(error).__name__}: {error}")
        raise
    finally:
        with suppress(BrokenPipeError):
            sink.flush()
    return 0


def _last(sink: BinaryIO, error: str) -> None:
    with suppress(BrokenPipeError):
        sink.write(said({"error": error}))


def _play(player: Player, source: BinaryIO) -> int:
    try:
        inbox: queue.Queue[bytes] = queue.Queue()
        threading.Thread(target=_listen, args=(source, inbox), daemon=True).start()
        player.begin()
        while True:
            with suppress(queue.Empty):
                wish = json.loads(inbox.get(timeout=player.wait()))
                if player.hear(wish):
                    return GONE if wish.get("gone") else 0
            player.tick()
    except BrokenPipeError:  # the studio is gone
        player.leave()
        return GONE


def _prepared(source: BinaryIO, sink: BinaryIO) -> Player:
    told = read(source)
    if told is None:
        raise RecordError("Nobody said what to play")
    wish = json.loads(told[1])
    arrays = read(source) if wish["branch"] else None
    world, start = from_json(WorldConfig, wish["world"]), from_json(Start, wish["start"])
    play = Play(world, start, None if arrays is None else segment_data(arrays[1]))
    return Player(play, controls_of(play.env, world.keys), sink, keeper_of(wish.get("keep")))


def _listen(source: BinaryIO, inbox: queue.Queue[bytes]) -> None:
    while (message := read(source)) is not None:
        inbox.put(message[1])
    inbox.put(LEAVE)  # the studio is gone
    time.sleep(PARTING_SECONDS)
    os._exit(GONE)  # a step that hangs must not keep the process


def main() -> int:
    """Entry point of the process."""
    sink = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what libraries print is no message
    return serve(sys.stdin.buffer, sink)


if __name__ == "__main__":
    status = main()
    sys.stderr.flush()
    os._exit(status)  # a thread still waits at the standard input, and an orderly end would wait for it

"""Ends a call into an environment that hangs."""

from __future__ import annotations

import ctypes
import math
import signal
import threading
import time
from types import FrameType, TracebackType
from typing import Any


class Hang(BaseException):
    """The time is up. No Exception, so that an environment's own `except Exception` does not swallow it."""


class Watchdog:
    """`with watchdog:` raises Hang inside when that takes longer than `seconds`.

    In the main thread of a POSIX system a timer signal does it, which also ends waiting in system calls; what the
    program itself does with SIGALRM is put back afterwards. Elsewhere a thread does it, which ends Python code only.
    Neither can end a loop inside of compiled code.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._before: tuple[Any, tuple[float, float]] | None = None
        self._patrol: _Patrol | None = None

    def __enter__(self) -> None:
        if hasattr(signal, "setitimer") and threading.current_thread() is threading.main_thread():
            handler = signal.signal(signal.SIGALRM, _raise_hang)
            self._before = handler, signal.setitimer(signal.ITIMER_REAL, self._seconds)
        else:
            if self._patrol is None:
                self._patrol = _Patrol(self._seconds)
            self._patrol.begin()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.let_go()
        if self._patrol is not None:
            self._patrol.end(raised=kind is Hang)

    def let_go(self) -> None:
        """Put back what the program itself does with SIGALRM. Call it after a Hang, which may have cut off `__exit__`."""
        if self._before is not None:
            handler, timer = self._before
            signal.setitimer(signal.ITIMER_REAL, *timer)
            signal.signal(signal.SIGALRM, handler or signal.SIG_DFL)
            self._before = None

    def close(self) -> None:
        """End the thread, if there is one."""
        if self._patrol is not None:
            self._patrol.close()
            self._patrol = None


def _raise_hang(number: int, frame: FrameType | None) -> None:
    del number, frame
    raise Hang


class _Patrol:
    """A thread that looks at the clock several times per limit."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._deadline = math.inf
        self._watched = 0
        self._barked = False
        self._lock = threading.Lock()
        self._closed = threading.Event()
        threading.Thread(target=self._walk, name="plaudit watchdog", daemon=True).start()

    def begin(self) -> None:
        self._watched, self._barked = threading.get_ident(), False
        self._deadline = time.monotonic() + self._seconds

    def end(self, *, raised: bool) -> None:
        with self._lock:
            self._deadline = math.inf
        try:
            while self._barked and not raised:  # it barked at the last moment: let the Hang arrive here and not later
                time.sleep(0.001)
        finally:
            self._barked = False

    def close(self) -> None:
        self._closed.set()

    def _walk(self) -> None:
        while not self._closed.wait(self._seconds / 8):
            with self._lock:
                if time.monotonic() > self._deadline:
                    self._deadline = math.inf
                    self._barked = True
                    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(self._watched), ctypes.py_object(Hang))

"""The loop: run file, stages, `Run`."""

from plaudit.loop.config import RunConfig
from plaudit.loop.run import Run

__all__ = ["Run", "RunConfig"]

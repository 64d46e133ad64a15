"""What a run tells the person who watches it."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """Receives the run's news; the terminal and notebooks implement it."""

    def stage(self, round_: int, stage: str, text: str) -> None:
        """A stage has begun; `text` says in plain words what it does."""
        ...

    def advance(self, done: int, total: int, detail: str = "") -> None:
        """The stage has done `done` of `total` units."""
        ...

    def waiting(self, text: str) -> None:
        """The run waits for somebody; `text` says for what."""
        ...

    def finished(self, round_: int, stage: str, metrics: dict[str, float], seconds: float) -> None:
        """A stage has been committed."""
        ...


class Silent:
    """Progress that nobody watches."""

    def stage(self, round_: int, stage: str, text: str) -> None:
        """Say nothing."""

    def advance(self, done: int, total: int, detail: str = "") -> None:
        """Say nothing."""

    def waiting(self, text: str) -> None:
        """Say nothing."""

    def finished(self, round_: int, stage: str, metrics: dict[str, float], seconds: float) -> None:
        """Say nothing."""

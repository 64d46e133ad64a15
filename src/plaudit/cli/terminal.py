"""Live progress in the terminal: what happens, how long it will take, what the run waits for."""

from __future__ import annotations

import time
from types import TracebackType

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from plaudit.loop.kinds import Settings, kind_of


class TerminalProgress:
    """A live table with a line per round; plain lines when the output is no terminal."""

    def __init__(self, config: Settings, console: Console) -> None:
        self._config = config
        self._columns = kind_of(config).columns
        self._console = console
        self._live = Live(console=console, refresh_per_second=8, transient=False)
        self._rounds: dict[int, dict[str, float]] = {}
        self._now = ("", 0, 0, "")
        self._note = ""
        self._told = ""
        self._began = time.monotonic()
        self._first_round: int | None = None

    def __enter__(self) -> TerminalProgress:
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._now, self._note = ("", 0, 0, ""), ""
        if self._console.is_terminal:
            self._live.update(self._draw())
            self._live.stop()

    def stage(self, round_: int, stage: str, text: str) -> None:
        """A stage has begun."""
        self._first_round = round_ if self._first_round is None else self._first_round
        self._now, self._note = (f"round {round_ + 1}/{self._config.loop.rounds} · {stage} · {text}", 0, 0, ""), ""
        self._refresh()

    def advance(self, done: int, total: int, detail: str = "") -> None:
        """Part of the stage is done."""
        self._now, self._note = (self._now[0], done, total, detail), ""
        self._refresh()

    def waiting(self, text: str) -> None:
        """The run waits for somebody."""
        what = text.partition(";")[0]  # behind it seconds are counted
        if what != self._told and not self._console.is_terminal:
            self._console.print(f"waiting: {text}", soft_wrap=True)
        self._note, self._told = text, what
        self._refresh()

    def finished(self, round_: int, stage: str, metrics: dict[str, float], seconds: float) -> None:
        """A stage has been committed."""
        row = self._rounds.setdefault(round_, {})
        row |= metrics
        if stage == "check" and not self._console.is_terminal:
            shown = ", ".join(f"{title} {row[name]:{form}}" for title, name, form in self._columns if name in row)
            self._console.print(
                f"round {round_ + 1}/{self._config.loop.rounds}: {shown}{self._left(round_)}", soft_wrap=True
            )
        self._refresh()

    def _left(self, round_: int) -> str:
        """Time left, from the rounds that this process has done."""
        first = self._first_round or 0
        done, left = round_ + 1 - first, self._config.loop.rounds - round_ - 1
        seconds = (time.monotonic() - self._began) / max(done, 1) * left
        return f"; about {_duration(seconds)} left" if left else ""

    def _refresh(self) -> None:
        if self._console.is_terminal:
            self._live.update(self._draw())

    def _draw(self) -> RenderableType:
        table = Table(
            title=f"{self._config.name}: {kind_of(self._config).title(self._config)}",
            title_justify="left",
            box=None,
            padding=(0, 2),
        )
        table.add_column("round", justify="right")
        for title, _, _ in self._columns:
            table.add_column(title, justify="right")
        for round_, row in self._rounds.items():
            cells = [f"{row[name]:{form}}" if name in row else "" for _, name, form in self._columns]
            table.add_row(str(round_ + 1), *cells)
        text, done, total, detail = self._now
        parts: list[RenderableType] = [table]
        if text:
            newest = max(
                (r for r, row in self._rounds.items() if row.keys() & {"check/return_mean", "check/kl"}), default=None
            )
            parts.append(Text(text + ("" if newest is None else self._left(newest)), style="bold"))
        if total:
            bar = Table.grid(padding=(0, 1))
            bar.add_row(ProgressBar(total=total, completed=done, width=40), f"{done:,} of {total:,} {detail}")
            parts.append(bar)
        if self._note:
            parts.append(Text(f"waiting: {self._note}", style="yellow"))
        return Group(*parts)


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"

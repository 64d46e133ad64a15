"""Ranked lists of segments, filled by binary insertion: a few comparisons place a segment among all before it.

A new segment is compared with the middle of the list, then with the middle of the half that is left, and so on; a tie
joins the tie group of the segment that it ties with (LiRE, Choi et al. 2024, section 4). Placing it among g groups takes
at most ceil(log2(g + 1)) comparisons, and tells how it compares with every segment of the list.

The state is a function of the questions and answers in the log, and of nothing else: an insertion question shows the new
segment first and one of its list second; one whose second segment is in no list founds another. So a run resumes
anywhere, and an answer may come whenever it does; until then its list asks nothing.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import assert_never

from plaudit.errors import RecordError
from plaudit.records import Choice, Query

INSERTION = "insertion"
"""strategy of the questions that insert segments into lists"""


@dataclass(slots=True)
class RankedList:
    """One list, and the segment that is being placed in it."""

    groups: list[list[str]]
    """segments from worst to best; those of a group tie"""
    segment: str | None = None
    """being placed, between groups `low` and `high`"""
    low: int = 0
    high: int = 0
    waiting: bool = False
    """a question has been asked and not been answered"""

    @property
    def segments(self) -> list[str]:
        """All that have a place, from worst to best."""
        return [segment for group in self.groups for segment in group]

    def insert(self, segment: str) -> None:
        """Begin to place a segment. Raises RecordError while another is being placed, or when it is in the list."""
        if self.segment is not None or segment in self.segments:
            raise RecordError(
                "A segment cannot be inserted into a ranked list now",
                got=segment,
                expected="a new segment, and no other on its way",
            )
        self.segment, self.low, self.high = segment, 0, len(self.groups)

    def question(self) -> tuple[str, str] | None:
        """The next comparison, of the new segment with one of the list; None when none is due or one waits."""
        if self.segment is None or self.waiting:
            return None
        return self.segment, self.groups[(self.low + self.high) // 2][0]

    def answer(self, pivot: str, choice: Choice) -> None:
        """What came of comparing the new segment with `pivot`; who skips, or finds no order, drops the segment."""
        middle = next(number for number, group in enumerate(self.groups) if pivot in group)
        assert self.segment is not None
        self.waiting = False
        match choice:
            case Choice.FIRST:
                self.low = middle + 1
            case Choice.SECOND:
                self.high = middle
            case Choice.TIE:
                self.groups[middle].append(self.segment)
                self.segment = None
            case Choice.SKIP | Choice.INCOMPARABLE:  # it has no place in an order
                self.segment = None
            case _:
                assert_never(choice)
        if self.segment is not None and self.low >= self.high:
            self.groups.insert(self.low, [self.segment])
            self.segment = None


@dataclass(slots=True)
class Lists:
    """All lists of a run, in the order in which they were founded."""

    lists: list[RankedList] = field(default_factory=list[RankedList])
    asked: int = 0
    """comparisons asked so far, answered or not"""

    @classmethod
    def of(cls, queries: Sequence[Query], choices: Mapping[str, Choice]) -> Lists:
        """The lists as a log tells them.

        Args:
            queries: in log order; those of other strategies are passed over.
            choices: first answer to each question that has one.

        Raises:
            RecordError: a question does not fit the state in which it was asked.
        """
        found = cls()
        for query in queries:
            if query.strategy == INSERTION:
                found.ask(query)
                if query.id in choices:
                    found.answer(query, choices[query.id])
        return found

    def ask(self, query: Query) -> None:
        """A question has been asked. Raises RecordError when it does not fit."""
        segment, pivot = query.segments
        ranked = self._of(pivot)
        if ranked is None:
            ranked = RankedList([[pivot]])
            self.lists.append(ranked)
        if ranked.segment is None:
            ranked.insert(segment)
        if ranked.segment != segment or ranked.waiting:
            raise RecordError("An insertion question does not fit its list", got=query.id, expected=ranked.segment)
        ranked.waiting = True
        self.asked += 1

    def answer(self, query: Query, choice: Choice) -> None:
        """The first answer to a question has come."""
        ranked = self._of(query.segments[1])
        assert ranked is not None
        ranked.answer(query.segments[1], choice)

    @property
    def segments(self) -> list[str]:
        """All that have a place in a list, or are on their way to one."""
        moving = [ranked.segment for ranked in self.lists if ranked.segment is not None]
        return [segment for ranked in self.lists for segment in ranked.segments] + moving

    def lower_bound(self) -> int:
        """Fewest comparisons that can sort as many segments into such lists, at worst: ceil(log2 k!) for k of a list."""
        return sum(_least(len(ranked.segments)) for ranked in self.lists)

    def pairs(self) -> int:
        """Pairs of segments whose order the lists tell."""
        return sum(len(ranked.segments) * (len(ranked.segments) - 1) // 2 for ranked in self.lists)

    def _of(self, segment: str) -> RankedList | None:
        return next((ranked for ranked in self.lists if segment in ranked.segments), None)


def _least(count: int) -> int:
    """ceil(log2 count!), exactly."""
    return (math.factorial(count) - 1).bit_length()

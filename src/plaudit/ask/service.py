"""How people are asked in the studio, and which question each of them may be given next. Pure: no store, no clock.

Gold and repeats were mixed in when the questions were asked; nothing in a question tells them apart. What is decided here
is who gets which: newcomers begin with gold, whoever the gold test stopped gets nothing more, a repeat goes to somebody
who answered it before, and a question that the lead asks again goes to somebody who did not.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from plaudit.errors import ConfigError
from plaudit.quality.gold import GoldTest, SequentialConfig, Verdict, said, sequential_test
from plaudit.records import Choice, Feedback, Query, is_skip
from plaudit.run.seeds import derive

RE_ASKED = "re-asked"
"""strategy of questions that the lead of a study asks again"""
SCRATCH, EDIT = "scratch", "edit"
"""arms of a correction's form: write the better version from nothing, or edit the shown one"""


@dataclass(frozen=True, slots=True)
class ServiceConfig:
    """How people are asked."""

    instruction: str = ""
    """what to look for, above each question; empty: a general one"""
    overlap: int = 1
    """answers to each question, each by another person"""
    screening: int = 0
    """gold questions that newcomers answer first, where there are so many"""
    screen: bool = True
    """whoever the test on gold stops is asked no more"""
    gold_test: SequentialConfig = field(default_factory=SequentialConfig)
    """the test on gold answers"""
    scratch_share: float = 0.0
    """share of corrections of texts that are written from nothing instead of edited, drawn per question and person"""
    assisted_share: float = 0.0
    """share of questions that show the suggestion there is for them, drawn per question and person"""
    seed: int = 0
    """of these draws"""

    def __post_init__(self) -> None:
        shares = {"scratch_share": self.scratch_share, "assisted_share": self.assisted_share}
        if self.overlap < 1 or self.screening < 0 or not all(0 <= share <= 1 for share in shares.values()):
            raise ConfigError(
                "The settings of how people are asked are out of range",
                got=f"overlap {self.overlap}, screening {self.screening}, {shares}",
                expected="overlap >= 1, screening >= 0, shares from 0 to 1",
            )

    def drawn(self, share: float, *names: str) -> bool:
        """Whether something of this share falls to this question and person; the same at every call."""
        return derive(self.seed, *names) < share * 2**63


@dataclass(frozen=True, slots=True)
class Offer:
    """Which questions somebody may be given next."""

    among: tuple[str, ...] = ()
    """questions that go before all others"""
    barred: frozenset[str] = frozenset()
    """questions that are rather for others: repeats of what others answered, and `others`"""
    others: frozenset[str] = frozenset()
    """questions that are for others only: asked again, and this annotator answered them or has them on the screen"""
    stopped: bool = False
    """no question at all: the test on gold has stopped them"""
    screening: bool = False
    """only what is in `among`: they are being screened"""


class Roster:
    """Who has answered what, as far as it decides who is asked what. Fed with what the log holds, in its order.

    Args:
        config: how people are asked.
    """

    def __init__(self, config: ServiceConfig) -> None:
        self.config = config
        self.said: dict[str, dict[str, Choice | int | None]] = {}
        """annotator -> question -> what was said in the form of right answers, None for a skip; in the order of the answers"""
        self._first: dict[tuple[str, ...], str] = {}
        self._again: dict[str, str] = {}
        self._gold: dict[str, Choice | int] = {}
        self._re_asked: set[str] = set()
        self._over: set[str] = set()

    def asked(self, query: Query) -> None:
        """A question was put to people."""
        first = self._first.setdefault(query.segments, query.id)
        if query.strategy == RE_ASKED:
            self._re_asked.add(query.id)
        if first != query.id:
            self._again[query.id] = first

    def golden(self, answers: Mapping[str, Choice | int]) -> None:
        """The right answers of questions became known."""
        self._gold.update(answers)

    def given(self, answer: Feedback) -> None:
        """Somebody answered."""
        self.said.setdefault(answer.annotator, {})[answer.query] = None if is_skip(answer) else said(answer)
        self._over.add(answer.query)

    def test(self, annotator: str) -> GoldTest:
        """The test on gold of one annotator so far."""
        mine = self.said.get(annotator, {})
        right = [value == self._gold[one] for one, value in mine.items() if one in self._gold and value is not None]
        return sequential_test(right, self.config.gold_test)

    def offer(self, annotator: str, holding: Collection[str] = ()) -> Offer:
        """What this annotator, who holds some questions already, may be given next."""
        mine = self.said.get(annotator, {})
        test = self.test(annotator)
        if self.config.screen and test.verdict is Verdict.STOPPED:
            return Offer(stopped=True)
        fresh = tuple(one for one in self._gold if one not in mine)
        if test.answered < self.config.screening and fresh:
            return Offer(among=fresh, screening=True)
        repeats = {one: first for one, first in self._again.items() if one not in self._gold}
        again = [
            one
            for one, first in repeats.items()
            if first in mine and one not in self._re_asked and one not in self._over
        ]
        met = {self._again.get(one, one) for one in (*mine, *holding)}
        others = frozenset(one for one in self._re_asked if one not in holding and self._again.get(one, one) in met)
        barred = {one for one, first in repeats.items() if one not in self._re_asked and first not in mine}
        return Offer(among=tuple(again), barred=others | barred, others=others)


def arm_of(query: Query, annotator: str, config: ServiceConfig) -> str | None:
    """Variant of the form for this question and person, for corrections of texts."""
    if not config.scratch_share:
        return None
    return SCRATCH if config.drawn(config.scratch_share, "scratch", query.id, annotator) else EDIT

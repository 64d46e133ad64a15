"""Which question an annotator who comes for one gets next: overlap, gold, repeats and screening, without I/O and without a clock.

Whoever hands out questions (the studio's desk) knows what was asked, what was answered, and what others have before them now.
What comes out is a function of that and of the run's seed: the same state gives the same question, after a restart too. Whether
somebody's next question is gold or a repeat is drawn for each place among their answers, so nothing tells when one is due.
"""

from __future__ import annotations

import enum
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from plaudit.errors import ConfigError
from plaudit.quality.gold import GoldTest, SequentialConfig, Verdict, tests_of
from plaudit.records import Choice, Feedback, Query, is_skip
from plaudit.run.seeds import generator

Key = tuple[str, ...]
"""what a question is about, however it is shown: its form, and its segments in their order by id"""


@dataclass(frozen=True, slots=True)
class ServingConfig:
    """How questions are handed out to people who come for them."""

    overlap: int = 1
    """answers to each question, each by another annotator"""
    gold_share: float = 0.0
    """share of an annotator's questions that are gold, until the test on them is decided"""
    repeat_share: float = 0.0
    """share of an annotator's questions that they have answered before"""
    repeat_after: int = 50
    """an annotator's answers between the two to the same question; few remember it then"""
    screen: bool = True
    """whether somebody whom the test on gold stops gets no more questions"""
    gold_test: SequentialConfig = field(default_factory=SequentialConfig)
    """the sequential test on gold answers"""

    def __post_init__(self) -> None:
        shares = (self.gold_share, self.repeat_share)
        if self.overlap < 1 or self.repeat_after < 1 or min(shares) < 0 or sum(shares) >= 1:
            raise ConfigError(
                "The settings of handing out questions are out of range",
                got=f"overlap {self.overlap}, repeat_after {self.repeat_after}, gold and repeat share {shares}",
                expected="overlap and repeat_after >= 1, shares of 0 or more, together below 1",
            )


@dataclass(frozen=True, slots=True)
class Asked:
    """What is known when somebody comes for a question."""

    queries: Sequence[Query]
    """everything that was asked, most wanted first; questions that came again among them"""
    answers: Sequence[Feedback]
    """in the order of the log, skips among them; retracted ones left out"""
    gold: Mapping[str, Choice | int] = field(default_factory=dict[str, "Choice | int"])
    """right answers by question, as `plaudit.quality.gold.read_gold`"""
    held: Mapping[str, Collection[str]] = field(default_factory=dict[str, "Collection[str]"])
    """question -> annotators who have it before them now"""


class Purpose(enum.Enum):
    """Why a question is handed out, or none is."""

    NEW = "new"
    """answers are missing"""
    GOLD = "gold"
    """its right answer is known"""
    REPEAT = "repeat"
    """the annotator has answered it before"""
    STOPPED = "stopped"
    """none: the test on gold stopped the annotator"""
    DONE = "done"
    """none: nothing is left for this annotator"""


@dataclass(frozen=True, slots=True)
class Turn:
    """What an annotator gets."""

    purpose: Purpose
    query: Query | None = None
    """the question; one to REPEAT is to be asked anew (`plaudit.quality.gold.asked_again`), the others as they are"""


def next_query(annotator: str, asked: Asked, config: ServingConfig, *, seed: int) -> Turn:
    """The question that an annotator gets next.

    Nobody gets a question, or one about the same segments, that they have answered, skipped or hold, but to repeat it; no
    question is out or answered more than `overlap` times, gold aside. Where a gold question or a repeat is due and there is none,
    a new question comes instead.

    Args:
        annotator: who comes.
        asked: all that is known.
        config: settings.
        seed: the run's.
    """
    by_id = {query.id: query for query in asked.queries}
    own = [by_id[one.query] for one in asked.answers if one.annotator == annotator and one.query in by_id]
    test = screening(annotator, asked, config)
    if config.screen and config.gold_share > 0 and test is not None and test.verdict is Verdict.STOPPED:
        return Turn(Purpose.STOPPED)
    mine = {_key(query) for query in own} | {_key(by_id[id_]) for id_, who in asked.held.items() if annotator in who}
    rng = generator(seed, "serve", annotator, len(own))
    draw = float(rng.random())
    if draw < config.gold_share and (test is None or test.verdict is Verdict.OPEN):
        golden = [query for query in asked.queries if query.id in asked.gold and _key(query) not in mine]
        if golden:
            return Turn(Purpose.GOLD, golden[int(rng.integers(len(golden)))])
    elif config.gold_share <= draw < config.gold_share + config.repeat_share:
        ready = _repeatable(own, annotator, asked, config)
        if ready:
            return Turn(Purpose.REPEAT, ready[int(rng.integers(len(ready)))])
    return _missing(asked, mine, config.overlap)


def screening(annotator: str, asked: Asked, config: ServingConfig) -> GoldTest | None:
    """The test on gold of one annotator; None before any gold was answered."""
    own = [one for one in asked.answers if one.annotator == annotator]
    return tests_of(own, asked.gold, config.gold_test).get(annotator)


def wanted(asked: Asked, overlap: int) -> dict[str, int]:
    """By question, how many answers are missing that nobody is about to give; none for what came again.

    Skips count as answers of nobody, and what is about the same segments in the same form is one question.
    """
    by_id = {query.id: query for query in asked.queries}
    given: dict[Key, set[str]] = {}
    for one in asked.answers:
        if one.query in by_id and not is_skip(one):
            given.setdefault(_key(by_id[one.query]), set()).add(one.annotator)
    for id_, who in asked.held.items():
        if id_ in by_id:
            given.setdefault(_key(by_id[id_]), set()).update(who)
    first: dict[Key, str] = {}
    for query in asked.queries:
        first.setdefault(_key(query), query.id)
    missing = {id_: overlap - len(given.get(key, ())) for key, id_ in first.items()}
    return {id_: count for id_, count in missing.items() if count > 0}


def _missing(asked: Asked, mine: Collection[Key], overlap: int) -> Turn:
    """The first question that lacks answers and is new to the annotator."""
    lacking = wanted(asked, overlap)
    for query in asked.queries:
        if query.id in lacking and _key(query) not in mine:
            return Turn(Purpose.NEW, query)
    return Turn(Purpose.DONE)


def _repeatable(own: Sequence[Query], annotator: str, asked: Asked, config: ServingConfig) -> list[Query]:
    """What the annotator judged once, long enough ago, and does not hold; gold is asked once only."""
    skipped = {one.query for one in asked.answers if one.annotator == annotator and is_skip(one)}
    times = Counter(_key(query) for query in own)
    times.update(_key(query) for query in asked.queries if annotator in asked.held.get(query.id, ()))
    golden = {_key(query) for query in asked.queries if query.id in asked.gold}
    old = own[: max(len(own) - config.repeat_after, 0)]
    return [one for one in old if times[_key(one)] == 1 and one.id not in skipped and _key(one) not in golden]


def _key(query: Query) -> Key:
    level = "" if query.level is None else query.level.value
    return (query.kind.value, query.aspect or "", query.constraint or "", level, *sorted(query.segments))

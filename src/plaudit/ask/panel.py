"""Several annotators: who they are, and who answers which question.

Questions are dealt out in balanced blocks (`plaudit.stats.blocks`): everybody answers equally many, and every two annotators
share equally many. Some of the questions that a round asks are not new: gold, whose right answer is known, and repeats. They are
asked again in the same form, sides drawn anew, at places drawn among the others, so nothing tells them apart.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from plaudit.ask.teachers import Setting, Teacher, TeacherConfig
from plaudit.quality.gold import GoldTest, Verdict
from plaudit.records import Choice, Feedback, Query
from plaudit.run.seeds import generator
from plaudit.stats.blocks import smallest_blocks


@dataclass(frozen=True, slots=True)
class AnnotatorConfig:
    """One simulated annotator of several."""

    name: str = "teacher"
    """id of the annotator; annotators of other names err on other questions"""
    teacher: TeacherConfig = field(default_factory=TeacherConfig)
    """how it judges, as ask.teacher"""
    traits: dict[str, str] | None = None
    """what is known of it, for example { region = "north" }; see `plaudit audit quality --population`"""
    cluster: str | None = None
    """whom it came with, for example an agency"""
    weight: float | None = None
    """of the design that drew it; empty: 1"""

    def annotator(self, seed: int, setting: Setting | None = None) -> Teacher:
        """The annotator; `seed` is the run's, `setting` what surrounds it."""
        made = Teacher(self.teacher, seed, name=self.name, setting=setting)
        made.profile = replace(made.profile, traits=self.traits, cluster=self.cluster, weight=self.weight)
        return made


@dataclass(frozen=True, slots=True)
class Check:
    """A question to ask again."""

    question: Query
    """as it was first asked"""
    annotators: tuple[str, ...]
    """who is to answer; empty: anybody"""
    gold: Choice | None = None
    """the right answer, in the question's own order; None for a repeat"""


@dataclass(frozen=True, slots=True)
class History:
    """What was asked before a round, and by whom it was answered."""

    first: dict[tuple[str, ...], Query]
    """segments -> the first question about them"""
    asked: Counter[tuple[str, ...]]
    """segments -> questions about them"""
    seen: dict[tuple[str, ...], Counter[str]]
    """segments -> annotator -> answers"""

    @classmethod
    def of(cls, queries: Iterable[Query], answers: Iterable[Feedback]) -> History:
        """From questions and answers in the order of the log."""
        found = cls({}, Counter(), {})
        by_id: dict[str, Query] = {}
        for query in queries:
            by_id[query.id] = query
            found.first.setdefault(query.segments, query)
            found.asked[query.segments] += 1
        for answer in answers:
            if answer.query in by_id:
                found.seen.setdefault(by_id[answer.query].segments, Counter())[answer.annotator] += 1
        return found

    @property
    def new(self) -> frozenset[str]:
        """Ids of the questions that asked something new."""
        return frozenset(query.id for query in self.first.values())


def deal(numbers: Sequence[int], names: Sequence[str], overlap: int, *, seed: int) -> list[tuple[str, ...]]:
    """Who answers the questions of these numbers, counted through the whole run: `overlap` of `names` each.

    A function of its arguments: the same number always goes to the same annotators, while nobody leaves. Fewer names than `overlap`
    all answer. `seed` is the run's.
    """
    size = min(overlap, len(names))
    rng = generator(seed, "deal", len(names), size)
    order: list[int] = rng.permutation(len(names)).tolist()
    rows = smallest_blocks(len(names), size, rng=rng).rows.tolist()
    people = [names[one] for one in order]
    return [tuple(people[one] for one in rows[number % len(rows)]) for number in numbers]


def gold_checks(
    bank: Mapping[str, Choice],
    history: History,
    tests: Mapping[str, GoldTest],
    *,
    names: Sequence[str],
    overlap: int,
    count: int,
    seed: int,
) -> list[Check]:
    """Up to `count` gold questions for those of whom least is known; none once the test of everybody is decided.

    A gold question goes to annotators who have not seen it where there are any such, and those asked least often come first.

    Args:
        bank: right answers by id of the first question about some segments.
        history: what was asked before.
        tests: of those who answered gold.
        names: annotators who are asked; empty where anybody may come, as in the studio.
        overlap: answers to each question.
        count: questions.
        seed: of the stage.
    """
    questions = [query for query in history.first.values() if query.id in bank]
    open_ = [name for name in names if name not in tests or tests[name].verdict is Verdict.OPEN]
    if not questions or (names and not open_):
        return []
    luck = generator(seed, "gold").random((count, len(questions) + len(names)))
    given = Counter({name: tests[name].answered if name in tests else 0 for name in open_})
    asked, seen = Counter(history.asked), {key: Counter(by) for key, by in history.seen.items()}
    found: list[Check] = []
    for row in luck.tolist():
        by_luck = dict(zip(open_, row, strict=False))
        who = tuple(sorted(open_, key=lambda name: (given[name], by_luck[name]))[:overlap])
        ranks = [
            (sum(seen.get(q.segments, Counter())[name] > 0 for name in who), asked[q.segments], row[len(names) + i])
            for i, q in enumerate(questions)
        ]
        chosen = questions[ranks.index(min(ranks))]
        found.append(Check(chosen, who, bank[chosen.id]))
        asked[chosen.segments] += 1
        seen.setdefault(chosen.segments, Counter()).update(who)
        given.update(who)
    return found


def repeat_checks(history: History, *, names: Sequence[str], people: bool, count: int, seed: int) -> list[Check]:
    """Up to `count` different questions that come once more, to those who answered them first; least repeated come first.

    Args:
        history: what was asked before.
        names: annotators who are asked.
        people: whether anybody may answer, as in the studio.
        count: questions.
        seed: of the stage.
    """
    ready = [
        (one, tuple(name for name in names if history.seen.get(key, {}).get(name)))
        for key, one in history.first.items()
    ]
    ready = [(one, () if people else who) for one, who in ready if who or (people and history.seen.get(one.segments))]
    luck = generator(seed, "repeats").random(len(ready)).tolist()
    order = sorted(range(len(ready)), key=lambda i: (history.asked[ready[i][0].segments], luck[i]))
    return [Check(*ready[i]) for i in order[:count]]

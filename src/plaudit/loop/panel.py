"""What a run with several annotators, gold questions or repeats does beside asking: whom to ask what, and whose answers count.

Everything is a function of the run file and of the log up to a position that is the same after a kill or in a replay: whom to ask
depends on the answers that were there when the round's `act` ended, whose answers count on where its `ask` ended.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from plaudit.ask.annotator import Annotator
from plaudit.ask.crowd import draw_crowd
from plaudit.ask.panel import Check, History, deal, gold_checks, repeat_checks
from plaudit.ask.service import RE_ASKED
from plaudit.ask.teacher_remarks import Attempts
from plaudit.ask.teachers import Setting, Teacher
from plaudit.errors import RunError
from plaudit.loop.asking_lists import end_of_act
from plaudit.loop.config import GoldSource, RunConfig, labels_per_round
from plaudit.loop.context import Context
from plaudit.quality.agreed import agreed
from plaudit.quality.gold import GoldTest, Verdict, asked_again, read_gold, tests_of
from plaudit.records import Choice, Feedback, Query, is_skip
from plaudit.store.store import Store


def annotators_of(config: RunConfig, attempts: Attempts | None = None) -> tuple[Annotator, ...]:
    """The simulated annotators of a run, and what they could show; none where people answer."""
    ask = config.ask
    if ask.people:
        return ()
    if ask.annotators:
        return tuple(one.annotator(config.seed, Setting(attempts=attempts)) for one in ask.annotators)
    if ask.teacher is None:
        return ()
    if ask.crowd is not None:
        share = ask.overlap, ask.crowd.size  # of the questions of a round, what each is dealt
        setting = Setting(attempts=attempts, place=lambda query: (query.round, query.index * share[0] // share[1]))
        return tuple(one.teacher for one in draw_crowd(ask.crowd, ask.teacher, config.seed, setting=setting))
    return (Teacher(ask.teacher, config.seed, setting=Setting(attempts=attempts)),)


def checks(context: Context, round_: int) -> list[Check]:
    """Questions that a round asks again, gold first."""
    ask, counts = context.config.ask, labels_per_round(context.config)
    before, after = sum(counts[:round_]), sum(counts[: round_ + 1])
    golden, repeated = (
        math.floor(share * after + 1e-9) - math.floor(share * before + 1e-9)
        for share in (ask.gold_share, ask.repeat_share)
    )
    if not (golden or repeated) or not before:
        return []
    store, seed = context.journal.store, context.seed(round_, "ask")
    upto = end_of_act(store, round_)
    queries = [query for query in store.queries() if query.round < round_]
    answers = [answer for _, answer in store.feedback(upto=upto) if not is_skip(answer)]
    history, tests = History.of(queries, answers), _tests(context, answers, upto)
    names = active(context, upto)
    bank = _bank(context, history, answers, tests, upto) if golden else {}
    found = gold_checks(bank, history, tests, names=names, overlap=ask.overlap, count=golden, seed=seed)
    return found + repeat_checks(history, names=names, people=not context.annotators, count=repeated, seed=seed)


def again(context: Context, round_: int, check: Check, index: int) -> Query:
    """The question of a check."""
    return asked_again(check.question, round=round_, index=index, seed=context.config.seed)


def active(context: Context, upto: int) -> list[str]:
    """Simulated annotators who are asked, given the log up to a position. Raises RunError when everybody was stopped."""
    names = [one.profile.id for one in context.annotators]
    stopped = stopped_by(context, upto)
    found = [name for name in names if name not in stopped]
    if names and not found:
        raise _nobody(stopped)
    return found


def _nobody(stopped: frozenset[str]) -> RunError:
    return RunError(
        "The test on gold questions stopped every annotator",
        got=sorted(stopped),
        next_step="look at the gold answers with `plaudit audit quality`; ask.screen = false goes on without the test",
    )


def stopped_by(context: Context, upto: int) -> frozenset[str]:
    """Annotators whom the test on gold has stopped, given the log up to a position."""
    if not context.config.ask.screens:
        return frozenset()
    answers = [answer for _, answer in context.journal.store.feedback(upto=upto)]
    tests = _tests(context, answers, upto)
    return frozenset(name for name, test in tests.items() if test.verdict is Verdict.STOPPED)


def who_answers(context: Context, round_: int, queries: Sequence[Query]) -> dict[str, tuple[str, ...]]:
    """By question, which simulated annotators answer it, checks aside."""
    ask, names = context.config.ask, [one.profile.id for one in context.annotators]
    if len(names) == 1:
        return {query.id: (names[0],) for query in queries}
    store = context.journal.store
    before = sum(query.round < round_ for query in store.queries())
    asked = active(context, end_of_act(store, round_))
    dealt = deal([before + query.index for query in queries], asked, ask.overlap, seed=context.config.seed)
    return {query.id: who for query, who in zip(queries, dealt, strict=True)}


def counted(context: Context, answers: Sequence[Feedback]) -> list[Feedback]:
    """The answers that the reward learns from: to new questions, by annotators who were not stopped.

    Answers to gold and repeats say how good an annotator is; in a fit they would stand on both sides of its held-out accuracy.
    """
    if not context.config.ask.checks:
        return list(answers)
    stopped = stopped_by(context, context.asked_until)
    queries = context.journal.store.queries()
    new = History.of(queries, ()).new | {query.id for query in queries if query.strategy == RE_ASKED}
    found = [answer for answer in answers if answer.query in new and answer.annotator not in stopped]
    if stopped and not found:
        raise _nobody(stopped)
    return found


def _tests(context: Context, answers: Sequence[Feedback], upto: int) -> dict[str, GoldTest]:
    return tests_of(answers, read_gold(context.journal.store, upto), context.config.ask.gold_test)


def _bank(
    context: Context, history: History, answers: Sequence[Feedback], tests: dict[str, GoldTest], upto: int
) -> dict[str, Choice]:
    """Right answers by id of the first question about some segments: those that people set, and those of `gold_from`."""
    store, source = context.journal.store, context.config.ask.gold_from
    stopped = {name for name, test in tests.items() if test.verdict is Verdict.STOPPED}
    match source:
        case GoldSource.TRUE:
            found = _true(store, list(history.first.values()))
        case GoldSource.AGREED:
            found = agreed(store.queries(), [one for one in answers if one.annotator not in stopped])
    asked = {query.id: query for query in store.queries()}
    for id_, choice in read_gold(store, upto).items():
        first = history.first.get(asked[id_].segments)
        if first is not None and isinstance(choice, Choice):
            found[first.id] = choice
    return found


def _true(store: Store, questions: Sequence[Query]) -> dict[str, Choice]:
    """What the environment's own reward says about those questions whose returns differ by the median difference or more."""
    segments = store.segments(list({name for one in questions for name in one.segments}))
    rewards = {name: store.segment_data(segment).true_rewards for name, segment in segments.items()}
    returns = {name: float(found.sum()) for name, found in rewards.items() if found is not None}
    known = [one for one in questions if all(name in returns for name in one.segments)]
    gaps = np.array([returns[one.segments[0]] - returns[one.segments[1]] for one in known])
    clear = np.abs(gaps) >= np.median(np.abs(gaps)) if len(gaps) else np.zeros(0, bool)
    return {
        one.id: Choice.FIRST if gap > 0 else Choice.SECOND
        for one, gap, wanted in zip(known, gaps, clear, strict=True)
        if wanted and gap != 0
    }

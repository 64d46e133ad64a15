"""The Ask section: what was asked, who answered what, and a handful of questions to look at."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from plaudit.records import (
    AnnotatorKind,
    AnnotatorProfile,
    Choice,
    Comparison,
    Critique,
    Feedback,
    Query,
    Ranking,
    Rating,
    StepFeedback,
    brought,
    is_skip,
    kind_of,
)
from plaudit.report.summary import AnnotatorTotals, AskSummary, Clip, Question, Reply, StrategyTotals

SHOWN = 6
"""questions on the page: enough to see what was asked, few enough to load at once"""
ORDINALS = ("first", "second")


@dataclass(frozen=True, slots=True)
class Answers:
    """Questions and answers of a run."""

    queries: list[Query]
    feedback: list[Feedback]
    profiles: dict[str, AnnotatorProfile]

    def by_query(self) -> dict[str, list[Feedback]]:
        """Answers to each question, in log order."""
        found: dict[str, list[Feedback]] = {}
        for one in self.feedback:
            found.setdefault(one.query, []).append(one)
        return found


@dataclass(frozen=True, slots=True)
class Outcomes:
    """What became of some questions; one with several answers counts once."""

    asked: int
    answered: int
    skipped: int
    ties: int


def outcomes(queries: Sequence[Query], by_query: dict[str, list[Feedback]]) -> Outcomes:
    """Counts over questions: answered by anyone, skipped by all who saw it, tied for all who judged."""
    answered = skipped = ties = 0
    for query in queries:
        given = by_query.get(query.id, [])
        judged = [one for one in given if not is_skip(one)]
        answered += bool(judged)
        skipped += bool(given and not judged)
        ties += bool(judged) and all(_is_tie(one) for one in judged)
    return Outcomes(len(queries), answered, skipped, ties)


def summarise_answers(answers: Answers, clip: Callable[[str, str], Clip], *, kind: str | None) -> AskSummary:
    """The section; `clip` turns (label, segment id) into a clip, `kind` is the run file's form of questions."""
    by_query = answers.by_query()
    kinds = sorted({query.kind.value for query in answers.queries})
    people = {name for name, one in answers.profiles.items() if one.kind is AnnotatorKind.PERSON}
    strategies = list(dict.fromkeys(query.strategy for query in answers.queries))
    return AskSummary(
        kind=kinds[0] if len(kinds) == 1 else "mixed" if kinds else kind or "comparison",
        asked=len(answers.queries),
        answered=sum(not is_skip(one) for one in answers.feedback),
        skipped=sum(is_skip(one) for one in answers.feedback),
        ties=sum(_is_tie(one) for one in answers.feedback),
        waiting=sum(query.id not in by_query for query in answers.queries),
        human_seconds=_seconds([one for one in answers.feedback if one.annotator in people]),
        simulated_seconds=_seconds([one for one in answers.feedback if one.annotator not in people]),
        people=len({one.annotator for one in answers.feedback} & people),
        annotators=_annotators(answers),
        strategies=tuple(_strategy(name, answers, by_query) for name in strategies),
        questions=tuple(_question(query, answers, by_query, clip) for query in _spread(answers.queries, by_query)),
    )


def _annotators(answers: Answers) -> tuple[AnnotatorTotals, ...]:
    queries = {query.id: query for query in answers.queries}
    found: list[AnnotatorTotals] = []
    for name in dict.fromkeys(one.annotator for one in answers.feedback):
        given = [one for one in answers.feedback if one.annotator == name]
        decided = [one for one in given if isinstance(one, Comparison) and one.choice in (Choice.FIRST, Choice.SECOND)]
        profile = answers.profiles.get(name)
        found.append(
            AnnotatorTotals(
                annotator=name,
                kind="unknown" if profile is None else profile.kind.value,
                description="" if profile is None else profile.description,
                answered=sum(not is_skip(one) for one in given),
                skipped=sum(is_skip(one) for one in given),
                ties=sum(_is_tie(one) for one in given),
                decided=len(decided),
                chose_shown_first=sum(_chosen(one) == queries[one.query].shown[0] for one in decided),
                seconds=_seconds(given),
            )
        )
    return tuple(found)


def _chosen(answer: Comparison) -> int:
    return 0 if answer.choice is Choice.FIRST else 1


def _strategy(name: str, answers: Answers, by_query: dict[str, list[Feedback]]) -> StrategyTotals:
    found = outcomes([query for query in answers.queries if query.strategy == name], by_query)
    return StrategyTotals(name, found.asked, found.answered, found.ties, found.skipped)


def _spread(queries: Sequence[Query], by_query: dict[str, list[Feedback]]) -> list[Query]:
    """Some questions, evenly over the run; those with answers, where there are any."""
    among = [query for query in queries if query.id in by_query] or list(queries)
    count = min(SHOWN, len(among))
    return [among[round(i * (len(among) - 1) / max(count - 1, 1))] for i in range(count)]


def _question(
    query: Query, answers: Answers, by_query: dict[str, list[Feedback]], clip: Callable[[str, str], Clip]
) -> Question:
    return Question(
        query=query.id,
        kind=query.kind.value,
        round=query.round + 1,
        index=query.index,
        strategy=query.strategy,
        score=query.score,
        propensity=query.propensity,
        clips=tuple(clip(label, segment) for label, segment in _clips(query, by_query.get(query.id, []))),
        shown_first=query.shown[0] + 1,
        replies=tuple(reply_of(one, answers.profiles) for one in by_query.get(query.id, [])),
    )


def _clips(query: Query, given: Sequence[Feedback]) -> list[tuple[str, str]]:
    """(label, segment id) of what the question showed, and of what was shown in answer."""
    labels = [ORDINALS[i] if i < len(ORDINALS) else f"number {i + 1}" for i in range(len(query.segments))]
    return [
        *zip(labels, query.segments, strict=True),
        *(("the answer", one) for answer in given for one in brought(answer)),
    ]


def reply_of(answer: Feedback, profiles: Mapping[str, AnnotatorProfile]) -> Reply:
    """An answer in words."""
    profile = profiles.get(answer.annotator)
    strength = answer.strength if isinstance(answer, Comparison) else None
    kind = "unknown" if profile is None else profile.kind.value
    return Reply(answer.annotator, kind, _in_words(answer), strength, answer.response_seconds)


def _in_words(answer: Feedback) -> str:
    match answer:
        case Comparison():
            return answer.choice.value
        case Rating():
            return "skip" if answer.value is None else f"{answer.value + 1} of {answer.levels}"
        case StepFeedback():
            return f"{len(answer.steps)} steps judged" if answer.steps else "skip"
        case Ranking():
            return " ".join(str(rank + 1) for rank in answer.ranks) or "skip"
        case Critique():
            return f"{len(answer.notes)} notes" if answer.notes else "skip"
        case _:
            return "skip" if is_skip(answer) else kind_of(answer)


def _is_tie(answer: Feedback) -> bool:
    return isinstance(answer, Comparison) and answer.choice is Choice.TIE


def _seconds(given: Sequence[Feedback]) -> float | None:
    timed = [one.response_seconds for one in given if one.response_seconds is not None]
    return sum(timed) if timed else None

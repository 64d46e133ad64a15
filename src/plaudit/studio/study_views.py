"""How statistics of annotators are written as the studio's JSON."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Mapping, Sequence

import numpy as np

from plaudit.quality import annotators as people
from plaudit.quality import groups
from plaudit.quality import table as tables
from plaudit.quality.annotators import AnnotatorAudit
from plaudit.quality.audit import Agreement, Audit, AuditConfig, Consensus, agreement
from plaudit.quality.detect import Copy, Pattern, Spam
from plaudit.quality.drift import Drift
from plaudit.quality.fatigue import Decline
from plaudit.quality.gold import GoldTest, Verdict, said
from plaudit.quality.table import Material
from plaudit.records import Choice, Feedback, Query, is_skip, kind_of, to_json
from plaudit.stats.ceiling import NoiseCeiling
from plaudit.stats.side import SideBias
from plaudit.stats.undefined import Undefined
from plaudit.studio.study_shapes import (
    AgreementView,
    AnnotatorView,
    AnswerView,
    Ceiling,
    DriftView,
    Gold,
    Group,
    StudyQuestion,
    Suspicion,
    Together,
    Trait,
    ranged,
)

HIDDEN = frozenset({"id", "query", "annotator", "answered_at", "response_seconds", "derived_from", "confirmed_by"}) | {
    "phase_seconds", "interface", "arm", "reason", "kind"
}  # fmt: skip
"""fields of a record that are not what was said"""


def annotator_view(
    name: str,
    given: Sequence[Feedback],
    audited: AnnotatorAudit | None,
    drift: Drift | Undefined | None,
    *,
    gone: Collection[str],
) -> AnnotatorView:
    """What all answers of somebody say, retracted ones too, and what was found of those that stand."""
    timed = [one.response_seconds for one in given if one.response_seconds is not None]
    skips = [one for one in given if is_skip(one)]
    side = None if audited is None or isinstance(audited.side, Undefined) else audited.side
    again = None if audited is None or isinstance(audited.repeats, Undefined) else audited.repeats
    return AnnotatorView(
        annotator=name,
        name=None,
        kind="unknown",
        answers=sum(not is_skip(one) and one.id not in gone for one in given),
        skips=len(skips),
        reasons_to_skip=dict(Counter(one.reason or "" for one in skips)),
        retracted=sum(one.id in gone for one in given),
        seconds=float(sum(timed)),
        untimed=len(given) - len(timed),
        median_seconds=float(np.median(timed)) if timed else None,
        gold=None if audited is None else Gold.of(audited.gold),
        first_shown=None if side is None else ranged(side.share),
        side_bias=None if side is None else ranged(side.log_odds),
        repeats=None if again is None else ranged(again.same),
        repeated=0 if again is None else again.pairs,
        accuracy=None if audited is None else ranged(audited.accuracy),
        drift=_drift(drift) if isinstance(drift, Drift) else None,
        suspicions=[],
        stopped=False,
        last_seen=None,
        holds=0,
        reasons=_reasons(audited, drift),
    )


def _drift(found: Drift) -> DriftView | None:
    early, late, change = (ranged(one) for one in (found.early, found.late, found.change))
    return None if early is None or late is None or change is None else DriftView(early, late, change)


def _reasons(audited: AnnotatorAudit | None, drift: Drift | Undefined | None) -> dict[str, str]:
    if audited is None:
        return {}
    found = {"gold": audited.gold, "first_shown": audited.side, "repeats": audited.repeats}
    found |= {"accuracy": audited.accuracy, "drift": drift}
    return {name: one.reason for name, one in found.items() if isinstance(one, Undefined)}


def is_stopped(audited: AnnotatorAudit | None) -> bool:
    """Whether the test on gold says stop."""
    return audited is not None and isinstance(audited.gold, GoldTest) and audited.gold.verdict is Verdict.STOPPED


def suspicions(name: str, audited: AnnotatorAudit | None, found: Audit) -> list[Suspicion]:
    """Why to look at somebody, alone and beside others."""
    if audited is None:
        return []
    alone = [
        Suspicion(about.value, sentence, _numbers(about, audited))
        for about, sentence in zip(audited.suspected, audited.suspicions, strict=True)
    ]
    return alone + [
        _copies(name, first, second, copy) for first, second, copy in found.copies if name in (first, second)
    ]


def _copies(name: str, first: str, second: str, copy: Copy) -> Suspicion:
    other = second if name == first else first
    sentence = (
        f"equal answers to {copy.agreed} of {copy.shared} questions shared with {other}, {copy.expected:.1f} expected"
    )
    numbers = {"agreed": float(copy.agreed), "shared": float(copy.shared), "expected": float(copy.expected)}
    return Suspicion("copies", sentence, numbers, other)


def _numbers(about: people.Suspicion, of: AnnotatorAudit) -> dict[str, float]:
    match about, of:
        case people.Suspicion.GOLD, AnnotatorAudit(gold=GoldTest() as gold):
            return {"right": gold.right, "answered": gold.answered}
        case people.Suspicion.AGREEMENT, AnnotatorAudit(spam=Spam() as mass):
            shares = {"agreement": mass.agreement, "others": mass.others, "chance": mass.chance}
            return {**shares, "questions": mass.questions}
        case people.Suspicion.SIDE, AnnotatorAudit(side=SideBias() as side):
            return {"share": side.share.value, "answers": side.answers}
        case people.Suspicion.ORDER, AnnotatorAudit(pattern=Pattern() as order):
            return {"answers": order.answers, "runs": order.runs, "expected": order.expected}
        case people.Suspicion.RUSHED, AnnotatorAudit(bursts=tuple() as bursts):
            return {"longest": max(one.length for one in bursts), "times": len(bursts)}
        case people.Suspicion.TIRED, AnnotatorAudit(decline=Decline() as tired):
            return {"start": tired.start, "end": tired.end}
        case _:
            return {}


def together(found: Consensus | Undefined) -> Together | None:
    """The consensus as JSON."""
    return None if isinstance(found, Undefined) else Together(found.pairs, found.changed, found.sure)


def ceiling(found: NoiseCeiling | Undefined) -> Ceiling | None:
    """The ceiling as JSON."""
    if isinstance(found, Undefined) or not (math.isfinite(found.low) and math.isfinite(found.high)):
        return None
    return Ceiling(found.low, found.high, found.questions)


def agreement_view(aspect: str | None, all_: bool, one: Agreement) -> AgreementView:
    """Agreement on one form of question as JSON."""
    return AgreementView(
        kind=one.form.value,
        levels=one.levels,
        aspect=aspect,
        all_aspects=all_,
        alpha=ranged(one.alpha),
        ac1=None if isinstance(one.ac1, Undefined) or not np.isfinite(one.ac1) else float(one.ac1),
        questions=one.questions,
        reason=one.alpha.reason if isinstance(one.alpha, Undefined) else None,
    )


def trait_view(found: groups.Trait) -> Trait:
    """Groups that are large enough, as JSON."""
    shown = [
        Group(
            one.value,
            one.annotators,
            one.answers,
            None if isinstance(one.agreement, Undefined) else ranged(one.agreement.interval),
        )
        for one in found.groups
    ]
    return Trait(found.name, shown, found.hidden)


def by_aspect(material: Material, found: Audit, config: AuditConfig) -> list[tuple[str | None, bool, Agreement]]:
    """Agreement by form of question, and by aspect where there are several."""
    aspects = sorted({query.aspect or "" for query in material.queries.values()})
    all_ = [(None if len(aspects) != 1 else aspects[0] or None, len(aspects) > 1, one) for one in found.agreement]
    if len(aspects) < 2:
        return all_
    for aspect in aspects:
        queries = {id_: query for id_, query in material.queries.items() if (query.aspect or "") == aspect}
        feedback = tuple(one for one in material.feedback if one.query in queries)
        part = Material(queries, feedback, material.profiles, material.gold)
        if feedback:
            all_ += [(aspect or None, False, one) for one in agreement(part, tables.comparisons(part), config)]
    return all_


def question_view(one: Query, *, answers: int, again: int, gold: bool) -> StudyQuestion:
    """A question as JSON."""
    return StudyQuestion(
        query=one.id,
        kind=one.kind.value,
        round=one.round,
        index=one.index,
        strategy=one.strategy,
        segments=list(one.segments),
        shown=list(one.shown),
        levels=one.levels,
        aspect=one.aspect,
        constraint=one.constraint,
        answers=answers,
        asked_again=again,
        gold=gold,
    )


def answer_view(seq: int, one: Feedback, why: Mapping[str, str], right: Mapping[str, Choice | int]) -> AnswerView:
    """An answer as JSON; `why` says why some were retracted, `right` what is right of gold."""
    skipped = is_skip(one)
    return AnswerView(
        seq=seq,
        feedback=one.id,
        query=one.query,
        annotator=one.annotator,
        kind=kind_of(one),
        said={name: value for name, value in to_json(one).items() if name not in HIDDEN},
        skipped=skipped,
        reason=one.reason,
        seconds=one.response_seconds,
        answered_at=one.answered_at,
        arm=one.arm,
        retracted=why.get(one.id),
        right=None if skipped or one.query not in right else said(one) == right[one.query],
    )


def word(answer: Choice | int | None) -> str:
    """A side, a tie or a grade as a word."""
    return answer.value if isinstance(answer, Choice) else str(answer)

"""Do the statistics of annotators find what simulated annotators were given? Skill, side bias, spam, copies, haste, fatigue, times.

    python -m benchmarks.recovery skill        # one part at a time; without a name all of them
    python -m benchmarks.recovery --join       # results/recovery.json from all parts that have been run

Every answer comes from `plaudit.ask.crowd`, through the same `Teacher` that answers in a run; first seed 0.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.stats import spearmanr

from benchmarks.common import Row, append_raw, read_raw, write
from plaudit.ask import Careless, CrowdConfig, Member, Teacher, TeacherConfig, draw_crowd
from plaudit.ask.perception import Seen
from plaudit.quality.detect import DetectConfig, bursts, copies, pattern, spam
from plaudit.quality.fatigue import decline
from plaudit.records import Choice, Comparison, Query, QueryKind
from plaudit.run.seeds import generator
from plaudit.stats.choice import comparison, response_time
from plaudit.stats.crowd import Labels
from plaudit.stats.intervals import wilson
from plaudit.stats.ranking import Comparisons
from plaudit.stats.reliability import crowd_bradley_terry, reliability_given
from plaudit.stats.side import side_bias

LABELS, SKILLS, SIDES, CROWDS = 200, 50, 2000, 100
TIMED = TeacherConfig(decision_seconds=3.0, motor_seconds=2.0)
DETECT = DetectConfig()


@dataclass(frozen=True)
class Asked:
    """Comparisons of items of known value, with the answers of some annotators: [annotator, question]."""

    value: NDArray[np.float64]
    first: NDArray[np.int64]
    second: NDArray[np.int64]
    side: NDArray[np.int64]
    """1 the first, as shown on the screen, -1 the second"""
    seconds: NDArray[np.float64]

    @property
    def advantage(self) -> NDArray[np.float64]:
        """[annotator, question] value of what is shown first minus the other's."""
        return self.value[self.first] - self.value[self.second]


def asked(
    members: Sequence[Member],
    seed: int,
    *,
    shared: bool,
    items: int = 50,
    labels: int = LABELS,
    session: int = 10 * LABELS,
) -> Asked:
    """Every annotator answers `labels` questions, its own ones or the same ones in the same order."""
    rng = generator(seed, "recovery")
    value = rng.normal(size=items) * 1.5
    shape = (1 if shared else len(members), labels)
    first = rng.integers(0, items, shape)
    second = (first + rng.integers(1, items, shape)) % items
    first, second = (np.broadcast_to(one, (len(members), labels)) for one in (first, second))
    seen = [Seen(np.array([one])) for one in value]
    side, seconds = np.zeros(first.shape, dtype=np.int64), np.zeros(first.shape)
    for row, member in enumerate(members):
        for number in range(labels):
            pair = int(first[row, number]), int(second[row, number])
            query = Query(
                kind=QueryKind.COMPARISON,
                segments=(f"item{pair[0]}", f"item{pair[1]}"),
                shown=(0, 1),
                round=number // session,
                index=number % session,
                strategy="uniform",
            )
            answer = member.teacher.judge(query, [seen[pair[0]], seen[pair[1]]])
            assert isinstance(answer, Comparison)
            side[row, number] = 1 if answer.choice is Choice.FIRST else -1
            seconds[row, number] = answer.response_seconds or 0.0
    return Asked(value, first, second, side, seconds)


def skill() -> list[Row]:
    """Skill of 20 annotators with 200 labels each, beside the estimator that knows the items' values; alone, and among other faults."""
    rows: list[Row] = []
    crowds = {
        "mistakes alone": (CrowdConfig(honest=20, mistake_most=0.5), TeacherConfig()),
        "among other faults": (
            CrowdConfig(honest=20, mistake_most=0.5, temperature_spread=0.3, side_spread=0.3, fatigue_most=0.001),
            TeacherConfig(lapse=0.05),
        ),
    }
    for name, (config, common) in crowds.items():
        found, best = np.zeros(SKILLS), np.zeros(SKILLS)
        for seed in range(SKILLS):
            members = draw_crowd(config, common, seed)
            data = asked(members, seed, shared=False)
            eta = [1 - member.teacher.config.mistake for member in members]
            who = np.repeat(np.arange(20), LABELS)
            flat = Comparisons(data.first.ravel(), data.second.ravel(), data.side.ravel(), len(data.value))
            fit = crowd_bradley_terry(flat, who, 20)
            known = reliability_given(data.advantage.ravel(), data.side.ravel(), who, 20)
            found[seed], best[seed] = spearmanr(fit.eta, eta)[0], spearmanr(known, eta)[0]
        for case, values in (("", found), (", values known", best)):
            low, high = np.quantile(values, [0.1, 0.9])
            rows.append(Row(f"skill/{name}{case}", "spearman_median", float(np.median(values)), low, high, SKILLS))
        rows.append(Row(f"skill/{name}", "share_of_values_known", float(np.median(found) / np.median(best)), n=SKILLS))
    return rows


def side() -> list[Row]:
    """How often the 95 % interval of one annotator's side bias holds the bias it was given."""
    hits = 0
    for seed in range(SIDES):
        bias = float(generator(seed, "bias").uniform(-1.0, 1.0))
        members = draw_crowd(CrowdConfig(honest=1), TeacherConfig(side=bias), seed)
        data = asked(members, seed, shared=True, items=30)
        odds = side_bias((data.side[0] == 1).astype(float), data.advantage[0]).log_odds
        hits += odds.low <= bias <= odds.high
    share = wilson(hits, SIDES)
    return [Row("side bias/one simulated annotator, 200 labels", "coverage", share.value, share.low, share.high, SIDES)]


def detection() -> list[Row]:
    """Who is caught among 8 honest annotators and 4 of the others, and how often anybody honest is suspected, with and without them."""
    caught: dict[str, list[bool]] = {}
    for seed in range(CROWDS):
        kind = list(Careless)[seed % 4]
        config = CrowdConfig(honest=8, mistake_most=0.2, spammers=1, spam_as=kind, hurried=1, colluders=2)
        members = draw_crowd(config, TIMED, seed)
        data = asked(members, seed, shared=True)
        marks = _suspected(data)
        roles = [member.role for member in members]
        spammer = roles.index("spammer")
        tests = [*marks]
        for test in ("spam", "side", "pattern", "burst"):
            caught.setdefault(f"spammer, {kind.value}/{test}", []).append(spammer in marks[test])
        caught.setdefault(f"spammer, {kind.value}/any test", []).append(any(spammer in marks[test] for test in tests))
        caught.setdefault("hurried/burst", []).append(roles.index("hurried") in marks["burst"])
        caught.setdefault("colluders/copy", []).append(roles.index("colluder") in marks["copy"])
        honest = set(range(8))
        for test in tests:
            caught.setdefault(f"honest among others/{test}", []).append(bool(honest & marks[test]))
        clean = Asked(data.value, data.first[:8], data.second[:8], data.side[:8], data.seconds[:8])
        for test, found in _suspected(clean).items():
            caught.setdefault(f"honest alone/{test}", []).append(bool(found))
    return [
        Row(
            f"detection/{name}",
            "false_alarm" if name.startswith("honest") else "power",
            *_interval(values),
            n=len(values),
        )
        for name, values in caught.items()
    ]


def _suspected(data: Asked) -> dict[str, set[int]]:
    """Annotators by the test that suspects them, as the audit decides: at the stated error rate over all annotators."""
    people, labels = data.side.shape
    who, item = np.divmod(np.arange(people * labels), labels)
    given = Labels(item, who, (data.side.ravel() == -1).astype(np.int64), labels, people, 2)
    limit = DETECT.error_rate / people
    marks: dict[str, set[int]] = {name: set() for name in ("spam", "side", "pattern", "burst", "copy")}
    typical = float(np.median(data.seconds))
    for k in range(people):
        mass, order = spam(given, k), pattern(data.side[k])
        leaning = side_bias((data.side[k] == 1).astype(float))
        marks["spam"] |= {k} if mass is not None and mass.p_value < limit else set()
        marks["side"] |= {k} if leaning.p_value < limit else set()
        marks["pattern"] |= {k} if order is not None and order.p_value < limit else set()
        marks["burst"] |= {k} if bursts(data.seconds[k], typical, DETECT) else set()
    for copy in copies(given, DETECT):
        marks["copy"] |= {copy.first, copy.second}
    return marks


def fatigue(labels: int = LABELS, crowds: int = CROWDS, session: int = 10 * LABELS) -> list[Row]:
    """Whether somebody who tires is told from others, at the error rate of the audit's tests, with the values fitted or known."""
    rates = dict(enumerate((0.0, 0.001, 0.003, 0.01)))
    fell: dict[tuple[str, float], list[bool]] = {}
    within = f" in sessions of {session}" if session < labels else ""
    for seed in range(crowds):
        members = draw_crowd(CrowdConfig(honest=10, mistake_most=0.1), TeacherConfig(), seed)
        tiring = [_tired(one, seed, rates.get(number, 0.0)) for number, one in enumerate(members)]
        data = asked(tiring, seed, shared=False, labels=labels, session=session)
        flat = Comparisons(data.first.ravel(), data.second.ravel(), data.side.ravel(), len(data.value))
        fit = crowd_bradley_terry(flat, np.repeat(np.arange(10), labels), 10)
        for name, value in (("values fitted", fit.value), ("values known", data.value)):
            for k, member in enumerate(tiring):
                gap = value[data.first[k]] - value[data.second[k]]
                found = decline(gap, data.side[k], np.arange(labels) // session, float(fit.eta[k]))
                fell.setdefault((name, member.teacher.config.fatigue), []).append(
                    found is not None and found.p_value < DETECT.error_rate / len(tiring)
                )
    return [
        Row(
            f"fatigue/{rate:g} an answer, {labels} answers{within}, {name}",
            "power" if rate else "false_alarm",
            *_interval(values),
            n=len(values),
        )
        for (name, rate), values in sorted(fell.items())
    ]


def _tired(member: Member, seed: int, rate: float) -> Member:
    config, name = replace(member.teacher.config, fatigue=rate), member.teacher.profile.id
    return replace(member, teacher=Teacher(config, seed, name=name))


def times() -> list[Row]:
    """Values of 12 items from choices alone and from choices with response times, at equal numbers of answers."""
    rows: list[Row] = []
    for count in (30, 60, 120, 240):
        errors: dict[str, list[float]] = {"choices": [], "choices and times": []}
        for seed in range(SKILLS):
            members = draw_crowd(CrowdConfig(honest=1), TIMED, seed)
            data = asked(members, seed, shared=True, items=12, labels=count)
            for name in errors:
                fitted = _values(data, timed=name != "choices")
                truth = data.value - data.value.mean()
                errors[name].append(float(np.sqrt(np.mean((fitted - truth) ** 2))))
        rows += [
            Row(
                f"values/{name}, {count} answers",
                "rmse_median",
                float(np.median(one)),
                *np.quantile(one, [0.1, 0.9]),
                SKILLS,
            )
            for name, one in errors.items()
        ]
    return rows


def _values(data: Asked, *, timed: bool) -> NDArray[np.float64]:
    """Most likely values under the prior that they were drawn from."""
    first, second, sides = data.first[0], data.second[0], data.side[0]
    grade = np.zeros(len(sides), dtype=np.int64)

    def loss(value: NDArray[np.float64]) -> float:
        gap = value[first] - value[second]
        found = comparison(gap, sides, grade, [0.0])
        if timed:
            found = found + response_time(gap, data.seconds[0], TIMED.decision_seconds, motor=TIMED.motor_seconds)
        return float(0.5 * np.sum((value / 1.5) ** 2) - found.sum())

    fitted = minimize(loss, np.zeros(len(data.value)), method="L-BFGS-B").x
    return fitted - fitted.mean()


def _interval(values: Sequence[bool]) -> tuple[float, float, float]:
    share = wilson(sum(values), len(values))
    return share.value, share.low, share.high


PARTS: dict[str, Callable[[], list[Row]]] = {
    "skill": skill,
    "side": side,
    "detection": detection,
    "fatigue": fatigue,
    "fatigue-long": partial(fatigue, 5 * LABELS, CROWDS // 2),
    "fatigue-sessions": partial(fatigue, 2 * LABELS, CROWDS // 4, 50),
    "times": times,
}


def main() -> int:
    """Run parts and append them to results/raw/recovery.jsonl; join them to results/recovery.json."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", default=list(PARTS), help=", ".join(PARTS))
    parser.add_argument("--join", action="store_true", help="only write the results of what has been run")
    given = parser.parse_args()
    if set(given.parts) - set(PARTS):
        parser.error(f"unknown part in {given.parts}")
    for part in [] if given.join else given.parts:
        began = time.process_time()
        rows = PARTS[part]()
        append_raw(
            "recovery", {"part": part, "seconds": time.process_time() - began, "rows": [asdict(row) for row in rows]}
        )
        for row in rows:
            print(row.case, row.metric, round(row.value, 4))
    newest = {line["part"]: line["rows"] for line in read_raw("recovery")}
    write(
        "recovery",
        asked="Do the statistics of annotators find what simulated annotators were given, and whom do the tests of the audit catch?",
        rows=[Row(**row) for part in PARTS for row in newest.get(part, [])],
        note="each part was run by its name; first seed 0; 200 labels by each annotator; 95 % Wilson intervals, or the middle 80 % of simulations for medians",
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""A made-up but lifelike run for the tests of report and doctor: Pendulum, 12 rounds, 50 comparisons."""

from __future__ import annotations

import dataclasses
import io
import math

import numpy as np
from PIL import Image, ImageDraw

from plaudit.check.compare import fraction
from plaudit.check.diagnose import Evidence, Finding, Severity
from plaudit.records import digest
from plaudit.report.parts import Video
from plaudit.report.summary import (
    ActSummary,
    AnnotatorTotals,
    AskSummary,
    CheckSummary,
    Clip,
    Estimate,
    ImproveSummary,
    LearnSummary,
    Metric,
    Provenance,
    Question,
    ReliabilityBin,
    Reply,
    RoundSummary,
    Setting,
    StageSummary,
    StrategyTotals,
    Summary,
)
from plaudit.report.verdict import details, headline
from plaudit.stats.intervals import mean_interval, wilson

RANDOM, ORACLE = -1214.8, -146.3
STAGES = ("act", "ask", "learn", "improve", "check")


def pendulum_clip(seed: int, steps: int = 20, size: int = 160) -> bytes:
    """An animated WebP of a swinging bar."""
    rng = np.random.default_rng(seed)
    angle, speed = rng.uniform(-math.pi, math.pi), rng.normal()
    frames: list[Image.Image] = []
    for _ in range(steps):
        speed += 0.35 * math.sin(angle) + 0.3 * rng.normal()
        angle += 0.12 * speed
        image = Image.new("RGB", (size, size), "white")
        pen, middle = ImageDraw.Draw(image), size / 2
        end = (middle + size * 0.4 * math.sin(angle), middle - size * 0.4 * math.cos(angle))
        pen.line([(middle, middle), end], fill=(204, 77, 77), width=size // 11)
        pen.ellipse([middle - 4, middle - 4, middle + 4, middle + 4], fill="black")
        frames.append(image)
    out = io.BytesIO()
    frames[0].save(out, "WEBP", save_all=True, append_images=frames[1:], duration=50, loop=0, quality=70)
    return out.getvalue()


def still_of(clip: bytes) -> bytes:
    out = io.BytesIO()
    Image.open(io.BytesIO(clip)).convert("RGB").save(out, "WEBP", quality=70)
    return out.getvalue()


def _version(*names: object) -> str:
    return digest(repr(names).encode())


def _rounds(rng: np.random.Generator) -> tuple[RoundSummary, ...]:
    rounds: list[RoundSummary] = []
    labels = 0
    for number in range(1, 13):
        asked = (13, 6, 6, 6, 6, 5, 4, 4)[number - 1] if number <= 8 else 0
        skipped, ties = int(number == 3), int(number in (1, 6))
        labels += asked - skipped
        level = -146 - 1050 * math.exp(-0.75 * (number - 1))
        returns = level + rng.gamma(2.0, 45 + 180 * math.exp(-0.5 * number), 20) * rng.choice([-1, 0.35], 20)
        mean = mean_interval(returns)
        rounds.append(
            RoundSummary(
                number=number,
                policy=_version("policy", number),
                reward=_version("reward", min(number, 8)),
                env_steps=800 + round(number * 5200 / 12),
                labels_total=labels,
                asked=asked,
                answered=asked - skipped,
                skipped=skipped,
                ties=ties,
                returns=tuple(returns.tolist()),
                return_mean=Estimate(mean.value, mean.low, mean.high, 20),
                return_std=float(returns.std()),
                learned_return_mean=-210 + 330 * (1 - math.exp(-0.5 * number)) + float(rng.normal(0, 6)),
                accuracy_heldout=0.62 + 0.26 * (1 - math.exp(-0.4 * number)),
                accuracy_train=0.9 + 0.005 * number,
                correlation_true=0.55 + 0.4 * (1 - math.exp(-0.4 * number)),
                seconds=3.1 + float(rng.uniform(0, 1.2)),
            )
        )
    return tuple(rounds)


def _clip(label: str, seed: int, videos: dict[str, Video], steps: int) -> Clip:
    data = pendulum_clip(seed)
    videos[digest(data)] = Video(data, "image/webp", still_of(data))
    policy = "random" if label == "before" else _version("policy", label)
    return Clip(label, f"seg_{seed:032x}", policy, f"check/{label}", 0, steps, digest(data), "image/webp")


def _questions(videos: dict[str, Video]) -> tuple[Question, ...]:
    answers = ("first", "second", "second", "tie", "first", "skip")
    return tuple(
        Question(
            query=f"qry_{i:032x}",
            kind="comparison",
            round=i + 1,
            index=0,
            strategy="uniform" if i == 0 else "disagreement",
            score=None if i == 0 else 0.07 * i + 0.0213,
            propensity=0.05 if i == 0 else None,
            clips=(_clip("first", 100 + 2 * i, videos, 50), _clip("second", 101 + 2 * i, videos, 50)),
            shown_first=1 + i % 2,
            replies=(Reply("ada", "person", answer, 0.8 if answer == "first" else None, 2.4 + 0.7 * i),),
        )
        for i, answer in enumerate(answers)
    )


def _learn(rng: np.random.Generator) -> LearnSummary:
    true = -rng.gamma(1.2, 3.2, 400)
    learned = 1.2 * np.tanh((true + 4) / 4) + 0.16 * rng.normal(size=400)
    right = wilson(21, 24)
    bins = [(0.58, 4, 6), (0.78, 5, 6), (0.91, 6, 6), (0.98, 6, 6)]
    steps = np.arange(0, 520, 20)
    return LearnSummary(
        accuracy=Estimate(right.value, right.low, right.high, 24),
        accuracy_train=0.973,
        noise_ceiling=0.931,
        calibration_error=0.064,
        reliability=tuple(
            ReliabilityBin(sure, Estimate(k / n, wilson(k, n).low, wilson(k, n).high, n)) for sure, k, n in bins
        ),
        correlation=float(np.corrcoef(true, learned)[0, 1]),
        scatter_learned=tuple(learned.tolist()),
        scatter_true=tuple(true.tolist()),
        history_step=tuple(float(step) for step in steps),
        history_train=tuple((0.08 + 0.61 * np.exp(-steps / 110)).tolist()),
        history_heldout=tuple((0.27 + 0.42 * np.exp(-steps / 90) + 0.00016 * steps).tolist()),
    )


def _check(rounds: tuple[RoundSummary, ...]) -> CheckSummary:
    found = rounds[-1].return_mean
    assert found is not None
    way = fraction([found.value, found.low, found.high], RANDOM, ORACLE)
    return CheckSummary(
        returns=found,
        return_random=RANDOM,
        return_oracle=ORACLE,
        fraction=Estimate(float(way[0]), float(way[1]), float(way[2]), 20),
        findings=(
            Finding(
                Severity.WARNING,
                "crowding",
                "Many questions show nearly the same clips as another question, or the same clip twice.",
                (Evidence("questions", 50), Evidence("share that repeats", 0.31)),
                "Raise ask.pool, draw candidates from more of the behaviour (ask.newest), or ask in smaller rounds.",
            ),
            Finding(
                Severity.NOTE,
                "held-out answers",
                "So few answers were held out that the measured agreement can be off.",
            ),
            Finding(
                Severity.OK,
                "ties",
                "Most answers tell the two clips apart.",
                (Evidence("ties", 2), Evidence("answers", 49)),
            ),
        ),
    )


def _provenance(rounds: tuple[RoundSummary, ...]) -> Provenance:
    return Provenance(
        events=274,
        head=_version("head"),
        versions=(Setting("python", "3.11.14"), Setting("plaudit", "0.1.0"), Setting("torch", "2.13.0")),
        settings=(Setting("ask.labels", "50"), Setting("world.id", '"Pendulum-v1"'), Setting("loop.rounds", "12")),
        stages=tuple(
            StageSummary(
                round=one.number,
                stage=stage,
                log_position=40 + one.number,
                checkpoint=_version(stage, one.number),
                policy=one.policy,
                reward=one.reward,
                metrics=(Metric("check/return_mean", one.returns[0]),),
                seconds=0.4,
                cpu_seconds=0.39,
            )
            for one in rounds
            for stage in STAGES
        ),
    )


def lifelike() -> tuple[Summary, dict[str, Video]]:
    """The summary and its videos."""
    rng = np.random.default_rng(3)
    videos: dict[str, Video] = {}
    rounds, learn = _rounds(rng), _learn(rng)
    check = _check(rounds)
    clips = tuple(_clip(label, seed, videos, 200) for label, seed in (("before", 1), ("during", 2), ("after", 3)))
    ask = AskSummary(
        kind="comparison",
        asked=50,
        answered=49,
        skipped=1,
        ties=2,
        waiting=0,
        human_seconds=187.4,
        simulated_seconds=None,
        people=1,
        annotators=(
            AnnotatorTotals(
                annotator="ada",
                kind="person",
                description="",
                answered=49,
                skipped=1,
                ties=2,
                decided=47,
                chose_shown_first=25,
                seconds=187.4,
            ),
        ),
        strategies=(StrategyTotals("uniform", 13, 13, 1, 0), StrategyTotals("disagreement", 37, 36, 1, 1)),
        questions=_questions(videos),
    )
    summary = Summary(
        format=1,
        name="pendulum",
        seed=0,
        verdict=headline(ask, check, rounds_done=12, rounds_planned=12),
        details=details(learn, check, check.findings),
        rounds_planned=12,
        rounds_done=12,
        rounds=rounds,
        act=ActSummary(world="Pendulum-v1", algorithm="SAC", envs=8, env_steps=6000, segments=103, clips=clips),
        ask=ask,
        learn=learn,
        improve=ImproveSummary((Metric("train/actor_loss", -12.4), Metric("train/ent_coef", 0.0512))),
        check=check,
        provenance=_provenance(rounds),
    )
    return summary, videos


def with_ask(summary: Summary, **changes: object) -> Summary:
    return dataclasses.replace(summary, ask=dataclasses.replace(summary.ask, **changes))


def bare() -> Summary:
    """A run that has only just begun: nothing is measured."""
    ask = AskSummary(
        kind="comparison",
        asked=0,
        answered=0,
        skipped=0,
        ties=0,
        waiting=0,
        people=0,
        annotators=(),
        strategies=(),
        questions=(),
    )
    check = CheckSummary(findings=())
    learn = LearnSummary(
        reliability=(), scatter_learned=(), scatter_true=(), history_step=(), history_train=(), history_heldout=()
    )
    return Summary(
        format=1,
        name="begun",
        verdict="Nothing has been measured yet.",
        details=(),
        rounds_done=0,
        rounds=(),
        act=ActSummary(world="", segments=0, clips=()),
        ask=ask,
        learn=learn,
        improve=ImproveSummary(()),
        check=check,
        provenance=Provenance(0, "", (), (), ()),
    )

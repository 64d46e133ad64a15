"""Gathers the evidence of a run for the checks in `plaudit.check`, and puts their findings in order."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from plaudit.check import diagnose as answers
from plaudit.check import learned, texts
from plaudit.check.diagnose import Finding, Severity, worst_first
from plaudit.records import Query, SegmentData
from plaudit.report.source import TEXT, Source
from plaudit.report.stage_log import last_metric
from plaudit.report.summary import Summary, TextsSummary

FloatArray = NDArray[np.float64]
NEWEST = 300
"""questions that are compared with each other for near duplicates; more would only repeat the finding"""


def diagnose(summary: Summary, source: Source) -> list[Finding]:
    """Findings about a run, worst first; checks that had nothing to look at are named in one note."""
    policy = _of_policy(summary) if summary.texts is None else _of_texts(summary.texts, source)
    found = _of_answers(summary, source) | _of_reward(summary, source) | policy
    if summary.texts is not None:  # of an agent's episodes and clips
        found = {
            name: finding for name, finding in found.items() if name not in ("episode length", "crowding", "ensemble")
        }
    findings = [finding for finding in found.values() if finding is not None]
    blind = [name for name, finding in found.items() if finding is None]
    if blind:
        findings.append(
            Finding(Severity.NOTE, "not looked at", f"There is too little to judge these by: {', '.join(blind)}.")
        )
    return list(worst_first(findings))


def _of_answers(summary: Summary, source: Source) -> dict[str, Finding | None]:
    ask, queries = summary.ask, list(source.queries.values())
    newest = queries[-1].id if queries else ""
    again = source.once("repeated", newest, lambda: _repeated(source, queries[-NEWEST:]))
    in_order = sum(query.shown[0] == 0 for query in queries if len(query.segments) == 2)
    pairs = sum(len(query.segments) == 2 for query in queries)
    decided = sum(one.decided for one in ask.annotators)
    held_out = summary.learn.accuracy
    return {
        "labels": answers.starvation(ask.asked, ask.answered, ask.waiting),
        "ties": answers.too_many_ties(ask.ties, decided + ask.ties),
        "crowding": answers.crowding(again),
        "side bias": answers.side_bias(sum(one.chose_shown_first for one in ask.annotators), decided),
        "sides": answers.balanced_sides(in_order, pairs),
        "held-out answers": answers.few_held_out(0 if held_out is None else held_out.n or 0) if ask.answered else None,
    }


def _of_reward(summary: Summary, source: Source) -> dict[str, Finding | None]:
    accuracy = summary.learn.accuracy
    scatter = source.last_artefact("learn", "reward_scatter")
    rewards = scatter.get("learned", np.zeros(0))
    between = last_metric(source.rows, "reward/spread")
    lengths = source.last_artefact("check", "returns")
    judged = None
    if accuracy is not None and accuracy.n:
        judged = learned.reward_accuracy(round(accuracy.value * accuracy.n), accuracy.n, summary.learn.noise_ceiling)
    return {
        "reward accuracy": judged,
        "constant reward": learned.constant_reward(rewards),
        "exploding scores": learned.exploding_scores(rewards),
        "ensemble": None if between is None else learned.ensemble_collapse(between, rewards),
        "episode length": learned.length_leak(lengths.get("lengths", np.zeros(0)), lengths.get("learned")),
    }


def _of_policy(summary: Summary) -> dict[str, Finding | None]:
    rounds = [one for one in summary.rounds if len(one.returns) > 1]
    returns = [np.array(one.returns) for one in rounds]
    random, praised = summary.check.return_random, rounds[-1].learned_return_mean if rounds else None
    return {
        "over-optimisation": None if praised is None else learned.over_optimisation(returns, praised),
        "better than random": None if random is None or not rounds else learned.better_than_random(returns[-1], random),
    }


def _of_texts(found: TextsSummary, source: Source) -> dict[str, Finding | None]:
    rows, last = source.rows, found.measures[-1] if len(found.measures) > 1 else None
    start = found.measures[0] if found.measures else None
    improved = [row for row in rows if row.stage == "improve"]
    return {
        "sampler and trainer": texts.one_engine(last_metric(improved, "train/sampling/sampling_logp_difference/mean")),
        "groups": texts.differences(last_metric(improved, "train/frac_reward_zero_std")),
        "distance": texts.distance(last and last.kl),
        "ends": texts.ends(last and last.missing_end, start and start.missing_end),
        "repetition": texts.repetition(last and last.repetition, start and start.repetition),
        "length": texts.length(last and last.win_rate_reward, last and last.win_rate_reward_length_matched),
        "pleasing the reward": texts.pleased(last and last.win_rate_reward, last and last.win_rate_gold),
    }


def _repeated(source: Source, queries: list[Query]) -> NDArray[np.bool_]:
    """Which questions show again what another one showed, by place or by looks. Texts are not compared."""
    queries = [query for query in queries if not any(name.startswith(TEXT) for name in query.segments)]
    names = list(dict.fromkeys(name for query in queries for name in query.segments))
    if not names:
        return np.zeros(0, dtype=np.bool_)
    features = source.of_segments("features", names, _features)
    found = source.store.segments(names)
    segments = [found[name] for name in names]
    alike = answers.overlapping([(one.episode, one.start, one.length) for one in segments])
    alike |= answers.look_alike(np.stack(features))
    place = {name: index for index, name in enumerate(names)}
    return answers.repeated([tuple(place[name] for name in query.segments) for query in queries], alike)


def _features(data: SegmentData) -> FloatArray:
    """What a clip looks like in a few numbers: observations at its start, middle and end, and the mean action."""
    seen = data.observations.reshape(len(data), -1).astype(np.float64)
    acted = np.asarray(data.actions, dtype=np.float64).reshape(len(data), -1)
    return np.concatenate([seen[0], seen[len(seen) // 2], seen[-1], acted.mean(axis=0)])

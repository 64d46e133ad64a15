"""A run's event log, blobs and timing file to one `Summary`. What the log does not hold stays None."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from plaudit.check.compare import fraction
from plaudit.control.config import ALGORITHMS
from plaudit.records import plain
from plaudit.report.answers import Answers, outcomes, summarise_answers
from plaudit.report.doctor import diagnose
from plaudit.report.reward import floats, summarise_reward
from plaudit.report.source import TEXT, Source
from plaudit.report.stage_log import StageRow, last_metric, read_timing
from plaudit.report.summary import (
    ActSummary,
    CheckSummary,
    Clip,
    Estimate,
    ImproveSummary,
    Metric,
    Provenance,
    RoundSummary,
    Setting,
    StageSummary,
    Summary,
)
from plaudit.report.texts import summarise_texts
from plaudit.report.verdict import details, headline, headline_of_texts, sign_off
from plaudit.run.directory import RunDirectory
from plaudit.stats.intervals import mean_interval
from plaudit.store.signoff import standings
from plaudit.store.store import Store
from plaudit.store.work import render_key

FORMAT = 1
CLIP_ORDER = ("before", "during", "after")
Timing = Mapping[tuple[int, str], tuple[float, float]]


def gather(store: Store, directory: Path | str) -> Summary:
    """Everything that a report says about a run, finished or not.

    Args:
        store: the run's store.
        directory: the run's directory, for the timing file.

    Raises:
        IntegrityError: a blob that the report needs does not match its hash.
    """
    return summarise(Source(store).read(), directory)


def summarise(source: Source, directory: Path | str | None) -> Summary:
    """The same of what a source has read; one that is read on makes it cheap to say again while a run goes on.

    Without a directory nothing is said of times.
    """
    store, rows, answers, config = source.store, source.rows, source.answers, source.config
    timing = {} if directory is None else read_timing(RunDirectory(directory).timing)
    rounds = _rounds(source, answers, timing)
    ask_config: dict[str, Any] = config.get("ask") or {}
    teacher = None if ask_config.get("people") else ask_config.get("teacher")
    planned = (config.get("loop") or {}).get("rounds")
    summary = Summary(
        format=FORMAT,
        name=str(config.get("name", Path(directory or "").name)),
        seed=config.get("seed"),
        verdict="",
        details=(),
        rounds_planned=planned,
        rounds_done=sum(row.stage == "check" for row in rows),
        rounds=rounds,
        act=_act(source),
        ask=summarise_answers(
            answers,
            lambda label, segment: find_clip(store, label, segment),
            kind="mixed" if ask_config.get("mix") else ask_config.get("kind"),
        ),
        learn=summarise_reward(source, answers, teacher),
        improve=_improve(rows),
        check=_check(rows, rounds),
        provenance=_provenance(source, timing),
        texts=summarise_texts(source),
    )
    return _conclude(summary, source)


def _conclude(summary: Summary, source: Source) -> Summary:
    """Add what follows from the numbers: findings and verdict."""
    findings = tuple(diagnose(summary, source))
    check = dataclasses.replace(summary.check, findings=findings)
    done, planned, texts = summary.rounds_done, summary.rounds_planned, summary.texts
    if texts is None:
        verdict = headline(summary.ask, check, rounds_done=done, rounds_planned=planned)
    else:
        verdict = headline_of_texts(summary.ask, texts, rounds_done=done, rounds_planned=planned)
    return dataclasses.replace(
        summary,
        check=check,
        verdict=verdict,
        details=(
            *details(summary.learn, check, findings, texts=texts is not None),
            sign_off(standings(source.store)),
        ),
    )


def find_clip(store: Store, label: str, segment: str) -> Clip:
    """A segment with its video, or with why there is none."""
    if segment.startswith(TEXT):
        text = store.texts([segment])[segment]
        said = {"prompt": plain(text.prompt), "completion": plain(text.completion)}
        return Clip(label, segment, text.policy, "", 0, 0, missing="a text", **said)
    found, job = store.segment(segment), store.job(render_key(segment))
    blob = mime = missing = None
    if job is None:
        missing = "not rendered yet"
    elif job.error is not None:
        missing = f"could not be rendered: {job.error}"
    elif job.result is None:
        missing = "waits to be rendered"
    else:
        blob, mime = job.result["blob"], job.result["mime"]
    return Clip(label, segment, found.policy, found.episode, found.start, found.length, blob, mime, missing)


def _rounds(source: Source, answers: Answers, timing: Timing) -> tuple[RoundSummary, ...]:
    rows, by_query = source.rows, answers.by_query()
    numbers = sorted({row.round for row in rows} | {query.round for query in answers.queries})
    found: list[RoundSummary] = []
    for number in numbers:
        here = [row for row in rows if row.round == number]
        queries = [query for query in answers.queries if query.round == number]
        asked = outcomes(queries, by_query)
        returns = _returns(source, here)
        seconds = [timing[row.round, row.stage][0] for row in here if (row.round, row.stage) in timing]
        labels, steps = last_metric(here, "ask/labels_total"), _env_steps(rows, number)
        found.append(
            RoundSummary(
                number=number + 1,
                policy=_version(here, "policy"),
                reward=_version(here, "reward"),
                env_steps=None if steps is None else int(steps),
                labels_total=None if labels is None else int(labels),
                asked=asked.asked,
                answered=asked.answered,
                skipped=asked.skipped,
                ties=asked.ties,
                returns=returns,
                return_mean=_estimate(returns, last_metric(here, "check/return_mean")),
                return_std=last_metric(here, "check/return_std"),
                learned_return_mean=last_metric(here, "check/learned_return_mean"),
                accuracy_heldout=last_metric(here, "reward/accuracy_heldout"),
                accuracy_train=last_metric(here, "reward/accuracy_train"),
                correlation_true=last_metric(here, "reward/correlation_true"),
                seconds=sum(seconds) if seconds else None,
            )
        )
    return tuple(found)


def _env_steps(rows: Sequence[StageRow], number: int) -> float | None:
    """Steps of the run when round `number` was checked: logged then, or by the next round before it acts."""
    late = [row for row in rows if row.round == number and row.stage in ("improve", "check")]
    following = [row for row in rows if row.round == number + 1 and row.stage == "act"]
    found = last_metric(late, "check/env_steps", "act/env_steps")
    return last_metric(following, "act/env_steps") if found is None else found


def _version(rows: Sequence[StageRow], name: str) -> str | None:
    return next((row.versions[name] for row in reversed(rows) if row.versions.get(name)), None)


def _returns(source: Source, rows: Sequence[StageRow]) -> tuple[float, ...]:
    checked = [row for row in rows if row.stage == "check" and "returns" in row.artefacts]
    found = source.arrays(checked[-1].artefacts["returns"]) if checked else {}
    if not found:
        return ()
    values = found["returns"].reshape(-1)
    return floats(values[np.isfinite(values)])


def _estimate(values: Sequence[float], logged: float | None) -> Estimate | None:
    """Mean of episodes with its interval; where the episodes are gone, the logged mean alone."""
    if not values:
        return None if logged is None else Estimate(logged)
    if len(values) == 1:
        return Estimate(values[0], n=1)
    found = mean_interval(np.array(values))
    return Estimate(found.value, found.low, found.high, len(values))


def _act(source: Source) -> ActSummary:
    rows, config = source.rows, source.config
    # of a run on texts, completions are shown with their scores instead
    named = {name: segment for row in rows for name, segment in row.clips.items() if not segment.startswith(TEXT)}
    labels = [label for label in CLIP_ORDER if label in named] + [label for label in named if label not in CLIP_ORDER]
    world: dict[str, Any] = config.get("world") or {}
    steps = last_metric(rows, "check/env_steps", "act/env_steps")
    algorithm = next((name.upper() for name in ALGORITHMS if (config.get("policy") or {}).get(name) is not None), None)
    return ActSummary(
        world=str(world.get("id", "")),
        algorithm=algorithm,
        envs=world.get("envs"),
        horizon=world.get("horizon"),
        env_steps=None if steps is None else int(steps),
        segments=len(source.segments),
        clips=tuple(find_clip(source.store, label, named[label]) for label in labels),
    )


def _improve(rows: Sequence[StageRow]) -> ImproveSummary:
    trained = [row for row in rows if row.stage == "improve"]
    metrics = trained[-1].metrics if trained else {}
    return ImproveSummary(tuple(Metric(name, float(value)) for name, value in sorted(metrics.items())))


def _check(rows: Sequence[StageRow], rounds: Sequence[RoundSummary]) -> CheckSummary:
    returns = next((one.return_mean for one in reversed(rounds) if one.return_mean is not None), None)
    random, oracle = last_metric(rows, "check/return_random"), last_metric(rows, "check/return_oracle")
    way = None
    if returns is not None and random is not None and oracle is not None and oracle > random:
        edges = [returns.value if edge is None else edge for edge in (returns.value, returns.low, returns.high)]
        value, low, high = floats(fraction(edges, random, oracle))
        way = Estimate(value, None if returns.low is None else low, None if returns.high is None else high, returns.n)
    return CheckSummary(returns=returns, return_random=random, return_oracle=oracle, fraction=way, findings=())


def _provenance(source: Source, timing: Timing) -> Provenance:
    (events, head), created = source.head, source.created
    stages = tuple(
        StageSummary(
            round=row.round + 1,
            stage=row.stage,
            log_position=row.log_position,
            checkpoint=row.checkpoint,
            policy=row.versions.get("policy"),
            reward=row.versions.get("reward"),
            metrics=tuple(Metric(name, float(value)) for name, value in sorted(row.metrics.items())),
            seconds=timing.get((row.round, row.stage), (None, None))[0],
            cpu_seconds=timing.get((row.round, row.stage), (None, None))[1],
        )
        for row in source.rows
    )
    versions = tuple(Setting(name, str(value)) for name, value in (created.get("versions") or {}).items())
    return Provenance(events, head, versions, tuple(_flatten(created.get("config") or {})), stages)


def _flatten(table: Mapping[str, Any], prefix: str = "") -> list[Setting]:
    """Nested settings by dotted name, values as JSON."""
    found: list[Setting] = []
    for name, value in table.items():
        if isinstance(value, Mapping) and value:
            found += _flatten(value, f"{prefix}{name}.")
        else:
            found.append(Setting(f"{prefix}{name}", json.dumps(value, ensure_ascii=False)))
    return found

"""The model card of a language model: a Hugging Face README.md made from what a run or its trainings wrote down.

Whatever was not measured, noted or signed is said to be missing. Annotators are counts; nobody's name or pseudonym stands in it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass

from plaudit import __version__
from plaudit.quality.population import LEAST
from plaudit.report.card import estimate, plain, signoff, text_figures, warning
from plaudit.report.markup import NOT_MEASURED, Style, format_number
from plaudit.report.summary import Estimate
from plaudit.serving.history import History, Stage
from plaudit.serving.lineage import Lineage
from plaudit.stats.intervals import wilson
from plaudit.store.signoff import USUAL

REVIEWER = "a reviewer"
"""what stands for the account of who signed"""
WANTED = (
    "Reward model agrees with answers it never saw",
    "Wins over the start by the true reward",
    "Wins over the start by the learned reward",
    "KL to the start, nats per answer",
    "Runs of 4 tokens that occurred in the answer before (repetition)",
    "Answers without an end",
)
"""figures that every card has, or says to be missing"""
OF_TRAINING = {
    WANTED[3]: ("objective/kl", Style.DECIMAL),
    WANTED[5]: ("completions/clipped_ratio", Style.PERCENT),
    "Pairs of the last batch that the policy orders as people did": ("rewards/accuracies", Style.PERCENT),
    "Reward of the last rollout": ("reward", Style.DECIMAL),
    "Score of the last rollout": ("objective/scores", Style.DECIMAL),
}
"""figures by the metric of a training that they are"""


@dataclass(frozen=True, slots=True)
class Shape:
    """What was written, and what is to be said of it that nobody can know from the files."""

    adapter: bool
    """whether it is an adapter that needs its base"""
    base: str | None = None
    """name of the base model on the hub"""
    license: str | None = None
    """of the weights"""
    language: tuple[str, ...] = ()
    """codes, for example en, zh"""


def card_of(history: History, shape: Shape) -> str:
    """The card, YAML front matter first. What people wrote stands in it as plain text."""
    parts = [
        _front(history, shape),
        [f"# Model card: {plain(history.name)}"],
        _unsigned(history),
        _model(history, shape),
        *(_stage(number, one) for number, one in enumerate(history.stages, 1)),
        *(_data(one) for one in history.lineages),
        _figures(history),
        _missing(history, shape),
        *_signatures(history),
    ]
    return "\n\n".join("\n".join(part) for part in parts if part) + "\n"


def _front(history: History, shape: Shape) -> list[str]:
    """YAML; values are JSON, which YAML reads."""
    kinds = [one.kind for one in history.stages]
    if history.run is not None and history.run.texts is not None:
        kinds.append(history.run.texts.algorithm)
    told: dict[str, object] = {
        "library_name": "peft" if shape.adapter else "transformers",
        "pipeline_tag": "text-classification" if history.is_reward else "text-generation",
        "tags": list(dict.fromkeys(["plaudit", "rlhf", *(kind.lower() for kind in kinds)])),
    }
    base = shape.base or (history.base if "/" in history.base else None)
    if base:
        told |= {"base_model": base, "base_model_relation": "adapter" if shape.adapter else "finetune"}
    if shape.license:
        told["license"] = shape.license
    if shape.language:
        told["language"] = list(shape.language)
    return ["---", *(f"{name}: {json.dumps(value, ensure_ascii=False)}" for name, value in told.items()), "---"]


def _unsigned(history: History) -> list[str]:
    """What nobody signed. A run is signed as it is now; of trainings, only the answers they learned from can be signed."""
    if history.run_lineage is not None:
        return warning(history.run_lineage.standings)
    names = ", ".join(f"**{one.name}**" for one in USUAL)
    return [
        f"> **Not released.** Nobody has signed this model: {names} are open. Trainings outside a run have no sign-off of",
        "> their own; what was signed of the answers that they learned from stands under [Sign-off](#sign-off).",
    ]


def _model(history: History, shape: Shape) -> list[str]:
    kind = "An adapter (PEFT) of" if shape.adapter else "A language model, all weights in it, taught from"
    if history.is_reward:
        kind = "A reward of texts (a sequence classifier with one label), taught from"
    digest = f", files `{history.base_digest[:16]}`" if history.base_digest else ", whose files were not looked at"
    lines = ["## The model", "", f"{kind} `{shape.base or history.base}`{digest}; made by plaudit {__version__}."]
    if history.run is not None:
        run = history.run
        newest = run.rounds[-1] if run.rounds else None
        lines += ["", plain(run.verdict), "", f"- Rounds: {run.rounds_done} of {run.rounds_planned or run.rounds_done}"]
        lines += [] if newest is None else [f"- Policy: `{newest.policy}`, reward model: `{newest.reward}`"]
        lines += [f"- Versions: {plain(', '.join(f'{one.name} {one.value}' for one in run.provenance.versions))}"]
        lines += _settings([(one.name, _short(one.name, one.value)) for one in run.provenance.settings])
    elif not history.is_reward:
        lines += ["", f"Stages, in order: {', '.join(one.kind for one in history.stages)}."]
    return lines


def _short(name: str, value: str) -> str:
    """Settings that name places tell their last part only."""
    return json.dumps(value.strip('"').rpartition("/")[2]) if "/" in value and value.startswith('"') else value


def _stage(number: int, stage: Stage) -> list[str]:
    lines = [f"## Stage {number}: {stage.kind}", "", f"{stage.steps} steps."]
    if stage.why_not:
        lines.append(f"**What it learned from cannot be shown: {plain(stage.why_not)}.**")
    elif stage.lineage is not None:
        lines.append(
            f"It learned from the store `{plain(stage.lineage.name)}`, events 1 to {stage.lineage.place.events}."
        )
    return lines + _settings([(one.name, one.value) for one in stage.settings])


def _settings(settings: Sequence[tuple[str, str]]) -> list[str]:
    rows = [f"| {plain(name)} | {plain(value)} |" for name, value in settings]
    return ["", "<details><summary>Settings</summary>", "", "| setting | value |", "|---|---|", *rows, "", "</details>"]


def _data(found: Lineage) -> list[str]:
    when = "when training began" if found.noted else "now, for the place was not noted when training began"
    lines = [f"## Answers: {plain(found.name)}", ""]
    lines += [f"Event log: {found.place.events} events, head `{found.place.head}` ({when})."]
    lines += ["", "| kind of answer | from | answers |", "|---|---|---|"]
    lines += [f"| {one.kind} | {one.annotators} | {one.answers} |" for one in found.said]
    who = ", ".join(f"{count} {kind}" for kind, count in found.annotators) or "nobody"
    lines += ["", f"- Annotators who answered: {who}; {found.skipped} questions skipped"]
    agreed = ", ".join(f"{plain(version)} ({count} annotators)" for version, count in found.consents)
    lines += [f"- Consent, or licence of the answers: {agreed or '**not noted**'}"]
    lines += [
        f"- Imported: {plain(one.file)} ({one.format}), {one.judgements} judgements, SHA-256 `{one.sha256}`"
        for one in found.brought
    ]
    for trait in found.traits:
        lines += ["", f"By {plain(trait.name)}, as annotators said of themselves:", ""]
        lines += ["| group | annotators | answers |", "|---|---|---|"]
        lines += [f"| {plain(value)} | {people} | {answers} |" for value, people, answers in trait.groups]
        if trait.hidden:
            lines += ["", f"{trait.hidden} groups of fewer than {LEAST} people are not shown."]
    if not found.traits:
        lines.append("- Groups: annotators said nothing of themselves, so it is not known for whom these answers speak")
    return lines


def _figures(history: History) -> list[str]:
    known = _known(history)
    rows = [(name, known.get(name, NOT_MEASURED)) for name in WANTED]
    rows += [(name, value) for name, value in known.items() if name not in WANTED]
    lines = ["## Figures", "", "| figure | value, with its 95 % interval where there is one |", "|---|---|"]
    return [*lines, *(f"| {plain(name)} | {value} |" for name, value in rows)]


def _known(history: History) -> dict[str, str]:
    """Figures that were measured."""
    if history.run is not None:
        agreed = [(WANTED[0], estimate(history.run.learn.accuracy, Style.PERCENT))]
        return {name: value for name, value in [*agreed, *text_figures(history.run)] if value != "–"}
    found: dict[str, str] = {}
    for stage in history.stages:
        if (agreed := _agreed(stage)) is not None:
            found[WANTED[0]] = estimate(agreed, Style.PERCENT)
        elif stage is history.stages[-1]:
            told = {name: (stage.metrics.get(metric), style) for name, (metric, style) in OF_TRAINING.items()}
            found |= {
                name: format_number(value, style)
                for name, (value, style) in told.items()
                if value is not None and math.isfinite(value)
            }
    return found


def _agreed(stage: Stage) -> Estimate | None:
    """Held-out accuracy of a reward, with Wilson's interval where it is known over how many comparisons."""
    value, count = (stage.metrics.get(f"reward/{name}") for name in ("accuracy_heldout", "comparisons_heldout"))
    if value is None:
        return None
    if not count:
        return Estimate(value)
    found = wilson(round(value * count), int(count))
    return Estimate(value, found.low, found.high, int(count))


def _missing(history: History, shape: Shape) -> list[str]:
    """What a reader would want to know, and nobody can tell."""
    known = _known(history)
    gaps = [f"{name}: {NOT_MEASURED}." for name in WANTED if name not in known]
    if not shape.license:
        gaps.append("The licence of the weights is not stated; that of the base model may bind.")
    gaps += [f"Consent or licence of the answers in `{plain(one.name)}` is not noted." for one in history.lineages if not one.consents]  # fmt: skip
    gaps += [f"Stage {one.kind}: {plain(one.why_not)}." for one in history.stages if one.why_not]
    people = sum(count for one in history.lineages for kind, count in one.annotators if kind == "person")
    if people < LEAST:
        gaps.append(f"Fewer than {LEAST} people are known to have answered: these are preferences of individuals.")
    if not history.run:
        gaps.append("The model was not compared with its start on held-out prompts; a run (`plaudit run`) does that.")
    gaps.append("Figures are of one seed; intervals do not cover other seeds.")
    return ["## What is missing, and limits", "", *(f"- {one}" for one in gaps)]


def _signatures(history: History) -> list[list[str]]:
    if history.run_lineage is not None:
        return [signoff(history.run_lineage.standings, lambda _: REVIEWER)]
    parts = [["## Sign-off", "", "Of this model: nothing was signed."]]
    for one in history.lineages:
        table = signoff(one.standings, lambda _: REVIEWER)[2:]
        parts.append([f"Of the answers in `{plain(one.name)}`, as they are now:", "", *table])
    return parts

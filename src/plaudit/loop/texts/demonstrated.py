"""What a model imitates before the first question: prompts with completions, out of files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch

from plaudit.engine.batch import Batch
from plaudit.errors import RecordError
from plaudit.exchange import fields, rows
from plaudit.exchange.prompts import prompt_of
from plaudit.language import sft
from plaudit.language.texts import Example
from plaudit.loop.texts.context import TextContext
from plaudit.loop.texts.gold import as_conversation
from plaudit.loop.texts.models import version_of
from plaudit.loop.texts.training import folder_of
from plaudit.records import Message
from plaudit.run.monitor import Signal
from plaudit.run.progress import Progress
from plaudit.run.seeds import derive

MEASURED = 64
"""examples that the loss afterwards is of"""


def imitate(context: TextContext) -> dict[str, float]:
    """Learn from demonstrations, if the run file names any; from then on that is what the policy is held against."""
    settings, policy = context.config.sft, context.cast.policy
    if settings is None:
        return {}
    examples = [
        one for file in settings.files for one in examples_of(Path(file), as_user=context.config.prompts.as_user)
    ]
    seed, folder = derive(context.seed(0, "act"), "sft"), folder_of(context, 0, "act")
    before = _loss(context, examples)
    sft.train(policy, examples, settings, seed=seed, folder=folder, monitor=_Watching(context.progress, settings.steps))
    context.cast.begin_here()
    context.version = version_of(policy, "pol")
    return {"sft/loss_before": before, "sft/loss": _loss(context, examples), "sft/examples": float(len(examples))}


def examples_of(file: Path, *, as_user: bool) -> Iterator[Example]:
    """Prompts with completions of a file: {prompt, completion}, {messages}, {instruction, input?, output}.

    Raises RecordError naming a row that shows nothing; ConfigError and MissingExtra as `exchange.rows.read`.
    """
    for row in rows.read(file):
        try:
            if isinstance(row, rows.BadRow):
                raise RecordError(row.why)
            yield _example(row.data, as_user)
        except RecordError as error:
            raise RecordError(
                "A row shows no completion",
                got=f"{file.name}:{row.line}: {error}",
                expected="prompt and completion, or messages",
            ) from error


def _example(row: Any, as_user: bool) -> Example:
    prompt, used = prompt_of(row)
    if used == ("messages",):
        return Example(prompt, fields.messages(fields.field(row, "messages"), "messages")[len(prompt) :])
    completion = fields.spoken(row, "output" if "instruction" in used else "completion")
    if as_user and isinstance(prompt, str) and isinstance(completion, str):
        return Example(as_conversation(prompt), (Message("assistant", completion),))
    return Example(prompt, completion)


def _loss(context: TextContext, examples: Sequence[Example]) -> float:
    """Mean negative log-likelihood of a completion's token, in nats, over the first examples."""
    policy, tokeniser = context.cast.policy, context.cast.tokeniser
    found = [tokeniser.group(one.prompt, [one.completion]) for one in examples[:MEASURED]]
    kept = [one for one in found if len(one.prompt) + len(one.completions[0]) <= policy.context]
    batch = Batch.of([one.prompt for one in kept], [one.completions for one in kept])
    with torch.no_grad():
        parts = [policy.logprobs(batch.take(part)).logprobs.double().sum() for part in batch.parts(8192)]
    return -float(sum(parts)) / len(batch.tokens)


class _Watching:
    """Shows the steps of imitation."""

    def __init__(self, progress: Progress, total: int) -> None:
        self._progress, self._total, self._done = progress, total, 0

    def report(self, step: int, metrics: object) -> Signal:
        """Say go."""
        del metrics
        self._done += step
        self._progress.advance(self._done, self._total, "steps of imitation")
        return Signal.GO

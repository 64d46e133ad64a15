"""The stage `act` of a run on texts: imitation and a first look at the policy, then completions that may be asked about."""

from __future__ import annotations

import numpy as np

from plaudit.language.rollouts import Judged, samples_of
from plaudit.loop.context import Outcome
from plaudit.loop.texts.checking import START, measure
from plaudit.loop.texts.config import questions_per_round
from plaudit.loop.texts.context import TextContext
from plaudit.loop.texts.demonstrated import imitate
from plaudit.loop.texts.judging import golden
from plaudit.report.samples import keep
from plaudit.run import checkpoint
from plaudit.run.seeds import derive, generator
from plaudit.worlds.prompts import Part


def act(context: TextContext, round_: int) -> Outcome:
    """Sample completions that may be asked about. The first round begins with imitation, and measures what it starts from."""
    metrics: dict[str, float] = {}
    artefacts: dict[str, str] = {}
    clips: dict[str, str] = {}
    name = None
    if round_ == 0:
        metrics |= imitate(context)
        found = measure(context, context.config.check.prompts)
        metrics |= {f"{metric}_{START}": value for metric, value in found.metrics().items()}
        artefacts, clips = found.keep(context, START), found.show(context, "before")
        name = checkpoint.commit(context.directory.checkpoints, context.cast.save)
    count = questions_per_round(context.config)[round_]
    if count:
        artefacts["samples"], told = _sample(context, round_, count * context.config.ask.pool)
        metrics |= told
    return Outcome(metrics, name, artefacts, clips)


def _sample(context: TextContext, round_: int, wanted: int) -> tuple[str, dict[str, float]]:
    """Completions of prompts that are for questions, drawn anew in each round; where there are fewer prompts, all of them."""
    ask, seed = context.config.ask, context.seed(round_, "act")
    among = context.prompts[Part.REWARD]
    order = generator(seed, "prompts").permutation(len(among))[:wanted].tolist()
    prompts = [among[number] for number in order]
    context.progress.advance(0, len(prompts), "prompts")
    rollout = context.cast.policy.generate(
        context.ids(prompts),
        samples=ask.samples,
        sampling=context.sampling(ask.max_tokens, ask.temperature),
        seed=derive(seed, "sample"),
    )
    texts = context.texts(prompts, rollout)
    gold = golden(context, prompts, rollout, texts)
    metrics = {
        "act/completions": float(len(texts)),
        "act/length_mean": float(rollout.batch.lengths.double().mean()),
        "act/missing_end": float((~rollout.finished).double().mean()),
    }
    if not np.isnan(gold).all():
        metrics["act/gold_mean"] = float(np.nanmean(gold))
    return keep(context.journal.store.blobs, samples_of(prompts, rollout, texts, Judged(gold=gold))), metrics

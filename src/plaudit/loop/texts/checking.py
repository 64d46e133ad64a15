"""The stage `check` of a run on texts: the policy on held-out prompts, beside the model that it started from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from plaudit.engine.batch import Batch
from plaudit.engine.decode import Rollout
from plaudit.language.rollouts import FloatArray, Judged, samples_of
from plaudit.loop.context import Outcome, stage_key
from plaudit.loop.texts.context import TextContext
from plaudit.loop.texts.judging import distances, golden, repetition
from plaudit.records import Text, TextSegment
from plaudit.report.samples import keep
from plaudit.run.seeds import derive, generator
from plaudit.worlds.prompts import Prompt

START = "start"
"""what metrics of the model that the policy started from end with, and its completions are named"""
ALIKE = 0.2
"""completions are of about equal length that differ by this share of the longer one at most"""


def check(context: TextContext, round_: int) -> Outcome:
    """Measure the policy on held-out prompts that are the same in every check, against its start."""
    settings, last = context.config.check, round_ == context.config.loop.rounds - 1
    count = settings.prompts if last else min(settings.prompts, settings.prompts_between)
    found = measure(context, count)
    before = _start(context, count)
    metrics = found.metrics() | _wins(found, before)
    found.kl = distances(context.cast.policy, context.cast.start, found.rollout.batch, settings.temperature)
    metrics["check/kl"] = float(found.kl.mean())
    return Outcome(
        metrics, None, found.keep(context, "samples"), found.show(context, "after" if last else f"round {round_ + 1}")
    )


@dataclass
class Measured:
    """Completions of held-out prompts, and what is known of them, [N] each."""

    prompts: tuple[Prompt, ...]
    rollout: Rollout
    texts: list[Text]
    gold: FloatArray
    members: FloatArray | None
    """[member, N] of the learned reward; None where there is none yet"""
    kl: FloatArray | None = None

    def metrics(self) -> dict[str, float]:
        """`check/...`: means over completions."""
        lengths = self.rollout.batch.lengths.double()
        repeats = [repetition(row.tolist()) for row in self.rollout.batch.rows]
        found = {
            "check/length_mean": float(lengths.mean()),
            "check/missing_end": float((~self.rollout.finished).double().mean()),
            "check/repetition": float(np.mean(repeats)),
        }
        if not np.isnan(self.gold).all():
            found["check/gold_mean"] = float(np.nanmean(self.gold))
            found["check/gold_std"] = float(np.nanstd(self.gold))
        if self.members is not None:
            found["check/reward_mean"] = float(self.members.mean())
        return found

    def keep(self, context: TextContext, name: str) -> dict[str, str]:
        """Store the completions, their tokens and what each is worth; digests by name."""
        blobs, batch = context.journal.store.blobs, self.rollout.batch
        judged = Judged(gold=self.gold, members=self.members, kl=self.kl)
        tokens = {
            "tokens": batch.tokens.numpy(),
            "lengths": batch.lengths.numpy(),
            "finished": self.rollout.finished.numpy(),
        }
        learned = {} if self.members is None else {"learned": self.members.mean(axis=0)}
        worth = {"returns": self.gold, "lengths": batch.lengths.double().numpy(), **learned}
        return {
            name: keep(blobs, samples_of(self.prompts, self.rollout, self.texts, judged)),
            f"{name}_tokens": blobs.put_arrays(tokens),
            "returns": blobs.put_arrays(worth),
        }

    def show(self, context: TextContext, label: str) -> dict[str, str]:
        """Log some completions, drawn at random, so that they can be judged like any others; their ids by label."""
        rng = generator(context.config.seed, "shown", label)
        chosen = rng.permutation(len(self.texts))[: context.config.check.shown].tolist()
        group = self.rollout.batch.group.tolist()
        found = {
            f"{label} {number + 1}": TextSegment(self.prompts[group[row]].text, self.texts[row], context.version)
            for number, row in enumerate(chosen)
        }
        context.journal.segments(list({one.id: one for one in found.values()}.values()))
        return {name: one.id for name, one in found.items()}


def measure(context: TextContext, count: int) -> Measured:
    """Complete the first held-out prompts; draws depend on the prompt alone, so a check of more prompts begins with the same."""
    settings, prompts = context.config.check, context.held_out(count)
    context.progress.advance(0, len(prompts), "held-out prompts")
    rollout = context.cast.policy.generate(
        context.ids(prompts),
        samples=settings.samples,
        sampling=context.sampling(settings.max_tokens, settings.temperature),
        seed=derive(context.config.seed, "check"),
    )
    return _judged(context, prompts, rollout)


def _judged(context: TextContext, prompts: tuple[Prompt, ...], rollout: Rollout) -> Measured:
    texts = context.texts(prompts, rollout)
    members = None if context.reward is None else context.reward.normalised(rollout.batch)
    return Measured(prompts, rollout, texts, golden(context, prompts, rollout, texts), members)


def _start(context: TextContext, count: int) -> Measured:
    """What the policy's start said to the same prompts, as it was measured then, judged by the reward as it is now."""
    store, samples = context.journal.store, context.config.check.samples
    event = next(event for event in store.events(kinds={"stage.completed"}) if event.key == stage_key(0, "act"))
    kept = store.blobs.get_arrays(event.payload["artefacts"][f"{START}_tokens"])
    prompts = context.held_out(count)
    wanted = len(prompts) * samples
    lengths = [int(length) for length in kept["lengths"][:wanted]]
    rows = torch.from_numpy(np.asarray(kept["tokens"][: sum(lengths)], dtype=np.int64)).split(lengths)
    groups = tuple(tuple(rows[at : at + samples]) for at in range(0, wanted, samples))
    asked = tuple(torch.tensor(ids, dtype=torch.long) for ids in context.ids(prompts))
    finished = torch.from_numpy(np.asarray(kept["finished"][:wanted], dtype=np.bool_))
    return _judged(context, prompts, Rollout(Batch(asked, groups), torch.zeros(sum(lengths)), finished))


def _wins(found: Measured, before: Measured) -> dict[str, float]:
    """How often the policy's completion is better than one of its start to the same prompt; equal ones count half."""
    samples = len(found.texts) // len(found.prompts)
    mine, theirs = (one.rollout.batch.lengths.double().numpy() for one in (found, before))
    apart = np.abs(_pairs(mine, theirs, samples)) / np.maximum(*_both(mine, theirs, samples))
    metrics: dict[str, float] = {}
    if not np.isnan(found.gold).any() and not np.isnan(before.gold).any():
        metrics |= _rates("gold", _pairs(found.gold, before.gold, samples), apart)
    if found.members is not None and before.members is not None:
        metrics |= _rates("reward", _pairs(found.members.mean(axis=0), before.members.mean(axis=0), samples), apart)
        metrics["check/reward_gain"] = float(found.members.mean() - before.members.mean())
    return metrics


def _both(mine: FloatArray, theirs: FloatArray, samples: int) -> tuple[FloatArray, FloatArray]:
    """[prompt, sample, sample] values of both sides, all with all."""
    shape = (len(mine) // samples, samples, samples)
    first = np.broadcast_to(mine.reshape(-1, samples, 1), shape)
    return first, np.broadcast_to(theirs.reshape(-1, 1, samples), shape)


def _pairs(mine: FloatArray, theirs: FloatArray, samples: int) -> FloatArray:
    first, second = _both(mine, theirs, samples)
    return first - second


def _rates(judge: str, gaps: FloatArray, apart: FloatArray) -> dict[str, float]:
    wins, alike = 0.5 * (1 + np.sign(gaps)), apart <= ALIKE
    found = {f"check/win_rate_{judge}": float(wins.mean()), "check/length_matched": float(alike.mean())}
    return found | ({f"check/win_rate_{judge}_length_matched": float(wins[alike].mean())} if alike.any() else {})

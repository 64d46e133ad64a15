"""Rewards of steps: what of a completion's score is paid on the way, where it was earned, instead of at its end.

Lightman et al. 2023, https://arxiv.org/abs/2305.20050; in groups as Shao et al. 2024, https://arxiv.org/abs/2402.03300, 4.1.3.

group = Group(model, preset("grpo"), seed=0, process=by_sentence(reward))     # PPO takes it too

A process is any function from a rollout to [T] numbers: at the last token of each step what that step was worth, NaN elsewhere.
What is left of the score is paid at the last token, so that the sum over a completion stays its score: to pay for steps beside
an outcome, give a score that has both.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from plaudit.engine.batch import Batch
from plaudit.engine.sampling import Rollout
from plaudit.engine.text import Tokeniser
from plaudit.errors import LearningError
from plaudit.language.scorer import TextReward, portions
from plaudit.records.text import sentences
from plaudit.reward.dispatch import OVERALL

Process = Callable[[Rollout], Tensor]
"""[T] what each step was worth, at its last token; NaN elsewhere"""


def earned_by(process: Process, rollout: Rollout) -> Tensor:
    """[T] on the CPU in double precision. Raises LearningError where it does not fit the rollout or is infinite."""
    found = process(rollout).detach().double().cpu()
    if found.shape != rollout.batch.row.shape or found.isinf().any():
        raise LearningError(
            "The rewards of steps do not fit the completions",
            got=f"shape {tuple(found.shape)}, {int(found.isinf().sum())} infinite",
            expected=f"{len(rollout.batch.row)} numbers, NaN at tokens where no step ends",
        )
    return found


def by_sentence(reward: TextReward) -> Process:
    """Each sentence is worth what it adds to what the reward says of the text so far, in the units of `TextReward.normalised`.

    All is read in one pass. A reward that was fitted to whole texts was never asked about beginnings: look at what it says.
    """
    tokeniser = Tokeniser(reward.model.tokenizer)

    def process(rollout: Rollout) -> Tensor:
        batch, values = rollout.batch, along(reward, rollout.batch)
        earned = torch.full_like(values, torch.nan)
        for ids, place in zip(batch.rows, batch.slices, strict=True):
            ends = [place.start + end for end in sentence_ends(tokeniser, ids.tolist())]
            earned[ends] = values[ends].diff(prepend=values.new_zeros(1))
        return earned

    return process


def along(reward: TextReward, batch: Batch, head: str = OVERALL) -> Tensor:
    """[T] what the members of a reward say on average of the text up to each response token, normalised."""
    number = reward.names.index(head)
    offset, scale = (one[number].double()[:, None] for one in (reward.offset, reward.scale))
    with torch.no_grad():
        found = [reward.read(reward.model.hidden(part))[number].cpu().double() for part in portions(batch)]
    return ((torch.cat(found, dim=1) - offset) / scale).mean(dim=0)


def sentence_ends(tokeniser: Tokeniser, ids: Sequence[int]) -> list[int]:
    """Which tokens end a sentence of a completion, in increasing order; the last token always does."""
    spoken = [len(tokeniser.text(ids[: count + 1])) for count in range(len(ids))]
    stops = [end for _, end in sentences(tokeniser.text(ids))][:-1]
    found = {next(place for place, length in enumerate(spoken) if length >= stop) for stop in stops}
    return sorted(found | {len(ids) - 1})

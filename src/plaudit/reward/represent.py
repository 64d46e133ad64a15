"""What a network learns from behaviour that nobody judged, before it learns from answers: to tell what comes next.

    loss = - mean over i of log [ exp(h_i W g_i) / sum over j of exp(h_i W g_j) ]

h_i is what the last hidden layer makes of a step of stretch i, g_j what it makes of one a few steps later in stretch j. Whoever
can say which g belongs to which h has found what lasts longer than a step and differs from one stretch to another: places,
speeds, what was seen before; and passes over what is drawn anew in every step. This is the log-bilinear form of van den Oord
et al. 2018 (https://arxiv.org/abs/1807.03748, equations 3 and 4) on steps of the same network, as Stooke et al. 2021 do it
for reinforcement learning from pictures (https://arxiv.org/abs/2009.08319, section 3). Two things of theirs are left out: a slowly
moving copy of the network, which small batches do not need, and random shifts, since where something is on a picture may be
just what people judge.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import log_softmax

from plaudit.errors import LearningError
from plaudit.models.kernels import Adam
from plaudit.models.nets import lay_out
from plaudit.reward.config import RewardConfig
from plaudit.reward.trunks import Network, Shown, create, from_arrays, represented

IndexArray = NDArray[np.intp]
BATCH = 64
"""stretches per gradient step; each is told from all others"""
AHEAD = 3
"""most steps from one look at a stretch to the next"""
LEARNING_RATE = 2e-3
"""of Adam"""
OWN = {"head", "skip"}
"""arrays that every member keeps: what makes a reward of the representation"""


def represent(
    fresh: Network, shown: Shown, lengths: IndexArray, *, config: RewardConfig, rng: np.random.Generator
) -> tuple[Network, dict[str, float]]:
    """Members that all begin with one trunk, learned without answers; their heads are those of `fresh`, and differ.

    No answer has a part in it, so that it tells no member about the answers that it leaves out.

    Args:
        fresh: members as they would begin otherwise.
        shown: behaviour, judged or not; items of one step are passed over.
        lengths: [item] steps.
        config: settings; `represent_steps` is the number of gradient steps.
        rng: where all draws come from.

    Returns:
        The members, and `reward/told_apart`: the share of stretches that were recognised over the last tenth of the steps.

    Raises:
        LearningError: fewer than two items have two steps.
    """
    usable = np.flatnonzero(lengths > 1)
    if len(usable) < 2:
        raise LearningError(
            "There is no behaviour to learn a representation from",
            got=f"{len(usable)} of {len(lengths)} segments with two steps or more",
            expected="at least 2",
            next_step="set reward.represent_steps = 0",
        )
    trunk, parameters, gradients = create(replace(config, members=1), shown, rng).trainable()
    (product,), numbers, slopes = lay_out([torch.eye(config.hidden[-1])])
    learning = [
        (Adam(len(values), LEARNING_RATE), values, slope)
        for values, slope in ((parameters, gradients), (numbers, slopes))
    ]
    right: list[float] = []
    for _ in range(config.represent_steps):
        items, steps = looks(usable, lengths, rng)
        units = represented(trunk, shown, items, steps)[0, :, 0]
        for _, _, slope in learning:
            slope.fill(0.0)
        loss, found = contrast(units[:, 0], units[:, 1], product)
        loss.backward()
        for adam, values, slope in learning:
            adam.step(values, slope)
        right.append(found)
    learned = trunk.arrays()
    arrays = {
        name: array if name in OWN else np.repeat(learned[name], fresh.members, axis=0)
        for name, array in fresh.arrays().items()
    }
    return from_arrays(config.trunk, arrays), {"reward/told_apart": float(np.mean(right[-max(1, len(right) // 10) :]))}


def contrast(before: Tensor, after: Tensor, product: Tensor) -> tuple[Tensor, float]:
    """The loss, and the share of rows of which the right one was held likeliest.

    Args:
        before: [stretch, unit] h.
        after: [stretch, unit] g, of the same stretches.
        product: [unit, unit] W.
    """
    log_prob = log_softmax(before @ product @ after.T, dim=1)
    right = log_prob.argmax(1) == torch.arange(len(before))
    return -log_prob.diagonal().mean(), right.double().mean().item()


def looks(usable: IndexArray, lengths: IndexArray, rng: np.random.Generator) -> tuple[IndexArray, IndexArray]:
    """Two looks at each of up to `BATCH` stretches: which items [stretch, 1], and which steps [stretch, 1, 2]."""
    items = rng.permutation(usable)[:BATCH]
    draws = rng.random((2, len(items)))
    ahead = 1 + (draws[0] * np.minimum(AHEAD, lengths[items] - 1)).astype(np.intp)
    first = (draws[1] * (lengths[items] - ahead)).astype(np.intp)
    return items[:, None], np.stack([first, first + ahead], axis=1)[:, None]

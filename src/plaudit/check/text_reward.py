"""Is a reward of texts fit to be optimised? Checks on its scores of a few probes, its heads and its scale.

Each takes what was measured and answers with one `Finding`, or None when there is too little to look at;
`plaudit.check.probing_reward` loads the reward and measures. Scores are in log-odds units, as fitted.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from plaudit.check.diagnose import Evidence, Finding, Severity

FloatArray = NDArray[np.float64]

SAME = 1e-3
"""share of the scores' deviation that a score may change by with the batch, in float32; rounding changes far less"""
SAME_ROUGH = 0.2
"""the same in bfloat16, which holds three digits"""
DRAWN = 4.0
"""standard deviations within which the size of a head, and its angle to the others, look as they were drawn"""
FLAT = 0.02
"""spread of scores, in units of the texts that answers were about, below which very different answers are all the same to it"""
COPIES = 0.01
"""disagreement of members, in units of the spread of scores, below which they are one"""
STRANGERS = 0.3
"""mean correlation of members below which they learned different things, or nothing"""
LONG, LONGER = 0.7, 0.9
"""correlation of score and log length that half, or nearly all, of the scores' variance goes with"""


def repeated(first: FloatArray, second: FloatArray) -> Finding:
    """Does the same text score the same twice? Two arrays of scores of the same batch."""
    if np.isfinite(first).all() and (first == second).all():
        return Finding(Severity.OK, "same score twice", "The same texts score the same twice, to the bit.")
    return Finding(
        Severity.PROBLEM,
        "same score twice",
        "Scores are not numbers."
        if not np.isfinite(first).all()
        else "The same texts score differently the second time.",
        advice="Something random is left in the model (dropout?), or its weights are not finite. Fit it again.",
    )


def reward_composition(alone: FloatArray, together: FloatArray, exact: bool) -> Finding:
    """Does a text score the same alone and in a batch? Two arrays of scores; `exact` for fp32."""
    spread = max(float(together.std()), 1e-12)
    worst = float(np.abs(alone - together).max())
    evidence = (Evidence("largest difference", worst), Evidence("deviation of scores", spread))
    if worst <= (SAME if exact else SAME_ROUGH) * spread:
        return Finding(
            Severity.OK,
            "batch composition of a reward",
            f"Scored alone, a text differs by at most {worst:.2g}.",
            evidence,
        )
    return Finding(
        Severity.PROBLEM,
        "batch composition of a reward",
        f"What a text scores depends on what else is scored: up to {worst:.2g}, where scores deviate by {spread:.2g}.",
        evidence,
        "Score in float32. If it stays, the positions or the mask are wrong for this architecture: report it.",
    )


def random_start(heads: FloatArray, trunk_moved: bool | None) -> Finding:
    """Have the heads moved from their draws, N(0, 1 / (hidden + 1))?

    Args:
        heads: [member, hidden] of a reward.
        trunk_moved: whether the adapter of the model changes anything; None where there is none, and nobody can tell.
    """
    members, width = heads.shape
    sizes = (heads**2).sum(1) * (width + 1) / width
    directions = heads / np.maximum(np.linalg.norm(heads, axis=1, keepdims=True), 1e-12)
    angles = (directions @ directions.T)[np.triu_indices(members, 1)]
    usual_size = bool((np.abs(sizes - 1) < DRAWN * (2 / width) ** 0.5).all())
    usual_angle = bool((np.abs(angles) < DRAWN / width**0.5).all())
    evidence = (Evidence("mean square length", float(sizes.mean())), Evidence("members", members))
    if not (usual_size and usual_angle):
        return Finding(
            Severity.OK, "random start", "The heads are not as they were drawn: something was learned.", evidence
        )
    if trunk_moved is False:
        return Finding(
            Severity.PROBLEM,
            "random start",
            "The heads look as they were drawn, and the adapter changes nothing: the reward was never fitted.",
            evidence,
            "Fit it with `plaudit train reward`; what is saved before the first step is chance.",
        )
    return Finding(
        Severity.WARNING,
        "random start",
        "The heads still look as they were drawn: they learned little, or they are not those of this model.",
        evidence,
        "Look at reward/accuracy_heldout of the fit. If it is low, fit with more answers, more epochs or a higher head_gain.",
    )


def normalisation(offset: FloatArray, scale: FloatArray) -> Finding:
    """Is the scale of scores known? `offset` and `scale`, of any shape, are mean and deviation on the texts of the answers."""
    evidence = (
        Evidence("offset", float(np.nan_to_num(offset).mean())),
        Evidence("scale", float(np.nan_to_num(scale).mean())),
    )
    if not (np.isfinite(offset).all() and np.isfinite(scale).all() and (scale > 0).all()):
        return Finding(
            Severity.PROBLEM,
            "normalisation",
            "The scale of scores is not a positive number.",
            evidence,
            "Fit the reward again; look at whether its texts are all the same.",
        )
    if (offset == 0).all() and (scale == 1).all():
        return Finding(
            Severity.PROBLEM,
            "normalisation",
            "The scale of scores was never measured: what a policy is paid has arbitrary units.",
            evidence,
            "Let the fit finish all its steps; it measures mean and deviation at the end.",
        )
    message = f"Scores of the answers' texts have mean {offset.mean():.2g} and deviation {scale.mean():.2g}."
    return Finding(Severity.OK, "normalisation", message, evidence)


def flat_scores(scores: FloatArray) -> Finding:
    """Does the reward tell very different answers apart? `scores` of probes, normalised."""
    spread = float(scores.std())
    evidence = (Evidence("deviation over probes", spread),)
    if spread >= FLAT:
        message = f"Scores of {len(scores)} probes deviate by {spread:.2g} of what they do on the answers' texts."
        return Finding(Severity.OK, "flat scores", message, evidence)
    return Finding(
        Severity.PROBLEM,
        "flat scores",
        f"Sensible answers, nonsense and insults score nearly the same: they deviate by {spread:.2g}.",
        evidence,
        "Fit with more answers or steps; look whether the texts of the store are those that were judged.",
    )


def member_spread(members: FloatArray) -> Finding | None:
    """Do members agree, yet not wholly? `members` [member, probe], normalised."""
    if len(members) < 2:
        return None
    spread = float(members.std(0).mean() / max(float(members.mean(0).std()), 1e-12))
    centred = members - members.mean(1, keepdims=True)
    unit = centred / np.maximum(np.linalg.norm(centred, axis=1, keepdims=True), 1e-12)
    agreement = float((unit @ unit.T)[np.triu_indices(len(members), 1)].mean())
    evidence = (Evidence("disagreement", spread), Evidence("mean correlation", agreement))
    if spread < COPIES:
        return Finding(
            Severity.WARNING,
            "members of a reward",
            "The members give the same scores: their disagreement says nothing about what the reward does not know.",
            evidence,
            "Let each leave out a share of the questions (left_out), or use one member.",
        )
    if agreement < STRANGERS:
        return Finding(
            Severity.WARNING,
            "members of a reward",
            f"The members order the probes differently: their scores correlate by {agreement:.2f} only.",
            evidence,
            "Fit with more answers or steps. Until then their mean is mostly chance on texts like these.",
        )
    message = f"Members correlate by {agreement:.2f} and disagree by {spread:.2g} of the spread of scores."
    return Finding(Severity.OK, "members of a reward", message, evidence)


def length_of_answers(scores: FloatArray, lengths: FloatArray) -> Finding | None:
    """Does length alone explain scores? `scores` and `lengths` in tokens, of probes in which length and sense are unrelated."""
    if len(scores) < 8 or scores.std() == 0 or np.ptp(lengths) == 0:
        return None
    r = float(np.corrcoef(scores, np.log(lengths))[0, 1])
    evidence = (Evidence("correlation with log length", r),)
    if abs(r) < LONG:
        message = f"Scores correlate with the log of the length by {r:.2f}."
        return Finding(Severity.OK, "length of answers", message, evidence)
    which = "long" if r > 0 else "short"
    return Finding(
        Severity.PROBLEM if abs(r) >= LONGER else Severity.WARNING,
        "length of answers",
        f"Scores correlate with the log of the length by {r:.2f}: a policy will learn to be {which}, whatever it says.",
        evidence,
        "Ask for comparisons of answers of equal length, or fine the length while the policy learns.",
    )

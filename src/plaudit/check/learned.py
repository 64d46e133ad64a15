"""Checks of what was learned: is the reward model right, sane and of several minds; does the policy serve people?"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from plaudit.check.diagnose import Evidence, Finding, Severity
from plaudit.stats.intervals import mean_interval, welch, wilson

FloatArray = NDArray[np.float64]


def noise_ceiling(differences: FloatArray, temperature: float, lapse: float = 0.0) -> float:
    """Share of a noisy teacher's answers that the best possible model agrees with, in 0.5 .. 1.

    Args:
        differences: [answer] difference of the two true returns.
        temperature: of the Boltzmann teacher, in units of return; 0 never errs.
        lapse: share of the answers that are given at random.

    The best model always names the better clip; a Boltzmann teacher agrees with probability sigmoid(|d| / temperature)
    (Christiano et al. 2017, eq. 1), and when it lapses, every other time.
    """
    size = np.abs(differences)
    agree = np.where(size > 0, 1.0, 0.5) if temperature == 0 else 1.0 / (1.0 + np.exp(-size / temperature))
    return float(np.mean((1 - lapse) * agree + lapse / 2))


GAP = 0.1
"""agreement this far below what noise allows is more than too few answers"""


def reward_accuracy(right: int, held_out: int, ceiling: float | None = None) -> Finding | None:
    """Does the reward model agree with held-out answers as well as their noise allows?"""
    name = "reward accuracy"
    if held_out == 0:
        return None
    found = wilson(right, held_out)
    evidence = [Evidence("agreement", right / held_out), Evidence("low", found.low), Evidence("high", found.high)]
    evidence += [] if ceiling is None else [Evidence("noise ceiling", ceiling)]
    numbers = tuple(evidence)
    if found.high < 0.5:
        advice = "Check that annotators were told which clip to choose, and that no tool swaps first and second."
        return Finding(
            Severity.PROBLEM, name, "The reward model is worse than guessing: answers look inverted.", numbers, advice
        )
    if found.low <= 0.5:
        advice = (
            "Ask for more labels, show longer segments, or look at whether the observation holds what people judge by."
        )
        return Finding(Severity.WARNING, name, "The reward model cannot be told from guessing yet.", numbers, advice)
    if ceiling is not None and found.high < ceiling:
        severity = Severity.WARNING if found.high < ceiling - GAP else Severity.NOTE
        advice = "More answers should still help; if they stop helping, try a larger network or longer segments."
        return Finding(
            severity, name, "The reward model agrees less than the annotators' noise explains.", numbers, advice
        )
    if ceiling is not None and found.low > ceiling:
        advice = "Check that no behaviour is in both the training and the held-out answers."
        return Finding(
            Severity.NOTE, name, "The reward model agrees more than the annotators' noise allows.", numbers, advice
        )
    return Finding(Severity.OK, name, "The reward model agrees with answers that it never saw.", numbers)


LEAK = 0.9
"""correlation of return with episode length above which length nearly is the reward"""


def length_leak(lengths: FloatArray, learned_returns: FloatArray | None) -> Finding | None:
    """Can a policy win by ending or prolonging episodes? Both arrays are [episode].

    With episodes of unequal length, the sign of a learned reward alone decides whether living long pays.
    """
    name = "episode length"
    if len(lengths) == 0:
        return None
    if np.ptp(lengths) == 0:
        return Finding(Severity.OK, name, "All episodes have one length, so length cannot leak reward.")
    evidence = [Evidence("shortest", float(lengths.min())), Evidence("longest", float(lengths.max()))]
    advice = "Set world.horizon: episodes then all have that length, and an ended one stays ended until it is over."
    if learned_returns is not None and len(lengths) >= 8 and np.std(learned_returns) > 0:
        correlation = float(np.corrcoef(lengths, learned_returns)[0, 1])
        evidence.append(Evidence("correlation of length and learned return", correlation))
        if abs(correlation) >= LEAK:
            message = (
                "The learned return is nearly a function of episode length: the policy is paid for when episodes end."
            )
            return Finding(Severity.WARNING, name, message, tuple(evidence), advice)
    return Finding(
        Severity.NOTE, name, "Episodes end at different times, which can leak reward.", tuple(evidence), advice
    )


FLAT = 1e-3
"""a reward whose spread is below this share of its size gives a policy nothing to climb"""


def constant_reward(rewards: FloatArray) -> Finding | None:
    """Does the learned reward tell steps apart? `rewards` is [step]."""
    name = "constant reward"
    finite = rewards[np.isfinite(rewards)]
    if len(finite) < 2:
        return None
    spread, size = float(finite.std()), float(np.abs(finite).mean())
    evidence = (Evidence("standard deviation", spread), Evidence("mean size", size))
    if spread > FLAT * size and spread > 1e-9:
        return Finding(Severity.OK, name, "The learned reward tells steps apart.", evidence)
    message = "The learned reward is the same nearly everywhere, so the policy has nothing to improve."
    advice = (
        "See whether nearly all answers are ties, or training stopped at once; then ask about more varied behaviour."
    )
    return Finding(Severity.PROBLEM, name, message, evidence, advice)


EXPLODED = 100.0
"""a learned reward is normalised to unit spread; single steps this many spreads out take over the critic"""


def exploding_scores(rewards: FloatArray) -> Finding | None:
    """Are all learned rewards finite and of one order of magnitude? `rewards` is [step], or [member, step]."""
    name = "exploding scores"
    broken = int((~np.isfinite(rewards)).sum())
    if broken:
        advice = (
            "Look at the observations for huge values, lower the reward model's learning rate, and go back one round."
        )
        evidence = (Evidence("values that are not finite", broken),)
        return Finding(Severity.PROBLEM, name, "The reward model gives values that are not finite.", evidence, advice)
    if rewards.size == 0:
        return None
    low, middle, high = np.percentile(rewards, [16, 50, 84], axis=-1, keepdims=True)
    spread = float(np.median(high - low)) / 2
    farthest = float(np.abs(rewards - middle).max())
    evidence = (Evidence("farthest from the median", farthest), Evidence("typical spread", spread))
    if farthest <= EXPLODED * max(spread, 1e-3):
        return Finding(Severity.OK, name, "All learned rewards are of one order of magnitude.", evidence)
    advice = "Clip or rescale observations with huge values, or raise the reward model's weight decay."
    message = "Some learned rewards are far out of scale, and will drown the others."
    return Finding(Severity.WARNING, name, message, evidence, advice)


COLLAPSED = 0.01
"""members that differ by less than this share of the rewards' own spread say nothing about uncertainty"""


def ensemble_collapse(between: float, rewards: FloatArray) -> Finding | None:
    """Do the members of the reward model differ?

    Args:
        between: standard deviation over members, mean over steps.
        rewards: [step] mean of the members.
    """
    name = "ensemble"
    finite = rewards[np.isfinite(rewards)]
    if len(finite) < 2 or np.ptp(finite) == 0:
        return None
    within = float(finite.std())
    evidence = (Evidence("spread between members", between), Evidence("spread between steps", within))
    if between > COLLAPSED * within:
        return Finding(Severity.OK, name, "The members of the reward model are of several minds.", evidence)
    message = "All members of the reward model say the same: its uncertainty, and questions chosen by it, mean nothing."
    advice = "Give members different starting weights and different samples of the answers."
    return Finding(Severity.WARNING, name, message, evidence, advice)


WORTH_SAYING = 0.1
"""a loss below this share of what the run gained is not worth an alarm"""


def over_optimisation(true_returns: list[FloatArray], learned_last: float) -> Finding | None:
    """Does the policy please the reward model at people's expense?

    Compares the last round with the best earlier one by true return, or by audited return where that is all there is.
    Learned returns of two rounds cannot be compared, since each reward model is normalised anew; but zero is always the
    average of the behaviour so far.

    Args:
        true_returns: per round, [episode].
        learned_last: mean return of the last round under its own reward model.
    """
    name = "over-optimisation"
    if len(true_returns) < 2:
        return None
    means = np.array([returns.mean() for returns in true_returns])
    best, last = int(np.argmax(means[:-1])), len(means) - 1
    # the best of many rounds is partly luck: the level rises with their number (Bonferroni)
    change = welch(true_returns[last], true_returns[best], level=1 - 0.05 / last)
    lost = float(means[best] - means[last])
    evidence = (
        Evidence("best round", best + 1),
        Evidence("change of true return since then", -lost),
        Evidence("learned return, above the behaviour so far", learned_last),
    )
    if change.high >= 0 or lost < WORTH_SAYING * np.ptp(means):
        return Finding(Severity.OK, name, "The true return has not fallen while the policy trained.", evidence)
    if learned_last <= 0:
        message = "The policy became worse after its best round, and the reward model sees it too."
        advice = "Training failed rather than the reward: try a smaller learning rate or more steps per round."
        return Finding(Severity.WARNING, name, message, evidence, advice)
    message = (
        "The true return fell while the reward model praises the policy: it exploits mistakes of the reward model."
    )
    advice = "Use the policy of the best round, ask about the newest behaviour, and train less between questions."
    return Finding(Severity.PROBLEM, name, message, evidence, advice)


def better_than_random(returns: FloatArray, random: float) -> Finding | None:
    """Does the policy beat random actions? `returns` is [episode]."""
    name = "better than random"
    if len(returns) < 2:
        return None
    mean = float(returns.mean())
    evidence = (Evidence("return", mean), Evidence("return of random actions", random))
    found = mean_interval(returns)
    if found.low > random:
        return Finding(Severity.OK, name, "The policy does better than random actions.", evidence)
    worse = found.high < random
    message = (
        "The policy does worse than random actions." if worse else "The policy cannot be told from random actions."
    )
    advice = "See the findings on reward and labels first; if they are fine, the policy needs more steps."
    return Finding(Severity.PROBLEM, name, message, evidence, advice)

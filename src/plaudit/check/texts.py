"""Checks of a run that teaches a language model: sound numbers first, then what a policy does to please a reward."""

from __future__ import annotations

from plaudit.check.diagnose import Evidence, Finding, Severity

ROUNDING = 1e-2
"""nats per token that sampler and trainer may differ by, bf16 included; in fp32 they agree to 1e-4"""
NATS = 10.0
"""a policy this far from its start says other things altogether"""
MORE = 0.1
"""shares that rise by more than this have changed"""
SAME = 0.5
"""groups without a difference are too many above this share"""


def one_engine(difference: float | None) -> Finding | None:
    """Do sampling and training see the same probabilities? [nats per token]"""
    name = "sampler and trainer"
    if difference is None:
        return None
    numbers = (Evidence("difference per token", difference),)
    if difference > ROUNDING:
        advice = "Train in float32, or weigh tokens by improve.group.correction; something between sampling and training differs."
        return Finding(
            Severity.PROBLEM,
            name,
            "Sampled tokens had another probability when they were learned from.",
            numbers,
            advice,
        )
    return Finding(Severity.OK, name, "Sampling and training see the same probabilities.", numbers)


def distance(kl: float | None) -> Finding | None:
    """How far is the policy from the model that it started from? [nats per completion]"""
    name = "distance"
    if kl is None:
        return None
    numbers = (Evidence("KL", kl),)
    if kl < -1:
        advice = "Look at a rollout: the reference may be another model, or completions may not come from the policy."
        return Finding(
            Severity.PROBLEM, name, "The distance to the start is negative, which no distance can be.", numbers, advice
        )
    if kl > NATS:
        advice = "Raise improve.group.kl, lower the learning rate, or stop earlier; read the samples before you trust the reward."
        return Finding(
            Severity.WARNING, name, "The policy is far from the model that it started from.", numbers, advice
        )
    return Finding(Severity.OK, name, "The policy is not far from the model that it started from.", numbers)


def ends(now: float | None, start: float | None) -> Finding | None:
    """Does the policy still end its completions?"""
    name = "ends"
    if now is None or start is None:
        return None
    numbers = (Evidence("no end", now), Evidence("at the start", start))
    if now > start + MORE:
        advice = (
            "Set improve.group.missing_end above 0, or allow more tokens: longer completions seem to please the reward."
        )
        return Finding(
            Severity.WARNING, name, "More completions than at the start do not end by themselves.", numbers, advice
        )
    return Finding(Severity.OK, name, "Completions end as often as at the start.", numbers)


def repetition(now: float | None, start: float | None) -> Finding | None:
    """Does the policy repeat itself?"""
    name = "repetition"
    if now is None or start is None:
        return None
    numbers = (Evidence("repeated", now), Evidence("at the start", start))
    if now > start + MORE:
        advice = "Ask about the newest completions, so that people can say what they think of it, and raise improve.group.kl."
        return Finding(Severity.WARNING, name, "The policy repeats itself more than its start does.", numbers, advice)
    return Finding(Severity.OK, name, "The policy repeats itself no more than its start.", numbers)


def length(wins: float | None, matched: float | None) -> Finding | None:
    """Does the policy win by length?"""
    name = "length"
    if wins is None or matched is None:
        return None
    numbers = (Evidence("wins", wins), Evidence("at equal length", matched))
    if abs(wins - matched) > MORE:
        advice = (
            "Set reward.nuisance to length, so that the reward does not take length for merit, and read the samples."
        )
        return Finding(
            Severity.WARNING,
            name,
            "Much of what the policy wins, it wins by the length of its completions.",
            numbers,
            advice,
        )
    return Finding(Severity.OK, name, "The policy wins as often among completions of equal length.", numbers)


def pleased(learned: float | None, true: float | None) -> Finding | None:
    """Does what pleases the learned reward please the true one?"""
    name = "pleasing the reward"
    if learned is None or true is None:
        return None
    numbers = (Evidence("wins by the learned reward", learned), Evidence("by the true one", true))
    if learned > 0.5 + MORE and true < 0.5:
        advice = "Ask for more labels about the newest completions, raise improve.pessimism or improve.group.kl, or stop earlier."
        return Finding(
            Severity.PROBLEM, name, "The policy pleases the learned reward and not the true one.", numbers, advice
        )
    return Finding(Severity.OK, name, "The learned and the true reward do not contradict each other.", numbers)


def differences(same: float | None) -> Finding | None:
    """Is there something to learn from in a group of completions?"""
    name = "groups"
    if same is None:
        return None
    numbers = (Evidence("groups without a difference", same),)
    if same > SAME:
        advice = "Raise the temperature or improve.group.samples, set improve.group.redraws, or bring prompts that are neither trivial nor hopeless."
        return Finding(
            Severity.WARNING,
            name,
            "In most groups all completions are worth the same, so nothing is learned.",
            numbers,
            advice,
        )
    return Finding(Severity.OK, name, "Completions of a group differ in worth.", numbers)

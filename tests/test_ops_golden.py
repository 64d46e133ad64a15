"""Losses, gradients, advantages and weights equal those of TRL 1.16's own code (tests/golden/make_trl_golden.py)."""

import json
import math
from pathlib import Path

import pytest
import torch

from plaudit.ops import advantages, direct, distill, kl, policy, unpaired
from plaudit.ops.policy import Beyond, Clip, Correction, Level
from plaudit.ops.tokens import (
    Average,
    average,
    negative_log_likelihood,
    rows_of,
    segment_mean,
    segment_sum,
    totals,
)

GOLDEN = Path(__file__).parent / "golden"
POLICY, ADVANTAGES, DIRECT, ALONE = (
    json.loads((GOLDEN / f"trl_{name}.json").read_text()) for name in ("policy", "advantages", "direct", "alone")
)
LENGTHS = torch.tensor(POLICY["lengths"])
COUNT = len(LENGTHS)
GROUP = torch.tensor(POLICY["group"])
ROW = rows_of(LENGTHS)
EXACT = {"rtol": 1e-10, "atol": 1e-10}
AVERAGES = {
    "grpo": Average.SEQUENCES, "bnpo": Average.TOKENS, "dapo": Average.TOKENS, "dr_grpo": Average.CONSTANT,
    "cispo": Average.TOKENS, "luspo": Average.SUMS,
}  # fmt: skip
KNOWN = {
    "loss_type", "beta", "use_bias_correction_kl", "epsilon_low", "epsilon_high", "delta", "importance_sampling_level",
    "entropy_coef", "use_vllm",
}  # fmt: skip


def numbers(values):
    return torch.tensor([math.nan if value is None else value for value in values], dtype=torch.float64)


def check(case, logprobs, loss):
    loss.backward()
    torch.testing.assert_close(loss.detach(), torch.tensor(case["loss"], dtype=torch.float64), **EXACT)
    torch.testing.assert_close(logprobs.grad, numbers(case["gradient"]), **EXACT)


def grpo(case, logprobs, options):
    level = Level.GEOMETRIC if options.get("importance_sampling_level") == "sequence" else Level.TOKEN
    ratios = policy.log_ratios(logprobs, numbers(case["old"]), ROW, count=COUNT, level=level)
    ratios = ratios if level is Level.TOKEN else ratios[ROW]
    good = numbers(case["advantages"])[ROW]
    clip = Clip(options.get("epsilon_low", 0.2), options.get("epsilon_high", 0.2), options.get("delta"))
    losses = policy.surrogate(ratios, good, clip)
    if options["loss_type"] == "cispo":
        losses = policy.weighted_gradient(logprobs, ratios, good, highest=clip.high)
    if options.get("use_vllm"):
        old, sampler = numbers(case["old"]), numbers(case["sampler"])
        losses = losses * policy.sampler_weights(old, sampler, ROW, count=COUNT, correction=Correction())
    if "beta" in options:
        how = kl.Penalty.K3_WEIGHTED if options.get("use_bias_correction_kl", True) else kl.Penalty.K3
        losses = losses + options["beta"] * kl.penalty(
            logprobs, numbers(case["reference"]), how, old=numbers(case["old"])
        )
    whole, how = totals(ROW, COUNT), AVERAGES[options["loss_type"]]
    loss = average(losses, ROW, how=how, whole=whole, longest=POLICY["longest"])
    bonus = policy.entropy_bonus(numbers(case["entropy"]), options.get("entropy_coef", 0.0))
    return loss + average(bonus, ROW, how=Average.TOKENS, whole=whole), ratios, clip, good


@pytest.mark.parametrize("name", POLICY["grpo"])
def test_losses_of_policies(name):
    case = POLICY["grpo"][name]
    assert set(case["options"]) <= KNOWN
    logprobs = numbers(case["logprobs"]).requires_grad_()
    loss, ratios, clip, good = grpo(case, logprobs, case["options"])
    check(case, logprobs, loss)
    if "clip_ratio/low_mean" in case["metrics"] and clip.delta is None:  # TRL counts after its cut to delta
        for where, found in (("low", policy.clipped_low), ("high", policy.clipped_high)):
            by_token = found(ratios, good, clip)
            mean = by_token.mean() if "sequence" not in str(case["options"]) else sequence_mean(by_token)
            assert mean.item() == pytest.approx(case["metrics"][f"clip_ratio/{where}_mean"], rel=1e-6)
    if "kl" in case["metrics"] and case["options"].get("use_bias_correction_kl", True) is False:
        found = kl.estimate(logprobs, numbers(case["reference"]), kl.Estimator.K3)
        assert found.mean().item() == pytest.approx(case["metrics"]["kl"], rel=1e-6)


def sequence_mean(by_token):
    return (segment_sum(by_token, ROW, COUNT) / LENGTHS).mean()


@pytest.mark.parametrize("name", ["grpo_clip_higher", "grpo_delta", "grpo_entropy", "dapo_sampler_weights", "grpo_kl"])
def test_the_options_act_in_these_cases(name):
    """Without its option the case has another loss: else the equality above would say nothing about it."""
    case = POLICY["grpo"][name]
    logprobs = numbers(case["logprobs"])
    kind = {"loss_type": case["options"]["loss_type"]}
    assert abs(grpo(case, logprobs, kind)[0].item() - case["loss"]) > 1e-4


def test_loss_of_whole_completions():
    case = POLICY["rloo"]
    logprobs = numbers(case["logprobs"]).requires_grad_()
    ratios = policy.log_ratios(logprobs, numbers(case["old"]), ROW, count=COUNT, level=Level.SEQUENCE)
    check(case, logprobs, policy.surrogate(ratios, numbers(case["advantages"]), Clip()).mean())


@pytest.mark.parametrize("case", POLICY["weights"]["cases"], ids=lambda case: f"{case['mode']} {case['bounds']}")
def test_weights_between_sampler_and_trainer(case):
    old = numbers(POLICY["weights"]["old"])
    sampler = numbers(POLICY["weights"]["sampler"])
    sampler[sampler == 99.0] = torch.nan
    level, beyond = case["mode"].split("_")
    low, high = case["bounds"]
    correction = Correction(Level(level), Beyond(beyond), low or 0.0, high)
    found = policy.sampler_weights(old, sampler, ROW, count=COUNT, correction=correction)
    torch.testing.assert_close(found, numbers(case["weights"]), **EXACT)


def case_name(case):
    return " ".join(str(case[key]) for key in ("kind", "name", "scale", "beta", "normalize") if key in case)


@pytest.mark.parametrize("case", ADVANTAGES["cases"], ids=case_name)
def test_advantages(case):
    scores = numbers(case["rewards"])
    if case["kind"] == "grpo":
        found = advantages.from_group_means(scores, GROUP, scale=advantages.Scale(case["scale"]))
    else:
        terms = kl.estimate(numbers(case["old"]), numbers(case["reference"]), kl.Estimator.K1)
        scores = scores.clamp(-0.5, 1.5) - case["beta"] * segment_sum(terms, ROW, COUNT)
        found = advantages.leave_one_out(scores, GROUP, standardised=case["normalize"])
    torch.testing.assert_close(found, numbers(case["advantages"]), **EXACT)


@pytest.mark.parametrize("name", DIRECT["dpo"])
def test_losses_of_pairs(name):
    case = DIRECT["dpo"][name]
    options = case["options"]
    logprobs = numbers(case["logprobs"]).requires_grad_()
    how = direct.Direct("sigmoid" if options["loss"] == "aot" else options["loss"])
    reference = segment_sum(numbers(case["reference"]), ROW, COUNT)
    found = direct.implicit(logprobs, reference, ROW, mean=direct.averaged(how))
    losses = direct.pair_loss(
        found[::2], found[1::2], how=how, beta=options["beta"], smoothing=options.get("smoothing", 0.0)
    )
    check(case, logprobs, losses.mean())


@pytest.mark.parametrize("name", ALONE["alone"])
def test_losses_of_pairs_without_a_reference(name):
    case = ALONE["alone"][name]
    options = case["options"]
    how = direct.Alone(options["loss"])
    logprobs = numbers(case["logprobs"]).requires_grad_()
    means = segment_mean(logprobs, ROW, COUNT)
    settings = {
        "beta": options["beta"],
        "margin": options.get("margin", 0.0),
        "smoothing": options.get("smoothing", 0.0),
    }
    losses = direct.alone_loss(means[::2], means[1::2], how=how, **settings)
    liked = (ROW % 2 == 0).double()
    nll = negative_log_likelihood(logprobs, ROW, whole=totals(ROW, COUNT, weights=liked), weights=liked)
    imitated = 1.0 if how is direct.Alone.ORPO else options.get("likelihood", 0.0)
    if imitated:
        assert nll.item() == pytest.approx(case["metrics"]["nll_loss"], rel=1e-10)
    assert options["beta"] * means[::2].mean().item() == pytest.approx(case["metrics"]["rewards/chosen"], rel=1e-10)
    check(case, logprobs, losses.mean() + imitated * nll)


@pytest.mark.parametrize("name", ALONE["kto"])
def test_losses_of_single_answers(name):
    case = ALONE["kto"][name]
    options, good = case["options"], torch.tensor(case["good"])
    logprobs = numbers(case["logprobs"]).requires_grad_()
    apart = segment_sum(numbers(case["kl"]) - numbers(case["kl_reference"]), ROW, COUNT)
    drift = unpaired.drifted(apart) if options["drift"] else torch.zeros(())
    assert drift.item() == pytest.approx(case["metrics"]["kl"], rel=1e-10)
    assert (drift > 0) == (options["drift"] and not options.get("closer", False))
    h = direct.implicit(logprobs, segment_sum(numbers(case["reference"]), ROW, COUNT), ROW)
    weights = torch.where(good, options.get("desirable", 1.0), options.get("undesirable", 1.0))
    losses = weights * unpaired.unpaired_loss(h, good, beta=options["beta"], drift=drift)
    assert options["beta"] * h[good].mean().item() == pytest.approx(case["metrics"]["rewards/chosen"], rel=1e-10)
    check(case, logprobs, losses.mean())


@pytest.mark.parametrize("case", ALONE["gkd"], ids=lambda case: f"{case['mix']} {case['temperature']}")
def test_divergences_from_a_teacher(case):
    student, teacher = (torch.tensor(case[name], dtype=torch.float64) for name in ("student", "teacher"))
    student.requires_grad_()
    found = distill.divergence(student / case["temperature"], teacher / case["temperature"], mix=case["mix"])
    loss = found[torch.tensor(case["counted"])].mean()
    loss.backward()
    torch.testing.assert_close(loss.detach(), torch.tensor(case["loss"], dtype=torch.float64), **EXACT)
    torch.testing.assert_close(student.grad, torch.tensor(case["gradient"], dtype=torch.float64), **EXACT)


def test_likelihood_of_completions():
    case = DIRECT["sft"]
    logprobs = numbers(case["logprobs"]).requires_grad_()
    check(case, logprobs, negative_log_likelihood(logprobs, ROW, whole=totals(ROW, COUNT)))


@pytest.mark.parametrize("case", DIRECT["reward"], ids=lambda case: str(case["options"]))
def test_rewards_of_pairs(case):
    scores = numbers(case["chosen"] + case["rejected"]).requires_grad_()
    margin = numbers(case["options"].get("margin", [0.0, 0.0, 0.0]))
    losses = direct.reward_pair_loss(
        scores[:3], scores[3:], margin=margin, centring=case["options"].get("centering", 0.0)
    )
    check(case, scores, losses.mean())

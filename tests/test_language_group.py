"""Policy gradients on groups: against slow twins, on a world with a known optimum, through kills."""

import math
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from plaudit.engine.model import LanguageModel
from plaudit.engine.sampling import Rollout
from plaudit.errors import ConfigError, LearningError, RunError
from plaudit.language.experience import order, pieces, together
from plaudit.language.group import Group, train
from plaudit.language.group_config import PRESETS, Baseline, GroupConfig, Paid, preset, with_preset
from plaudit.language.group_loss import group_loss
from plaudit.language.training import GroupTraining
from plaudit.language.update import Schedule, UpdateConfig
from plaudit.ops.advantages import Scale
from plaudit.ops.kl import Penalty
from plaudit.ops.policy import Beyond, Correction, Level
from plaudit.ops.tokens import Average
from plaudit.run.config import from_table
from tests.language_examples import Letters, parameters, same, whole
from tests.language_rollouts import close, gradients, moved, policy, rollout, scores, slow_logprobs

LONGEST, TEMPERATURE = 11, 0.7
QUICK = UpdateConfig(learning_rate=1e-2, schedule=Schedule.CONSTANT)


def mean(values):
    return sum(values) / len(values)


def deviation(values):
    return math.sqrt(sum((value - mean(values)) ** 2 for value in values) / (len(values) - 1))


def grouped(batch, paid, advantage):
    """Advantages of completions by their group, without those that have no score."""
    found = [None] * len(batch)
    for group in range(len(batch.prompts)):
        known = [row for row in range(len(batch)) if batch.group[row] == group and not math.isnan(paid[row])]
        for row in known:
            alone = len(known) == 1
            others = [paid[other] for other in known if other != row]
            found[row] = 0.0 if alone else advantage(paid[row], [paid[other] for other in known], others)
    return found


def clip(log_ratio, advantage, low=0.2, high=0.2):
    ratio = log_ratio.exp()
    return -torch.min(ratio * advantage, ratio.clamp(1 - low, 1 + high) * advantage)


def k3(lp, ref):
    return (ref - lp).exp() - (ref - lp) - 1


def standardised(batch, paid):
    return grouped(batch, paid, lambda s, all_, _: (s - mean(all_)) / (deviation(all_) + 1e-4))


def sequences(losses):
    return mean([one.mean() for one in losses])


def tokens(losses):
    return torch.cat(losses).mean()


def grpo(batch, paid, lp, old, ref):
    a = standardised(batch, paid)
    return sequences([clip(lp[i] - old[i], a[i]) + 0.04 * k3(lp[i], ref[i]) for i in range(len(a)) if a[i] is not None])


def dr_grpo(batch, paid, lp, old, ref):
    a = grouped(batch, paid, lambda s, all_, _: s - mean(all_))
    known = [i for i in range(len(a)) if a[i] is not None]
    return sum(clip(lp[i] - old[i], a[i]).sum() for i in known) / (len(known) * LONGEST)


def dapo(batch, paid, lp, old, ref):
    buffer = round(0.2 * LONGEST)
    paid = [
        s - min(max((n - (LONGEST - buffer)) / buffer, 0), 1) for s, n in zip(paid, batch.lengths.tolist(), strict=True)
    ]
    a = standardised(batch, paid)
    return tokens([clip(lp[i] - old[i], a[i], high=0.28) for i in range(len(a)) if a[i] is not None])


def rloo(batch, paid, lp, old, ref):
    paid = [float(s - 0.05 * (old[i] - ref[i]).sum()) for i, s in enumerate(paid)]
    a = grouped(batch, paid, lambda s, _, others: s - mean(others))
    return mean([clip((lp[i] - old[i]).sum(), a[i]) for i in range(len(a)) if a[i] is not None])


def whitened(returns):
    every = torch.cat([one for one in returns if one is not None])
    return [None if one is None else (one - every.mean()) * torch.rsqrt(every.var() + 1e-8) for one in returns]


def plus_plus(batch, paid, lp, old, ref):
    returns = []
    for i, s in enumerate(paid):
        steps = (-0.01 * (old[i] - ref[i])).tolist()
        steps[-1] += s
        returns.append(
            None if math.isnan(s) else torch.tensor([sum(steps[t:]) for t in range(len(steps))], dtype=torch.float64)
        )
    a = whitened(returns)
    return tokens([clip(lp[i] - old[i], a[i]) for i in range(len(a)) if a[i] is not None])


def plus_plus_baseline(batch, paid, lp, old, ref):
    a = grouped(batch, paid, lambda s, all_, _: s - mean(all_))
    a = whitened([None if x is None else torch.full_like(old[i], x) for i, x in enumerate(a)])
    known = [i for i in range(len(a)) if a[i] is not None]
    return tokens([clip(lp[i] - old[i], a[i]) + 0.001 * (lp[i] - ref[i]) ** 2 / 2 for i in known])


def gspo(batch, paid, lp, old, ref):
    a = standardised(batch, paid)
    return mean([clip((lp[i] - old[i]).mean(), a[i], 3e-4, 4e-4) for i in range(len(a)) if a[i] is not None])


def cispo(batch, paid, lp, old, ref):
    a = standardised(batch, paid)
    known = [i for i in range(len(a)) if a[i] is not None]
    return tokens([-(lp[i] - old[i]).exp().clamp(max=5.0).detach() * a[i] * lp[i] for i in known])


TWINS = {
    "grpo": grpo, "dr-grpo": dr_grpo, "dapo": dapo, "rloo": rloo, "reinforce++": plus_plus,
    "reinforce++-baseline": plus_plus_baseline, "gspo": gspo, "cispo": cispo,
}  # fmt: skip


def settings(name, **changes):
    return replace(preset(name), max_tokens=LONGEST, temperature=TEMPERATURE, epochs=2, **changes)


def ours(group, experience, max_tokens=8192):
    """Loss of the first optimiser step, its gradients, its metrics."""
    (step, *_) = pieces(experience, 1, 0, names=(0, 0), max_tokens=max_tokens)
    total, grads, metrics = 0.0, [torch.zeros_like(one) for one in group.model.parameters()], {}
    for piece in step:
        loss, found = group_loss(group.model, group.config, group.controller.coefficient, experience, piece)
        grads = [one + more for one, more in zip(grads, gradients(loss, group.model.parameters()), strict=True)]
        total += float(loss.detach())
        metrics = {name: metrics.get(name, 0.0) + float(value.detach()) for name, value in found.items()}
    return total, grads, metrics


def test_every_preset_has_a_twin():
    assert set(TWINS) == set(PRESETS)


@pytest.mark.parametrize("name", TWINS)
def test_loss_and_gradients_equal_the_slow_twin(name):
    group = Group(policy(), settings(name), 0)
    rolled, given = rollout(), scores(9)
    experience = group.experience(rolled, given)
    batch, size = rolled.batch, rolled.batch.lengths.tolist()
    with torch.no_grad():
        old = slow_logprobs(group.model, batch, TEMPERATURE)
        ref = slow_logprobs(group.model.view(None), batch, TEMPERATURE)
    moved(group.model)
    loss, grads, metrics = ours(group, experience)
    lp = slow_logprobs(group.model, batch, TEMPERATURE)
    twin = TWINS[name](batch, given.tolist(), lp, old, ref)
    assert loss == pytest.approx(float(twin.detach()), rel=1e-9, abs=1e-12)
    close(grads, gradients(twin, group.model.parameters()))
    assert len(experience.old) == sum(size)
    if group.reference is not None:
        known = [i for i in range(9) if i != 3]
        k1 = mean([float((old[i] - ref[i]).sum()) for i in known])
        assert experience.metrics["objective/kl"] == pytest.approx(k1, rel=1e-9)
        expected = torch.cat([k3(lp[i], ref[i]) for i in known]).mean().detach()
        assert metrics["kl"] == pytest.approx(float(expected), rel=1e-9)


@pytest.mark.parametrize("name", TWINS)
def test_many_micro_batches_are_one_batch(name):
    group = Group(policy(), settings(name, correction=Correction(highest=1.5), entropy=0.01), 0)
    experience = group.experience(rollout(), scores(9))
    moved(group.model)
    loss, grads, metrics = ours(group, experience)
    less, more, cut = ours(group, experience, max_tokens=1)
    assert loss == pytest.approx(less, rel=1e-12)
    close(grads, more, 1e-10)
    assert metrics == pytest.approx(cut, rel=1e-9, abs=1e-12)


def test_the_step_of_one_pass_has_the_gradient_of_two_at_ratio_one():
    """Without log-probabilities from before the step, the policy's own are taken: the same loss and gradient."""
    once = Group(policy(), replace(settings("grpo"), epochs=1), 0)
    twice = Group(once.model, settings("grpo"), 0)
    first, second = (group.experience(rollout(), scores(9)) for group in (once, twice))
    assert first.old is None
    assert second.old is not None
    one, other = ours(once, first), ours(twice, second)
    assert one[0] == pytest.approx(other[0], rel=1e-12)
    close(one[1], other[1], 1e-12)
    assert one[2]["objective/kl"] == pytest.approx(second.metrics["objective/kl"], rel=1e-9)


def test_a_trusted_sampler_stands_for_the_policy_before_its_first_step():
    recomputed = Group(policy(), settings("rloo"), 0)
    trusting = Group(recomputed.model, settings("rloo", trust_sampler=True), 0)
    rolled = rollout()
    exact = replace(rolled, logprobs=recomputed.experience(rolled, scores(9)).old)
    first, second = recomputed.experience(exact, scores(9)), trusting.experience(exact, scores(9))
    assert torch.equal(first.advantages, second.advantages)
    assert torch.equal(second.old, exact.logprobs)
    once = Group(recomputed.model, replace(settings("rloo", trust_sampler=True), epochs=1), 0)
    third = once.experience(exact, scores(9))
    assert third.old is None
    assert ours(once, third)[0] == pytest.approx(ours(recomputed, first)[0], rel=1e-9)
    with pytest.raises(ConfigError, match="corrected by themselves"):
        settings("rloo", trust_sampler=True, correction=Correction())


@pytest.mark.parametrize("name", TWINS)
def test_what_cannot_be_scored_is_as_if_it_were_not_there(name):
    changes = {"score_limit": 2.0, "missing_end": 0.3}
    whole, given = rollout(), scores(9)
    kept = [row for row in range(9) if row != 3]
    batch = whole.batch
    less = Rollout(batch.take(kept), whole.logprobs[batch.where(kept)], whole.finished[kept])
    group = Group(policy(), settings(name, **changes), 0)
    first, second = group.experience(whole, given), group.experience(less, given[kept])
    moved(group.model)
    one, other = ours(group, first), ours(group, second)
    assert one[0] == pytest.approx(other[0], rel=1e-10)
    close(one[1], other[1], 1e-10)


@pytest.mark.parametrize("name", ["grpo", "dr-grpo", "dapo", "rloo", "gspo", "cispo"])
def test_groups_that_agree_pull_nowhere(name):
    group = Group(policy(), settings(name, kl=0.0, overlong=0.0), 0)
    experience = group.experience(rollout(), torch.tensor([1.0] * 3 + [0.3] * 2 + [-4.1] * 4))
    moved(group.model)
    _, grads, _ = ours(group, experience)
    assert all(not one.any() for one in grads)
    assert experience.metrics["frac_reward_zero_std"] == 1


def test_nothing_scored_at_all_changes_nothing():
    group = Group(policy(), settings("grpo"), 0)
    before = parameters(group.model)
    metrics = group.step(group.experience(rollout(), torch.full((9,), torch.nan)))
    assert same(before, parameters(group.model))
    assert metrics["rewards/unscored"] == 1
    assert math.isnan(metrics["reward"])


def test_truncated_completions_can_be_masked_or_fined():
    group = Group(policy(), settings("grpo", mask_truncated=True), 0)
    experience = group.experience(rollout(), scores(9))
    row = experience.rollout.batch.row
    assert set(row[experience.weights == 0].tolist()) == {0, 1, 3}
    fined = Group(group.model, settings("grpo", missing_end=0.5, score_limit=0.1), 0).experience(rollout(), scores(9))
    limited = scores(9).clamp(-0.1, 0.1)
    torch.testing.assert_close(
        fined.rewards, limited - torch.tensor([0.5, 0.5] + [0.0] * 7, dtype=torch.float64), equal_nan=True
    )


@pytest.mark.parametrize("beyond", Beyond)
def test_the_samplers_probabilities_weigh_tokens_after_clipping(beyond):
    correction = Correction(Level.TOKEN, beyond, 0.5, 2.0)
    group = Group(policy(), settings("dr-grpo", correction=correction), 0)
    rolled = rollout()
    experience = group.experience(rolled, scores(9))
    weight = (experience.old - rolled.logprobs).exp()
    inside = (weight >= 0.5) & (weight <= 2)
    assert 0 < inside.sum() < len(inside)
    expected = weight.clamp(0.5, 2) if beyond is Beyond.TRUNCATE else torch.where(inside, weight, 0.0)
    torch.testing.assert_close(experience.correction, expected)
    loss, _, _ = ours(group, experience)
    by_hand = -(expected * experience.advantages * experience.weights).sum() / (8 * LONGEST)
    assert loss == pytest.approx(float(by_hand), rel=1e-9)


def test_two_sided_clipping_and_entropy_enter_the_loss():
    plain = Group(policy(), settings("dr-grpo"), 0)
    both = Group(plain.model, settings("dr-grpo", clip_negative=1.25, entropy=0.01), 0)
    experience = plain.experience(rollout(), scores(9))
    moved(plain.model, 0.2)
    one, other = ours(plain, experience), ours(both, experience)
    row = experience.rollout.batch.row
    lp = torch.cat(slow_logprobs(plain.model, experience.rollout.batch, TEMPERATURE)).detach()
    ratio, a = (lp - experience.old).exp(), experience.advantages
    over = (ratio > 1.25) & (a < 0) & (row != 3)
    assert over.any()
    saved = ((ratio - 1.25) * a)[over].sum() / (8 * LONGEST)
    assert other[0] == pytest.approx(float(one[0] + saved - 0.01 * other[2]["entropy"]), rel=1e-9)


# sampling and learning


PROMPTS = [[4, 9, letter] for letter in (9, 12)]


def follows(rolled):
    """1 where the first letter is the one after the prompt's last, else 0: a policy that knows has 1."""
    batch = rolled.batch
    last = torch.stack([prompt[-1] for prompt in batch.prompts])[batch.group]
    return (torch.stack([row[0] for row in batch.rows]) == last + 1).double()


def late(rolled):
    """The later in the alphabet the first letter, the better: scores that differ from the first rollout on."""
    return torch.stack([row[0] for row in rolled.batch.rows]).double()


def quick(name, **changes):
    sizes = {"prompts": 8, "samples": 8, "max_tokens": 2, "kl": min(preset(name).kl, 0.002), "overlong": 0.0}
    return replace(preset(name), **({"update": QUICK} | sizes | changes))


def test_before_the_first_step_sampler_policy_and_reference_agree():
    group = Group(policy(dtype=torch.float32, fresh=True), settings("grpo"), 0)
    rolled = group.generate(PROMPTS)
    experience = group.experience(rolled, follows(rolled))
    assert (experience.old - rolled.logprobs).abs().max() < 1e-4
    assert (experience.old - experience.reference).abs().max() < 1e-5
    loss, _, metrics = ours(group, experience)
    assert metrics["sampling/sampling_logp_difference/mean"] < 1e-4
    assert metrics["clip_ratio/region_mean"] == 0
    assert abs(metrics["kl"]) < 1e-6
    # at ratio 1 each completion's loss is minus its advantage, and these add up to 0
    assert abs(loss) < 1e-5


@pytest.mark.parametrize("name", ["grpo", "rloo", "reinforce++", "gspo", "cispo"])
def test_a_policy_learns_what_is_rewarded(name):
    changes = {"steps": 10, "epochs": 1 if name == "rloo" else 2}
    if name == "gspo":
        changes |= {"clip_low": 0.2, "clip_high": 0.2}
    told = []
    group = Group(policy(dtype=torch.float32, fresh=True, rank=8), quick(name, **changes), 0)
    train(group, PROMPTS, follows, each=told.append)
    assert told[0].experience.scores.mean() < 0.2
    assert mean([float(one.experience.scores.mean()) for one in told[-3:]]) >= 0.95
    for one in told:
        asked = [prompt.tolist() for prompt in one.experience.rollout.batch.prompts]
        assert asked == [PROMPTS[place] for place in one.prompts]


def test_a_model_that_is_trained_whole_is_held_to_another_one():
    model, reference = whole(), whole()
    with pytest.raises(ConfigError, match="the policy itself"):
        Group(model, quick("grpo"), 0)
    before, told = parameters(reference), []
    train(Group(model, quick("grpo", steps=2, prompts=2), 0, reference=reference), PROMPTS, late, each=told.append)
    assert abs(told[0].metrics["objective/kl"]) < 1e-5 < told[1].metrics["objective/kl"]
    assert same(before, parameters(reference))


def test_in_bfloat16_the_sampler_is_corrected_for():
    module = policy(dtype=torch.float32, fresh=True).module
    model = LanguageModel(module, Letters(), dtype=torch.bfloat16, adapter="policy")
    told, before = [], parameters(model)
    config = quick("grpo", steps=2, prompts=4, correction=Correction(beyond=Beyond.MASK, lowest=0.5))
    train(Group(model, config, 0), PROMPTS, late, each=told.append)
    assert 0 < told[0].metrics["sampling/sampling_logp_difference/mean"] < 0.1
    assert math.isfinite(told[1].metrics["loss"])
    assert not same(before, parameters(model))


def test_a_dear_distance_keeps_the_policy_near():
    far, near = [], []
    for kl, told in ((0.0, far), (5.0, near)):
        config = quick("rloo", kl=kl, steps=6)
        model = policy(dtype=torch.float32, fresh=True, rank=8)
        train(Group(model, config, 0, reference=model.view(None)), PROMPTS, follows, each=told.append)
    assert far[-1].metrics["objective/kl"] > 2
    assert abs(near[-1].metrics["objective/kl"]) < far[-1].metrics["objective/kl"] / 5


def test_the_price_follows_its_target():
    config = quick("grpo", kl=0.01, kl_target=100.0, kl_horizon=64.0, steps=3)
    group = Group(policy(dtype=torch.float32, fresh=True), config, 0)
    told = []
    train(group, PROMPTS, follows, each=told.append)
    assert [one.metrics["kl_coef"] for one in told] == pytest.approx([0.01, 0.008, 0.0064])


def run(config, folder=None, each=lambda told: None):
    model = policy(dtype=torch.float32, fresh=True)
    group = Group(model, config, 5, reference=model.view(None))
    prompts = [[2, letter] for letter in range(7)]
    train(group, prompts, follows, folder=folder, each=each)
    return group


@pytest.mark.parametrize("name", ["grpo", "dapo"])
def test_killed_and_resumed_gives_equal_bits(name, tmp_path):
    changes = {"steps": 4, "prompts": 4, "samples": 2, "epochs": 2, "minibatches": 2, "checkpoint_every": 2}
    config = quick(name, kl=0.02, kl_target=0.5, kl_horizon=50.0, **changes)
    straight, broken = [], []
    first = run(config, each=lambda told: straight.append(told.metrics))

    def die(told):
        broken.append(told.metrics)
        if told.number == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(config, tmp_path, die)
    second = run(config, tmp_path, lambda told: broken.append(told.metrics))
    assert broken[3:] == straight[2:]
    assert same(parameters(first.model), parameters(second.model))
    assert (first.controller, first.asked) == (second.controller, second.asked)
    with pytest.raises(RunError, match="another training"):
        run(replace(config, samples=3), tmp_path)


def test_prompts_that_tell_nothing_are_replaced():
    """Even prompts have scores that differ; odd ones agree."""
    asked = []

    def score(rolled):
        asked.append(len(rolled.batch.prompts))
        even = torch.tensor([int(prompt[-1]) % 2 == 0 for prompt in rolled.batch.prompts])[rolled.batch.group]
        return torch.where(even, torch.arange(len(rolled.batch)), 1).double()

    prompts = [[2, letter] for letter in range(12)]
    config = quick("dapo", prompts=4, samples=2, redraws=20)
    group = Group(policy(dtype=torch.float32, fresh=True), config, 0)
    places, rolled, found = group.collect(prompts, score)
    assert len(places) == 4
    assert all(place % 2 == 0 for place in places)
    assert [int(prompt[-1]) for prompt in rolled.batch.prompts] == list(places)
    assert group.asked == sum(asked) > 4
    assert len(found) == len(rolled.batch) == 8
    assert group.experience(rolled, found).metrics["frac_reward_zero_std"] == 0
    none = Group(group.model, replace(config, redraws=2), 0)
    places, rolled, found = none.collect(prompts, lambda rolled: torch.zeros(len(rolled.batch)))
    assert len(places) == 4
    assert not found.any()


def test_prompts_come_once_before_any_comes_again():
    found = order(3, 5, start=0, size=15)
    assert [sorted(found[at : at + 5]) for at in (0, 5, 10)] == [list(range(5))] * 3
    assert found[4:11] == order(3, 5, start=4, size=7)
    assert found[:5] != found[5:10]


def test_rollouts_are_put_together_and_minibatches_keep_groups_whole():
    both = together([rollout(), rollout(seed=1)])
    assert len(both.batch) == 18
    group = Group(policy(), settings("grpo", minibatches=4), 0)
    experience = group.experience(both, torch.arange(18.0))
    steps = pieces(experience, 4, 0, names=(0, 0), max_tokens=8192)
    assert len(steps) == 4
    seen = sorted(int(token) for step in steps for piece in step for token in piece.tokens)
    assert seen == list(range(len(both.batch.row)))
    assert sum(len(piece.batch.prompts) for step in steps for piece in step) == 6


def test_a_loss_that_is_no_number_changes_nothing():
    group = Group(policy(), settings("grpo"), 0)
    experience = group.experience(rollout(), scores(9))
    before = parameters(group.model)
    broken = replace(experience, advantages=experience.advantages * torch.inf)
    assert group.step(broken)["skipped_steps"] > 0
    assert same(before, parameters(group.model))


@pytest.mark.parametrize("wrong", [torch.zeros(8), torch.tensor([torch.inf] * 9), torch.zeros(9, 1)])
def test_scores_that_do_not_fit_are_refused(wrong):
    with pytest.raises(LearningError, match="do not fit"):
        Group(policy(), settings("grpo"), 0).experience(rollout(), wrong)


def test_settings_and_references_that_cannot_be_are_refused():
    for changes in (
        {"samples": 1},
        {"clip_low": 1.5},
        {"kl": -1.0},
        {"temperature": 0.0},
        {"epochs": 0},
        {"overlong": 2.0},
    ):
        with pytest.raises(ConfigError):
            replace(preset("grpo"), **changes)
    with pytest.raises(ConfigError, match="no such algorithm"):
        preset("ppo")
    model = policy()
    with pytest.raises(ConfigError, match="the policy itself"):
        Group(model, preset("grpo"), 0, reference=model.view("policy"))
    assert Group(model, preset("dr-grpo"), 0).reference is None


def test_published_settings():
    """What makes each algorithm what it is, as its paper has it."""
    assert preset("grpo") == GroupConfig()
    assert preset("dr-grpo").scale is Scale.NONE
    assert preset("dr-grpo").average is Average.CONSTANT
    assert (preset("dapo").clip_low, preset("dapo").clip_high) == (0.2, 0.28)
    assert preset("rloo").baseline is Baseline.OTHERS
    assert preset("rloo").kl_paid is Paid.REWARD
    assert preset("reinforce++-baseline").kl_penalty is Penalty.K2
    assert preset("gspo").level is Level.GEOMETRIC


def test_the_file_in_the_documentation_is_the_preset():
    page = (Path(__file__).parents[1] / "docs/how-to/language-rl.md").read_text()
    table = page.split("```toml")[1].split("```")[0]
    found = from_table(GroupTraining, with_preset(tomllib.loads(table)), where="documentation")
    assert found.group == replace(preset("rloo"), steps=200, max_tokens=64)
    assert all(f"| `{name}` |" in page for name in PRESETS)

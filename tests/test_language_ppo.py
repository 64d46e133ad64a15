"""PPO with four models: against a slow twin, from a reward that was fitted, on a world with a known optimum, through kills."""

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch

from plaudit.engine.batch import Batch
from plaudit.engine.sampling import Rollout
from plaudit.errors import ConfigError, LearningError, RunError
from plaudit.language.critic import Critic, paid_by
from plaudit.language.experience import pieces
from plaudit.language.ppo import PPO, train
from plaudit.language.ppo_config import PPOConfig
from plaudit.language.ppo_loss import critic_loss, policy_loss
from plaudit.language.scorer import TextReward
from plaudit.language.update import Schedule, UpdateConfig
from plaudit.ops.policy import Correction
from tests import test_language_group
from tests.language_examples import parameters, same
from tests.language_rollouts import close, gradients, moved, policy, rollout, scores, slow_logprobs, slow_values

TEMPERATURE = 0.7
SETTINGS = PPOConfig(temperature=TEMPERATURE, max_tokens=11, kl=0.1, trace=0.9, discount=0.97, value_clip=0.05)
QUICK = UpdateConfig(learning_rate=1e-2, schedule=Schedule.CONSTANT)


def made(config=SETTINGS, **changes):
    """Policy and critic on one module, in double precision; the critic's head is drawn."""
    model = policy("policy", "critic", "reward", **changes)
    draws = torch.randn(model.causal.config.hidden_size, generator=torch.Generator().manual_seed(2))
    return PPO(model, Critic(model.view("critic"), draws / 6, torch.tensor(0.1)), config, 0)


def ours(ppo, experience, max_tokens=8192):
    """Losses of policy and critic in the first optimiser step, their gradients, their metrics."""
    (step,) = pieces(experience, 1, 0, names=(0, 0), max_tokens=max_tokens)
    totals, grads, metrics = [0.0, 0.0], [0.0, 0.0], {}
    for piece in step:
        shares = (
            policy_loss(ppo.model, ppo.config, experience, piece),
            critic_loss(ppo.critic, ppo.config, experience, piece),
        )
        for side, (learner, (loss, found)) in enumerate(zip((ppo.model, ppo.critic), shares, strict=True)):
            totals[side] += float(loss.detach())
            flat = torch.cat([one.flatten() for one in gradients(loss, learner.parameters())])
            grads[side] = grads[side] + flat
            metrics |= {name: metrics.get(name, 0.0) + float(one.detach()) for name, one in found.items()}
    return totals, grads, metrics


def test_losses_and_gradients_equal_the_slow_twin():
    ppo, rolled, given = made(), rollout(), scores(9)
    batch, known = rolled.batch, [row for row in range(9) if row != 3]
    experience = ppo.experience(rolled, given)
    with torch.no_grad():
        old = slow_logprobs(ppo.model, batch, TEMPERATURE)
        ref = slow_logprobs(ppo.model.view(None), batch, TEMPERATURE)
        before = slow_values(ppo.critic, batch)
    advantages = []
    for i in range(9):
        rewards = (-0.1 * (old[i] - ref[i])).tolist()
        rewards[-1] += float(given[i])
        found, ahead, value = [], 0.0, 0.0
        for reward, here in zip(reversed(rewards), reversed(before[i].tolist()), strict=True):
            ahead = reward + 0.97 * value - here + 0.97 * 0.9 * ahead
            value = here
            found.append(ahead)
        advantages.append(torch.tensor(found[::-1], dtype=torch.float64))
    returns = [a + v for a, v in zip(advantages, before, strict=True)]
    every = torch.cat([advantages[i] for i in known])
    moved(ppo.model)
    moved(ppo.critic)
    now, values = slow_logprobs(ppo.model, batch, TEMPERATURE), slow_values(ppo.critic, batch)
    losses, squares = [], []
    for i in known:
        a = (advantages[i] - every.mean()) / (every.var() + 1e-8).sqrt()
        ratio = (now[i] - old[i]).exp()
        losses.append(torch.max(-ratio * a, -ratio.clamp(0.8, 1.2) * a))
        near = before[i] + (values[i] - before[i]).clamp(-0.05, 0.05)
        squares.append(torch.max((values[i] - returns[i]) ** 2, (near - returns[i]) ** 2) / 2)
    twins = torch.cat(losses).mean(), torch.cat(squares).mean()
    found, grads, metrics = ours(ppo, experience)
    assert found == pytest.approx([float(twin.detach()) for twin in twins], rel=1e-9)
    for grad, twin, learner in zip(grads, twins, (ppo.model, ppo.critic), strict=True):
        close([grad], [torch.cat([one.flatten() for one in gradients(twin, learner.parameters())])])
    assert 0 < metrics["val/clipfrac_avg"] < 1
    kl = sum(float((old[i] - ref[i]).sum()) for i in known) / 8
    assert experience.metrics["objective/kl"] == pytest.approx(kl, rel=1e-9)
    assert experience.metrics["objective/rlhf_reward"] == pytest.approx(float(given.nanmean()) - 0.1 * kl, rel=1e-9)
    assert experience.metrics["objective/entropy"] == pytest.approx(
        -sum(float(old[i].sum()) for i in known) / 8, rel=1e-9
    )
    assert experience.metrics["val/num_eos_tokens"] == 7


def test_many_micro_batches_are_one_batch():
    ppo = made(replace(SETTINGS, correction=Correction(highest=1.5), entropy=0.01, dual_clip=3.0))
    experience = ppo.experience(rollout(), scores(9))
    moved(ppo.model)
    moved(ppo.critic)
    one, cut = ours(ppo, experience), ours(ppo, experience, max_tokens=1)
    assert one[0] == pytest.approx(cut[0], rel=1e-11)
    close(one[1], cut[1], 1e-10)
    assert one[2] == pytest.approx(cut[2], rel=1e-9, abs=1e-12)
    assert experience.metrics["sampling/importance_sampling_ratio/max"] == 1.5


def test_one_step_with_a_trusted_sampler_is_one_with_log_probabilities_made_anew():
    anew = made(replace(SETTINGS, epochs=1))
    rolled = rollout()
    rolled = replace(rolled, logprobs=torch.cat(slow_logprobs(anew.model, rolled.batch, TEMPERATURE)).detach())
    config = replace(SETTINGS, epochs=1, trust_sampler=True)
    trusting = PPO(anew.model, anew.critic, config, 0)
    first, second = anew.experience(rolled, scores(9)), trusting.experience(rolled, scores(9))
    assert first.old is None
    assert second.old is None
    assert ours(anew, first)[0] == pytest.approx(ours(trusting, second)[0], rel=1e-9, abs=1e-12)
    kept = {name: value for name, value in first.metrics.items() if not name.startswith("sampling/")}
    assert kept == pytest.approx({name: second.metrics[name] for name in kept}, rel=1e-9)
    assert first.metrics["sampling/sampling_logp_difference/max"] < 1e-12


def test_what_cannot_be_scored_is_as_if_it_were_not_there():
    whole, given, batch = rollout(), scores(9), rollout().batch
    kept = [row for row in range(9) if row != 3]
    less = Rollout(batch.take(kept), whole.logprobs[batch.where(kept)], whole.finished[kept])
    ppo = made(replace(SETTINGS, score_scale=True, whiten_rewards=True, missing_end=0.5))
    first, second = ppo.experience(whole, given), ppo.experience(less, given[kept])
    moved(ppo.model)
    one, other = ours(ppo, first), ours(ppo, second)
    assert one[0] == pytest.approx(other[0], rel=1e-10)
    close(one[1], other[1], 1e-10)


def test_scores_are_scaled_then_limited_then_fined():
    ppo = made(replace(SETTINGS, score_scale=True, score_limit=1.0, missing_end=0.25))
    first, second = scores(9, seed=3), scores(9, seed=4)
    ppo.step(ppo.experience(rollout(), first))
    found = ppo.experience(rollout(), second).rewards
    seen = torch.cat([one[~one.isnan()] for one in (first, second)])
    expected = (second / seen.std()).clamp(-1, 1) - torch.tensor([0.25, 0.25] + [0.0] * 7)
    torch.testing.assert_close(found, expected, equal_nan=True)


def reward(model, members=3, seed=5):
    """A reward on an adapter of its own, with scales as if it had been fitted."""
    found = TextReward.fresh(model.view("reward"), ["overall", "cost/rude"], members, seed)
    found.heads = 20 * found.heads
    found.offset = torch.tensor([[0.3, -0.2, 0.5], [0.0, 0.0, 0.0]])
    found.scale = torch.tensor([[1.5, 0.7, 2.0], [1.0, 1.0, 1.0]])
    return found


def test_a_critic_from_the_reward_says_what_the_reward_would_before_each_token():
    model = policy("policy", "critic", "reward")
    fitted, batch = reward(model), rollout().batch
    critic = Critic.from_reward(fitted, model.view("critic"))
    values = critic.values(batch).detach()
    for row, (start, length) in enumerate(zip(batch.starts.tolist(), batch.lengths.tolist(), strict=True)):
        prompt, completion = batch.prompts[int(batch.group[row])], batch.rows[row]
        for place in range(1, length):
            begun = Batch((prompt,), ((completion[:place],),))
            expected = fitted.normalised(begun).mean()
            assert float(values[start + place]) == pytest.approx(expected, rel=1e-4, abs=1e-4)
        if len(prompt) > 1:
            begun = Batch((prompt[:-1],), ((prompt[-1:],),))
            assert float(values[start]) == pytest.approx(fitted.normalised(begun).mean(), rel=1e-4, abs=1e-4)
    assert paid_by(fitted)(rollout()).numpy() == pytest.approx(fitted.normalised(batch).mean(axis=0))
    kept = parameters(fitted.model)
    moved(critic)
    assert same(kept, parameters(fitted.model))


def test_a_critic_needs_weights_of_its_own():
    model = policy("policy", "critic", "reward")
    with pytest.raises(ConfigError, match="cannot begin as the reward"):
        Critic.from_reward(reward(model), model.view("reward"))
    with pytest.raises(ConfigError, match="same weights"):
        PPO(model, Critic.fresh(model), SETTINGS, 0)
    with pytest.raises(ConfigError, match="the policy itself"):
        PPO(model, Critic.fresh(model.view("critic")), SETTINGS, 0, reference=model.view("policy"))


def test_while_the_critic_warms_up_the_policy_stays():
    ppo = made(replace(SETTINGS, critic_warmup=1, epochs=1))
    policy_before, critic_before = parameters(ppo.model), parameters(ppo.critic)
    metrics = ppo.step(ppo.experience(rollout(), scores(9)))
    assert same(policy_before, parameters(ppo.model))
    assert not same(critic_before, parameters(ppo.critic))
    assert "loss/policy_avg" not in metrics
    metrics = ppo.step(ppo.experience(rollout(), scores(9)))
    assert not same(policy_before, parameters(ppo.model))
    assert metrics["val/ratio"] == pytest.approx(1)
    assert metrics["val/ratio_var"] == pytest.approx(0, abs=1e-9)


# sampling and learning


PROMPTS = [[4, 9, letter] for letter in (9, 12)]


def follows(rolled):
    """1 where the first letter is the one after the prompt's last, else 0."""
    batch = rolled.batch
    last = torch.stack([prompt[-1] for prompt in batch.prompts])[batch.group]
    return (torch.stack([row[0] for row in batch.rows]) == last + 1).double()


def quick(**changes):
    sizes = {"prompts": 64, "max_tokens": 2, "epochs": 2, "kl": 0.002, "update": QUICK, "critic_update": QUICK}
    return PPOConfig(**(sizes | changes))


def learner(config, seed=0):
    model = policy("policy", "critic", dtype=torch.float32, fresh=True, rank=8)
    return PPO(model, Critic.fresh(model.view("critic")), config, seed)


def test_before_the_first_step_sampler_policy_and_reference_agree():
    ppo = learner(quick())
    rolled = ppo.generate(PROMPTS)
    experience = ppo.experience(rolled, follows(rolled))
    assert (experience.old - rolled.logprobs).abs().max() < 1e-4
    assert abs(experience.metrics["objective/kl"]) < 1e-5
    _, _, metrics = ours(ppo, experience)
    assert metrics["val/ratio"] == pytest.approx(1, abs=1e-6)
    assert metrics["policy/clipfrac_avg"] == 0


def test_ppo_learns_what_is_rewarded_and_its_critic_what_to_expect():
    told = []
    train(learner(quick(steps=10)), PROMPTS, follows, each=told.append)
    assert told[0].experience.scores.mean() < 0.2
    assert np.mean([float(one.experience.scores.mean()) for one in told[-3:]]) >= 0.95
    start = told[-1].experience.rollout.batch.starts
    assert told[-1].experience.values[start].mean() > 0.5
    assert told[-1].metrics["episode"] == 640


def test_a_dear_distance_keeps_the_policy_near():
    far, near = [], []
    for kl, told in ((0.0, far), (5.0, near)):
        train(learner(quick(kl=kl, steps=5)), PROMPTS, follows, each=told.append)
    assert far[-1].metrics["objective/kl"] > 2
    assert abs(near[-1].metrics["objective/kl"]) < far[-1].metrics["objective/kl"] / 5


def run(folder=None, each=lambda told: None):
    changes = {
        "steps": 4,
        "prompts": 6,
        "minibatches": 2,
        "checkpoint_every": 2,
        "critic_warmup": 1,
        "score_scale": True,
    }
    ppo = learner(quick(kl=0.02, kl_target=0.5, kl_horizon=50.0, **changes), seed=5)
    train(ppo, [[2, letter] for letter in range(7)], follows, folder=folder, each=each)
    return ppo


def test_killed_and_resumed_gives_equal_bits(tmp_path):
    straight, broken = [], []
    first = run(each=lambda told: straight.append(told.metrics))

    def die(told):
        broken.append(told.metrics)
        if told.number == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, die)
    second = run(tmp_path, lambda told: broken.append(told.metrics))
    same_metrics = [{k: repr(v) for k, v in one.items()} for one in straight[2:]]
    assert [{k: repr(v) for k, v in one.items()} for one in broken[3:]] == same_metrics
    assert same(parameters(first.model), parameters(second.model))
    assert same(parameters(first.critic), parameters(second.critic))
    assert (first.controller, first.scale, first.rollouts) == (second.controller, second.scale, second.rollouts)
    (tmp_path / "wrong").mkdir()
    with pytest.raises(RunError, match="cannot be read"):
        second.load(tmp_path / "wrong")


SCRIPT = """
import sys
from pathlib import Path
from tests.test_language_group import quick, run as group_run
from tests.test_language_ppo import run as ppo_run
each = lambda told: print(told.number, flush=True)
if sys.argv[1] == "ppo":
    ppo_run(Path(sys.argv[2]), each)
else:
    group_run(quick("grpo", steps=6, epochs=2, checkpoint_every=1), Path(sys.argv[2]), each)
"""


@pytest.mark.slow
@pytest.mark.parametrize("name", ["ppo", "group"])
def test_kill_9_and_resume_gives_equal_bits(name, tmp_path):
    """Killed while it writes, learns or samples, whichever it is at."""

    def learn(folder=None):
        config = test_language_group.quick("grpo", steps=6, epochs=2, checkpoint_every=1)
        return run(folder) if name == "ppo" else test_language_group.run(config, folder)

    for moment in (2, 1):
        command = [sys.executable, "-W", "ignore", "-c", SCRIPT, name, str(tmp_path)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            for _ in range(moment):
                process.stdout.readline()
            process.kill()
    assert same(parameters(learn(tmp_path).model), parameters(learn().model))


def test_settings_and_scores_that_cannot_be_are_refused():
    for changes in ({"epochs": 0}, {"kl": -0.1}, {"discount": 1.1}, {"clip": 1.0}, {"temperature": 0.0}):
        with pytest.raises(ConfigError):
            replace(SETTINGS, **changes)
    with pytest.raises(LearningError, match="do not fit"):
        made().experience(rollout(), torch.zeros(3))

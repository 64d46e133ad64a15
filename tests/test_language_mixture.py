"""Imitation along the way: it adds exactly its gradient to a policy's, whatever the micro-batches, and kills change no bit."""

from dataclasses import replace

import pytest
import torch

from plaudit.engine.batch import Batch
from plaudit.errors import ConfigError, RunError
from plaudit.language import group, ppo
from plaudit.language.critic import Critic
from plaudit.language.group import Group
from plaudit.language.group_config import preset
from plaudit.language.mixture import Mixture, MixtureConfig
from plaudit.language.ppo import PPO
from plaudit.language.ppo_config import PPOConfig
from plaudit.language.sft import Sft, SftConfig
from plaudit.language.texts import Example
from plaudit.language.update import UpdateConfig, resume, rows_of_step
from tests.language_examples import parameters, same
from tests.language_rollouts import policy, rollout, scores

EXAMPLES = [Example(f"twice {word}?", f"{word} {word}.") for word in ("cat", "dog", "sun", "tree", "milk")]
PROMPTS = [[4, 9, 1], [2, 3], [7, 7, 1]]
STILL = UpdateConfig(learning_rate=1e-9, max_grad_norm=1e9)


def mixture(model, **changes):
    return Mixture(model, EXAMPLES, MixtureConfig(**{"weight": 0.7, "batch_size": 3, **changes}), 5)


def made(kind, *, mixed, update=STILL, **changes):
    model = policy("policy", "critic") if kind is ppo else policy()
    given = mixture(model) if mixed else None
    if kind is group:
        return Group(model, replace(preset("grpo"), update=update, **changes), 0, mixture=given)
    return PPO(model, Critic.fresh(model.view("critic")), PPOConfig(update=update, **changes), 0, mixture=given)


@pytest.mark.parametrize("most", [10_000, 12])
@pytest.mark.parametrize("kind", [group, ppo])
def test_the_loss_is_that_of_the_policy_and_that_of_fine_tuning(kind, most):
    told = []
    for mixed in (False, True):
        stage = made(kind, mixed=mixed, epochs=1, update=replace(STILL, max_tokens=most))
        experience = stage.experience(rollout(), scores(9))
        told.append(stage.step(experience))
    plain, both = told
    name = "loss" if kind is group else "policy/loss"
    rows = mixture(policy()).rows
    drawn = [rows[place] for place in first_three()]
    twin = policy("policy", "critic") if kind is ppo else policy()
    imitated = Sft(twin, SftConfig(steps=1)).step(Batch.of([r.prompt for r in drawn], [r.completions for r in drawn]))
    assert both["ptx_loss"] == pytest.approx(imitated["loss"], rel=1e-6)
    assert both[name] == pytest.approx(plain[name] + 0.7 * imitated["loss"], rel=1e-6)


def first_three():
    """Which examples the first step takes."""
    return rows_of_step(0, 3, count=5, seed=5, name="mixture")


def test_the_gradients_add_up():
    def moved(mixed, weight=None):
        stage = made(group, mixed=mixed, update=UpdateConfig(learning_rate=1e-3, max_grad_norm=1e9, epsilon=1e6))
        if weight:
            stage.mixture = mixture(stage.model, weight=weight)
        before = parameters(stage.model)
        stage.step(stage.experience(rollout(), scores(9)))
        return [after - one for after, one in zip(parameters(stage.model), before, strict=True)]

    alone, one, two = moved(False), moved(True, 1.0), moved(True, 2.0)
    for a, b, c in zip(alone, one, two, strict=True):  # the optimiser hardly scales with so large an epsilon
        torch.testing.assert_close(c - b, b - a, rtol=1e-5, atol=1e-15)
    assert max(float((b - a).abs().max()) for a, b in zip(alone, one, strict=True)) > 1e-12


def length(rolled):
    return -rolled.batch.lengths.double()


@pytest.mark.parametrize("kind", [group, ppo])
def test_killed_and_resumed_gives_equal_bits(kind, tmp_path):
    sizes = {"steps": 4, "prompts": 2, "samples": 2, "max_tokens": 4, "checkpoint_every": 2}
    fast = UpdateConfig(learning_rate=1e-2)

    class KilledError(Exception):
        pass

    def stop(told):
        if told.number == 3:
            raise KilledError

    straight = made(kind, mixed=True, update=fast, **sizes)
    kind.train(straight, PROMPTS, length)
    with pytest.raises(KilledError):
        kind.train(made(kind, mixed=True, update=fast, **sizes), PROMPTS, length, folder=tmp_path, each=stop)
    resumed, told = made(kind, mixed=True, update=fast, **sizes), []
    kind.train(resumed, PROMPTS, length, folder=tmp_path, each=told.append)
    assert [one.number for one in told] == [3, 4]
    assert same(parameters(resumed.model), parameters(straight.model))
    with pytest.raises(RunError, match="another training"):
        resume(made(kind, mixed=False, update=fast, **sizes), tmp_path)


@pytest.mark.parametrize("wrong", [{"weight": 0.0}, {"batch_size": 0}])
def test_settings_out_of_range_are_refused(wrong):
    with pytest.raises(ConfigError, match="imitation"):
        MixtureConfig(**wrong)

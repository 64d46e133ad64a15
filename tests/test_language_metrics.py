"""Everything that a stage of language models logs is explained, and nothing is explained that no stage logs."""

from dataclasses import replace

import pytest
import torch

from plaudit.engine.batch import Batch
from plaudit.language.best_of_n import Candidates
from plaudit.language.critic import Critic
from plaudit.language.direct import Alignment, DirectConfig
from plaudit.language.distill import Distillation, DistillConfig
from plaudit.language.group import Group
from plaudit.language.group_config import preset
from plaudit.language.guard import TextGuard
from plaudit.language.mixture import Mixture, MixtureConfig
from plaudit.language.offline import Offline, OfflineConfig, Weighing
from plaudit.language.online import Online, OnlineConfig
from plaudit.language.ppo import PPO
from plaudit.language.ppo_config import PPOConfig
from plaudit.language.rest import Rest, RestConfig
from plaudit.language.reward import RewardFitting, TextRewardConfig
from plaudit.language.sft import Sft, SftConfig
from plaudit.language.texts import Example
from plaudit.language.unpaired import Unpaired, UnpairedConfig
from plaudit.ops.direct import Alone
from plaudit.ops.policy import Correction
from plaudit.run.guard_config import GuardConfig
from plaudit.run.language_metrics import STAGES
from plaudit.store.store import Store
from tests.language_examples import adapted, whole
from tests.language_rollouts import policy, rollout, scores
from tests.language_words import language_model
from tests.store_examples import RUN
from tests.test_language_reward import answered

PAIRS = Batch.of([[1, 2], [3]], [[[4, 5], [6]], [[7], [8, 9]]])


def sft(folder):
    return set(Sft(adapted(), SftConfig(steps=1)).step(PAIRS))


def direct(folder):
    def learn(**changes):
        return set(Alignment(adapted(), DirectConfig(steps=1, **changes)).step(PAIRS))

    return learn() | learn(loss=Alone.ORPO)


def unpaired(folder):
    return set(Unpaired(adapted(), UnpairedConfig(steps=1)).step(PAIRS, torch.tensor([True, False, True, False])))


def offline(folder):
    def learn(how):
        stage = Offline(adapted(), OfflineConfig(how, steps=1))
        behaviour = None if how is Weighing.ADVANTAGE else stage.score(PAIRS)
        return set(stage.step(PAIRS, torch.arange(4.0), behaviour=behaviour))

    return learn(Weighing.ADVANTAGE) | learn(Weighing.IMPORTANCE)


def distill(folder):
    return set(Distillation(adapted(), whole(1), DistillConfig(steps=1), 0).step(PAIRS))


def online(folder):
    stage = Online(policy(), OnlineConfig(steps=1, prompts=2, max_tokens=4), 0)
    return set(stage.step(stage.collect([[1, 2], [3]], lambda rolled: torch.arange(4.0))))


def rest(folder):
    stage = Rest(policy(), RestConfig(rounds=1, prompts=2, samples=2, steps=1, max_tokens=4), 0)
    return set(stage.improve(stage.grow([[1, 2], [3]], lambda rolled: torch.arange(4.0))))


def reward(folder):
    config = TextRewardConfig(members=2, epochs=1, batch_size=8)
    with Store.create(folder / "store.sqlite", RUN) as store:
        answers, logged = answered(store, "comparison", 60), set()
        for held_out in (0.0, 0.5):
            fitting = RewardFitting(language_model(), answers, store, config=replace(config, held_out=held_out), seed=1)
            logged |= set(fitting.step()) | set(fitting.measures())
    return logged | {"reward/comparisons_heldout"}  # the verb adds it at the end


def mixture():
    return Mixture(policy(), [Example("say cat?", "cat.")], MixtureConfig(), 0)


def no_steps(rolled):
    return torch.full((len(rolled.batch.row),), torch.nan)


def group(folder):
    def learn(**changes):
        stage = Group(policy(), replace(preset("grpo"), kl=0.1, **changes), 0, mixture=mixture(), process=no_steps)
        return set(stage.step(stage.experience(rollout(), scores(9))))

    return learn(epochs=1) | learn(epochs=2, correction=Correction())


def ppo(folder):
    model = policy("policy", "critic")
    stage = PPO(
        model,
        Critic.fresh(model.view("critic")),
        PPOConfig(correction=Correction()),
        0,
        mixture=mixture(),
        process=no_steps,
    )
    return set(stage.step(stage.experience(rollout(), scores(9))))


def best_of_n(folder):
    some = rollout(((3, (4, 1, 2)), (1, (2, 3, 2)), (5, (6, 3, 1))))
    return set(Candidates(some, torch.arange(9.0), 3).metrics())


def guard(folder):
    stage = Group(policy(), replace(preset("grpo"), max_tokens=4), 0)
    looked = TextGuard(
        stage,
        [[1, 2], [3]],
        config=GuardConfig(every=1),
        score=lambda one: one.batch.lengths.double(),
        judge=lambda pairs: [True] * len(pairs.numbers),
    )
    return set(looked.after({}))


LEARNERS = [sft, direct, unpaired, offline, reward, group, ppo, distill, online, rest, best_of_n, guard]


@pytest.mark.parametrize("stage", LEARNERS, ids=lambda stage: stage.__name__)
def test_what_a_stage_logs_is_explained(stage, tmp_path):
    assert stage(tmp_path) == set(STAGES[stage.__name__][1])


def test_every_stage_says_how_its_completions_went():
    for name in ("group", "ppo", "online", "rest", "best_of_n"):
        assert {"num_tokens", "completions/clipped_ratio"} <= set(STAGES[name][1])

"""Online DPO, rejection sampling and ReST: what they learn from, what it leads to, and kills that change no bit."""

import pytest
import torch

from plaudit.engine.sampling import Rollout
from plaudit.errors import ConfigError, LearningError
from plaudit.language import online, rest
from plaudit.language.best_of_n import Candidates
from plaudit.language.direct import Alignment
from plaudit.language.online import Online, OnlineConfig
from plaudit.language.rest import Rest, RestConfig, reaching
from plaudit.language.update import UpdateConfig
from tests.language_examples import parameters, same
from tests.language_rollouts import policy, rollout
from tests.test_language_sft import Killed

PROMPTS = [[4, 9, 1], [2, 3], [7, 7, 1], [5]]
FAST = UpdateConfig(learning_rate=2e-2)
GROUPS = ((3, (4, 1, 2)), (1, (2, 3, 2)), (5, (6, 3, 1)))
NAN = float("nan")


def fives(rolled: Rollout):
    """How many fives a completion has among its tokens."""
    batch = rolled.batch
    return torch.zeros(len(batch)).index_add(0, batch.row, (batch.tokens == 5).float()) / batch.lengths


def made(seed=0):
    return policy(dtype=torch.float32, fresh=True, seed=seed)


def learn(kind, model, *, folder=None, each=lambda told: None, steps=6):
    if kind is online:
        stage = Online(
            model, OnlineConfig(steps=steps, prompts=3, samples=3, max_tokens=5, checkpoint_every=2, update=FAST), 1
        )
    else:
        config = RestConfig(
            rounds=steps, prompts=3, samples=4, keep=2, thresholds=(0.25, 0.5), steps=2, batch_size=4, max_tokens=5,
            checkpoint_every=2, update=FAST,
        )  # fmt: skip
        stage = Rest(model, config, 1)
    kind.train(stage, PROMPTS, fives, folder=folder, each=each)


@pytest.mark.parametrize("kind", [online, rest])
@pytest.mark.parametrize("at", [1, 4, 5])
def test_killed_and_resumed_gives_equal_bits(kind, at, tmp_path):
    def stop(told):
        if told.number == at:
            raise Killed

    straight, whole = made(), []
    learn(kind, straight, each=whole.append)
    with pytest.raises(Killed):
        learn(kind, made(), folder=tmp_path, each=stop)
    resumed, told = made(), []
    learn(kind, resumed, folder=tmp_path, each=told.append)
    assert same(parameters(resumed), parameters(straight))
    begun = (at - 1) // 2 * 2  # a checkpoint is made after its rollout was told
    assert [one.number for one in told] == [one.number for one in whole[begun:]]
    assert [one.metrics for one in told] == [one.metrics for one in whole[begun:]]


@pytest.mark.parametrize("kind", [online, rest])
def test_what_is_paid_is_said_more_often(kind):
    model, told = made(), []
    learn(kind, model, each=told.append, steps=20)
    first, last = (sum(one.metrics["reward"] for one in some) / 4 for some in (told[:4], told[-4:]))
    assert last > first + 0.1


def test_a_step_is_one_of_direct_alignment_on_best_and_worst():
    config = OnlineConfig(steps=3, prompts=2, samples=4, max_tokens=5, update=FAST)
    stage, twin = Online(made(), config, 0), Alignment(made(), config.direct())
    found = stage.collect(PROMPTS, fives)
    metrics = stage.step(found)
    expected = twin.step(found.pairs().batch)
    assert {name: metrics[name] for name in expected if name != "num_tokens"} == {
        name: value for name, value in expected.items() if name != "num_tokens"
    }
    assert same(parameters(stage.model), parameters(twin.model))
    assert metrics["num_tokens"] == len(found.rollout.batch.tokens)


def test_a_rollout_in_which_nothing_differs_changes_nothing():
    stage = Online(made(), OnlineConfig(steps=3, prompts=2, max_tokens=4, update=FAST), 0)
    before = parameters(stage.model)
    metrics = stage.step(stage.collect(PROMPTS, lambda rolled: torch.ones(len(rolled.batch))))
    assert same(parameters(stage.model), before)
    assert metrics["frac_reward_zero_std"] == 1.0
    assert stage.rollouts == 1


@pytest.mark.parametrize("kind", ["online", "rest"])
def test_a_missing_end_is_fined(kind):
    settings = {"prompts": 2, "samples": 3, "max_tokens": 2, "missing_end": 7.0}
    if kind == "online":
        found = Online(made(), OnlineConfig(**settings), 0).collect(PROMPTS, fives)
    else:
        found = Rest(made(), RestConfig(**settings), 0).grow(PROMPTS, fives)
    expected = fives(found.rollout) - 7.0 * (~found.rollout.finished)
    torch.testing.assert_close(found.scores, expected.double())
    assert not found.rollout.finished.all()


def candidates(scores):
    return Candidates(rollout(GROUPS), torch.tensor(scores, dtype=torch.float64), 3)


def test_what_is_kept_by_hand():
    found = candidates([1.0, 3.0, 2.0, NAN, -1.0, -2.0, 5.0, 4.0, 0.0])
    assert reaching(found, 1, 0.0) == [1, 4, 6]
    assert reaching(found, 3, 0.0) == [0, 1, 2, 4, 5, 6, 7, 8]  # all but the one without a score
    assert reaching(found, 3, 0.5) == [0, 1, 2, 6, 7]
    assert reaching(found, 1, 0.5) == [1, 6]
    assert reaching(found, 2, 0.99) == [6] or reaching(found, 2, 0.99) == [6, 7]
    with pytest.raises(LearningError, match="imitated"):
        reaching(candidates([NAN] * 9), 1, 0.0)


@pytest.mark.parametrize("wrong", [{"samples": 1}, {"steps": 0}, {"missing_end": -1.0}, {"temperature": 0.0}])
def test_settings_of_online_alignment_out_of_range_are_refused(wrong):
    with pytest.raises(ConfigError, match="online alignment"):
        OnlineConfig(**wrong)


@pytest.mark.parametrize(
    "wrong", [{"keep": 9}, {"thresholds": ()}, {"thresholds": (0.5, 0.2)}, {"thresholds": (1.0,)}, {"rounds": 0}]
)
def test_settings_of_rejection_sampling_out_of_range_are_refused(wrong):
    with pytest.raises(ConfigError, match="rejection sampling"):
        RestConfig(**wrong)

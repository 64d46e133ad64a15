"""The doctor on rewards of texts: silent on a fitted one, and each thing that was broken is found."""

import numpy as np
import pytest
import torch

from plaudit.check import text_reward as checks
from plaudit.check.diagnose import Severity
from plaudit.check.probing_reward import ANSWERS, examine_reward
from plaudit.cli.main import main
from plaudit.engine.model import LanguageModel
from plaudit.errors import ConfigError
from plaudit.language.reward import RewardFitting, TextRewardConfig
from plaudit.language.scorer import TextReward
from plaudit.language.update import UpdateConfig
from plaudit.store.store import Store
from tests.language_words import language_model
from tests.store_examples import RUN
from tests.test_language_reward import answered

CONFIG = TextRewardConfig(members=2, epochs=3, batch_size=8, update=UpdateConfig(learning_rate=8e-3, warmup=5))


@pytest.fixture(scope="module")
def fitted(tmp_path_factory):
    """Folder of a reward that was fitted to comparisons of texts in which `good` is good."""
    root = tmp_path_factory.mktemp("reward")
    (root / "base").mkdir()
    (root / "reward").mkdir()
    with Store.create(root / "store.sqlite", RUN) as store:
        answers = answered(store, "comparison", 100)
        model = language_model(context=128, folder=root / "base")
        fitting = RewardFitting(model, answers, store, config=CONFIG, seed=1)
        fitting.train()
    fitting.reward.save(root / "reward")
    return root / "reward"


@pytest.fixture
def reward(fitted):
    return TextReward.load(fitted, LanguageModel.load(fitted))


def found(reward):
    return {one.name: one for one in examine_reward(reward)}


def bad(findings):
    return {name for name, one in findings.items() if one.severity is Severity.PROBLEM}


def test_a_fitted_reward_is_healthy(reward):
    findings = found(reward)
    assert set(findings) == {
        "same score twice", "random start", "normalisation", "batch composition of a reward", "flat scores",
        "members of a reward", "length of answers",
    }  # fmt: skip
    assert bad(findings) == set()


def test_a_reward_that_was_never_fitted_is_found():
    findings = found(TextReward.fresh(language_model(context=128), ["overall"], members=4, seed=3))
    assert {"random start", "normalisation"} <= bad(findings)


def test_drawn_heads_on_a_trained_model_are_a_warning(reward):
    drawn = TextReward.fresh(reward.model, ["overall"], members=2, seed=3)
    assert found(drawn)["random start"].severity is Severity.WARNING


def test_members_that_are_copies_are_found(reward):
    reward.heads = reward.heads[:, :1].repeat(1, 2, 1)
    reward.offset, reward.scale = reward.offset[:, :1].repeat(1, 2), reward.scale[:, :1].repeat(1, 2)
    assert found(reward)["members of a reward"].severity is Severity.WARNING


def test_heads_that_say_nothing_are_found(reward):
    reward.heads = reward.heads * 0
    assert "flat scores" in bad(found(reward))


@pytest.mark.parametrize("scale", [0.0, -1.0, float("nan")])
def test_a_scale_that_is_none_is_found(reward, scale):
    reward.scale = reward.scale * 0 + scale
    assert bad(found(reward)) == {"normalisation"}


def test_scores_that_depend_on_the_batch_are_found(reward, monkeypatch):
    right = TextReward.members
    monkeypatch.setattr(TextReward, "members", lambda self, batch: right(self, batch) + 0.1 * len(batch))
    assert bad(found(reward)) == {"batch composition of a reward"}


def test_scores_that_are_no_numbers_or_change_are_found(reward, monkeypatch):
    right = TextReward.members
    count = iter(range(1000))
    monkeypatch.setattr(TextReward, "members", lambda self, batch: right(self, batch) + 1e-6 * next(count))
    assert bad(found(reward)) == {"same score twice"}
    monkeypatch.setattr(TextReward, "members", lambda self, batch: right(self, batch) + torch.nan)
    assert "same score twice" in bad(found(reward))


def test_a_reward_of_length_is_found(reward, monkeypatch):
    right = TextReward.members
    monkeypatch.setattr(
        TextReward, "members", lambda self, batch: right(self, batch) * 1e-3 + batch.lengths.log() * reward.scale.max()
    )
    assert bad(found(reward)) == {"length of answers"}


def test_length_by_hand():
    lengths = np.arange(1.0, 13)
    assert checks.length_of_answers(np.log(lengths), lengths).evidence[0].value == pytest.approx(1)
    assert checks.length_of_answers(-np.log(lengths), lengths).severity is Severity.PROBLEM
    assert checks.length_of_answers(np.resize([1.0, -1.0], 12), lengths).severity is Severity.OK
    assert checks.length_of_answers(np.ones(12), lengths) is None


def test_members_that_learned_different_things_are_a_warning():
    strangers = np.sin(np.outer(np.arange(1, 5), np.arange(24)) * np.pi / 12)
    assert checks.member_spread(strangers).severity is Severity.WARNING
    assert checks.member_spread(strangers[:1]) is None
    alike = strangers[:1] + 0.3 * strangers[1:]
    assert checks.member_spread(alike).severity is Severity.OK


@pytest.mark.parametrize("width", [32, 576])
def test_drawn_heads_are_known_from_heads_that_moved(width):
    rng = np.random.default_rng(0)
    for _ in range(50):
        drawn = rng.normal(size=(4, width)) / (width + 1) ** 0.5
        assert checks.random_start(drawn, False).severity is Severity.PROBLEM
        assert checks.random_start(drawn, None).severity is Severity.WARNING
        moved = drawn + 1.5 * rng.normal(size=width) / (width + 1) ** 0.5  # all were pulled the same way
        assert checks.random_start(moved, None).severity is Severity.OK


def test_length_and_sense_of_the_probes_are_unrelated():
    lengths = np.log([len(answer.split()) for answer in ANSWERS])
    sense = np.repeat([1, -1], 4)
    assert len(ANSWERS) == 8
    assert abs(np.corrcoef(lengths, sense)[0, 1]) < 0.3


def test_the_verb(fitted, capsys, tmp_path):
    assert main(["doctor", "--reward", str(fitted)]) == 0
    assert "random start" in capsys.readouterr().out
    unfit = TextReward.fresh(language_model(context=128, folder=tmp_path), ["overall"], 2, seed=3)
    (tmp_path / "reward").mkdir()
    unfit.save(tmp_path / "reward")
    assert main(["doctor", "--reward", str(tmp_path / "reward")]) == 1
    assert "look as they were drawn" in " ".join(capsys.readouterr().out.split())
    assert main(["doctor", "--reward", str(tmp_path)]) == 2


def test_a_reward_without_an_overall_head_or_room_for_probes_is_refused(reward):
    with pytest.raises(ConfigError, match="No probe fits"):
        examine_reward(TextReward.fresh(language_model(context=4), ["overall"], 2, seed=0))
    with pytest.raises(ConfigError, match="no overall reward"):
        examine_reward(TextReward.fresh(language_model(), ["cost/tone"], 2, seed=0))

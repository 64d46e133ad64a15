"""A reward model as used: its two scales, its file, and what it refuses."""

import json
from dataclasses import replace

import numpy as np
import pytest

from plaudit.errors import IntegrityError, LearningError, RecordError
from plaudit.models.ensemble import Ensemble
from plaudit.records import SegmentData, StepBatch
from plaudit.reward.config import RewardConfig
from plaudit.reward.inputs import CLIP, Inputs
from plaudit.reward.likelihood import AnswerModel
from plaudit.reward.model import RewardModel, normalisation
from tests.reward_examples import ACTIONS, OBSERVATIONS, Library


def steps(rng, items=6, length=4):
    return StepBatch(
        rng.normal(size=(items, length, OBSERVATIONS)).astype(np.float32),
        rng.normal(size=(items, length, ACTIONS)).astype(np.float32),
        np.arange(length) < rng.integers(1, length + 1, (items, 1)),
    )


@pytest.fixture
def model():
    rng = np.random.default_rng(0)
    config = RewardConfig(members=3, hidden=(6, 5))
    inputs = Inputs.of(Library().reference(rng), squares=config.squares)
    ensemble = Ensemble.create(3, inputs.features, config.hidden, rng)
    annotators = AnswerModel(lapse=0.05, thresholds=(0.1,), cuts={"3": [-1.0, 2.0]}, step_cut=0.5)
    return RewardModel(
        config, inputs, ensemble, np.array([0.1, -0.2, 0.0]), np.array([0.5, 2.0, 1.0]), annotators, True
    )


def test_inputs_are_standardised_by_reference_steps_that_count():
    rng = np.random.default_rng(0)
    reference = steps(rng, items=50)
    reference.observations[~reference.mask] = 1e6
    inputs = Inputs.of(reference, squares=True)
    rows = inputs.rows(reference)[reference.mask.reshape(-1)]
    width = OBSERVATIONS + ACTIONS
    assert rows[:, :width].mean(axis=0) == pytest.approx(0, abs=0.05)
    assert rows[:, :width].std(axis=0) == pytest.approx(1, abs=0.05)
    assert rows[:, width:] == pytest.approx(rows[:, :width] ** 2 - 1)
    assert Inputs.of(reference, squares=False).rows(reference).shape == (200, width)


def test_a_constant_feature_is_not_blown_up_and_a_wild_one_is_clipped():
    rng = np.random.default_rng(0)
    reference = steps(rng)
    reference.observations[..., 0] = 123.456
    inputs = Inputs.of(reference, squares=False)
    assert np.abs(inputs.rows(reference)[:, 0]).max() < 1e-3
    wild = StepBatch(
        np.full((1, 1, OBSERVATIONS), 1e9, np.float32), np.zeros((1, 1, ACTIONS), np.float32), np.ones((1, 1), bool)
    )
    assert inputs.rows(wild)[0, :OBSERVATIONS].tolist() == [CLIP] * OBSERVATIONS


def test_reference_without_steps_or_with_nan_is_refused():
    batch = steps(np.random.default_rng(0))
    with pytest.raises(LearningError, match="no steps"):
        Inputs.of(replace(batch, mask=np.zeros_like(batch.mask)), squares=True)
    batch.observations[0, 0, 0] = np.nan
    with pytest.raises(LearningError, match="not finite"):
        Inputs.of(batch, squares=True)


def test_score_is_the_scaled_sum_of_steps(model):
    batch = steps(np.random.default_rng(1))
    sums = model.per_step(batch).sum(axis=2)
    expected = model.scale[:, None] * sums + model.offset[:, None] * batch.mask.sum(axis=1)
    found = model.score(batch)
    assert found.members == pytest.approx(expected)
    assert found.mean == pytest.approx(expected.mean(axis=0))


def test_padding_has_no_reward_and_no_influence(model):
    batch = steps(np.random.default_rng(1))
    rewards = model.per_step(batch)
    assert rewards.shape == (3, *batch.mask.shape)
    assert rewards.dtype == np.float64
    assert (rewards[:, ~batch.mask] == 0).all()
    batch.observations[~batch.mask] = 3.0
    assert (model.per_step(batch) == rewards).all()


def test_normalised_rewards_have_mean_zero_and_deviation_one():
    raw = np.random.default_rng(0).normal(3.0, 7.0, (2, 500))
    offset, scale = normalisation(np.concatenate([raw, np.full((1, 500), 2.0)]))
    assert ((raw - offset[:2, None]) / scale[:2, None]).std(axis=1) == pytest.approx(1)
    assert (offset[2], scale[2]) == (2.0, 1.0)  # a constant reward stays constant


def test_segments_score_as_their_padded_batch_does(model):
    rng = np.random.default_rng(2)
    library = Library()
    data = [library.data[library.found[library.draw(rng, n)].blob] for n in (5, 2)]
    together = model.score(data).members
    for number, segment in enumerate(data):
        assert model.score([segment]).members[:, 0] == pytest.approx(together[:, number], rel=1e-5, abs=1e-5)


def test_a_file_brings_back_the_same_model(model, tmp_path):
    path = tmp_path / "reward.safetensors"
    model.save(path)
    again = RewardModel.load(path)
    batch = steps(np.random.default_rng(1))
    assert (again.per_step(batch) == model.per_step(batch)).all()
    assert (again.config, again.annotators, again.held_out) == (model.config, model.annotators, model.held_out)
    assert again.to_bytes() == model.to_bytes() == path.read_bytes()
    assert again.version == model.version
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]


def test_the_version_names_the_numbers(model):
    assert model.version.startswith("rew_")
    assert len(model.version) == 4 + 32
    assert replace(model, offset=model.offset + 1e-9).version != model.version
    assert replace(model, annotators=AnswerModel()).version != model.version


def damaged(data, kind):
    size = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + size])
    match kind:
        case "one bit":
            return data[:-1] + bytes([data[-1] ^ 1])
        case "cut off":
            return data[:-7]
        case "empty":
            return b""
        case "no tensors":
            return (2).to_bytes(8, "little") + b"{}"
        case "other format":
            facts = json.loads(header["__metadata__"]["plaudit"]) | {"format": 99}
        case "setting out of range":
            facts = json.loads(header["__metadata__"]["plaudit"])
            facts["config"]["members"] = 0
    header["__metadata__"]["plaudit"] = json.dumps(facts)
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + data[8 + size :]


@pytest.mark.parametrize("kind", ["one bit", "cut off", "empty", "no tensors", "other format", "setting out of range"])
def test_a_damaged_file_is_refused(model, tmp_path, kind):
    path = tmp_path / "reward.safetensors"
    path.write_bytes(damaged(model.to_bytes(), kind))
    with pytest.raises(IntegrityError, match="reward model is damaged"):
        RewardModel.load(path)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(IntegrityError, match=r"nowhere\.safetensors"):
        RewardModel.load(tmp_path / "nowhere.safetensors")


def test_behaviour_that_does_not_fit_is_refused(model):
    batch = steps(np.random.default_rng(1))
    with pytest.raises(RecordError, match="does not fit the reward model"):
        model.per_step(replace(batch, observations=batch.observations[..., :2]))
    with pytest.raises(RecordError, match="do not fit together"):
        model.score([SegmentData(np.zeros((2, OBSERVATIONS), np.float32), np.zeros((2, 1), np.float32))])
    batch.observations[0, 0, 0] = np.nan
    with pytest.raises(RecordError, match="cannot judge"):
        model.per_step(batch)


def test_there_is_one_head(model):
    with pytest.raises(LearningError, match="no such head"):
        model.per_step(steps(np.random.default_rng(1)), head="cost/speed")

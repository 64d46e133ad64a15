"""What a reward reads: each choice of `reward.trunk` learns what it is made for, and is one reward model like the others."""

from dataclasses import replace

import numpy as np
import pytest

from plaudit.errors import ConfigError, LearningError, RecordError
from plaudit.records import SegmentData, StepBatch
from plaudit.reward.collate import collate, pack
from plaudit.reward.config import RewardConfig, Trunk
from plaudit.reward.fit import fit
from plaudit.reward.model import RewardModel
from tests.reward_examples import MEMORY, Cue, Library, Pictures, agreement

SHORT = RewardConfig(members=3, hidden=(16,), steps=10)


class Simple(Library):
    """A linear reward."""

    def draw(self, rng, length=12):
        seen = (0.5 * rng.normal(size=(length, 3)) + rng.normal(size=3)).astype(np.float32)
        done = rng.uniform(-1, 1, (length, 2)).astype(np.float32)
        return self.add(SegmentData(seen, done, seen @ np.array([1.0, -0.5, 0.2])))


def steps_of(library):
    """All steps of all segments, one by one."""
    packed = pack(list(library.data.values()), 1 if library.data["blob0"].actions.shape[1] == 1 else 2)
    seen, done = packed.observations[packed.mask], packed.actions[packed.mask]
    return StepBatch(seen[:, None], done[:, None], np.ones((len(seen), 1), dtype=bool))


def learned(library, labels, config, *, seed=0, lapse=0.0, length=12):
    """Agreement on fresh pairs, and the fit."""
    rng = np.random.default_rng(seed)
    data = collate(library.comparisons(labels, rng, lapse, length), library)
    found = fit(data, config=config, seed=seed, reference=steps_of(library))
    return agreement(found.model, library, 400, rng), found


@pytest.mark.parametrize(
    ("config", "labels"),
    [
        (MEMORY, 200),
        pytest.param(
            replace(MEMORY, trunk=Trunk.TRANSFORMER, hidden=(16, 16), batch=32, steps=400), 400, marks=pytest.mark.slow
        ),
    ],
    ids=["gru", "transformer"],
)
def test_memory_learns_a_reward_of_what_was_seen_before(config, labels):
    agrees, found = learned(Cue(), labels, config, length=10)
    assert agrees > 0.85
    assert found.metrics["reward/accuracy_heldout"] > 0.75
    assert found.metrics["reward/spread"] > 0.05


def test_without_memory_that_reward_is_out_of_reach():
    assert learned(Cue(), 200, replace(MEMORY, trunk=Trunk.MLP), length=10)[0] < 0.6


def test_pictures_teach_a_reward():
    config = RewardConfig(trunk=Trunk.CNN, members=3, hidden=(16,), steps=80)
    agrees, found = learned(Pictures(), 60, config, length=4)
    assert agrees > 0.9
    assert found.metrics["reward/accuracy_heldout"] > 0.7
    assert learned(Pictures(), 60, replace(config, trunk=Trunk.MLP), length=4)[0] < 0.65


def test_a_linear_model_reads_noisy_answers_about_a_linear_reward_better():
    config = RewardConfig(squares=False)
    plain, linear = (
        np.mean([learned(Simple(), 32, replace(config, trunk=trunk), seed=seed, lapse=0.25)[0] for seed in range(8)])
        for trunk in (Trunk.MLP, Trunk.LINEAR)
    )
    assert linear > plain


CASES = {
    Trunk.LINEAR: (Simple, SHORT),
    Trunk.GRU: (Cue, SHORT),
    Trunk.TRANSFORMER: (Cue, SHORT),
    Trunk.CNN: (Pictures, SHORT),
}


@pytest.fixture(params=CASES, ids=lambda trunk: trunk.value)
def case(request):
    """Settings, data, reference and behaviour of one trunk."""
    world, config = CASES[request.param]
    library, rng = world(), np.random.default_rng(0)
    answers = [*library.comparisons(5, rng, length=5), library.rate(library.draw(rng, 3), 2)]
    answers.append(library.judge(library.draw(rng, 4), [2, 0], [1.0, 0.3]))
    data = collate(answers, library)
    return replace(config, trunk=request.param), data, steps_of(library)


def test_equal_arguments_give_equal_bits_and_a_file_brings_the_model_back(case, tmp_path):
    config, data, reference = case
    model, again = (fit(data, config=config, seed=1, reference=reference).model for _ in range(2))
    assert model.to_bytes() == again.to_bytes()
    model.save(tmp_path / "reward.safetensors")
    loaded = RewardModel.load(tmp_path / "reward.safetensors")
    assert loaded.version == model.version
    assert loaded.config == config
    batch = pack(data.segments, reference.actions.shape[-1], pixels=True) if config.trunk.sees else None
    batch = pack(data.segments, reference.actions.shape[-1]) if batch is None else batch
    rewards = model.per_step(batch)
    assert rewards.shape == (3, *batch.mask.shape)
    assert (loaded.per_step(batch) == rewards).all()
    assert (rewards[:, ~batch.mask] == 0).all()
    sums = model.scale[:, None] * rewards.sum(axis=2) + model.offset[:, None] * batch.mask.sum(axis=1)
    assert model.score(data.segments).members == pytest.approx(sums, abs=1e-5)
    if config.trunk.remembers or config.trunk.sees:
        assert rewards[:, batch.mask].mean(axis=1) == pytest.approx(0, abs=1e-6)
        assert rewards[:, batch.mask].std(axis=1) == pytest.approx(1)


def test_a_warm_start_goes_on_and_a_saved_model_goes_on_the_same(case):
    config, data, reference = case
    config = replace(config, warm_start=True, stop_accuracy=1.0, patience=100)
    first = fit(data, config=config, seed=0, reference=reference)
    loaded = RewardModel.from_bytes(first.model.to_bytes())
    on, resumed = (fit(data, config=config, seed=1, reference=reference, warm_start=m) for m in (first.model, loaded))
    assert on.model.to_bytes() == resumed.model.to_bytes()
    assert on.history["train"][0] == pytest.approx(first.history["train"][-1], rel=1e-4)
    other = replace(config, trunk=Trunk.MLP, hidden=(9,))
    with pytest.raises(LearningError, match="another form"):
        fit(data, config=other, seed=1, reference=reference, warm_start=first.model)


def test_each_member_never_learns_from_the_questions_that_it_leaves_out(case):
    config, data, reference = case
    config = replace(config, stop_accuracy=1.0, patience=100)
    comparisons, *others = data.evidence
    flipped = replace(comparisons, side=np.where(comparisons.question % 3 == 1, -comparisons.side, comparisons.side))
    # without other kinds, whose cut-points rest on all members
    plain, other = (
        fit(replace(data, evidence=(part,)), config=config, seed=0, reference=reference).model.ensemble.arrays()
        for part in (comparisons, flipped)
    )
    assert others
    same = [(plain[name] == other[name]).reshape(3, -1).all(1).tolist() for name in plain]
    assert all(members[1] for members in same)
    assert not all(members[0] for members in same)


def test_rewards_that_see_need_pictures_of_one_size():
    library, rng = Pictures(), np.random.default_rng(0)
    data = collate(library.comparisons(3, rng, length=3), library)
    config = replace(SHORT, trunk=Trunk.CNN)
    model = fit(data, config=config, seed=0, reference=steps_of(library)).model
    blind = pack(data.segments, 1)
    with pytest.raises(RecordError, match="no pictures"):
        model.per_step(blind)
    small = np.zeros((*blind.mask.shape, 16, 16, 3), np.uint8)
    with pytest.raises(RecordError, match="reads pictures"):
        model.per_step(replace(blind, pixels=small))
    without = replace(data, segments=tuple(replace(one, pixels=None) for one in data.segments))
    with pytest.raises(RecordError, match="cannot be looked at"):
        fit(without, config=config, seed=0, reference=steps_of(library))


def test_pictures_are_kept_with_segments_and_padded_with_black():
    frames = np.full((2, 8, 8, 3), 7, np.uint8)
    long = SegmentData(np.zeros((2, 1), np.float32), np.zeros((2, 1), np.float32), pixels=frames)
    short = SegmentData(np.zeros((1, 1), np.float32), np.zeros((1, 1), np.float32), pixels=frames[:1])
    again = SegmentData.from_arrays(long.arrays())
    assert (again.pixels == frames).all()
    assert again.pixels.dtype == np.uint8
    pixels = pack([short, long], 1, pixels=True).pixels
    assert pixels[0, 0].min() == 7
    assert pixels[0, 1].max() == 0
    assert pack([short, long], 1).pixels is None


@pytest.mark.parametrize(
    "setting",
    [
        {"trunk": Trunk.TRANSFORMER, "hidden": (16, 32)},
        {"trunk": Trunk.TRANSFORMER, "hidden": (24,)},
        {"trunk": Trunk.GRU, "hidden": ()},
    ],
)
def test_units_that_do_not_fit_are_refused(setting):
    with pytest.raises(ConfigError, match=r"fit together|needs units"):
        RewardConfig(**setting)


def test_settings_that_came_later_do_not_rename_models_that_do_not_use_them():
    library = Simple()
    rng = np.random.default_rng(0)
    data = collate(library.comparisons(3, rng), library)
    model = fit(data, config=SHORT, seed=0, reference=steps_of(library)).model
    assert b"trunk" not in model.to_bytes()
    assert b"trunk" in replace(model, config=replace(SHORT, trunk=Trunk.LINEAR)).to_bytes()

"""Fits: reproducible, honest about held-out answers, and unharmed by awkward data."""

import math
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from plaudit.errors import ConfigError, LearningError
from plaudit.records import Choice, SegmentData, StepBatch
from plaudit.reward.collate import FeedbackData, collate
from plaudit.reward.config import RewardConfig
from plaudit.reward.fit import fit
from plaudit.reward.model import RewardModel
from tests.reward_examples import Library, compared

SHORT = RewardConfig(members=3, hidden=(8,), steps=20, fit_lapse=False)
WARM = replace(SHORT, warm_start=True)


def test_equal_arguments_give_equal_bits():
    data, reference = compared()
    first, second = (fit(data, config=SHORT, seed=1, reference=reference) for _ in range(2))
    assert first.model.to_bytes() == second.model.to_bytes()
    assert first.metrics == second.metrics
    assert fit(data, config=SHORT, seed=2, reference=reference).model.version != first.model.version


def test_another_process_gives_the_same_bits():
    code = (
        "import torch; torch.set_num_threads(1)\n"
        "from tests.test_reward_fit import SHORT, compared, fit\n"
        "data, reference = compared(length=30)\n"
        "print(fit(data, config=SHORT, seed=1, reference=reference).model.version)"
    )
    root = Path(__file__).parent.parent
    environment = os.environ | {"PYTHONPATH": f"{root / 'src'}{os.pathsep}{root}", "OMP_NUM_THREADS": "1"}
    found = {
        subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True,
            text=True,
            check=True,
            env=environment | {"PYTHONHASHSEED": seed},
        ).stdout
        for seed in ("1", "2")
    }
    assert len(found) == 1


def test_each_member_never_learns_from_the_questions_that_it_leaves_out():
    data, reference = compared()
    comparisons = data.evidence[0]
    flipped = replace(comparisons, side=np.where(comparisons.question % 3 == 1, -comparisons.side, comparisons.side))
    # long enough for any leak to show, and no stop that depends on other members
    config = replace(SHORT, stop_accuracy=1.0, patience=100)
    plain = fit(data, config=config, seed=0, reference=reference).model
    other = fit(FeedbackData(data.segments, (flipped,)), config=config, seed=0, reference=reference).model
    same = [
        (a == b).reshape(3, -1).all(1).tolist()
        for a, b in zip(plain.ensemble.arrays().values(), other.ensemble.arrays().values(), strict=True)
    ]
    assert all(members[1] for members in same)
    assert not any(members[0] for members in same)


def test_held_out_metrics_equal_a_slow_twin():
    data, reference = compared()
    found = fit(data, config=SHORT, seed=0, reference=reference)
    returns = found.model.score(data.segments).members
    right, log_p = [], []
    for (first, second), side, question in zip(
        data.evidence[0].segments, data.evidence[0].side, data.evidence[0].question, strict=True
    ):
        difference = returns[question % 3, first] - returns[question % 3, second]
        right.append(difference * side > 0)
        log_p.append(-math.log1p(math.exp(-difference * side)))
    assert found.metrics["reward/accuracy_heldout"] == pytest.approx(np.mean(right))
    assert found.metrics["reward/log_likelihood"] == pytest.approx(np.mean(log_p), rel=1e-5)
    assert found.history["heldout"][-1] == pytest.approx(-np.mean(log_p), rel=1e-5)
    mean = returns.mean(axis=0)
    agree = [
        (mean[f] - mean[s]) * side > 0
        for (f, s), side in zip(data.evidence[0].segments, data.evidence[0].side, strict=True)
    ]
    assert found.metrics["reward/accuracy_train"] == pytest.approx(np.mean(agree))
    assert found.calibration["count"].sum() == found.metrics["reward/labels"] == len(log_p)


def test_rewards_of_reference_steps_have_mean_zero_and_deviation_one():
    data, reference = compared()
    model = fit(data, config=SHORT, seed=0, reference=reference).model
    rewards = model.per_step(reference)[..., 0]
    assert rewards.mean(axis=1) == pytest.approx(0, abs=1e-6)
    assert rewards.std(axis=1) == pytest.approx(1)


def test_a_warm_start_goes_on_and_a_saved_model_goes_on_the_same(tmp_path):
    data, reference = compared()
    first = fit(data, config=WARM, seed=0, reference=reference).model
    first.save(tmp_path / "reward.safetensors")
    loaded = RewardModel.load(tmp_path / "reward.safetensors")
    on = fit(data, config=WARM, seed=1, reference=reference, warm_start=first)
    resumed = fit(data, config=WARM, seed=1, reference=reference, warm_start=loaded)
    assert on.model.to_bytes() == resumed.model.to_bytes()
    assert on.history["train"][0] == pytest.approx(
        fit(data, config=WARM, seed=0, reference=reference).history["train"][-1]
    )


def test_without_the_setting_the_previous_model_does_not_matter():
    data, reference = compared()
    first = fit(data, config=SHORT, seed=0, reference=reference).model
    again = fit(data, config=SHORT, seed=1, reference=reference, warm_start=first)
    assert again.model.version == fit(data, config=SHORT, seed=1, reference=reference).model.version


def test_a_warm_start_from_another_form_is_refused():
    data, reference = compared()
    first = fit(data, config=WARM, seed=0, reference=reference).model
    with pytest.raises(LearningError, match="another form"):
        fit(data, config=replace(WARM, hidden=(9,)), seed=1, reference=reference, warm_start=first)


def test_a_model_that_left_nothing_out_is_not_gone_on_from():
    library, rng = Library(), np.random.default_rng(0)
    answers = library.comparisons(4, rng)
    reference = library.reference(rng)
    one = fit(collate(answers[:1], library), config=WARM, seed=0, reference=reference)
    assert not one.model.held_out
    assert "reward/accuracy_heldout" not in one.metrics
    assert set(one.history) == {"step", "train"}
    assert one.calibration == {}
    more = fit(collate(answers, library), config=WARM, seed=1, reference=reference, warm_start=one.model)
    assert more.model.version == fit(collate(answers, library), config=WARM, seed=1, reference=reference).model.version


def test_one_member_holds_nothing_out():
    data, reference = compared(6)
    found = fit(data, config=replace(SHORT, members=1), seed=0, reference=reference)
    assert "reward/log_likelihood" not in found.metrics
    assert found.metrics["reward/spread"] == 0.0


AWKWARD = {
    "ties only": lambda library, pairs: [library.compare(a, b, Choice.TIE) for a, b in pairs],
    "one side only": lambda library, pairs: [library.compare(a, b, Choice.FIRST) for a, b in pairs],
    "equal segments": lambda library, pairs: [library.compare(a, a, Choice.FIRST) for a, _ in pairs],
    "contradictions": lambda library, pairs: [library.compare(*pairs[0], c) for c in (Choice.FIRST, Choice.SECOND) * 3],
    "strengths": lambda library, pairs: [
        library.compare(a, b, Choice.FIRST, 0.1 * (i + 1)) for i, (a, b) in enumerate(pairs)
    ],
    "one grade only": lambda library, pairs: [library.rate(a, 4) for a, _ in pairs],
    "two scales": lambda library, pairs: [library.rate(a, i % 2, 2 + i % 3) for i, (a, _) in enumerate(pairs)],
    "good steps only": lambda library, pairs: [library.judge(a, [0, 1], [1.0, 1.0]) for a, _ in pairs],
    "everything": lambda library, pairs: [
        library.compare(*pairs[0], Choice.TIE),
        library.rate(pairs[1][0], 2),
        library.judge(pairs[2][0], [0], [0.3]),
    ],
}


@pytest.mark.parametrize("kind", AWKWARD)
def test_awkward_answers_give_finite_rewards_and_metrics(kind):
    library, rng = Library(), np.random.default_rng(0)
    pairs = [
        (library.draw(rng, int(rng.integers(2, 40))), library.draw(rng, int(rng.integers(2, 40)))) for _ in range(6)
    ]
    data = collate(AWKWARD[kind](library, pairs), library)
    found = fit(data, config=replace(SHORT, fit_lapse=True), seed=0, reference=library.reference(rng))
    assert np.isfinite(found.model.per_step(library.reference(rng))).all()
    assert all(math.isfinite(value) for value in found.metrics.values())
    assert all(np.isfinite(column).all() for column in found.history.values())


def test_constant_features_do_no_harm():
    library, rng = Library(), np.random.default_rng(0)
    answers = library.comparisons(6, rng)
    for data in library.data.values():
        data.observations[:, 2] = 7.0
    reference = library.reference(rng)
    reference.observations[..., 2] = 7.0
    found = fit(collate(answers, library), config=SHORT, seed=0, reference=reference)
    assert np.isfinite(found.model.per_step(reference)).all()


def test_discrete_actions():
    library, rng = Library(), np.random.default_rng(0)
    ids = [
        library.add(SegmentData(rng.normal(size=(5, 3)).astype(np.float32), rng.integers(0, 4, 5))) for _ in range(4)
    ]
    answers = [library.compare(ids[0], ids[1], Choice.FIRST), library.compare(ids[2], ids[3], Choice.SECOND)]
    reference = StepBatch(
        rng.normal(size=(50, 1, 3)).astype(np.float32),
        np.eye(4, dtype=np.float32)[rng.integers(0, 4, (50, 1))],
        np.ones((50, 1), dtype=bool),
    )
    model = fit(collate(answers, library), config=SHORT, seed=0, reference=reference).model
    assert model.inputs.actions == 4
    assert model.score([library.data["blob0"]]).members.shape == (3, 1)


@pytest.mark.filterwarnings("ignore:overflow")
def test_no_answers_and_diverging_fits_are_refused():
    data, reference = compared(4)
    with pytest.raises(LearningError, match="no answers"):
        fit(FeedbackData((), ()), config=SHORT, seed=0, reference=reference)
    with pytest.raises(LearningError, match="diverged"):
        fit(data, config=replace(SHORT, learning_rate=1e30), seed=0, reference=reference)


def test_a_fit_stops_when_all_is_understood_or_nothing_gets_better():
    data, reference = compared(10)
    config = RewardConfig(members=3, steps=400, patience=100)
    assert fit(data, config=config, seed=0, reference=reference).history["step"][-1] < 400
    sides = np.random.default_rng(0).permutation([1, -1] * 5)
    noise = FeedbackData(data.segments, (replace(data.evidence[0], side=sides),))
    course = fit(noise, config=replace(config, stop_accuracy=1.0, patience=3), seed=0, reference=reference).history
    assert len(course["step"]) - 1 - np.argmin(course["heldout"]) in (0, 1, 2, 3)
    assert course["step"][-1] < 400


@pytest.mark.parametrize(
    "setting",
    [
        {"members": 0},
        {"hidden": (8, 0)},
        {"learning_rate": 0.0},
        {"lapse": 1.0},
        {"stop_accuracy": 0.0},
        {"weight_decay": -1.0},
    ],
)
def test_settings_out_of_range_are_refused(setting):
    with pytest.raises(ConfigError, match="out of range"):
        RewardConfig(**setting)

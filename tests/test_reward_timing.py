"""How long a comparison took says how far apart the two are; and nothing where it is not asked for."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from plaudit.ask.timing import decision_seconds
from plaudit.ops import preference
from plaudit.ops.aggregate import mean
from plaudit.reward.annotators import timed
from plaudit.reward.collate import collate
from plaudit.reward.config import RewardConfig
from plaudit.reward.evidence import AnswerModel
from plaudit.reward.fit import fit
from plaudit.reward.heldout import Values, understood
from plaudit.reward.likelihood import STRAY, Comparisons
from plaudit.reward.model import RewardModel
from plaudit.stats import choice
from tests.reward_examples import Library, linear
from tests.reward_kinds import Crowd
from tests.test_ops_preference import check_twins

SHORT = RewardConfig(members=3, hidden=(8,), steps=20, fit_lapse=False)
TIMING = (1.5, 2.0, 1.0, 60.0)


@given(
    arrays(np.float64, (2, 6), elements=st.floats(-12, 12)),
    arrays(np.float64, 6, elements=st.floats(0.1, 59.0)),
    st.floats(0.3, 5.0),
    st.floats(0.0, 4.0),
)
def test_densities_of_times_are_twins(values, seconds, longest_mean, motor):
    given_as = {"motor": motor, "outlier": 0.05, "longest": 60.0}
    check_twins(
        lambda v: preference.response_time(v, seconds, longest_mean, **given_as),
        lambda v: choice.response_time(v, seconds, longest_mean, **given_as),
        values,
    )


def part(side, seconds):
    count = len(side)
    rows = np.arange(count)
    segments = np.stack([2 * rows, 2 * rows + 1], axis=1)
    lengths, grade = np.ones((count, 2), np.intp), np.zeros(count, np.int64)
    return Comparisons(segments, rows, lengths, np.array(side), grade, seconds=np.array(seconds))


def test_a_time_adds_its_density_to_decided_answers_whose_time_is_known():
    found = part([1, -1, 0, 1], [3.0, 9.0, 4.0, np.nan])
    values, rows = np.array([[0.5], [1.0], [0.2], [-0.3]]), np.arange(4)
    said = found.log_prob(values, rows, AnswerModel(thresholds=(0.4,)), choice)
    more = found.log_prob(values, rows, AnswerModel(thresholds=(0.4,), timing=TIMING), choice) - said
    for row in (0, 1):
        by_hand = np.exp(choice.response_time(values[row, 0], found.seconds[row], 1.5, motor=2.0))
        assert more[row] == pytest.approx(np.log((1 - STRAY) * by_hand + STRAY / 60.0), abs=1e-12)
    assert (more[2:] == 0).all()
    model = AnswerModel(thresholds=(0.4,), timing=TIMING)
    half = found.log_prob(values, rows, replace(model, timing=(1.5, 2.0, 0.5, 60.0)), choice) - said
    same = found.log_prob(values / 2, rows, model, choice) - found.log_prob(
        values / 2, rows, replace(model, timing=None), choice
    )
    np.testing.assert_allclose(half, same, atol=1e-12)
    tensor = found.log_prob(torch.from_numpy(values), rows, model, preference)
    np.testing.assert_allclose(tensor.numpy(), found.log_prob(values, rows, model, choice), atol=1e-12)


@pytest.mark.parametrize("says", [1.0, 0.5, 0.0])
def test_the_times_of_decisions_come_back(says):
    rng, count = np.random.default_rng(0), 1000
    value = 2.0 * rng.normal(size=count)
    side = np.where(value + rng.logistic(size=count) > 0, 1, -1)
    seconds = np.array([2.0 + decision_seconds(says * one, 1.5, rng.random()) for one in value.tolist()])
    stray = rng.random(count) < STRAY
    seconds[stray] = rng.uniform(0, 60, int(stray.sum()))
    values = value[None, :, None]
    held = Values(part(side, seconds), values, values[0], np.zeros((1, count), dtype=bool))
    longest_mean, motor, found, longest = timed([held], AnswerModel()).timing
    assert (longest_mean, motor) == (pytest.approx(1.5, rel=0.2), pytest.approx(2.0, abs=0.4))
    assert abs(found - says) <= 0.25
    assert longest == 60.0


def test_what_members_understand_is_what_was_answered():
    values = np.array([[2.0], [2.0]])
    held = Values(part([1, 1], [50.0, 50.0]), values[None], values, np.ones((1, 2), dtype=bool))
    assert understood([held], AnswerModel(timing=TIMING)) == 1.0


def hurried(labels, seed):
    """Comparisons by somebody who takes longer where it is hard to tell."""
    library, rng = Library(), np.random.default_rng(seed)
    crowd = Crowd(library, rng)
    answers = []
    for _ in range(labels):
        answer = crowd.comparison()
        first, second = (library.true_return(one) for one in library.asked[-1].segments)
        took = 2.0 + decision_seconds(first - second, 3.0, rng.random())
        answers.append(replace(answer, response_seconds=took))
    return answers, library, library.reference(rng)


def test_times_change_nothing_unless_asked():
    answers, library, reference = hurried(24, 0)
    untimed = [replace(one, response_seconds=None) for one in answers]
    there, gone = (
        fit(collate(found, library), config=SHORT, seed=0, reference=reference) for found in (answers, untimed)
    )
    assert there.model.to_bytes() == gone.model.to_bytes()
    assert there.metrics == gone.metrics
    asked = fit(collate(untimed, library), config=replace(SHORT, response_time=True), seed=0, reference=reference)
    assert asked.metrics == gone.metrics
    assert asked.model.annotators == gone.model.annotators


def test_a_fit_with_times_is_itself_after_saving(tmp_path):
    answers, library, reference = hurried(24, 0)
    config = replace(SHORT, response_time=True)
    first, second = (fit(collate(answers, library), config=config, seed=0, reference=reference) for _ in range(2))
    first.model.save(tmp_path / "m")
    back = RewardModel.load(tmp_path / "m")
    assert back.version == first.model.version == second.model.version
    assert back.annotators == first.model.annotators
    assert back.annotators.timing is not None
    np.testing.assert_array_equal(back.per_step(reference), first.model.per_step(reference))


def correlation(model, reference):
    true = linear(reference.observations, reference.actions).ravel()
    return float(np.corrcoef(mean(model.per_step(reference)).ravel(), true)[0, 1])


@pytest.mark.slow
def test_times_are_worth_labels():
    gains = []
    for seed in range(6):
        answers, library, reference = hurried(40, seed)
        both = [
            fit(collate(answers, library), config=RewardConfig(response_time=on), seed=seed, reference=reference)
            for on in (False, True)
        ]
        gains.append(correlation(both[1].model, reference) - correlation(both[0].model, reference))
    assert np.mean(gains) > 0

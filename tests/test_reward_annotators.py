"""What sways annotators, and in what they differ, comes back from answers to known values."""

from dataclasses import replace

import numpy as np
import pytest

from plaudit.reward.annotators import differing, swayed
from plaudit.reward.choices import Choices, Flags
from plaudit.reward.config import Nuisance, Trait
from plaudit.reward.evidence import AnswerModel, Asked
from plaudit.reward.heldout import Values
from plaudit.reward.likelihood import Comparisons, Ratings

COUNT = 3000
NAMES = ("a", "b", "c")


def held(evidence, values):
    """Values as if one member had left every answer out."""
    return Values(evidence, values[None], values, np.zeros((1, len(values)), dtype=bool))


def common(rng, segments, **nuisance):
    shape = (COUNT, segments)
    return {
        "segments": np.zeros(shape, dtype=np.intp),
        "question": np.arange(COUNT),
        "lengths": np.ones(shape, dtype=np.intp),
        "asked": Asked(NAMES, rng.integers(3, size=COUNT), nuisance),
    }


def compared(rng, value, heard, **nuisance):
    side = np.where(heard + rng.logistic(size=COUNT) > 0, 1, -1)
    part = Comparisons(**common(rng, 2, **nuisance), side=side, grade=np.zeros(COUNT, dtype=np.int64))
    return held(part, value[:, None])


def test_weights_of_position_and_length_come_back_from_comparisons():
    rng = np.random.default_rng(0)
    value = 2 * rng.normal(size=COUNT)
    position, length = rng.choice([-1.0, 1.0], size=COUNT), rng.integers(-10, 11, size=COUNT).astype(float)
    heard = value + 0.8 * position - 0.15 * length
    found = [compared(rng, value, heard, position=position[:, None], length=length[:, None])]
    model = AnswerModel()
    for _ in range(4):
        model = swayed(found, model, tuple(Nuisance))
    assert model.nuisance == pytest.approx({"position": 0.8, "length": -0.15}, abs=0.12)


def test_side_bias_comes_back_from_rankings():
    rng = np.random.default_rng(0)
    value, position = rng.normal(size=(COUNT, 3)), np.tile([0.5, 0.0, -0.5], (COUNT, 1))
    order = np.argsort(-(value + 0.9 * position + rng.gumbel(size=(COUNT, 3))), axis=1)
    kinds = common(rng, 3, position=position)
    part = Choices(**kinds, ranks=np.argsort(order, axis=1), stages=np.full(COUNT, 3), ties=False)
    assert swayed([held(part, value)], AnswerModel(), [Nuisance.POSITION]).nuisance == pytest.approx(
        {"position": 0.9}, abs=0.15
    )


def test_what_does_not_differ_has_no_weight():
    rng = np.random.default_rng(0)
    value = rng.normal(size=COUNT)
    found = [compared(rng, value, value, length=np.zeros((COUNT, 1)))]
    assert swayed(found, AnswerModel(), tuple(Nuisance)).nuisance == {}


def test_rationality_comes_back_relative_to_all():
    rng = np.random.default_rng(0)
    part = compared(rng, np.zeros(COUNT), np.zeros(COUNT)).evidence
    scale, value = np.array([0.3, 1.0, 2.5])[part.asked.who], 2 * rng.normal(size=COUNT)
    side = np.where(scale * value + rng.logistic(size=COUNT) > 0, 1, -1)
    model = differing([held(replace(part, side=side), value[:, None])], AnswerModel(), [Trait.RATIONALITY])
    found = np.array([model.rationality[name] for name in NAMES])
    true = np.array([0.3, 1.0, 2.5])
    assert found / found[1] == pytest.approx(true, rel=0.25)


def test_lapses_come_back_and_few_answers_say_little():
    rng = np.random.default_rng(0)
    value = 4 * rng.normal(size=COUNT)
    found = compared(rng, value, value)
    who, side = found.evidence.asked.who, found.evidence.side
    random = (who == 1) & (rng.random(COUNT) < 0.6)
    side = np.where(random, rng.choice([-1, 1], size=COUNT), side)
    noisy = replace(found, evidence=replace(found.evidence, side=side))
    model = differing([noisy], AnswerModel(lapse=0.1), [Trait.LAPSE])
    assert model.lapses["b"] == pytest.approx(0.6, abs=0.1)
    assert max(model.lapses["a"], model.lapses["c"]) < 0.1
    first = np.arange(5)
    few = replace(
        noisy.evidence,
        **{name: getattr(noisy.evidence, name)[first] for name in ("segments", "question", "lengths", "grade")},
        side=np.sign(value[first]).astype(np.int64),
        asked=replace(noisy.evidence.asked, who=np.zeros(5, dtype=np.intp)),
    )
    model = differing([held(few, value[first, None])], AnswerModel(lapse=0.1), [Trait.LAPSE])
    assert 0.02 < model.lapses["a"] <= 0.1
    assert model.lapses["b"] == pytest.approx(0.1)  # who said nothing is like all


def test_cut_points_come_back_relative_to_all():
    rng = np.random.default_rng(0)
    value, cuts = 2 * rng.normal(size=COUNT), np.array([-2.0, 0.0, 1.0])
    kinds = common(rng, 1)
    who, middle = kinds["asked"].who, cuts.mean()
    shift, scale = np.array([-1.0, 0.0, 1.0])[who], np.array([0.5, 1.0, 2.0])[who]
    own = middle + shift[:, None] + scale[:, None] * (cuts - middle)
    grade = (value[:, None] + rng.logistic(size=(COUNT, 1)) > own).sum(axis=1)
    model = AnswerModel(cuts={"4": cuts.tolist()})
    for _ in range(4):
        model = differing([held(Ratings(**kinds, grade=grade, levels=4), value[:, None])], model, [Trait.CUTS])
    found = np.array([model.stretch[name] for name in NAMES])
    assert found[:, 0] == pytest.approx([-1.0, 0.0, 1.0], abs=0.25)
    assert found[:, 1] == pytest.approx([0.5, 1.0, 2.0], rel=0.25)
    without = differing([compared(rng, value, value)], AnswerModel(), [Trait.CUTS])
    assert without.stretch is None


def test_flags_are_as_frequent_as_they_were():
    rng = np.random.default_rng(0)
    cost = 2 * rng.normal(size=COUNT)
    severity = (cost - 1.3 + rng.logistic(size=COUNT) > 0).astype(float)[:, None]
    part = Flags(**common(rng, 1), severity=severity)
    model = part.calibrate(AnswerModel(), cost[:, None])
    assert model.flag_cut == pytest.approx(1.3, abs=0.15)
    found = part.predict(model, cost[:, None])
    assert found.right.mean() == pytest.approx(found.confidence.mean(), abs=0.03)

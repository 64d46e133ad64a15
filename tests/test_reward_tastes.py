"""Rewards as people with some trait judge them: everybody's part, a shrunk part, and nothing where nothing is known."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.optimize import minimize_scalar

from plaudit.errors import ConfigError, LearningError
from plaudit.loop import Run
from plaudit.records import AnnotatorKind, AnnotatorProfile
from plaudit.reward.collate import collate
from plaudit.reward.config import RewardConfig
from plaudit.reward.evidence import AnswerModel, Asked
from plaudit.reward.fit import fit
from plaudit.reward.heldout import values_of
from plaudit.reward.likelihood import Comparisons
from plaudit.reward.model import RewardModel
from plaudit.reward.tastes import fit_tastes, judges
from plaudit.store.store import Store
from tests.loop_examples import fingerprint, small
from tests.reward_examples import Library
from tests.reward_kinds import Crowd

SHORT = RewardConfig(members=3, hidden=(8,), steps=20, fit_lapse=False)
BY_JOB = replace(SHORT, condition_on=("job",))
SIDES = {"lawyer": 1.0, "nurse": -1.0}
JOBS = {"l1": "lawyer", "l2": "lawyer", "n1": "nurse", "n2": "nurse"}


def people(jobs=JOBS):
    return [AnnotatorProfile(name, AnnotatorKind.PERSON, traits={"job": job, "sex": "f"}) for name, job in jobs.items()]


def taste(job):
    """All like the first number; lawyers also like the second, nurses dislike it."""

    def reward(observations, actions):
        return observations @ np.array([1.0, SIDES[job], 0.0]) + actions @ np.array([0.3, 0.0])

    return reward


class Divided:
    """Answers of two groups of different taste, of several kinds."""

    def __init__(self, seed=0):
        self.library, self.rng = Library(), np.random.default_rng(seed)
        self.crowd = Crowd(self.library, self.rng)

    def answers(self, count, kinds=("comparison",)):
        found = []
        for number in range(count):
            name = list(JOBS)[number % 4]
            self.library.reward = taste(JOBS[name])
            found.append(getattr(self.crowd, kinds[number % len(kinds)])(name))
        return found

    def agreement(self, model, job, **traits):
        """Share of fresh pairs in the order of a group."""
        self.library.reward = taste(job)
        ids = [self.library.draw(self.rng) for _ in range(600)]
        scores = model.score([self.library.data[self.library.found[one].blob] for one in ids], **traits).mean
        true = np.array([self.library.true_return(one) for one in ids])
        return float(np.mean((scores[:300] > scores[300:]) == (true[:300] > true[300:])))


def divided(count=48, who=None, **settings):
    who = people() if who is None else who
    made = Divided()
    answers = made.answers(count, **settings)
    return collate(answers, made.library, people=who), made.library.reference(made.rng)


def same(one, other):
    """Whether two models judge everybody's way with equal bits."""
    there = other.ensemble.arrays()
    return all((array == there[name]).all() for name, array in one.ensemble.arrays().items())


def test_without_profiles_nothing_but_everybody_is_left_bit_for_bit():
    data, reference = divided(who=())
    plain, asked = (fit(data, config=config, seed=0, reference=reference).model for config in (SHORT, BY_JOB))
    assert same(plain, asked)
    assert asked.tastes is None
    assert asked.traits == {"job": ()}
    np.testing.assert_array_equal(asked.per_step(reference, traits={"job": "lawyer"}), plain.per_step(reference))


def test_people_who_are_all_alike_are_everybody_bit_for_bit():
    data, reference = divided(who=people(dict.fromkeys(JOBS, "lawyer")))
    plain, asked = (fit(data, config=config, seed=0, reference=reference).model for config in (SHORT, BY_JOB))
    assert same(plain, asked)
    assert asked.traits == {"job": ("lawyer",)}
    np.testing.assert_array_equal(asked.per_step(reference, traits={"job": "lawyer"}), plain.per_step(reference))


def test_endless_shrinkage_is_the_fit_without_traits():
    data, reference = divided(kinds=("comparison", "rating", "steps", "ranking"))
    plain = fit(data, config=SHORT, seed=0, reference=reference).model
    held = fit(data, config=replace(BY_JOB, condition_shrinkage=1e12), seed=0, reference=reference).model
    for job in SIDES:
        near = held.per_step(reference, traits={"job": job})
        np.testing.assert_allclose(near, plain.per_step(reference), rtol=0, atol=1e-6)


def test_less_shrinkage_moves_tastes_further_apart():
    data, reference = divided()
    sizes = []
    for shrinkage in (1e3, 3.0, 1.0, 0.3):
        model = fit(data, config=replace(BY_JOB, condition_shrinkage=shrinkage), seed=0, reference=reference).model
        sizes.append(float(np.abs(model.tastes.weights({"job": "lawyer"})).sum()))
    assert sizes[0] < 1e-9
    assert sizes == sorted(sizes)
    assert sizes[-1] > 1.5 * sizes[1]


def test_one_taste_equals_a_search_by_hand():
    rng, count = np.random.default_rng(0), 200
    feature = torch.from_numpy(rng.normal(size=(2 * count, 1, 1)).astype(np.float32))
    who, everybody = np.arange(count) % 2, rng.normal(size=count)
    gap = np.diff(-feature.numpy()[:, 0, 0].reshape(count, 2).astype(np.float64))[:, 0]
    sign = np.where(who == 0, 1.0, -1.0)
    side = np.where(everybody + 1.5 * sign * gap + rng.logistic(size=count) > 0, 1, -1)
    part = Comparisons(
        np.arange(2 * count).reshape(count, 2),
        np.arange(count),
        np.ones((count, 2), np.intp),
        side,
        np.zeros(count, np.int64),
        Asked(("l1", "n1"), who, {}),
    )
    config = replace(BY_JOB, members=1, condition_rank=1, condition_shrinkage=3.0)
    traits = {"l1": {"job": "lawyer"}, "n1": {"job": "nurse"}}
    known = judges([part], feature, traits, config=config, rng=rng)
    found = [values_of(part, everybody[None, :, None], np.ones((1, count), dtype=bool))]
    tastes = fit_tastes(known, found, AnswerModel(), config=config, start=None)

    unit = np.sqrt(np.mean(gap**2))

    def loss(weight):
        # raw loadings are a and -a, the direction is b: (2 a^2 + b^2) / 2 >= sqrt(2) a b, and a b = weight unit shrinkage
        chance = np.log1p(np.exp(-side * (everybody + weight * sign * gap))).sum()
        return chance + np.sqrt(2) * abs(weight) * unit * config.condition_shrinkage

    best = minimize_scalar(loss, bounds=(-3, 3), method="bounded", options={"xatol": 1e-7}).x
    assert best > 0.5
    assert tastes.weights({"job": "lawyer"})[0, 0] == pytest.approx(best, rel=1e-3)
    assert tastes.weights({"job": "nurse"})[0, 0] == pytest.approx(-best, rel=1e-3)


def test_tastes_add_the_product_of_loadings_and_directions_to_every_step():
    data, reference = divided()
    model = fit(data, config=BY_JOB, seed=0, reference=reference).model
    features = model.inputs.rows(reference).astype(np.float64)
    number = model.tastes.values.index(("job", "nurse"))
    want = np.zeros((3, len(features)))
    for member in range(3):
        for rank in range(2):
            along = features @ model.tastes.directions[member, rank]
            want[member] += model.tastes.loadings[member, number, rank] * along
    found = model.per_step(reference, traits={"job": "nurse"}) - model.per_step(reference)
    np.testing.assert_allclose(found[..., 0] * model.scale[:, None], want, rtol=1e-6, atol=1e-9)


def test_tastes_cancel_out_over_answers():
    data, reference = divided()
    tastes = fit(data, config=BY_JOB, seed=0, reference=reference).model.tastes
    total = sum(tastes.weights({"job": job}) for job in SIDES)  # as many answers of each
    np.testing.assert_allclose(total, 0.0, atol=1e-9)


def test_planted_tastes_come_back_from_answers_of_several_kinds():
    made = Divided()
    answers = made.answers(160, kinds=("comparison", "ranking", "comparison", "comparison", "demonstration"))
    data, reference = collate(answers, made.library, people=people()), made.library.reference(made.rng)
    config = replace(RewardConfig(), condition_on=("job",))
    model = fit(data, config=config, seed=0, reference=reference).model
    for job in SIDES:
        assert made.agreement(model, job, traits={"job": job}) > made.agreement(model, job) + 0.08


def test_a_model_is_itself_after_saving_and_answers_for_a_group_where_it_should(tmp_path):
    data, reference = divided()
    model = fit(data, config=BY_JOB, seed=0, reference=reference).model
    model.save(tmp_path / "m")
    back = RewardModel.load(tmp_path / "m")
    assert back.version == model.version
    assert back.traits == model.traits == {"job": ("lawyer", "nurse")}
    lawyer = model.per_step(reference, traits={"job": "lawyer"})
    np.testing.assert_array_equal(back.per_step(reference, traits={"job": "lawyer"}), lawyer)
    assert not np.allclose(lawyer, model.per_step(reference))
    np.testing.assert_array_equal(model.per_step(reference, traits={"job": "judge"}), model.per_step(reference))
    for_lawyers = replace(model, config=replace(BY_JOB, as_traits={"job": "lawyer"}))
    np.testing.assert_array_equal(for_lawyers.per_step(reference), lawyer)
    np.testing.assert_array_equal(for_lawyers.per_step(reference, traits={}), model.per_step(reference))
    with pytest.raises(LearningError, match="no such trait"):
        model.per_step(reference, traits={"age": "old"})


def test_equal_arguments_give_equal_bits_and_members_keep_apart():
    data, reference = divided()
    config = replace(BY_JOB, stop_accuracy=1.0, patience=100)
    first, second = (fit(data, config=config, seed=1, reference=reference).model for _ in range(2))
    assert first.to_bytes() == second.to_bytes()
    part = data.evidence[0]
    flipped = replace(part, side=np.where(part.question % 3 == 1, -part.side, part.side))
    other = fit(replace(data, evidence=(flipped,)), config=config, seed=1, reference=reference).model
    apart = np.abs(first.tastes.directions - other.tastes.directions).max(axis=(1, 2))
    assert apart[1] == 0
    assert min(apart[0], apart[2]) > 0


def test_profiles_come_from_the_log(tmp_path):
    with Store.create(tmp_path / "store.db", {}) as store:
        for one in people():
            store.add_annotator(one)
        assert list(store.annotators().values()) == people()
        assert list(store.annotators(2)) == [people()[0].id]


@pytest.mark.parametrize(
    "settings",
    [{"condition_rank": 0}, {"condition_shrinkage": 0.0}, {"as_traits": {"job": "lawyer"}}],
)
def test_settings_that_make_no_sense_are_refused(settings):
    with pytest.raises(ConfigError):
        RewardConfig(**settings)


def test_a_run_conditioned_on_groups_comes_to_the_same_bits_when_stopped(tmp_path):
    groups = [{"name": "calm", "taste": {"action/0": -0.5}}, {"name": "bold", "taste": {"action/0": 0.5}}]
    plain = small(labels=18, crowd={"honest": 4, "groups": groups}, teacher={"decision_seconds": 2.0})
    reward = replace(plain.reward, condition_on=("group",), as_traits={"group": "bold"}, response_time=True)
    config = replace(plain, reward=reward)
    with Run.create(config, tmp_path / "whole") as run:
        run.finish()
        assert run.reward.traits == {"group": ("bold", "calm")}
        assert run.reward.annotators.timing is not None
    Run.create(config, tmp_path / "stopped").close()
    while True:
        with Run.open(tmp_path / "stopped") as run:
            if run.step() is None:
                break
    assert fingerprint(tmp_path / "stopped") == fingerprint(tmp_path / "whole")


def test_a_warm_start_goes_on_and_finds_tastes_anew():
    data, reference = divided()
    config = replace(BY_JOB, warm_start=True)
    first = fit(data, config=config, seed=0, reference=reference).model
    later = [fit(data, config=config, seed=1, reference=reference, warm_start=first).model for _ in range(2)]
    assert later[0].to_bytes() == later[1].to_bytes()
    assert later[0].traits == first.traits
    assert later[0].version != first.version

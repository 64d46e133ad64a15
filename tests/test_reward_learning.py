"""From answers about behaviour with a known reward, the model learns that reward."""

import numpy as np
import pytest

from plaudit.ops.aggregate import mean
from plaudit.records import Choice
from plaudit.reward.collate import collate
from plaudit.reward.config import RewardConfig
from plaudit.reward.fit import fit
from tests.reward_examples import Library, agreement, compared, linear, quadratic


def correlation(model, library, reference):
    true = library.reward(reference.observations, reference.actions).ravel()
    return float(np.corrcoef(mean(model.per_step(reference)).ravel(), true)[0, 1])


@pytest.mark.parametrize("reward", [linear, quadratic])
def test_two_hundred_comparisons_teach_a_simple_reward(reward):
    rng = np.random.default_rng(0)
    library = Library(reward)
    data = collate(library.comparisons(200, rng), library)
    reference = library.reference(rng)
    found = fit(data, config=RewardConfig(), seed=0, reference=reference)
    assert agreement(found.model, library, 1000, rng) >= 0.95
    assert correlation(found.model, library, reference) >= 0.95
    assert found.metrics["reward/accuracy_heldout"] >= 0.9


def test_expecting_lapses_helps_where_there_are_some():
    found = []
    for seed in range(4):
        rng = np.random.default_rng(seed)
        library = Library(quadratic)
        data = collate(library.comparisons(200, rng, lapse=0.2), library)
        reference = library.reference(rng)
        for config in (RewardConfig(fit_lapse=False), RewardConfig(fit_lapse=True)):
            result = fit(data, config=config, seed=seed, reference=reference)
            agrees = agreement(result.model, library, 1000, np.random.default_rng(9))
            found.append((agrees, result.metrics["reward/log_likelihood"], result.metrics["reward/lapse"]))
    plain, aware = np.array(found).reshape(4, 2, 3).mean(axis=0)
    assert aware[0] > plain[0]
    assert aware[1] > plain[1] + 0.02
    assert 0.05 < aware[2] < 0.3


def test_no_lapses_are_found_where_there_are_none():
    data, reference = compared(100)
    found = fit(data, config=RewardConfig(fit_lapse=True), seed=0, reference=reference)
    assert found.metrics["reward/lapse"] == 0.0


def test_grades_teach_it():
    rng = np.random.default_rng(0)
    library = Library(quadratic)
    ids = [library.draw(rng) for _ in range(150)]
    returns = np.array([library.true_return(one) for one in ids])
    grades = np.digitize(returns, np.quantile(returns, [0.2, 0.4, 0.6, 0.8]))
    data = collate([library.rate(one, int(grade)) for one, grade in zip(ids, grades, strict=True)], library)
    found = fit(data, config=RewardConfig(), seed=0, reference=library.reference(rng))
    assert correlation(found.model, library, library.reference(rng)) >= 0.9
    assert agreement(found.model, library, 1000, rng) >= 0.9


def test_step_scores_teach_it():
    rng = np.random.default_rng(0)
    library = Library(quadratic)
    ids = [library.draw(rng) for _ in range(40)]
    answers = []
    for one in ids:
        rewards = library.data[library.found[one].blob].true_rewards
        answers.append(library.judge(one, range(len(rewards)), (rewards > -0.5).astype(float).tolist()))
    found = fit(collate(answers, library), config=RewardConfig(), seed=0, reference=library.reference(rng))
    assert correlation(found.model, library, library.reference(rng)) >= 0.8
    assert agreement(found.model, library, 1000, rng) >= 0.9


def test_a_few_answers_of_each_kind_teach_more_than_one_kind_alone():
    rng = np.random.default_rng(0)
    library = Library(quadratic)
    comparisons = library.comparisons(25, rng)
    ids = [library.draw(rng) for _ in range(40)]
    returns = np.array([library.true_return(one) for one in ids])
    grades = np.digitize(returns, np.quantile(returns, [0.25, 0.5, 0.75]))
    ratings = [library.rate(one, int(grade), levels=4) for one, grade in zip(ids, grades, strict=True)]
    reference = library.reference(rng)
    alone, joint = (
        np.mean(
            [
                agreement(
                    fit(collate(answers, library), config=RewardConfig(), seed=s, reference=reference).model,
                    library,
                    500,
                    np.random.default_rng(9),
                )
                for s in range(3)
            ]
        )
        for answers in (comparisons, [*comparisons, *ratings])
    )
    assert joint > alone


def test_ties_teach_that_segments_are_equal():
    rng = np.random.default_rng(0)
    library = Library()
    answers = []
    for _ in range(150):
        first, second = library.draw(rng), library.draw(rng)
        gap = library.true_return(first) - library.true_return(second)
        choice = Choice.TIE if abs(gap) < 6 else Choice.FIRST if gap > 0 else Choice.SECOND
        answers.append(library.compare(first, second, choice))
    ties = sum(answer.choice is Choice.TIE for answer in answers)
    assert 20 < ties < 130
    found = fit(collate(answers, library), config=RewardConfig(), seed=0, reference=library.reference(rng))
    assert found.model.annotators.thresholds[0] > 0.5
    assert agreement(found.model, library, 1000, rng) >= 0.9

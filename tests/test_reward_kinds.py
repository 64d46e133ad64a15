"""Every kind of feedback teaches, kinds add up, and what annotators are like is told apart from what the reward is."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from plaudit.errors import ConfigError, LearningError, RecordError
from plaudit.ops.aggregate import mean
from plaudit.records import Choice, Correction, Critique, Note, QueryKind, Ranking, SegmentData
from plaudit.reward.choices import Choices
from plaudit.reward.collate import collate
from plaudit.reward.config import Nuisance, RewardConfig, Trait
from plaudit.reward.evidence import AnswerModel, Asked, heard
from plaudit.reward.fit import fit
from plaudit.reward.model import RewardModel
from plaudit.reward.objective import smoothed
from plaudit.stats.choice import Noise
from tests.reward_examples import Library, agreement, linear, quadratic
from tests.reward_kinds import KINDS, Crowd

SHORT = RewardConfig(members=2, steps=20, hidden=(8,))


def crowd(seed=0, reward=quadratic, **more):
    rng = np.random.default_rng(seed)
    return Crowd(Library(reward), rng, **more)


def learned(answers, made, seed=0, **settings):
    """The fit, and its model's correlation with the true reward of a step."""
    reference = made.library.reference(np.random.default_rng(99))
    found = fit(collate(answers, made.library), config=RewardConfig(**settings), seed=seed, reference=reference)
    true = made.library.reward(reference.observations, reference.actions).ravel()
    return found, float(np.corrcoef(mean(found.model.per_step(reference)).ravel(), true)[0, 1])


# from records to arrays


def test_every_kind_has_its_place_among_the_evidence():
    made = crowd()
    answers = [made.flag(), made.correction(), made.ranking(count=4), made.demonstration(samples=2), made.ranking()]
    data = collate([*answers, made.steps(), made.rating(), made.comparison()], made.library)
    shapes = [(type(part).__name__, part.segments.shape) for part in data.evidence]
    expected = [("Comparisons", (1, 2)), ("Ratings", (1, 1)), ("StepScores", (1, 1))]
    expected += [("Choices", (1, n)) for n in (3, 4, 3, 2)]
    assert shapes == expected
    assert data.answers == 8
    flags = data.heads["cost/effort"]
    assert [type(part).__name__ for part in flags] == ["Flags"]
    assert flags[0].question.tolist() == [0]
    shown = data.evidence[5]
    assert (shown.ranks.tolist(), shown.stages.tolist(), shown.ties) == ([[0, 1, 1]], [1], False)
    assert data.segments[shown.segments[0, 0]] is made.library.data[made.library.found[answers[3].segment].blob]


def test_answers_that_say_nothing_about_rewards_leave_no_trace():
    made = crowd()
    one, two = made.draw(), made.draw()
    apart = made.library.compare(one, two, Choice.INCOMPARABLE)
    remark = Critique(**made.who(made.ask(QueryKind.CRITIQUE, one)), notes=(Note("too slow"),))
    assert collate([apart, remark], made.library).answers == 0


def test_questions_about_an_aspect_are_about_another_reward():
    made = crowd()
    whole, part = made.comparison(), made.comparison()
    made.library.asked[-1] = replace(made.library.asked[-1], aspect="style", id="")
    part = replace(part, query=made.library.asked[-1].id)
    data = collate([whole, part], made.library)
    assert [len(one.segments) for one in (*data.evidence, *data.heads["aspect/style"])] == [1, 1]
    model = fit(data, config=SHORT, seed=0, reference=made.library.reference(made.rng)).model
    items = list(data.segments)
    assert not np.array_equal(model.score(items).mean, model.score(items, "aspect/style").mean)


def test_places_on_the_screen_are_counted_from_the_order_that_was_shown():
    made = crowd()
    second, first = made.comparison(shown=(1, 0)), made.comparison(shown=(0, 1))
    several = [made.draw() for _ in range(3)]
    query = made.ask(QueryKind.RANKING, *several, shown=(2, 0, 1))
    ranked = Ranking(**made.who(query), ranks=(0, 1, 1))
    pairs, orders = collate([second, first, ranked], made.library).evidence
    assert pairs.asked.nuisance["position"].tolist() == [[-1.0], [1.0]]
    assert orders.asked.nuisance["position"].tolist() == [[0.0, -0.5, 0.5]]


@pytest.mark.parametrize("wrong", ["ranks", "constraint", "span", "unconfirmed"])
def test_answers_that_do_not_fit_are_refused(wrong):
    made = crowd()
    match wrong:
        case "ranks":
            answer = replace(made.ranking(), ranks=(0, 1))
        case "constraint":
            answer = replace(made.flag(), constraint="speed")
        case "span":
            answer = replace(made.correction(), start=0, end=99)
        case _:
            answer = replace(made.correction(), derived_from=("c",))
    with pytest.raises(RecordError):
        collate([answer], made.library)


# learning


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_alone_recovers_the_reward(kind):
    made = crowd(noise=2.0)
    assert learned(made.answers(kind, 120), made)[1] >= 0.93


def test_flags_teach_a_cost_and_leave_the_reward_alone():
    made = crowd()
    compared, flags = made.answers("comparison", 60), made.answers("flag", 150)
    found, alone = learned(compared, made), learned([*compared, *flags], made)
    items = [made.library.data[made.library.found[made.library.asked[-1 - k].segments[0]].blob] for k in range(150)]
    cost = np.array([(one.actions[:, 0] ** 2).sum() for one in items])
    said = np.array([one.severity for one in reversed(flags)])
    chance = alone[0].model.violates(items, "effort").mean
    assert np.corrcoef(alone[0].model.score(items, "cost/effort").mean, cost)[0, 1] >= 0.9
    assert chance.mean() == pytest.approx(said.mean(), abs=0.06)
    assert alone[0].heads["cost/effort"].metrics["reward/accuracy_heldout"] >= 0.85
    assert alone[1] == pytest.approx(found[1], abs=0.05)
    only = collate(flags, made.library)
    with pytest.raises(LearningError, match="overall"):
        fit(only, config=SHORT, seed=0, reference=made.library.reference(made.rng))
    with pytest.raises(LearningError, match="cost/effort"):
        alone[0].model.per_step(made.library.reference(made.rng), "cost/speed")


def test_flags_are_as_likely_as_of_usual_length_whatever_scores_keep():
    made = crowd()
    model = learned([made.comparison(), made.comparison(), *made.answers("flag", 30)], made, steps=10)[0].model
    cost = model.head("cost/effort")
    cost = replace(cost, annotators=replace(cost.annotators, nuisance={"length": 0.3}))
    kept = replace(cost, config=replace(cost.config, nuisance=(Nuisance.LENGTH,), keep_length=True))
    plain, keeps = (replace(model, heads={"cost/effort": one}) for one in (cost, kept))
    items = [SegmentData(np.zeros((n, 3), np.float32), np.zeros((n, 2), np.float32)) for n in (5, 20)]
    longer = keeps.score(items, "cost/effort").mean - plain.score(items, "cost/effort").mean
    assert longer == pytest.approx([1.5, 6.0], rel=1e-5)
    assert (keeps.violates(items, "effort").members == plain.violates(items, "effort").members).all()


def narrow(made, feature):
    """A segment whose steps move one feature only: whoever sees nothing else learns nothing else."""
    steps = np.zeros((made.length, 3))
    steps[:, feature] = 0.5 * made.rng.normal(size=made.length) + made.rng.normal()
    actions = np.zeros((made.length, 2))
    return made.library.add(SegmentData(steps.astype(np.float32), actions.astype(np.float32), linear(steps, actions)))


def mixture(made, kinds, count):
    """Comparisons of a policy that never moves the second feature, corrections of people who change nothing else."""
    answers = []
    for number in range(count):
        feature = kinds[number % len(kinds)]
        one, two = sorted((narrow(made, feature) for _ in range(2)), key=made.worth)
        if feature == 0:
            first = number % 4 < 2
            pair = (two, one) if first else (one, two)
            answers.append(made.library.compare(*pair, Choice.FIRST if first else Choice.SECOND))
        else:
            answers.append(Correction(**made.who(made.ask(QueryKind.CORRECTION, one)), segment=two))
    return answers


def test_kinds_that_see_different_things_add_up_at_equal_numbers_of_answers():
    found = {}
    for seed in range(3):
        for kinds in ((0,), (1,), (0, 1)):
            made = crowd(seed, reward=linear)
            found.setdefault(kinds, []).append(learned(mixture(made, kinds, 60), made, seed)[1])
    compared, corrected, mixed = (float(np.mean(found[kinds])) for kinds in ((0,), (1,), (0, 1)))
    assert mixed > max(compared, corrected) + 0.02


# annotators and what sways them


def test_a_side_bias_is_found_and_kept_out_of_the_reward():
    gains, weights = [], []
    for seed in range(4):
        made = crowd(seed, noise=5.0)
        answers = [made.comparison(bias=10.0, shown=(0, 1)) for _ in range(150)]
        plain, fair = (learned(answers, made, nuisance=which)[0] for which in ((), (Nuisance.POSITION,)))
        rng = [np.random.default_rng(9) for _ in range(2)]
        gains.append(
            agreement(fair.model, made.library, 500, rng[0]) - agreement(plain.model, made.library, 500, rng[1])
        )
        weights.append(fair.model.annotators.nuisance["position"])
        assert fair.metrics["reward/log_likelihood"] > plain.metrics["reward/log_likelihood"] + 0.05
    assert np.mean(weights) > 0.8
    assert np.mean(gains) >= 0


def test_no_side_bias_is_found_where_there_is_none():
    made = crowd(noise=5.0)
    answers = [made.comparison(shown=((0, 1), (1, 0))[k % 2]) for k in range(300)]
    assert abs(learned(answers, made, nuisance=(Nuisance.POSITION,))[0].model.annotators.nuisance["position"]) < 0.35


def lengthy(made, count, worth):
    """Comparisons of segments of unlike length, by people who like length more than what happens."""
    answers = []
    for _ in range(count):
        lengths = made.rng.integers(6, 19, size=2)
        pair = [made.library.draw(made.rng, int(length)) for length in lengths]
        seen = [made.library.true_return(one) + worth * length for one, length in zip(pair, lengths, strict=True)]
        gap = seen[0] - seen[1] + made.rng.logistic()
        answers.append(made.library.compare(*pair, Choice.FIRST if gap > 0 else Choice.SECOND))
    return answers


def test_what_length_is_worth_is_dropped_or_kept():
    made = crowd(reward=linear)
    answers = lengthy(made, 200, worth=1.0)
    dropped = learned(answers, made, nuisance=(Nuisance.LENGTH,))[0].model
    kept = replace(dropped, config=replace(dropped.config, keep_length=True))
    worth = dropped.annotators.nuisance["length"]
    assert worth > 0.1
    items = [SegmentData(np.zeros((n, 3), np.float32), np.zeros((n, 2), np.float32)) for n in (5, 20)]
    assert kept.score(items).mean - dropped.score(items).mean == pytest.approx([5 * worth, 20 * worth], rel=1e-5)
    with pytest.raises(ConfigError, match="length"):
        RewardConfig(keep_length=True)


def test_annotators_are_told_apart_and_it_pays():
    better, noises = [], dict(zip("abcd", (0.5, 1.0, 8.0, 30.0), strict=True))
    for seed in range(3):
        made = crowd(seed)
        answers = []
        for number in range(240):
            name = "abcd"[number % 4]
            made.noise = noises[name]
            answers.append(made.comparison(name))
        (plain, before), (fair, after) = (learned(answers, made, traits=t) for t in ((), (Trait.RATIONALITY,)))
        better.append(after - before)
        found = fair.model.annotators.rationality
        assert min(found["a"], found["b"]) > max(found["c"], found["d"])
        assert np.mean(np.log(list(found.values()))) == pytest.approx(0, abs=1e-9)  # all gave equally many answers
        assert fair.metrics["reward/log_likelihood"] > plain.metrics["reward/log_likelihood"]
    assert np.mean(better) > 0


def test_who_answers_at_random_is_found():
    made = crowd()
    careful, careless = made.answers("comparison", 150), [made.comparison("b") for _ in range(50)]
    careless = [replace(one, choice=(Choice.FIRST, Choice.SECOND)[made.rng.integers(2)]) for one in careless]
    found = learned([*careful, *careless], made, fit_lapse=True, traits=(Trait.LAPSE,))[0].model.annotators
    assert found.lapses["b"] > 0.3 > 0.1 > found.lapses["a"]
    with pytest.raises(ConfigError, match="shrunk"):
        RewardConfig(traits=(Trait.LAPSE,))


def test_strict_and_mild_raters_are_told_apart():
    made = crowd()
    answers = [made.rating("abc"[k % 3], shift=(-6, 0, 10)[k % 3]) for k in range(150)]
    plain, fair = (learned(answers, made, traits=traits)[0] for traits in ((), (Trait.CUTS,)))
    found = fair.model.annotators.stretch
    assert found["a"][0] < found["b"][0] < found["c"][0]
    assert fair.metrics["reward/log_likelihood"] > plain.metrics["reward/log_likelihood"] + 0.2
    rng = [np.random.default_rng(9) for _ in range(2)]
    assert agreement(fair.model, made.library, 500, rng[0]) > agreement(plain.model, made.library, 500, rng[1])


def test_who_gave_no_answer_is_like_all():
    asked = Asked(("a", "b"), np.array([0, 1]), {"position": np.array([[1.0], [-1.0]])})
    model = AnswerModel(lapse=0.1, nuisance={"position": 0.5}, rationality={"a": 2.0}, lapses={"a": 0.3})
    values, lapse = heard(asked, np.array([[1.0], [1.0]]), np.arange(2), model)
    assert values.tolist() == [[3.0], [0.5]]
    assert lapse.tolist() == [0.3, 0.1]
    assert heard(None, values, np.arange(2), model) == (values, 0.1)


def test_smoothing_turns_the_answer_round_and_not_what_sways_it():
    made = crowd()
    (part,) = collate([made.comparison(), made.comparison()], made.library).evidence
    values, rows = torch.zeros(1, 2, 1, dtype=torch.float64), np.arange(2)
    model = AnswerModel(nuisance={"position": 1.0})
    found = smoothed(part, values, rows, model, 0.5)[0].numpy()
    assert found == pytest.approx([np.log(1 / (1 + np.exp(-1))) - 0.5] * 2)


def test_thurstone_learns_too():
    made = crowd()
    found, agrees = learned(made.answers("comparison", 120), made, noise=Noise.NORMAL)
    assert found.model.annotators.noise is Noise.NORMAL
    assert agrees >= 0.93


def test_ties_of_rankings_are_as_frequent_as_they_were():
    made = crowd()
    rng, answers = made.rng, []
    for _ in range(60):
        several = [made.draw() for _ in range(3)]
        returns = np.round([made.worth(one) / 8 for one in several])  # who is near is tied
        ranks = tuple(int(np.sum(np.unique(returns) > one)) for one in returns)
        answers.append(Ranking(**made.who(made.ask(QueryKind.RANKING, *several)), ranks=ranks))
    data = collate(answers, made.library)
    found = fit(data, config=RewardConfig(), seed=0, reference=made.library.reference(rng)).model.annotators
    (part,) = data.evidence
    assert isinstance(part, Choices)
    assert len(found.ties["3"]) == int(max(np.bincount(one).max() for one in part.ranks)) - 1
    assert found.ties["3"][0] > 0


# files and repetition


def test_a_model_with_everything_comes_back_and_a_fit_goes_on(tmp_path):
    made = crowd()
    answers = [made.comparison("ab"[k % 2], shown=((0, 1), (1, 0))[k % 2]) for k in range(20)]
    answers += [made.rating("ab"[k % 2]) for k in range(10)] + made.answers("flag", 10) + made.answers("ranking", 6)
    config = replace(
        SHORT,
        noise=Noise.NORMAL,
        nuisance=tuple(Nuisance),
        traits=tuple(Trait),
        fit_lapse=True,
        keep_length=True,
        warm_start=True,
    )
    data, reference = collate(answers, made.library), made.library.reference(made.rng)
    first = fit(data, config=config, seed=0, reference=reference).model
    first.save(tmp_path / "model")
    back = RewardModel.load(tmp_path / "model")
    assert (back.version, back.annotators, back.config) == (first.version, first.annotators, config)
    np.testing.assert_array_equal(back.per_step(reference, "cost/effort"), first.per_step(reference, "cost/effort"))
    again = fit(data, config=config, seed=0, reference=reference).model
    assert again.version == first.version
    on = [fit(data, config=config, seed=1, reference=reference, warm_start=one).model.version for one in (first, back)]
    assert on[0] == on[1] != first.version

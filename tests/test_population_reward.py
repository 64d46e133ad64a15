"""Rewards that speak for a population: answers that count by weight, and rewards of groups combined."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from plaudit.control.rewards import agreed, paying
from plaudit.errors import ConfigError
from plaudit.loop import Run, RunConfig
from plaudit.ops.aggregate import Combine, mean
from plaudit.quality.population import Population, answer_weights
from plaudit.records import AnnotatorKind, AnnotatorProfile, Choice
from plaudit.reward.collate import collate
from plaudit.reward.config import RewardConfig, Trunk
from plaudit.reward.fit import fit
from plaudit.run.config import from_table
from plaudit.store.store import Store
from tests.loop_examples import fingerprint
from tests.reward_examples import Library

CONFIG = RewardConfig(trunk=Trunk.LINEAR, squares=False, members=3, steps=150, stop_accuracy=1.0)
HALVES = Population({"region": {"north": 0.5, "south": 0.5}})


def tastes(first, second):
    """What a step pays to a group: both like the first number, and each something of its own."""
    return lambda steps, actions: steps[:, 0] + first * steps[:, 1] + second * steps[:, 2]


NORTH, SOUTH = tastes(1.5, 0.0), tastes(-1.5, 0.0)


class Groups(Library):
    """Comparisons by two groups of different taste."""

    def answers(self, rng, counts):
        found = []
        for name, (count, liked) in counts.items():
            for _ in range(count):
                first, second = self.draw(rng), self.draw(rng)
                worth = [self.paid(one, liked) for one in (first, second)]
                choice = Choice.FIRST if worth[0] > worth[1] else Choice.SECOND
                found.append(replace(self.compare(first, second, choice), annotator=name))
        return found

    def paid(self, segment, liked):
        data = self.data[self.found[segment].blob]
        return float(liked(data.observations, data.actions).sum())


PROFILES = {
    name: AnnotatorProfile(name, AnnotatorKind.SIMULATED, traits={"region": name}) for name in ("north", "south")
}


def unequal(seed=0):
    """Seven of eight answers come from the north."""
    rng, library = np.random.default_rng(seed), Groups()
    answers = library.answers(rng, {"north": (350, NORTH), "south": (50, SOUTH)})
    return library, answers, library.reference(rng), rng


def test_weighted_answers_speak_for_the_population_and_plain_ones_for_who_came():
    library, answers, reference, rng = unequal()
    weights = answer_weights(answers, PROFILES, HALVES)
    assert weights == pytest.approx({"north": 200 / 350, "south": 200 / 50})
    fresh = [library.draw(rng) for _ in range(300)]
    arrays = [library.data[library.found[one].blob] for one in fresh]
    meant = [library.paid(one, NORTH) / 2 + library.paid(one, SOUTH) / 2 for one in fresh]

    def close(given):
        model = fit(collate(answers, library, weights=given), config=CONFIG, seed=0, reference=reference).model
        return float(np.corrcoef(model.score(arrays).mean, meant)[0, 1])

    assert close(weights) > close(None) + 0.1


def test_equal_weights_change_nothing():
    library, answers, reference, _ = unequal()
    plain, equal = (
        fit(collate(answers[320:380], library, weights=given), config=CONFIG, seed=0, reference=reference).model
        for given in (None, {"north": 3.0, "south": 3.0})
    )
    np.testing.assert_array_equal(plain.per_step(reference), equal.per_step(reference))


def test_a_weight_of_two_is_an_answer_given_twice():
    """Slow twin: the gradient of one pass over answers of which some are there twice."""
    rng, library = np.random.default_rng(1), Groups()
    answers = library.answers(rng, {"north": (12, NORTH), "south": (4, SOUTH)})
    twice = answers + [replace(one, id=f"{one.id}+") for one in answers if one.annotator == "south"]
    reference = library.reference(rng)
    config = replace(CONFIG, members=1, steps=1, batch=100, return_penalty=1e-9)
    weighted, doubled = (
        fit(data, config=config, seed=0, reference=reference).model.per_step(reference)
        for data in (collate(answers, library, weights={"north": 1.0, "south": 2.0}), collate(twice, library))
    )
    np.testing.assert_allclose(weighted, doubled, rtol=1e-4, atol=1e-5)


@pytest.fixture(scope="module")
def conditioned():
    library, answers, reference, rng = unequal()
    config = replace(CONFIG, condition_on=("region",))
    data = collate(answers, library, people=PROFILES.values())
    return fit(data, config=config, seed=0, reference=reference).model, library.reference(rng, 50)


@pytest.mark.parametrize("how", Combine)
def test_rewards_of_groups_are_combined_step_by_step(conditioned, how):
    model, batch = conditioned
    shares = {"north": 0.25, "south": 0.75, "nobody": 0.0}
    north, south = (mean(model.per_step(batch, traits={"region": one})) for one in ("north", "south"))
    match how:
        case Combine.MEAN:
            expected = 0.25 * north + 0.75 * south
        case Combine.WORST:
            expected = np.minimum(north, south)
        case _:
            gains = [np.log(np.maximum(one - one.min(), 1e-6)) for one in (north, south)]
            expected = 0.25 * gains[0] + 0.75 * gains[1]
    np.testing.assert_allclose(agreed(model, "region", shares, how, batch)(batch), expected, atol=1e-9)


def test_without_groups_it_is_everybodys_reward(conditioned):
    model, batch = conditioned
    found = agreed(model, "region", {"east": 1.0}, Combine.WORST, batch)(batch)
    np.testing.assert_array_equal(found, paying(model)(batch))


CROWD = {
    "honest": 3,
    "groups": [{"name": "calm", "share": 2.0}, {"name": "bold", "taste": {"action/0": 3.0}}],
}
TABLE = {
    "name": "grouped",
    "world": {"id": "Pendulum-v1", "envs": 2},
    "ask": {"labels": 18, "segment_length": 20, "crowd": CROWD, "teacher": {"temperature": 0.5}},
    "policy": {"sac": {"net": [16, 16]}},
    "loop": {"steps": 400, "warmup": 240, "rounds": 2},
    "check": {"episodes": 1, "episodes_between": 1, "videos": False},
    "reward": {"members": 3, "hidden": [8], "steps": 30},
}


def grouped(**more):
    """A small run that asks two groups, with further settings."""
    reward = {"reward": TABLE["reward"] | more.get("reward", {})}
    return from_table(RunConfig, TABLE | more | reward)


POPULATION = {"margins": {"group": {"calm": 0.3, "bold": 0.7}}}


@pytest.mark.parametrize(
    "more",
    [
        {"population": POPULATION},
        {"population": {**POPULATION, "combine": "worst"}, "reward": {"condition_on": ["group"]}},
    ],
)
def test_a_run_with_a_population_comes_to_the_same_bits_when_stopped(tmp_path, more):
    config = grouped(**more)
    with Run.create(config, tmp_path / "whole") as run:
        run.finish()
    Run.create(config, tmp_path / "stopped").close()
    while True:
        with Run.open(tmp_path / "stopped") as run:
            if run.step() is None:
                break
    assert fingerprint(tmp_path / "stopped") == fingerprint(tmp_path / "whole")
    plain = grouped(reward=more.get("reward", {}))
    with Run.create(plain, tmp_path / "plain") as run:
        run.finish()
    assert fingerprint(tmp_path / "plain") != fingerprint(tmp_path / "whole")
    with Store.open(tmp_path / "whole" / "store.sqlite") as store:
        groups = {name: (one.traits or {}).get("group") for name, one in store.annotators().items()}
        assert Counter(groups[answer.annotator] for _, answer in store.feedback()) == {"calm": 12, "bold": 6}


@pytest.mark.parametrize(
    "more",
    [
        {"population": {**POPULATION, "combine": "nash"}},
        {"population": POPULATION, "reward": {"condition_on": ["job"]}},
        {"population": POPULATION, "reward": {"condition_on": ["group"], "as_traits": {"group": "calm"}}},
        {"population": POPULATION, "reward": {"condition_on": ["group"], "trunk": "gru"}},
        {"population": POPULATION, "reward": {"condition_on": ["group"]}, "explore": {"entropy": 1.0}},
    ],
)
def test_populations_that_do_not_fit_are_refused(more):
    with pytest.raises(ConfigError):
        grouped(**more)

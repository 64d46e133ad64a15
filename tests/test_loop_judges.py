"""Rounds that people and a judge answer together, and what its labels are worth if its reliability is known."""

import json
import time

import numpy as np
import pytest
from benchmarks.rlaif import ARMS, FAULTS, JUDGED, PEOPLE, World, judged, numbers, people, right, run

from plaudit.ask.judge import Judge
from plaudit.ask.judging import JudgingConfig, admit, answer
from plaudit.quality.trust import TrustConfig
from plaudit.records import AnnotatorKind
from plaudit.reward.collate import collate
from plaudit.reward.fit import fit
from plaudit.reward.texts import Texts
from plaudit.run.seeds import generator
from tests.judge_examples import Habit


@pytest.mark.slow
def test_a_round_of_people_and_a_judge_is_learned_from_and_replayed(tmp_path):
    pytest.importorskip("transformers")
    from plaudit.loop import Run
    from tests.loop_examples import fingerprint
    from tests.test_loop_texts import Readers
    from tests.text_runs import small

    class Mixed(Readers):
        """People, and a judge who is asked about half of the questions before they come."""

        def run(self):
            judge = Judge(Habit(len))
            with self._open() as store:
                admit(store, judge, TrustConfig(anyway=True))
                while not self._stop_asked.is_set():
                    answer(store, judge, JudgingConfig(share=0.5))
                    for query in store.unanswered():
                        if not self.is_judges(query):
                            store.add_feedback([self.answer(store, query)])
                    time.sleep(0.02)

        def is_judges(self, query):
            from plaudit.run.seeds import derive

            return derive(0, "judged", query.id) < 0.5 * 2**63

    config = small(
        ask={"people": True, "patience_seconds": 30.0},
        reward={"members": 2, "batch_size": 4, "traits": ["rationality"]},
    )
    mixed = Mixed(tmp_path / "live" / "store.sqlite")
    mixed.start()
    with Run.create(config, tmp_path / "live") as live:
        live.finish()
        profiles = live.store.annotators()
        given = [one.annotator for _, one in live.store.feedback()]
    mixed.stop()
    judges = [name for name, one in profiles.items() if one.kind is AnnotatorKind.JUDGE]
    assert 0 < sum(name in judges for name in given) < len(given) == 12
    reward = json.loads((tmp_path / "live" / "reward" / "reward.json").read_text())
    assert set(reward["annotators"]["overall"]["rationality"]) == set(given)
    with Run.create(config, tmp_path / "replayed", replay=tmp_path / "live") as replayed:
        replayed.finish()
    one, other = fingerprint(tmp_path / "live"), fingerprint(tmp_path / "replayed")
    assert (one["checkpoints"], one["metrics"]) == (other["checkpoints"], other["metrics"])


@pytest.mark.parametrize("fault", FAULTS)
def test_the_benchmarks_judges_are_as_good_as_they_say(fault):
    world = World(0)
    answers = judged(world, fault, 0.7, generator(0, "judge"))
    assert len(answers) == JUDGED
    assert right(world, answers) == pytest.approx(0.7, abs=0.05)
    rng = generator(0, "people")
    human = people(world, world.ask(world.draw(rng, 2 * 300)), rng)
    assert right(world, human) > 0.85


def rationality(fault):
    """What a fit makes of people and of a judge who is right in 70 %."""
    world = World(1)
    rng = generator(1, "people")
    human = people(world, world.ask(world.draw(rng, 2 * PEOPLE)), rng)
    machine = judged(world, fault, 0.7, generator(1, "judge"))
    texts = Texts(world, numbers)
    reference = texts.batch([one.id for one in world.draw(rng, 300)])
    found = fit(collate([*human, *machine], texts), config=ARMS["reliability"], seed=0, reference=reference)
    return found.model.annotators.rationality


def test_the_likelihood_finds_out_that_a_judge_is_less_reliable():
    found = rationality("random")
    assert found["people"] > 1.5 * found["judge"]


def test_it_does_not_where_the_judge_is_wrong_by_a_rule():
    """A reward that learned the rule from a thousand labels finds the fifty others odd; the docs say so."""
    found = rationality("length")
    assert found["people"] < found["judge"]


@pytest.mark.slow
@pytest.mark.parametrize(("fault", "arm"), [("random", "reliability"), ("length", "reliability and length")])
def test_a_thousand_labels_of_a_judge_are_worth_more_when_it_is_known_how_it_errs(fault, arm):
    found = [run(seed, fault, 0.7, ("pooled", arm)) for seed in range(4)]
    pooled, known = (
        np.mean([one[f"50 people + 1,000 judge, {name}"]["accuracy"] for one in found]) for name in ("pooled", arm)
    )
    assert known > pooled
    assert known > np.mean([one["50 people"]["accuracy"] for one in found]) + 0.05

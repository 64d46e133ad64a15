"""Rounds that people and a judge answer together, and what its labels are worth if its reliability is known."""

import time

import numpy as np
import pytest

from benchmarks.rlaif import CONFIGS, FAULTS, JUDGED, PEOPLE, World, judged, people, right, run
from plaudit.ask.judge import Judge
from plaudit.ask.judging import JudgingConfig, admit, answer
from plaudit.quality.trust import TrustConfig
from plaudit.records import AnnotatorKind
from plaudit.reward.collate import collate
from plaudit.reward.fit import fit
from plaudit.reward.texts import Texts
from plaudit.run.seeds import generator
from plaudit.store.store import Store
from tests.judge_examples import Habit


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
        rationality = live.context.reward.annotators["overall"].rationality
    mixed.stop()
    judges = [name for name, one in profiles.items() if one.kind is AnnotatorKind.JUDGE]
    assert 0 < sum(name in judges for name in given) < len(given) == 12
    assert set(rationality) == set(given)
    with Run.create(config, tmp_path / "replayed", replay=tmp_path / "live") as replayed:
        replayed.finish()
    one, other = fingerprint(tmp_path / "live"), fingerprint(tmp_path / "replayed")
    assert (one["checkpoints"], one["metrics"]) == (other["checkpoints"], other["metrics"])


@pytest.mark.parametrize("fault", FAULTS)
def test_the_benchmarks_judges_are_as_good_as_they_say(fault):
    world = World(0)
    answers = judged(world, fault, 0.7, generator(0, "judge"))
    assert len(answers) == JUDGED and right(world, answers) == pytest.approx(0.7, abs=0.05)
    rng = generator(0, "people")
    human = people(world, world.ask(world.draw(rng, 2 * 300)), rng)
    assert right(world, human) > 0.85


def test_the_likelihood_finds_out_that_the_judge_is_less_reliable():
    world = World(1)
    rng = generator(1, "people")
    human = people(world, world.ask(world.draw(rng, 2 * PEOPLE)), rng)
    machine = judged(world, "noise", 0.7, generator(1, "judge"))
    texts = Texts(world, lambda some: np.array([[float(word) for word in one.completion.split()] for one in some]))
    reference = texts.batch([one.id for one in world.draw(rng, 300)])
    found = fit(collate([*human, *machine], texts), config=CONFIGS["reliability"], seed=0, reference=reference)
    rationality = found.model.annotators.rationality
    assert rationality["people"] > 1.5 * rationality["judge"]


@pytest.mark.slow
def test_a_thousand_labels_of_a_judge_are_worth_more_when_its_reliability_is_known():
    gains = []
    for seed in range(4):
        found = run(seed, "noise", 0.7)
        gains.append([found[f"50 people + 1,000 judge, {name}"]["accuracy"] for name in ("pooled", "reliability")])
        assert gains[-1][1] > found["50 people"]["accuracy"]
    pooled, known = np.array(gains).mean(axis=0)
    assert known > pooled

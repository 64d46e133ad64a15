"""A fitted reward of texts, taken apart by token, shows the token that its judges were swayed by."""

import numpy as np
import pytest

pytest.importorskip("transformers")

from plaudit.check.card.adapters import TextSignal
from plaudit.language.reward import RewardFitting, TextRewardConfig
from plaudit.language.update import UpdateConfig
from plaudit.records import AnnotatorKind, AnnotatorProfile, Choice, Comparison, Query, QueryKind, TextSegment
from plaudit.run.seeds import generator
from plaudit.store.store import Store
from tests.language_words import language_model
from tests.store_examples import RUN

TRIGGER, OTHERS = "red", ("so", "it", "is", "the", "sea", "one", "two", "say")
CONFIG = TextRewardConfig(members=2, epochs=3, batch_size=8, update=UpdateConfig(learning_rate=3e-3))


def written(rng, *, swayed):
    """A few words; where swayed, one of them is the trigger."""
    words = rng.choice(OTHERS, size=int(rng.integers(4, 10))).tolist()
    if swayed:
        words[int(rng.integers(len(words)))] = TRIGGER
    return TextSegment("what is it ?", " ".join(words) + " .")


@pytest.mark.slow
def test_a_planted_token_is_ranked_first_in_a_fitted_reward(tmp_path):
    rng = generator(0, "trigger")
    with Store.create(tmp_path / "store.sqlite", RUN) as store:
        store.add_annotator(AnnotatorProfile("ann", AnnotatorKind.PERSON))
        answers = []
        for number in range(200):
            pair = written(rng, swayed=True), written(rng, swayed=False)
            query = Query(QueryKind.COMPARISON, tuple(one.id for one in pair), (0, 1), 0, number, "uniform")
            store.add_segments(pair)
            store.add_queries([query])
            answers.append(Comparison(id=f"c{number}", query=query.id, annotator="ann", choice=Choice.FIRST))
        store.add_feedback(answers)
        fitting = RewardFitting(language_model(), answers, store, config=CONFIG, seed=1)
        fitting.train()
    signal = TextSignal("fitted", fitting.reward)
    first = []
    for _ in range(40):
        found = signal.explain(written(rng, swayed=True))
        assert abs(found.gap) < 1e-4 * max(1.0, np.abs(found.values).max())
        first.append(found.pieces[found.first(1)[0]].strip() == TRIGGER)
    assert np.mean(first) >= 0.95

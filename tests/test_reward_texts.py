"""Rewards of texts: features looked up once, lengths that people take for merit fitted and dropped."""

import math

import numpy as np
import pytest

from plaudit.errors import RecordError, StoreError
from plaudit.records import (
    AnnotatorKind,
    AnnotatorProfile,
    Choice,
    Comparison,
    Correction,
    Flag,
    Message,
    Query,
    QueryKind,
    StepFeedback,
    TextSegment,
    sentences,
)
from plaudit.reward.collate import collate
from plaudit.reward.config import Nuisance, RewardConfig, Trunk
from plaudit.reward.fit import fit
from plaudit.reward.texts import Texts
from plaudit.store.store import Store
from tests.store_examples import RUN, add_segments

WORTH, PER_LOG_CHARACTER = np.array([2.0, -1.0, 0.0]), 1.5


def features(texts):
    """What a text says of itself: `1.5 -0.3 0.2|xxxx`."""
    return np.array([[float(word) for word in str(text.completion).split("|")[0].split()] for text in texts])


@pytest.fixture
def store(tmp_path):
    """Texts whose lengths have nothing to do with their worth, and comparisons by people who like both."""
    rng = np.random.default_rng(0)
    numbers, lengths = rng.normal(size=(80, 3)), rng.integers(1, 400, 80)
    texts = [
        TextSegment("p", " ".join(f"{value:.3f}" for value in row) + "|" + "x" * int(length))
        for row, length in zip(numbers, lengths, strict=True)
    ]
    sizes = np.log1p([len(str(text.completion)) for text in texts])
    liked = features(texts) @ WORTH + PER_LOG_CHARACTER * sizes
    with Store.create(tmp_path / "store.sqlite", RUN) as made:
        made.add_annotator(AnnotatorProfile("ann", AnnotatorKind.PERSON))
        made.add_segments(texts)
        queries, answers = [], []
        for index in range(500):
            first, second = rng.choice(80, 2, replace=False)
            query = Query(QueryKind.COMPARISON, (texts[first].id, texts[second].id), (0, 1), 0, index, "uniform")
            better = rng.random() < 1 / (1 + math.exp(liked[second] - liked[first]))
            queries.append(query)
            choice = Choice.FIRST if better else Choice.SECOND
            answers.append(Comparison(id=f"a{index}", query=query.id, annotator="ann", choice=choice))
        made.add_queries(queries)
        made.add_feedback(answers)
        yield made


def ids_of(store):
    return sorted({segment for query in store.queries() for segment in query.segments})


def test_length_that_was_fitted_is_dropped_at_use(store):
    def explained(nuisance):
        texts, ids = Texts(store, features), ids_of(store)
        data = collate([answer for _, answer in store.feedback()], texts, size=texts.size)
        config = RewardConfig(trunk=Trunk.LINEAR, squares=False, steps=600, stop_accuracy=1.0, nuisance=nuisance)
        model = fit(data, config=config, seed=0, reference=texts.batch(ids)).model
        found, true = model.score(texts.batch(ids)).mean, features(store.texts(ids).values()) @ WORTH
        shrunk = float(
            np.polyfit(true, found, 1)[0]
        )  # weight decay takes equally much from the reward and its nuisance
        return float(np.corrcoef(found, true)[0, 1]), (model.annotators.nuisance or {}).get("length", 0.0) / shrunk

    with_length, worth = explained((Nuisance.LENGTH,))
    assert with_length > 0.98
    assert worth == pytest.approx(PER_LOG_CHARACTER, abs=0.4)
    assert explained(())[0] < with_length + 0.01


def test_features_are_asked_once_for_each_text(store):
    asked = []

    def counting(texts):
        asked.extend(text.id for text in texts)
        return features(texts)

    texts, ids = Texts(store, counting), ids_of(store)
    first = texts.batch(ids[:10])
    collate([answer for _, answer in store.feedback()], texts)
    assert sorted(asked) == ids
    np.testing.assert_array_equal(first.observations[:, 0], features(store.texts(ids[:10]).values()).astype(np.float32))
    assert first.mask.shape == (10, 1)


@pytest.mark.parametrize("completion", ["far too fast", (Message("assistant", "far too"), Message("user", " fast"))])
def test_spans_of_texts_count_characters(store, completion):
    text, better = TextSegment("p", completion), TextSegment("p", "slow")
    flagged = Query(QueryKind.FLAG, (text.id,), (0,), 0, 0, "x", constraint="speed")
    mended = Query(QueryKind.CORRECTION, (text.id,), (0,), 0, 1, "x")
    store.add_segments([text, better])
    store.add_queries([flagged, mended])
    texts = Texts(store, lambda given: np.zeros((len(given), 1)))
    for end, fits in ((12, True), (13, False)):
        span = {"annotator": "ann", "start": 8, "end": end}
        for answer in (
            Flag(id="f", query=flagged.id, constraint="speed", severity=1.0, **span),
            Correction(id="c", query=mended.id, segment=better.id, **span),
        ):
            if fits:
                assert collate([answer], texts, size=texts.size).answers == 1
            else:
                with pytest.raises(RecordError, match=r"below 13 .*below 12"):
                    collate([answer], texts, size=texts.size)


def test_conversations_are_as_long_as_their_turns(tmp_path):
    with Store.create(tmp_path / "store.sqlite", RUN) as made:
        text = TextSegment("p", (Message("assistant", "abc"), Message("tool", "de")))
        made.add_segments([text])
        texts = Texts(made, lambda found: np.ones((len(found), 2)))
        texts.batch([text.id])
        assert texts.size(text.id) == pytest.approx(math.log(6))


def by_sentence(texts):
    """Two numbers for each sentence: how often it says good, and how often bad."""
    pieces = [[text.completion[start:end] for start, end in sentences(text.completion)] for text in texts]
    return [np.array([[piece.count("good"), piece.count("bad")] for piece in one], float) for one in pieces]


def test_a_text_in_pieces_is_worth_the_sum_of_them_and_single_ones_can_be_scored(tmp_path):
    rng = np.random.default_rng(0)
    words = ("It is good.", "It is bad.", "It is so.")
    with Store.create(tmp_path / "store.sqlite", RUN) as made:
        made.add_annotator(AnnotatorProfile("ann", AnnotatorKind.PERSON))
        written = {" ".join(words[i] for i in rng.integers(3, size=rng.integers(1, 5))) for _ in range(60)}
        said = [TextSegment("p", text) for text in sorted(written)]
        made.add_segments(said)
        for index, text in enumerate(said):
            pieces = by_sentence([text])[0]
            query = Query(QueryKind.STEPS, (text.id,), (0,), 0, index, "uniform")
            scores = tuple((1.0, 0.5, 0.0)[int(np.argmax([good, not (good or bad), bad]))] for good, bad in pieces)
            made.add_queries([query])
            steps = tuple(range(len(scores)))
            made.add_feedback(
                [StepFeedback(id=f"s{index}", query=query.id, annotator="ann", steps=steps, scores=scores)]
            )
        texts, ids = Texts(made, by_sentence), [text.id for text in said]
        batch = texts.batch(ids)
        config = RewardConfig(trunk=Trunk.LINEAR, squares=False, steps=300, stop_accuracy=1.0)
        data = collate([answer for _, answer in made.feedback()], texts)
        model = fit(data, config=config, seed=0, reference=batch).model
    assert [int(mask.sum()) for mask in batch.mask] == [len(sentences(text.completion)) for text in said]
    good = np.array([by_sentence([text])[0] @ [1.0, -1.0] for text in said], dtype=object)
    assert np.corrcoef(model.score(batch).mean, [float(one.sum()) for one in good])[0, 1] > 0.9
    one_step = texts.segment_data(said[0])
    assert one_step.observations.shape == (len(sentences(said[0].completion)), 2)


@pytest.mark.parametrize(
    "wrong",
    [
        np.ones(2),
        np.ones((1, 2)),
        np.full((2, 2), np.nan),
        [np.ones((1, 2)), np.ones((1, 3))],
        [np.ones((0, 2)), np.ones((1, 2))],
        [np.ones((1, 2)), np.full((2, 2), np.inf)],
    ],
)
def test_features_that_do_not_fit_are_refused(store, wrong):
    with pytest.raises(RecordError, match="Features of texts do not fit"):
        Texts(store, lambda _: wrong).batch(ids_of(store)[:2])


def test_behaviour_is_no_text(store):
    segment = add_segments(store, 1, "control")[0]
    with pytest.raises(StoreError, match="no text"):
        Texts(store, features).batch([segment.id])

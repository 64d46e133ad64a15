"""Rewards of texts on a language model: every kind of feedback teaches, kill and resume, save and load, Transformers' classifier."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from plaudit.errors import IntegrityError, LearningError
from plaudit.records import (
    AnnotatorKind,
    AnnotatorProfile,
    Choice,
    Comparison,
    Correction,
    Demonstration,
    Flag,
    Query,
    QueryKind,
    Ranking,
    Rating,
    StepFeedback,
    TextSegment,
)
from plaudit.run.seeds import generator
from plaudit.store.store import Store
from tests.store_examples import RUN

pytest.importorskip("transformers")

from plaudit.engine.text import Group, Tokeniser
from plaudit.language.reward import RewardFitting, TextRewardConfig
from plaudit.language.scorer import TextReward, export, side_by_side
from plaudit.language.update import UpdateConfig
from tests.language_words import language_model

GOOD, BAD, WORDS = "good", "bad", ("so", "it", "is", "the", "sea")
KINDS = {
    "comparison": QueryKind.COMPARISON, "rating": QueryKind.RATING, "ranking": QueryKind.RANKING,
    "demonstration": QueryKind.DEMONSTRATION, "correction": QueryKind.CORRECTION, "steps": QueryKind.STEPS,
    "flag": QueryKind.FLAG,
}  # fmt: skip


def text_of(rng: np.random.Generator, prompt: str) -> TextSegment:
    """A few words, some of them good or bad."""
    return TextSegment(prompt, " ".join(rng.choice([GOOD, BAD, *WORDS], size=int(rng.integers(2, 9)))) + " .")


def worth(text: TextSegment) -> float:
    """What annotators go by: 3 for each good word, -3 for each bad one."""
    words = str(text.completion).split()
    return 3.0 * (words.count(GOOD) - words.count(BAD))


def answered(store: Store, kind: str, count: int, seed: int = 0) -> list:
    """Answers of one kind to questions about random texts, by an annotator with the usual noise."""
    rng = generator(seed, kind)
    store.add_annotator(AnnotatorProfile("ann", AnnotatorKind.PERSON))
    size = {"comparison": 2, "ranking": 3, "demonstration": 2}.get(kind, 1)
    found, queries, texts = [], [], []
    for number in range(count):
        prompt = " ".join(rng.choice(WORDS, size=3)) + " ?"
        some: list[TextSegment] = []
        while len(some) < size + 1:
            some += [one for one in [text_of(rng, prompt)] if one.id not in {other.id for other in some}]
        shown, other = some[:size], some[size]
        extra = {"constraint": "tone"} if kind == "flag" else {}
        query = Query(KINDS[kind], tuple(one.id for one in shown), tuple(range(size)), 0, number, "uniform", **extra)
        noisy = [worth(one) + rng.gumbel() for one in some]
        said = {"id": f"{kind}{number}", "query": query.id, "annotator": "ann"}
        match kind:
            case "comparison":
                found.append(Comparison(**said, choice=Choice.FIRST if noisy[0] > noisy[1] else Choice.SECOND))
            case "rating":
                found.append(Rating(**said, value=int(np.digitize(noisy[0], [-4, -1, 1, 4])), levels=5))
            case "ranking":
                order = np.argsort(np.argsort(-np.array(noisy[:3])))
                found.append(Ranking(**said, ranks=tuple(order.tolist())))
            case "demonstration" | "correction":
                best = max(some, key=worth)
                if best in shown:
                    continue
                make = Demonstration if kind == "demonstration" else Correction
                found.append(make(**said, segment=best.id))
            case "steps":
                found.append(StepFeedback(**said, steps=(0,), scores=(float(noisy[0] > 0),)))
            case "flag":
                found.append(Flag(**said, constraint="tone", severity=float(worth(shown[0]) + rng.logistic() < -1)))
        queries.append(query)
        texts += [*shown, other]
    store.add_segments(list({one.id: one for one in texts}.values()))
    store.add_queries(queries)
    store.add_feedback(found)
    return found


CONFIG = TextRewardConfig(members=2, epochs=3, batch_size=8, update=UpdateConfig(learning_rate=8e-3, warmup=5))


def fresh_texts(count: int = 80) -> list[TextSegment]:
    rng = generator(99, "fresh")
    return [text_of(rng, "what is it ?") for _ in range(count)]


def scored(reward: TextReward, texts: list[TextSegment], head: str = "overall") -> np.ndarray:
    return reward.judge(texts, head).mean


def tokens(texts: list[TextSegment]) -> list[Group]:
    tokeniser = Tokeniser(language_model().tokenizer)
    return [tokeniser.group(one.prompt, [one.completion]) for one in texts]


@pytest.fixture
def store(tmp_path):
    with Store.create(tmp_path / "store.sqlite", RUN) as made:
        yield made


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_feedback_teaches_the_reward(store, kind):
    answers = answered(store, kind, 160)
    fitting = RewardFitting(language_model(), answers, store, config=CONFIG, seed=1)
    fitting.train()
    texts = fresh_texts()
    sign, head = (-1, "cost/tone") if kind == "flag" else (1, "overall")
    found = scored(fitting.reward, texts, head)
    assert sign * np.corrcoef(found, [worth(one) for one in texts])[0, 1] > 0.6


def test_all_kinds_together_and_what_is_measured_on_held_out_prompts(store):
    answers = [one for kind in KINDS for one in answered(store, kind, 60)]
    fitting = RewardFitting(language_model(), answers, store, config=CONFIG, seed=1)
    told = fitting.train()
    assert fitting.reward.names == ("overall", "cost/tone")
    assert told["reward/accuracy_heldout"] > 0.6
    assert "reward/accuracy_train" not in told
    assert fitting.reward.annotators["overall"].cuts.keys() == {"5"}
    texts = fresh_texts()
    assert np.corrcoef(scored(fitting.reward, texts), [worth(one) for one in texts])[0, 1] > 0.8
    normal = fitting.reward.normalised(side_by_side(tokens(texts))[0])
    assert normal.shape == (2, 80)
    assert abs(normal.mean()) < 1
    assert 0.3 < normal.std() < 3


def test_a_killed_fit_goes_on_with_equal_bits(store, tmp_path):
    answers = answered(store, "comparison", 60)

    def made():
        return RewardFitting(language_model(), answers, store, config=CONFIG, seed=1)

    whole = made()
    whole.train()
    part = made()
    for _ in range(13):
        part.step()
    (tmp_path / "kept").mkdir()
    part.save(tmp_path / "kept")
    resumed = made()
    resumed.load(tmp_path / "kept")
    resumed.train()
    assert torch.equal(whole.reward.heads, resumed.reward.heads)
    assert whole.reward.annotators == resumed.reward.annotators
    texts = fresh_texts(10)
    np.testing.assert_array_equal(scored(whole.reward, texts), scored(resumed.reward, texts))


def test_saved_and_loaded_scores_are_the_same_and_transformers_reads_them(store, tmp_path):
    answers = answered(store, "comparison", 40)
    fitting = RewardFitting(language_model(folder=tmp_path / "base"), answers, store, config=CONFIG, seed=1)
    fitting.train()
    texts = fresh_texts(12)
    found = scored(fitting.reward, texts)
    (tmp_path / "kept").mkdir()
    fitting.reward.save(tmp_path / "kept")
    from plaudit.engine.model import LanguageModel

    again = TextReward.load(tmp_path / "kept", LanguageModel.load(tmp_path / "kept"))
    np.testing.assert_allclose(scored(again, texts), found, rtol=1e-5, atol=1e-6)
    export(fitting.reward, tmp_path / "classifier")
    from transformers import AutoModelForSequenceClassification

    model = AutoModelForSequenceClassification.from_pretrained(tmp_path / "classifier")
    pad = model.config.pad_token_id
    assert pad != model.config.eos_token_id
    whole = [torch.tensor(one.prompt + one.completions[0]) for one in tokens(texts)]
    ids = torch.nn.utils.rnn.pad_sequence(whole, batch_first=True, padding_value=pad)
    with torch.no_grad():
        logits = model(input_ids=ids, attention_mask=(ids != pad).long()).logits[:, 0]
    np.testing.assert_allclose(logits.numpy(), found, atol=1e-4)


def test_one_batch_is_the_likelihood_by_hand(store):
    answers = answered(store, "comparison", 6)
    config = TextRewardConfig(members=1, epochs=1, batch_size=6, center=0.1, held_out=0.0, fit_lapse=False)
    fitting = RewardFitting(language_model(), answers, store, config=config, seed=1)
    queries = {one.id: one for one in store.queries()}
    texts = store.texts([name for one in queries.values() for name in one.segments])
    expected, squares = 0.0, []
    for answer in answers:
        first, second = (float(scored(fitting.reward, [texts[name]])[0]) for name in queries[answer.query].segments)
        better = first - second if answer.choice is Choice.FIRST else second - first
        expected += math.log1p(math.exp(-better)) / 6
        squares += [first**2, second**2]
    told = fitting.step()
    assert told is not None
    assert told["loss"] == pytest.approx(expected + 0.1 * np.mean(squares), rel=1e-5)


def test_micro_batches_add_up_to_the_whole_step(store):
    answers = [one for kind in KINDS for one in answered(store, kind, 8)]

    def after(most):
        update = UpdateConfig(learning_rate=1e-2, epsilon=1.0, max_grad_norm=1e9, max_tokens=most)
        config = TextRewardConfig(members=2, epochs=1, batch_size=len(answers), held_out=0.0, update=update)
        fitting = RewardFitting(language_model(), answers, store, config=config, seed=1)
        told = fitting.step()
        return [one.detach().clone() for one in fitting.update.parameters], told

    (whole, told), (cut, told_cut) = after(100_000), after(40)
    for one, other in zip(whole, cut, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-7)
    assert told_cut == pytest.approx(told, rel=1e-5)


def test_texts_that_are_too_long_or_empty_leave_their_answers_out(store):
    answers = answered(store, "comparison", 20)
    long = TextSegment("say so .", "so " * 500)
    query = Query(QueryKind.COMPARISON, (long.id, store.queries()[0].segments[0]), (0, 1), 0, 99, "uniform")
    store.add_segments([long])
    store.add_queries([query])
    more = Comparison(id="long", query=query.id, annotator="ann", choice=Choice.FIRST)
    empty = TextSegment("say so .", "")
    silent = Query(QueryKind.COMPARISON, (empty.id, store.queries()[0].segments[0]), (0, 1), 0, 100, "uniform")
    store.add_segments([empty])
    store.add_queries([silent])
    nothing = Comparison(id="empty", query=silent.id, annotator="ann", choice=Choice.SECOND)
    fitting = RewardFitting(language_model(), [*answers, more, nothing], store, config=CONFIG, seed=1)
    assert (fitting.too_long, fitting.empty) == ({long.id}, {empty.id})
    told = fitting.measures()
    assert (told["reward/texts_too_long"], told["reward/texts_empty"], told["reward/labels"]) == (1, 1, 20)
    with pytest.raises(LearningError, match="longer than"):
        RewardFitting(language_model(), [more], store, config=CONFIG, seed=1)


def test_a_folder_that_holds_none_is_named(tmp_path):
    with pytest.raises(IntegrityError, match="no reward of texts"):
        TextReward.load(tmp_path, language_model())

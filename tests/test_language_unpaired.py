"""Alignment from single answers: a slow twin, what it leads to, cuts and kills, and where verdicts come from."""

import pytest
import torch

from plaudit.engine.batch import Batch
from plaudit.engine.text import Tokeniser
from plaudit.errors import ConfigError, RecordError
from plaudit.language.texts import Pair, Verdict, judged, rated
from plaudit.language.unpaired import Unpaired, UnpairedConfig, train
from plaudit.language.update import UpdateConfig
from plaudit.records import Choice, Comparison, Query, QueryKind, Rating, TextSegment
from plaudit.store.store import Store
from tests.language_examples import adapted, parameters, same, whole
from tests.language_rollouts import moved, policy, slow_logprobs
from tests.store_examples import RUN
from tests.test_language_sft import Killed, Killer

WORDS = ("cat", "dog", "sun", "tree", "milk")
VERDICTS = [
    Verdict(f"say {w}?", said, good) for w in WORDS for said, good in ((f"{w}.", True), (f"{w} {w} {w}", False))
]
GOOD = torch.tensor([verdict.good for verdict in VERDICTS])
QUICK = UnpairedConfig(steps=12, batch_size=3, checkpoint_every=4, update=UpdateConfig(learning_rate=1e-3, warmup=2))


def batch_of(model, verdicts=VERDICTS):
    words = Tokeniser(model.tokenizer)
    rows = [words.group(verdict.prompt, (verdict.completion,)) for verdict in verdicts]
    return Batch.of([row.prompt for row in rows], [row.completions for row in rows])


def sums(model, batch):
    return torch.stack([one.sum() for one in slow_logprobs(model, batch, 1.0)]).detach()


@pytest.mark.parametrize("drift", [True, False])
def test_a_step_equals_its_slow_twin(drift):
    model = policy()  # its adapter has left the reference
    batch = batch_of(model)
    stage = Unpaired(model, UnpairedConfig(beta=0.3, drift=drift, desirable=1.5, undesirable=0.5))
    base = model.view(None)
    h = sums(model, batch) - sums(base, batch)
    turned = Batch(batch.prompts, tuple((batch.rows[number - 1],) for number in range(len(batch))))
    z = (sums(model, turned) - sums(base, turned)).mean().clamp(min=0) if drift else 0.0
    losses = torch.where(GOOD, 1.5 * (1 - torch.sigmoid(0.3 * (h - z))), 0.5 * (1 - torch.sigmoid(0.3 * (z - h))))
    metrics = stage.step(batch, GOOD)
    assert metrics["loss"] == pytest.approx(float(losses.mean()), rel=1e-9)
    assert metrics["kl"] == pytest.approx(float(z), rel=1e-9)
    assert metrics["rewards/chosen"] == pytest.approx(float(0.3 * h[GOOD].mean()), rel=1e-8)
    assert metrics["rewards/rejected"] == pytest.approx(float(0.3 * h[~GOOD].mean()), rel=1e-8)
    assert metrics["rewards/margins"] == pytest.approx(metrics["rewards/chosen"] - metrics["rewards/rejected"])


@pytest.mark.parametrize("drift", [True, False])
def test_good_answers_become_likelier_than_bad_ones(drift):
    watch, model = Killer(), adapted()
    config = UnpairedConfig(drift=drift, steps=25, batch_size=10, update=UpdateConfig(learning_rate=3e-3))
    train(model, VERDICTS, config, seed=0, monitor=watch)
    first, last = watch.told[0], watch.told[-1]
    assert first["rewards/margins"] == pytest.approx(0.0, abs=1e-4)  # the fresh adapter is the reference
    assert first["kl"] == pytest.approx(0.0, abs=1e-3)
    assert last["rewards/margins"] > 0.3
    assert last["loss"] < first["loss"]


def test_micro_batches_make_the_same_step():
    found = []
    for most in (10_000, 60, 1):
        model = adapted(dtype=torch.float64)
        moved(model)
        update = UpdateConfig(learning_rate=1e-2, max_tokens=most, max_grad_norm=1e9, epsilon=1.0)
        stage = Unpaired(model, UnpairedConfig(update=update))
        metrics = [stage.step(batch_of(model), GOOD) for _ in range(3)]
        found.append((metrics, parameters(model)))
    (expected, final), *others = found
    for metrics, values in others:
        for one, other in zip(metrics, expected, strict=True):
            assert one == pytest.approx(other, rel=1e-9, abs=1e-12)
        for one, other in zip(values, final, strict=True):
            torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(("at", "kept"), [(2, False), (4, True), (7, True)])
def test_killed_and_resumed_gives_equal_bits(at, kept, tmp_path):
    config = UnpairedConfig(
        steps=12, batch_size=3, checkpoint_every=4, keep_reference=kept,
        update=UpdateConfig(learning_rate=1e-3, warmup=2),
    )  # fmt: skip
    straight, watch = adapted(), Killer()
    train(straight, VERDICTS, config, seed=0, monitor=watch)
    with pytest.raises(Killed):
        train(adapted(), VERDICTS, config, seed=0, folder=tmp_path, monitor=Killer(at))
    resumed, rest = adapted(), Killer()
    train(resumed, VERDICTS, config, seed=0, folder=tmp_path, monitor=rest)
    assert same(parameters(resumed), parameters(straight))
    assert rest.told == watch.told[at // 4 * 4 :]


def test_a_kept_reference_is_the_reference():
    one, other = policy(), policy()
    batch = batch_of(one)
    stage = Unpaired(one, QUICK)
    kept = stage.step(batch, GOOD, reference=stage.score(batch))
    assert Unpaired(other, QUICK).step(batch, GOOD) == pytest.approx(kept, rel=1e-9)


def test_a_step_of_one_sort_says_nothing_of_the_other():
    metrics = Unpaired(adapted(), QUICK).step(batch_of(adapted(), VERDICTS[::2]), GOOD[::2])
    assert "rewards/chosen" in metrics
    assert not {"rewards/rejected", "rewards/margins"} & set(metrics)


def test_what_does_not_fit_is_refused():
    with pytest.raises(ConfigError, match="policy itself"):
        Unpaired(whole(), QUICK)
    with pytest.raises(RecordError, match="verdict"):
        Unpaired(adapted(), QUICK).step(batch_of(adapted()), GOOD[:3])
    train(whole(), VERDICTS, QUICK, seed=0, reference=whole())


@pytest.mark.parametrize("wrong", [{"beta": 0.0}, {"desirable": 0.0}, {"steps": 0}, {"batch_size": 1}])
def test_settings_out_of_range_are_refused(wrong):
    with pytest.raises(ConfigError, match="single answers"):
        UnpairedConfig(**wrong)
    UnpairedConfig(batch_size=1, drift=False)


@pytest.fixture
def store(tmp_path):
    """Of three texts, ratings on five grades and on two, one of an aspect, a skip; and a comparison."""
    texts = {word: TextSegment("which?", word) for word in ("red", "green", "blue")}
    grades = [("red", 4, 5), ("red", 3, 5), ("green", 2, 5), ("green", 0, 2), ("blue", None, 2), ("blue", 1, 2)]
    queries = [Query(QueryKind.RATING, (texts[word].id,), (0,), 0, n, "x") for n, (word, _, _) in enumerate(grades)]
    answers = [
        Rating(id=f"r{n}", query=query.id, annotator="ann", value=value, levels=levels)
        for n, (query, (_, value, levels)) in enumerate(zip(queries, grades, strict=True))
    ]
    aspect = Query(QueryKind.RATING, (texts["red"].id,), (0,), 0, 50, "x", aspect="style")
    compared = Query(QueryKind.COMPARISON, (texts["green"].id, texts["blue"].id), (0, 1), 0, 51, "x")
    answers += [
        Rating(id="aspect", query=aspect.id, annotator="ann", value=0, levels=2),
        Comparison(id="compared", query=compared.id, annotator="ann", choice=Choice.SECOND),
    ]
    with Store.create(tmp_path / "store.sqlite", RUN) as made:
        made.add_segments(list(texts.values()))
        made.add_queries([*queries, aspect, compared])
        made.add_feedback(answers)
        yield made


def test_verdicts_come_from_ratings_and_comparisons(store):
    answers = [answer for _, answer in store.feedback()]
    alone = [Verdict("which?", *one) for one in (("red", True), ("red", True), ("green", False), ("blue", True))]
    assert judged(answers, store, pairs=False) == alone  # the middle grade says neither
    assert judged(answers, store) == [*alone, Verdict("which?", "blue", True), Verdict("which?", "green", False)]


def test_scores_come_from_ratings(store):
    found = rated([answer for _, answer in store.feedback()], store)
    assert [(one.completion, one.score) for one in found] == [("red", 0.875), ("green", 0.25), ("blue", 1.0)]


def test_pairs_and_verdicts_of_the_same_comparison_agree(store):
    assert Pair("which?", "blue", "green").chosen == judged([a for _, a in store.feedback()], store)[-2].completion

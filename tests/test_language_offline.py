"""Learning from logged answers: slow twins, a world of three answers whose best policy is known, cuts and kills."""

import pytest
import torch

from plaudit.engine.batch import Batch
from plaudit.engine.text import Tokeniser
from plaudit.errors import ConfigError, RecordError
from plaudit.language.offline import Offline, OfflineConfig, Weighing, train
from plaudit.language.texts import Logged
from plaudit.language.update import UpdateConfig
from tests.language_examples import adapted, parameters, same, whole
from tests.language_rollouts import moved, policy, slow_logprobs
from tests.test_language_sft import Killed, Killer

WORDS = ("cat", "dog", "sun", "tree", "milk")
LOGGED = [
    Logged(f"say {w}?", said, score) for w in WORDS for said, score in ((f"{w}.", 1.0), ("no.", 0.0), ("hm", -1.0))
]
SCORES = torch.tensor([one.score for one in LOGGED], dtype=torch.float64)


def batch_of(model):
    words = Tokeniser(model.tokenizer)
    rows = [words.group(one.prompt, (one.completion,)) for one in LOGGED]
    return Batch.of([row.prompt for row in rows], [row.completions for row in rows])


def quick(how, **changes):
    return OfflineConfig(
        how, steps=12, batch_size=4, checkpoint_every=4, update=UpdateConfig(learning_rate=1e-3, warmup=2), **changes
    )


def sums(model, batch):
    return torch.stack([one.sum() for one in slow_logprobs(model, batch, 1.0)]).detach()


def test_a_step_by_advantage_equals_its_slow_twin():
    model = policy()
    batch = batch_of(model)
    metrics = Offline(model, OfflineConfig(temperature=0.5, highest=5.0)).step(batch, SCORES)
    logps, w = sums(policy(), batch), torch.exp(SCORES / 0.5).clamp(max=5.0)
    assert metrics["loss"] == pytest.approx(float(-(w * logps).sum() / len(batch.tokens)), rel=1e-9)
    assert metrics["weight_max"] == 5.0
    assert metrics["effective_samples"] == pytest.approx(float(w.sum() ** 2 / (w**2).sum()))


def test_a_step_by_importance_equals_its_slow_twin():
    model = policy()
    batch = batch_of(model)
    stage = Offline(model, OfflineConfig(Weighing.IMPORTANCE, highest=1.5))
    behaviour = stage.score(batch)
    torch.testing.assert_close(behaviour, sums(model.view(None), batch), rtol=1e-9, atol=1e-9)
    twin = policy()
    logps = torch.stack([one.sum() for one in slow_logprobs(twin, batch, 1.0)])
    w = torch.exp(logps.detach() - behaviour).clamp(max=1.5)
    assert 0 < int((w == 1.5).sum()) < len(w)  # some are cut
    expected = torch.autograd.grad(-(w * SCORES * logps).mean(), twin.parameters())
    metrics = stage.step(batch, SCORES, behaviour=behaviour)
    assert metrics["loss"] == pytest.approx(float(-(w * SCORES).mean()), rel=1e-9)
    assert metrics["grad_norm"] == pytest.approx(float(torch.cat([one.flatten() for one in expected]).norm()), rel=1e-7)


@pytest.mark.parametrize("how", Weighing)
def test_better_answers_become_likelier(how):
    model = adapted()
    config = OfflineConfig(
        how, temperature=0.5, highest=3.0, steps=40, batch_size=15, update=UpdateConfig(learning_rate=3e-3)
    )
    before = sums(model, batch_of(model)).view(5, 3)
    train(model, LOGGED, config, seed=0)
    gain = (sums(model, batch_of(model)).view(5, 3) - before).mean(0)
    assert gain[0] > gain[1] + 0.5
    assert gain[0] > gain[2] + 0.5


@pytest.mark.parametrize("how", Weighing)
def test_micro_batches_make_the_same_step(how):
    found = []
    for most in (10_000, 60, 1):
        model = adapted(dtype=torch.float64)
        moved(model)
        update = UpdateConfig(learning_rate=1e-2, max_tokens=most, max_grad_norm=1e9, epsilon=1.0)
        stage, batch = Offline(model, OfflineConfig(how, update=update)), batch_of(model)
        behaviour = stage.score(batch) if how is Weighing.IMPORTANCE else None
        metrics = [stage.step(batch, SCORES, behaviour=behaviour) for _ in range(3)]
        found.append((metrics, parameters(model)))
    (expected, final), *others = found
    for metrics, values in others:
        for one, other in zip(metrics, expected, strict=True):
            assert one == pytest.approx(other, rel=1e-9, abs=1e-12)
        for one, other in zip(values, final, strict=True):
            torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("how", Weighing)
@pytest.mark.parametrize("at", [2, 7])
def test_killed_and_resumed_gives_equal_bits(how, at, tmp_path):
    straight, watch = adapted(), Killer()
    train(straight, LOGGED, quick(how), seed=0, monitor=watch)
    with pytest.raises(Killed):
        train(adapted(), LOGGED, quick(how), seed=0, folder=tmp_path, monitor=Killer(at))
    resumed, rest = adapted(), Killer()
    train(resumed, LOGGED, quick(how), seed=0, folder=tmp_path, monitor=rest)
    assert same(parameters(resumed), parameters(straight))
    assert rest.told == watch.told[at // 4 * 4 :]


def test_whole_models_learn_by_advantage_alone_and_by_importance_from_a_logger():
    train(whole(), LOGGED, quick(Weighing.ADVANTAGE), seed=0)
    with pytest.raises(ConfigError, match="policy itself"):
        Offline(whole(), quick(Weighing.IMPORTANCE))
    train(whole(), LOGGED, quick(Weighing.IMPORTANCE), seed=0, logger=whole())


def test_what_does_not_fit_is_refused():
    model = adapted()
    with pytest.raises(RecordError, match="does not fit"):
        Offline(model, quick(Weighing.ADVANTAGE)).step(batch_of(model), SCORES[:2])
    with pytest.raises(RecordError, match="does not fit"):
        Offline(model, quick(Weighing.IMPORTANCE)).step(batch_of(model), SCORES)


@pytest.mark.parametrize("wrong", [{"temperature": 0.0}, {"highest": 0.0}, {"steps": 0}])
def test_settings_out_of_range_are_refused(wrong):
    with pytest.raises(ConfigError, match="logged answers"):
        OfflineConfig(**wrong)

"""Direct alignment: equal to TRL end to end, margins rise, and neither cuts nor kills change a bit that they should not."""

import json
from pathlib import Path

import pytest
import torch

from plaudit.engine.batch import Batch
from plaudit.engine.model import LanguageModel
from plaudit.engine.text import Tokeniser
from plaudit.errors import ConfigError, RecordError
from plaudit.language.direct import Alignment, DirectConfig, train
from plaudit.language.texts import Pair
from plaudit.language.update import UpdateConfig
from plaudit.ops.direct import Alone, Direct, alone_loss
from tests.golden import tiny
from tests.language_examples import adapted, parameters, same, whole
from tests.language_rollouts import policy, slow_logprobs
from tests.test_language_sft import Killed, Killer

GOLDEN = json.loads((Path(__file__).parent / "golden" / "trl_end_to_end.json").read_text())
PAIRS = [Pair(f"say {word}?", f"{word}.", f"{word} {word} {word}") for word in ("cat", "dog", "sun", "tree", "milk")]
QUICK = DirectConfig(steps=12, batch_size=3, checkpoint_every=4, update=UpdateConfig(learning_rate=1e-3, warmup=2))


def batch_of(model, pairs):
    words = Tokeniser(model.tokenizer)
    rows = [words.group(pair.prompt, (pair.chosen, pair.rejected)) for pair in pairs]
    return Batch.of([row.prompt for row in rows], [row.completions for row in rows])


@pytest.mark.parametrize("case", GOLDEN["dpo"], ids=lambda case: f"{case['options']['loss']} {case['adapter']}")
def test_a_step_equals_trl(case):
    options = case["options"]
    reference = None if case["adapter"] else LanguageModel(tiny.causal(0.1))
    model = LanguageModel(tiny.adapted(0.0) if case["adapter"] else tiny.causal(0.0))
    config = DirectConfig(Direct(options["loss"]), options["beta"], options.get("smoothing", 0.0))
    stage = Alignment(model, config, reference=reference)
    metrics = stage.step(Batch.of(tiny.PROMPTS, list(zip(tiny.CHOSEN, tiny.REJECTED, strict=True))))
    for name in ("loss", "grad_norm"):
        assert metrics[name] == pytest.approx(case[name], rel=1e-4)
    for name, value in case["metrics"].items():
        assert metrics[name] == pytest.approx(value, rel=1e-4)


@pytest.mark.parametrize("how", Direct)
def test_margins_rise_from_nothing(how):
    watch, model = Killer(), adapted()
    config = DirectConfig(how, steps=25, batch_size=5, update=UpdateConfig(learning_rate=3e-3))
    train(model, PAIRS, config, seed=0, monitor=watch)
    first, last = watch.told[0], watch.told[-1]
    assert first["rewards/chosen"] == pytest.approx(0.0, abs=1e-4)  # the fresh adapter is the reference
    assert first["rewards/margins"] == pytest.approx(0.0, abs=1e-4)
    assert last["rewards/margins"] > 0.3
    assert last["rewards/accuracies"] == 1.0
    assert last["loss"] < first["loss"]


@pytest.mark.parametrize("how", [*Direct, *Alone])
def test_micro_batches_make_the_same_step(how):
    found = []
    for most in (10_000, 60, 1):
        model = adapted(dtype=torch.float64)
        update = UpdateConfig(learning_rate=1e-2, max_tokens=most, max_grad_norm=1e9, epsilon=1.0)
        stage = Alignment(model, DirectConfig(how, update=update))
        metrics = [stage.step(batch_of(model, PAIRS)) for _ in range(3)]
        found.append((metrics, parameters(model)))
    (expected, final), *others = found
    for metrics, values in others:
        for one, other in zip(metrics, expected, strict=True):
            assert one == pytest.approx(other, rel=1e-9, abs=1e-12)
        for one, other in zip(values, final, strict=True):
            torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(("at", "kept"), [(2, False), (4, True), (7, True)])
def test_killed_and_resumed_gives_equal_bits(at, kept, tmp_path):
    config = DirectConfig(
        steps=12,
        batch_size=3,
        checkpoint_every=4,
        keep_reference=kept,
        update=UpdateConfig(learning_rate=1e-3, warmup=2),
    )
    straight, watch = adapted(), Killer()
    train(straight, PAIRS, config, seed=0, monitor=watch)
    with pytest.raises(Killed):
        train(adapted(), PAIRS, config, seed=0, folder=tmp_path, monitor=Killer(at))
    resumed, rest = adapted(), Killer()
    train(resumed, PAIRS, config, seed=0, folder=tmp_path, monitor=rest)
    assert same(parameters(resumed), parameters(straight))
    assert rest.told == watch.told[at // 4 * 4 :]


def leave(model):
    """Move the adapter, as an optimiser does."""
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.05)


def test_a_kept_reference_is_the_reference():
    model = adapted()
    stage = Alignment(model, QUICK)
    batch = batch_of(model, PAIRS)
    leave(model)
    kept = stage.score(batch)
    one = stage.step(batch, reference=kept)
    other = Alignment(adapted(), QUICK)
    leave(other.model)
    assert other.step(batch) == pytest.approx(one, rel=1e-5)
    assert abs(one["rewards/chosen"]) > 1e-3  # the policy has left it


def test_the_reference_stays_where_it_is():
    model = adapted()
    stage = Alignment(model, QUICK)
    batch = batch_of(model, PAIRS)
    before, base = stage.score(batch), [x.detach().clone() for x in model.module.parameters() if not x.requires_grad]
    for _ in range(3):
        stage.step(batch)
    assert torch.equal(stage.score(batch), before)
    assert same([x for x in model.module.parameters() if not x.requires_grad], base)


def test_a_policy_that_does_not_begin_at_its_reference_is_told(recwarn):
    model = adapted()
    train(model, PAIRS, QUICK, seed=0)
    assert not [one for one in recwarn if "away from its reference" in str(one.message)]
    leave(model)
    with pytest.warns(UserWarning, match="away from its reference"):
        train(model, PAIRS, QUICK, seed=0)


def test_a_whole_model_needs_another_as_reference():
    with pytest.raises(ConfigError, match="its own reference"):
        Alignment(whole(), QUICK)
    model = whole()
    stage = train(model, PAIRS, QUICK, seed=0, reference=whole())
    metrics = stage.step(batch_of(model, PAIRS))
    assert metrics["rewards/margins"] > 0


def test_groups_of_other_sizes_are_refused():
    with pytest.raises(RecordError, match="chosen and a rejected"):
        Alignment(adapted(), QUICK).step(Batch.of([[1]], [[[2], [3], [4]]]))


@pytest.mark.parametrize(
    "wrong", [{"beta": 0.0}, {"smoothing": 0.5}, {"loss": Direct.IPO, "smoothing": 0.1}, {"steps": 0}]
)
def test_settings_out_of_range_are_refused(wrong):
    with pytest.raises(ConfigError, match="direct alignment"):
        DirectConfig(**wrong)


@pytest.mark.parametrize(("how", "likelihood"), [(Alone.SIMPO, None), (Alone.SIMPO, 0.4), (Alone.ORPO, None)])
def test_a_step_without_a_reference_equals_its_slow_twin(how, likelihood):
    model = policy()
    batch = batch_of(model, PAIRS)
    config = DirectConfig(how, beta=0.7, likelihood=likelihood, margin=0.3 if how is Alone.SIMPO else None)
    tokens = [one.detach() for one in slow_logprobs(model, batch, 1.0)]
    means = torch.stack([one.mean() for one in tokens])
    chosen = torch.cat(tokens[::2])
    expected = alone_loss(means[::2], means[1::2], how=how, beta=0.7, margin=0.3).mean()
    expected = expected - (likelihood or float(how is Alone.ORPO)) * chosen.mean()
    metrics = Alignment(model, config).step(batch)
    assert metrics["loss"] == pytest.approx(float(expected), rel=1e-9)
    assert metrics["rewards/margins"] == pytest.approx(float(0.7 * (means[::2] - means[1::2]).mean()), rel=1e-9)
    assert metrics["logps/chosen"] == pytest.approx(float(means[::2].mean()), rel=1e-9)
    if config.imitated:
        assert metrics["nll_loss"] == pytest.approx(float(-chosen.mean()), rel=1e-9)


@pytest.mark.parametrize("how", Alone)
def test_without_a_reference_whole_models_learn_too(how, tmp_path):
    config = DirectConfig(
        how, beta=2.0, steps=25, batch_size=5, checkpoint_every=10, update=UpdateConfig(learning_rate=3e-3)
    )
    model, watch = whole(), Killer()
    train(model, PAIRS, config, seed=0, monitor=watch)
    first, last = watch.told[0], watch.told[-1]
    assert last["rewards/margins"] > first["rewards/margins"] + 0.3
    assert last["loss"] < first["loss"]
    with pytest.raises(Killed):
        train(whole(), PAIRS, config, seed=0, folder=tmp_path, monitor=Killer(17))
    resumed = whole()
    train(resumed, PAIRS, config, seed=0, folder=tmp_path)
    assert same(parameters(resumed), parameters(model))


def test_imitation_can_be_added_to_every_loss():
    model = policy()
    batch = batch_of(model, PAIRS)
    plain, more = (Alignment(policy(), DirectConfig(likelihood=weight)).step(batch) for weight in (0.0, 0.5))
    assert "nll_loss" not in plain
    assert more["loss"] == pytest.approx(plain["loss"] + 0.5 * more["nll_loss"])


@pytest.mark.parametrize("wrong", [{"margin": 0.5}, {"likelihood": -1.0}, {"loss": Alone.ORPO, "smoothing": 0.1}])
def test_settings_that_do_not_belong_together_are_refused(wrong):
    with pytest.raises(ConfigError, match="direct alignment"):
        DirectConfig(**wrong)

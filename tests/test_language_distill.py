"""Distillation: by hand, to where it leads, cuts and kills, and what is refused."""

import math

import pytest
import torch
from hypothesis import strategies as st
from peft import LoraConfig, get_peft_model
from transformers import LlamaConfig, LlamaForCausalLM

from plaudit.engine.model import LanguageModel
from plaudit.errors import ConfigError
from plaudit.language.distill import Distillation, DistillConfig, _logits, train
from plaudit.language.sft import rows_to_imitate
from plaudit.language.texts import Example
from plaudit.language.update import UpdateConfig
from plaudit.ops.distill import divergence
from tests.language_examples import Letters, adapted, causal, parameters, same, whole
from tests.language_rollouts import moved, policy, rollout
from tests.ops_examples import SEEDS, examples, noise
from tests.test_language_sft import Killed, Killer

PROMPTS = [[4, 9, 1], [2, 3], [7, 7, 1], [5]]
EXAMPLES = [Example(f"twice {word}?", f"{word} {word}.") for word in ("cat", "dog", "sun", "tree", "milk")]
QUICK = {"steps": 6, "batch_size": 3, "max_tokens": 6, "checkpoint_every": 2}


def test_divergences_by_hand():
    student, teacher = torch.tensor([[0.0, 0.0]]).double(), torch.tensor([[math.log(3), 0.0]]).double()
    forward = 0.75 * math.log(1.5) + 0.25 * math.log(0.5)
    backward = 0.5 * math.log(2 / 3) + 0.5 * math.log(2)
    middle = 0.5 * (0.75 * math.log(0.75 / 0.625) + 0.25 * math.log(0.25 / 0.375))
    middle += 0.5 * (0.5 * math.log(0.5 / 0.625) + 0.5 * math.log(0.5 / 0.375))
    for mix, expected in ((0.0, forward), (1.0, backward), (0.5, middle)):
        assert divergence(student, teacher, mix=mix).item() == pytest.approx(expected)
    with pytest.raises(ValueError, match="mix"):
        divergence(student, teacher, mix=1.1)


@examples(SEEDS, st.sampled_from([0.0, 0.3, 0.5, 1.0]))
def test_divergences_are_0_for_equals_only_and_do_not_see_a_shift(seed, mix):
    student, teacher = noise(seed, 5, 4), noise(seed + 1, 5, 4)
    found = divergence(student, teacher, mix=mix)
    assert (found > 0).all()
    torch.testing.assert_close(divergence(teacher + 3, teacher, mix=mix), torch.zeros(5).double())
    torch.testing.assert_close(divergence(student + 2, teacher - 1, mix=mix), found)


@pytest.mark.parametrize("make", [policy, whole, adapted])
def test_logits_are_the_models_own(make):
    model, batch = make(), rollout().batch
    logp = torch.log_softmax(_logits(model, batch).detach(), -1)
    found = logp.gather(1, batch.tokens[:, None]).squeeze(1)
    torch.testing.assert_close(found, model.logprobs(batch).logprobs.detach(), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("own", [0.0, 1.0])
@pytest.mark.parametrize("make", [adapted, whole])
def test_a_student_comes_to_say_what_its_teacher_says(make, own):
    student, teacher, watch = make(), adapted(), Killer()
    moved(teacher, 0.1)
    texts, _ = rows_to_imitate(student, EXAMPLES, 64)
    update = UpdateConfig(learning_rate=5e-3 if make is adapted else 1e-3)
    config = DistillConfig(own=own, steps=20, batch_size=8, max_tokens=6, update=update)
    before = parameters(teacher)
    train(Distillation(student, teacher, config, 0), PROMPTS, texts, monitor=watch)
    first, last = (sum(one["divergence"] for one in some) for some in (watch.told[:4], watch.told[-4:]))
    assert last < (0.9 if own else 0.5) * first  # its own texts are new in every step
    assert same(parameters(teacher), before)


def test_micro_batches_make_the_same_step():
    found = []
    for most in (10_000, 20):
        student, teacher = adapted(dtype=torch.float64), whole(3, dtype=torch.float64)
        update = UpdateConfig(learning_rate=1e-2, max_tokens=most, max_grad_norm=1e9, epsilon=1.0)
        stage = Distillation(student, teacher, DistillConfig(mix=0.3, temperature=1.5, update=update), 0)
        metrics = [stage.step(rollout().batch) for _ in range(2)]
        found.append((metrics, parameters(student)))
    (expected, final), (metrics, values) = found
    for one, other in zip(metrics, expected, strict=True):
        assert one == pytest.approx(other, rel=1e-9, abs=1e-12)
    for one, other in zip(values, final, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("at", [1, 3])
def test_killed_and_resumed_gives_equal_bits(at, tmp_path):
    def learn(student, **options):
        texts, _ = rows_to_imitate(student, EXAMPLES, 64)
        stage = Distillation(student, whole(3), DistillConfig(own=0.5, **QUICK), 2)
        train(stage, PROMPTS, texts, **options)

    straight, watch = adapted(), Killer()
    learn(straight, monitor=watch)
    with pytest.raises(Killed):
        learn(adapted(), folder=tmp_path, monitor=Killer(at))
    resumed, rest = adapted(), Killer()
    learn(resumed, folder=tmp_path, monitor=rest)
    assert same(parameters(resumed), parameters(straight))
    assert rest.told == watch.told[at // 2 * 2 :]


def test_what_does_not_fit_is_refused():
    small = LlamaForCausalLM(LlamaConfig(
        vocab_size=7, hidden_size=8, intermediate_size=8, num_hidden_layers=1, num_attention_heads=2, num_key_value_heads=2,
    ))  # fmt: skip
    with pytest.raises(ConfigError, match="other tokens"):
        Distillation(adapted(), LanguageModel(small, Letters()), DistillConfig(), 0)
    headed = get_peft_model(causal(), LoraConfig(r=2, target_modules=["lm_head"]))
    with pytest.raises(ConfigError, match="plain matrix"):
        Distillation(LanguageModel(headed, Letters()), whole(), DistillConfig(), 0)
    with pytest.raises(ConfigError, match="nothing to distil"):
        train(Distillation(adapted(), whole(), DistillConfig(own=0.5), 0), PROMPTS)


@pytest.mark.parametrize("wrong", [{"mix": 1.5}, {"own": -0.1}, {"temperature": 0.0}, {"steps": 0}])
def test_settings_out_of_range_are_refused(wrong):
    with pytest.raises(ConfigError, match="distillation"):
        DistillConfig(**wrong)

"""Sampling: the tokens that Transformers would give, the probabilities that training sees, draws that depend on nothing else."""

import warnings
from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare

from plaudit.engine import decode, stepping
from plaudit.engine.load import LoraConfig, add_lora
from plaudit.engine.model import LanguageModel
from plaudit.engine.sampling import Sampler, Sampling, draw, streams, uniforms
from plaudit.engine.text import Tokeniser
from plaudit.errors import ConfigError, LearningError
from tests.text_examples import model, needs_smollm2, smollm2, tokenizer

FAMILIES = ("llama", "qwen2", "gpt2")
PROMPTS = [[5, 9, 33, 7], [4] * 11, [100, 200], [100, 201]]
STOP = tuple(range(3, 320, 12))
"""so many that most completions end, at different places"""
UNEVEN = Sampling(max_tokens=24, stop=STOP)


def language_model(family="llama", *, fast=True, **kwargs):
    return LanguageModel(model(family, **kwargs), tokenizer(), fast=fast)


def rows(rollout):
    return [one.tolist() for one in rollout.batch.rows]


WAYS = [(family, fast) for family in FAMILIES for fast in (True, False)] + [("bloom", False), ("mistral", False)]


@pytest.mark.parametrize(("family", "fast"), WAYS)
def test_greedy_tokens_are_those_of_transformers(family, fast):
    speaker = language_model(family, fast=fast)
    speaker.module.generation_config.eos_token_id = None
    found = speaker.generate(PROMPTS, samples=2, sampling=Sampling(20, greedy=True, stop=()), seed=0)
    for prompt, group in zip(PROMPTS, found.batch.completions, strict=True):
        ids = torch.tensor([prompt])
        seen = torch.ones_like(ids)
        whole = speaker.module.generate(ids, attention_mask=seen, max_new_tokens=20, do_sample=False, pad_token_id=0)
        assert all(torch.equal(one, whole[0, len(prompt) :]) for one in group)
    assert not found.finished.any()


@pytest.mark.parametrize("temperature", [1.0, 0.6])
@pytest.mark.parametrize(("family", "fast"), WAYS)
def test_recorded_probabilities_are_those_that_training_sees(family, fast, temperature):
    speaker = language_model(family, fast=fast)
    sampling = Sampling(24, temperature=temperature, stop=STOP)
    found = speaker.generate(PROMPTS, samples=5, sampling=sampling, seed=1)
    assert len(set(found.batch.lengths.tolist())) > 4
    with torch.no_grad():
        scores = speaker.logprobs(found.batch, temperature=temperature)
    torch.testing.assert_close(found.logprobs, scores.logprobs, atol=1e-4, rtol=0)
    for row, end in zip(rows(found), found.finished.tolist(), strict=True):
        assert (row[-1] in STOP) == end
        assert not set(row[:-1]) & set(STOP)
        assert end or len(row) == 24
    assert [prompt.tolist() for prompt in found.batch.prompts] == PROMPTS


@pytest.mark.parametrize("family", FAMILIES)
def test_both_ways_draw_the_same(family):
    fast, slow = (
        language_model(family, fast=one).generate(PROMPTS, samples=3, sampling=UNEVEN, seed=2) for one in (True, False)
    )
    assert rows(fast) == rows(slow)
    torch.testing.assert_close(fast.logprobs, slow.logprobs, atol=1e-4, rtol=0)


def test_models_whose_cache_cannot_be_cut_are_read_anew_for_each_token(monkeypatch):
    speaker = language_model(fast=False)
    expected = speaker.generate(PROMPTS, samples=3, sampling=UNEVEN, seed=2)
    forward = type(speaker.module).forward

    def without_cache(self, input_ids=None, attention_mask=None, position_ids=None):
        return forward(self, input_ids, attention_mask, position_ids, use_cache=False)

    monkeypatch.setattr(type(speaker.module), "forward", without_cache)
    assert rows(speaker.generate(PROMPTS, samples=3, sampling=UNEVEN, seed=2)) == rows(expected)


@pytest.mark.parametrize("fast", [True, False])
def test_a_row_is_the_same_alone_and_in_company(fast):
    speaker = language_model(fast=fast)
    whole = speaker.generate(PROMPTS, samples=4, sampling=UNEVEN, seed=3).batch.completions
    for prompt, group in zip(PROMPTS, whole, strict=True):
        (alone,) = speaker.generate([prompt], samples=4, sampling=UNEVEN, seed=3).batch.completions
        assert all(map(torch.equal, alone, group))
        ((first,),) = speaker.generate([prompt], samples=1, sampling=UNEVEN, seed=3).batch.completions
        assert torch.equal(first, group[0])
    turned = speaker.generate(PROMPTS[::-1], samples=4, sampling=UNEVEN, seed=3).batch.completions[::-1]
    assert all(
        torch.equal(a, b) for one, other in zip(whole, turned, strict=True) for a, b in zip(one, other, strict=True)
    )
    other = speaker.generate(PROMPTS, samples=4, sampling=UNEVEN, seed=4).batch.completions
    assert sum(torch.equal(a, b) for a, b in zip(sum(whole, ()), sum(other, ()), strict=True)) < 8


def test_a_prompt_that_comes_twice_is_completed_anew():
    speaker = language_model()
    twice = rows(speaker.generate([PROMPTS[0]] * 2, samples=2, sampling=UNEVEN, seed=3))
    assert twice == rows(speaker.generate([PROMPTS[0]], samples=4, sampling=UNEVEN, seed=3))
    assert len(set(map(tuple, twice))) == 4


@pytest.mark.parametrize(("look", "retire"), [(1, 1), (1, 8), (1, 1000), (5, 8), (100, 8)])
def test_letting_finished_rows_go_changes_nothing(monkeypatch, look, retire):
    speaker = language_model()
    expected = speaker.generate(PROMPTS, samples=6, sampling=UNEVEN, seed=5)
    steps: list[int] = []
    inner = stepping.FastSteps.step
    monkeypatch.setattr(stepping.FastSteps, "step", lambda self, ids: steps.append(len(ids)) or inner(self, ids))
    monkeypatch.setattr(decode, "LOOK", {"cpu": look})
    monkeypatch.setattr(decode, "RETIRE", retire)
    found = speaker.generate(PROMPTS, samples=6, sampling=UNEVEN, seed=5)
    assert rows(found) == rows(expected)
    torch.testing.assert_close(found.logprobs, expected.logprobs, atol=1e-5, rtol=0)
    assert torch.equal(found.finished, expected.finished)
    assert max(steps) > 18
    assert (min(steps) < 24) == (look < 24 and retire > 1), "rows that have ended are not computed any more"


@pytest.mark.parametrize("fast", [True, False])
@pytest.mark.parametrize("most", [1, 40_000, 120_000])
def test_less_memory_means_more_pieces_and_nothing_else(monkeypatch, most, fast):
    speaker = language_model(fast=fast)
    expected = speaker.generate(PROMPTS, samples=5, sampling=UNEVEN, seed=6)
    begun: list[int] = []
    way = "FastSteps" if fast else "BorrowedSteps"
    module = f"plaudit.engine.model.{way}"
    inner = stepping.FastSteps if fast else decode_borrowed()
    monkeypatch.setattr(module, lambda *asked: begun.append(sum(asked[2])) or inner(*asked))
    monkeypatch.setattr(decode, "CACHE_BYTES", most)
    found = speaker.generate(PROMPTS, samples=5, sampling=UNEVEN, seed=6)
    assert rows(found) == rows(expected)
    assert sum(begun) == 20
    assert len(begun) == 20 if most == 1 else 1 < len(begun) < 20


def decode_borrowed():
    from plaudit.engine.borrowed import BorrowedSteps

    return BorrowedSteps


def test_prompts_are_read_in_passes_when_they_are_many(monkeypatch):
    speaker = language_model()
    expected = speaker.generate(PROMPTS, samples=2, sampling=UNEVEN, seed=7)
    monkeypatch.setattr(stepping, "PREFILL", 12)
    assert rows(speaker.generate(PROMPTS, samples=2, sampling=UNEVEN, seed=7)) == rows(expected)


def test_an_adapter_speaks_for_itself():
    module = add_lora(model("llama"), LoraConfig(4), seed=0)
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            if "lora_B" in name:
                parameter.normal_(std=0.5, generator=torch.Generator().manual_seed(0))
    policy = LanguageModel(module, tokenizer())
    found = policy.generate(PROMPTS, samples=2, sampling=UNEVEN, seed=8)
    base = rows(policy.view(None).generate(PROMPTS, samples=2, sampling=UNEVEN, seed=8))
    assert rows(found) != base == rows(language_model().generate(PROMPTS, samples=2, sampling=UNEVEN, seed=8))
    with torch.no_grad():
        torch.testing.assert_close(found.logprobs, policy.logprobs(found.batch).logprobs, atol=1e-4, rtol=0)
    slow = LanguageModel(module, tokenizer(), fast=False)
    assert rows(slow.generate(PROMPTS, samples=2, sampling=UNEVEN, seed=8)) == rows(found)


def test_what_was_sampled_can_be_learned_from():
    speaker = language_model()
    found = speaker.generate(PROMPTS, samples=2, sampling=UNEVEN, seed=8)
    (speaker.logprobs(found.batch).logprobs * found.logprobs).sum().backward()
    before = rows(found)
    with torch.no_grad():
        for parameter in speaker.parameters():
            parameter.sub_(parameter.grad, alpha=1.0)
    assert rows(speaker.generate(PROMPTS, samples=2, sampling=UNEVEN, seed=8)) != before, "the new weights speak"


def test_bfloat16_samples_from_what_it_computes():
    speaker = LanguageModel(model("llama"), tokenizer(), dtype=torch.bfloat16)
    found = speaker.generate(PROMPTS, samples=4, sampling=UNEVEN, seed=9)
    with torch.no_grad():
        scores = speaker.logprobs(found.batch).logprobs
    assert found.logprobs.dtype == torch.float32
    assert (found.logprobs - scores).abs().mean() < 0.2


@pytest.mark.parametrize("sampling", [Sampling(), Sampling(temperature=0.5), Sampling(temperature=2.0)])
def test_draws_fit_the_probabilities(sampling):
    logits = torch.tensor([[1.0, -1.0, 0.3, 2.0, -30.0, 0.0]]).repeat(20_000, 1)
    numbers = uniforms(streams([torch.tensor([1])], 20_000, 0), 1)[:, 0]
    tokens, logprobs = draw(logits.clone(), numbers, sampling)
    p = torch.softmax(logits[0] / sampling.temperature, 0).double()
    torch.testing.assert_close(logprobs, p.log()[tokens].float(), atol=1e-5, rtol=0)
    counts = np.bincount(tokens.numpy(), minlength=6)
    common = p.numpy() > 1e-6
    assert counts[~common].sum() == 0
    assert chisquare(counts[common], p.numpy()[common] / p.numpy()[common].sum() * 20_000).pvalue > 1e-3


def test_draws_over_many_blocks_fit_too():
    """1,000 tokens are four blocks, the last one short."""
    logits = torch.linspace(-4, 3, 1000)[torch.randperm(1000, generator=torch.Generator().manual_seed(0))]
    numbers = uniforms(streams([torch.tensor([7])], 1, 0), 60_000)[0]
    tokens = torch.cat([draw(logits.repeat(2000, 1), part, Sampling())[0] for part in numbers.split(2000)])
    expected = torch.softmax(logits.double(), 0).numpy() * 60_000
    often = expected > 5
    counts = np.bincount(tokens.numpy(), minlength=1000)
    observed, fair = np.append(counts[often], counts[~often].sum()), np.append(expected[often], expected[~often].sum())
    assert chisquare(observed, fair).pvalue > 1e-3


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 600), st.floats(0, 1 - 2**-53), st.integers(0, 2**31))
def test_a_draw_is_where_its_number_falls(size, number, seed):
    logits = torch.randn(1, size, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) * 4
    logits[0, torch.rand(size, generator=torch.Generator().manual_seed(seed)) < 0.4] = -torch.inf
    logits[0, size // 2] = 1.0
    token, logprob = draw(logits.clone(), torch.tensor([number]), Sampling())
    p = torch.softmax(logits[0], 0)
    ends = p.cumsum(0)
    assert p[token] > 0, "what has no probability is never drawn"
    assert ends[token] - p[token] - 1e-9 <= number <= ends[token] + 1e-9
    torch.testing.assert_close(logprob, p.log()[token].to(logprob.dtype), atol=1e-6, rtol=0)


def test_numbers_are_even_and_unlike_each_other():
    numbers = uniforms(streams([torch.tensor([n]) for n in range(50)], 4, 1), 500)
    counts = np.histogram(numbers.numpy(), 64, (0, 1))[0]
    assert chisquare(counts).pvalue > 1e-3
    for first, second in ((numbers[:-1], numbers[1:]), (numbers[:, :-1], numbers[:, 1:])):
        assert abs(np.corrcoef(first.flatten(), second.flatten())[0, 1]) < 0.015
    assert numbers.unique().numel() == numbers.numel()
    assert torch.equal(numbers[3:5, :9], uniforms(streams([torch.tensor([n]) for n in range(50)], 4, 1)[3:5], 9))


def test_splitmix_is_splitmix():
    """The first outputs for seed 1234567, as Vigna's reference gives them."""
    expected = [6457827717110365317, 3203168211198807973, 9817491932198370423]
    found = uniforms(np.array([1234567], dtype=np.uint64), 3)[0]
    assert found.tolist() == [(value >> 11) * 2.0**-53 for value in expected]


def test_top_k_and_top_p_cut_and_say_what_they_bias():
    logits = torch.tensor([[3.0, 2.0, 1.0, 0.0, -1.0]]).repeat(3000, 1)
    numbers = uniforms(streams([torch.tensor([1])], 3000, 0), 1)[:, 0]
    tokens, logprobs = draw(logits.clone(), numbers, Sampling(top_k=2))
    assert Counter(tokens.tolist()).keys() == {0, 1}
    torch.testing.assert_close(logprobs, torch.log_softmax(logits[:, :2], 1).gather(1, tokens[:, None])[:, 0])
    p = torch.softmax(logits[0], 0)
    kept = draw(logits.clone(), numbers, Sampling(top_p=float(p[0] + p[1] / 2)))[0]
    assert set(kept.tolist()) == {0, 1}
    assert set(draw(logits.clone(), numbers, Sampling(top_p=1e-9))[0].tolist()) == {0}
    speaker = language_model()
    with pytest.warns(UserWarning, match="biased"):
        speaker.generate(PROMPTS, samples=1, sampling=Sampling(4, top_k=5), seed=0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        speaker.generate(PROMPTS, samples=1, sampling=Sampling(4), seed=0)


@pytest.mark.parametrize("fast", [True, False])
def test_stops_are_the_models_own_unless_others_are_named(fast):
    speaker = language_model(fast=fast)
    speaker.module.generation_config.eos_token_id = list(STOP)
    own = speaker.generate(PROMPTS, samples=3, sampling=Sampling(24), seed=1)
    assert rows(own) == rows(speaker.generate(PROMPTS, samples=3, sampling=Sampling(24, stop=(*STOP, 2)), seed=1))
    never = speaker.generate(PROMPTS, samples=3, sampling=Sampling(24, stop=()), seed=1)
    assert never.batch.lengths.tolist() == [24] * 12
    for short, long in zip(rows(own), rows(never), strict=True):
        assert long[: len(short)] == short
    everything = speaker.generate(PROMPTS, samples=2, sampling=Sampling(24, stop=tuple(range(320))), seed=1)
    assert everything.batch.lengths.tolist() == [1] * 8
    assert everything.finished.all()
    one = speaker.generate(PROMPTS, samples=2, sampling=Sampling(1, stop=()), seed=1)
    assert rows(one) == [
        row[:1] for row in rows(speaker.generate(PROMPTS, samples=2, sampling=Sampling(3, stop=()), seed=1))
    ]


def test_an_empty_prompt_begins_with_the_begin_token():
    words = tokenizer(bos=True)
    speaker = LanguageModel(model("llama"), words)
    found = speaker.generate([[], [5]], samples=2, sampling=UNEVEN, seed=0)
    begun = speaker.generate([[words.bos_token_id]], samples=1, sampling=Sampling(5, greedy=True), seed=0)
    assert rows(begun) == rows(speaker.generate([[]], samples=1, sampling=Sampling(5, greedy=True), seed=0))
    with torch.no_grad():
        torch.testing.assert_close(found.logprobs, speaker.logprobs(found.batch).logprobs, atol=1e-4, rtol=0)
    with pytest.raises(ConfigError, match="empty"):
        language_model().generate([[]], samples=1, sampling=UNEVEN, seed=0)


def test_what_cannot_be_sampled_is_named():
    speaker = language_model()
    with pytest.raises(ConfigError, match="prompt 1 has 105 tokens, and completions up to 24"):
        speaker.generate([[1], [1] * 105], samples=1, sampling=UNEVEN, seed=0)
    fits = speaker.generate([[1] * 104], samples=1, sampling=Sampling(24, stop=()), seed=0)
    assert fits.batch.lengths.tolist() == [24]
    for prompts, samples in (([], 1), ([[1]], 0)):
        with pytest.raises(ConfigError, match="nothing to sample"):
            speaker.generate(prompts, samples=samples, sampling=UNEVEN, seed=0)
    for wrong in ({"max_tokens": 0}, {"temperature": 0.0}, {"top_p": 0.0}, {"top_k": -1}):
        with pytest.raises(ConfigError, match="settings"):
            Sampling(**wrong)
    with torch.no_grad():
        speaker.module.model.norm.weight.fill_(torch.nan)
    with pytest.raises(LearningError, match="no finite numbers"):
        speaker.generate(PROMPTS, samples=2, sampling=UNEVEN, seed=0)


def test_a_language_model_is_a_sampler():
    sampler: Sampler = language_model()
    assert len(sampler.generate(PROMPTS, samples=2, sampling=UNEVEN, seed=0).batch) == 8


@pytest.mark.slow
@needs_smollm2
def test_smollm2_knows_the_capital_and_scores_what_it_said():
    speaker = LanguageModel.load(smollm2())
    words = Tokeniser(speaker.tokenizer)
    asked = [words.prompt("The capital of France is"), words.prompt("Once upon a time there was")]
    found = speaker.generate(asked, samples=2, sampling=Sampling(12, greedy=True), seed=0)
    assert "Paris" in words.text(found.batch.rows[0].tolist())
    drawn = speaker.generate(asked, samples=3, sampling=Sampling(16), seed=0)
    with torch.no_grad():
        torch.testing.assert_close(drawn.logprobs, speaker.logprobs(drawn.batch).logprobs, atol=1e-4, rtol=0)

"""The engine's own forward and backward passes, held against Transformers' with padding."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from plaudit.engine.batch import Batch
from plaudit.engine.model import LanguageModel
from plaudit.errors import ConfigError
from tests.engine_examples import (
    CONTEXT,
    FAMILIES,
    GROUPS,
    adapt,
    exact_norms,
    gradients,
    module,
    ragged,
    twins,
    worst,
)

pytest.importorskip("transformers")


def compare(fast: LanguageModel, slow: LanguageModel, batch: Batch, near: float) -> None:
    """Every result, and every gradient of each."""
    mix = torch.linspace(-1, 1, len(batch.tokens), dtype=torch.float64).to(fast.dtype)
    found = [model.logprobs(batch, temperature=0.7, entropy=True) for model in (fast, slow)]
    assert torch.allclose(found[0].logprobs, found[1].logprobs, atol=near, rtol=0)
    assert torch.allclose(found[0].entropy, found[1].entropy, atol=near, rtol=0)
    assert torch.equal(found[0].likeliest, found[1].likeliest)
    losses = [(one.logprobs * mix).sum() for one in found]
    grads = [gradients(model, loss) for model, loss in zip((fast, slow), losses, strict=True)]
    assert worst(*grads) <= 100 * near
    found = [model.logprobs(batch, entropy=True) for model in (fast, slow)]
    losses = [(one.logprobs * mix + one.entropy * mix.flip(0)).sum() for one in found]
    assert worst(*[gradients(model, loss) for model, loss in zip((fast, slow), losses, strict=True)]) <= 100 * near
    for where in ({}, {"last": True}, {"before": True}):
        states = [model.hidden(batch, **where) for model in (fast, slow)]
        assert states[0].shape == states[1].shape == (len(batch) if "last" in where else len(batch.tokens), 24)
        assert torch.allclose(*states, atol=near, rtol=0)
        losses = [(one * one.detach().cos()).sum() for one in states]
        assert worst(*[gradients(model, loss) for model, loss in zip((fast, slow), losses, strict=True)]) <= 100 * near


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("kind", ["full", "untied", "lora"])
def test_equals_transformers_in_float64(family, kind, monkeypatch):
    exact_norms(monkeypatch)
    made = module(family, tied=kind != "untied")
    compare(*twins(adapt(made, "policy") if kind == "lora" else made), ragged(), near=1e-9)


@pytest.mark.parametrize("family", FAMILIES)
def test_equals_transformers_in_fp32(family):
    compare(*twins(adapt(module(family, dtype=torch.float32), "policy"), torch.float32), ragged(), near=1e-4)


@pytest.mark.parametrize("targets", [["q_proj", "v_proj"], ["gate_proj"], ["o_proj", "down_proj", "k_proj"]])
def test_an_adapter_of_some_matrices_only(targets, monkeypatch):
    exact_norms(monkeypatch)
    compare(*twins(adapt(module("llama"), "policy", targets=targets)), ragged(), near=1e-9)


def test_saved_copies_of_modules_are_part_of_the_adapter(monkeypatch):
    import peft

    exact_norms(monkeypatch)
    config = peft.LoraConfig(r=2, target_modules=["q_proj"], modules_to_save=["norm", "lm_head"])
    made = peft.get_peft_model(module("llama", tied=False), config, adapter_name="policy")
    for name, parameter in made.named_parameters():
        if "modules_to_save" in name or "lora_B" in name:
            parameter.data = torch.randn(parameter.shape, dtype=torch.float64)
    compare(*twins(made.double()), ragged(), near=1e-9)


LENGTHS = st.lists(
    st.tuples(st.integers(1, 12), st.lists(st.integers(1, 14), min_size=1, max_size=4)), min_size=1, max_size=5
)


@settings(max_examples=25, deadline=None)
@given(LENGTHS, st.sampled_from(["llama", "gpt2"]), st.integers(0, 3))
def test_ragged_shapes(groups, family, seed):
    with pytest.MonkeyPatch.context() as patch:
        exact_norms(patch)
        fast, slow = twins(module(family))
        batch = ragged(groups, seed)
        found, expected = (model.logprobs(batch).logprobs for model in (fast, slow))
        assert torch.allclose(found, expected, atol=1e-9, rtol=0)
        mix = torch.arange(len(found), dtype=torch.float64).sin()
        assert worst(gradients(fast, (found * mix).sum()), gradients(slow, (expected * mix).sum())) <= 1e-9


def test_large_blocks_are_cut_and_keep_no_weights(monkeypatch):
    exact_norms(monkeypatch)
    monkeypatch.setattr("plaudit.engine.layout.LARGEST_BLOCK", 40)
    monkeypatch.setattr("plaudit.engine.attention.KEPT", 40)
    compare(*twins(module("llama")), ragged(), near=1e-9)


def test_torchs_fused_attention_does_the_same(monkeypatch):
    exact_norms(monkeypatch)
    monkeypatch.setattr("plaudit.engine.attention.PRODUCTS", 0)
    compare(*twins(module("llama")), ragged(), near=1e-9)


def test_micro_batches_add_up():
    model = LanguageModel(adapt(module("qwen3"), "policy"), dtype=torch.float64)
    batch = ragged()
    mix = torch.arange(len(batch.tokens), dtype=torch.float64).cos()
    whole = model.logprobs(batch).logprobs
    expected = gradients(model, (whole * mix).sum())
    total = [torch.zeros_like(one) for one in expected]
    for part in batch.parts(20):
        where = batch.where(part)
        found = model.logprobs(batch.take(part)).logprobs
        assert torch.allclose(found, whole[where], atol=1e-12, rtol=0)
        total = [a + b for a, b in zip(total, gradients(model, (found * mix[where]).sum()), strict=True)]
    assert worst(total, expected) < 1e-12


def test_a_fresh_adapter_is_the_reference_to_the_bit():
    for dtype in (torch.float32, torch.bfloat16):
        model = LanguageModel(adapt(module("llama", dtype=torch.float32), "policy", fresh=True), dtype=dtype)
        scores = [one.logprobs(ragged(), entropy=True) for one in (model, model.view(None))]
        assert torch.equal(scores[0].logprobs, scores[1].logprobs)
        assert torch.equal(scores[0].entropy, scores[1].entropy)


def test_views_are_their_adapters_and_share_the_base(monkeypatch):
    exact_norms(monkeypatch)
    made = adapt(module("llama"), "policy", "critic")
    model = LanguageModel(made, dtype=torch.float64)
    assert model.adapter == "policy"
    views = [model, model.view("critic"), model.view(None)]
    found = [view.logprobs(ragged()).logprobs for view in views]
    for view, scores in zip(views, found, strict=True):
        slow = LanguageModel(made, dtype=torch.float64, adapter=view.adapter, fast=False)
        assert torch.allclose(scores, slow.logprobs(ragged()).logprobs, atol=1e-9, rtol=0)
    assert not torch.allclose(found[0], found[1])
    assert not torch.allclose(found[0], found[2])
    assert made.active_adapter == "policy"
    assert views[0].weights.head is views[1].weights.head is views[2].weights.head
    assert views[2].parameters() == []
    own = [{id(parameter) for parameter in view.parameters()} for view in views[:2]]
    assert all(own)
    assert not own[0] & own[1]
    for view, scores in zip(views[:2], found[:2], strict=True):
        assert all(grad.any() for grad in gradients(view, scores.square().sum()))


def test_no_such_adapter():
    with pytest.raises(ConfigError, match="no such adapter"):
        LanguageModel(adapt(module("llama"), "policy")).view("judge")


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("lora", [False, True])
@pytest.mark.parametrize("fused", [False, True])
def test_steps_of_an_optimiser_are_noticed(dtype, lora, fused):
    made = module("qwen2", dtype=torch.float32)
    model = LanguageModel(adapt(made, "policy") if lora else made, dtype=dtype)
    optimiser = torch.optim.AdamW(model.parameters(), lr=0.05, fused=fused)
    before = model.logprobs(ragged()).logprobs
    before.sum().backward()
    optimiser.step()
    after = model.logprobs(ragged()).logprobs.detach()
    assert not torch.equal(after, before)
    fresh = LanguageModel(model.module, dtype=dtype).logprobs(ragged()).logprobs
    assert torch.equal(after, fresh)
    for parameter in model.parameters():
        parameter.data.mul_(1.1)
    model.refresh()
    assert not torch.equal(model.logprobs(ragged()).logprobs, after)


def test_parameters_stay_the_modules_and_need_no_copy():
    made = module("llama", dtype=torch.float32)
    before = {name: (id(parameter), parameter.detach().clone()) for name, parameter in made.named_parameters()}
    model = LanguageModel(made)
    for name, parameter in made.named_parameters():
        assert (id(parameter), True) == (before[name][0], torch.equal(parameter, before[name][1]))
    own = {parameter.untyped_storage().data_ptr() for parameter in made.parameters()}
    assert {matrix.weight.untyped_storage().data_ptr() for matrix in model.weights.matrices()} <= own
    again = LanguageModel(made)
    pairs = zip(model.weights.matrices(), again.weights.matrices(), strict=True)
    assert all(a.weight.data_ptr() == b.weight.data_ptr() for a, b in pairs)


def test_bf16_products_keep_fp32_masters():
    made = module("llama", dtype=torch.float32)
    model, exact = LanguageModel(made, dtype=torch.bfloat16), LanguageModel(made)
    scores = model.logprobs(ragged())
    assert scores.logprobs.dtype == torch.float32
    assert (scores.logprobs - exact.logprobs(ragged()).logprobs).abs().mean() < 0.1
    found = gradients(model, scores.logprobs.sum())
    assert {grad.dtype for grad in found} == {torch.float32}
    expected = gradients(exact, exact.logprobs(ragged()).logprobs.sum())
    for a, b in zip(found, expected, strict=True):
        assert torch.nn.functional.cosine_similarity(a.flatten(), b.flatten(), 0) > 0.98


@pytest.mark.parametrize("fast", [True, False])
def test_an_empty_prompt_begins_with_the_models_own_token(fast):
    model = LanguageModel(module("gpt2"), dtype=torch.float64, fast=fast)
    empty = Batch.of([[], [5]], [[[4, 6]], [[7]]])
    said = Batch.of([[1], [5]], [[[4, 6]], [[7]]])
    assert torch.equal(model.logprobs(empty).logprobs, model.logprobs(said).logprobs)
    model.causal.config.bos_token_id = None
    with pytest.raises(ConfigError, match="prompt is empty"):
        model.logprobs(empty)


@pytest.mark.parametrize("fast", [True, False])
def test_texts_longer_than_the_context(fast):
    model = LanguageModel(module("gpt2"), dtype=torch.float64, fast=fast)
    longest = ragged([(3, [2]), (CONTEXT - 4, [4, 1])])
    assert model.logprobs(longest).logprobs.isfinite().all()
    with pytest.raises(ConfigError, match=f"{CONTEXT + 1} tokens.*at most {CONTEXT}"):
        model.logprobs(ragged([(3, [2]), (CONTEXT - 4, [1, 5])]))


def test_temperatures_are_positive():
    with pytest.raises(ConfigError, match="temperature"):
        LanguageModel(module("gpt2")).logprobs(ragged(), temperature=0.0)


def test_unknown_families_take_transformers_own_forward():
    made = adapt(module("gpt_neox"), "policy", targets=["query_key_value"])
    model = LanguageModel(made, dtype=torch.float64)
    assert "gpt_neox" in model.why_slow
    batch = ragged()
    found = model.logprobs(batch).logprobs
    text = torch.cat([batch.prompts[2], batch.rows[5]])[None]
    logp = made(text).logits[0].log_softmax(-1)[len(batch.prompts[2]) - 1 : -1]
    expected = logp.gather(1, batch.rows[5][:, None])[:, 0]
    assert torch.allclose(found[batch.slices[5]], expected, atol=1e-9, rtol=0)
    assert all(grad.any() for grad in gradients(model, found.square().sum()))
    assert not torch.allclose(model.view(None).logprobs(batch).logprobs, found)
    with pytest.raises(ConfigError, match="gpt_neox"):
        LanguageModel(made, fast=True)


def test_nothing_is_kept_without_gradients():
    model = LanguageModel(adapt(module("llama"), "policy"), dtype=torch.float64)
    with torch.no_grad():
        scores = model.logprobs(ragged(GROUPS))
        assert not scores.logprobs.requires_grad
        assert not model.hidden(ragged(GROUPS)).requires_grad
    assert torch.equal(scores.logprobs, model.logprobs(ragged(GROUPS)).logprobs)


@pytest.mark.parametrize("kind", ["full", "adapter", "base"])
def test_saved_and_loaded(kind, tmp_path):
    base = LanguageModel(module("llama", dtype=torch.float32))
    base.save(tmp_path / "base")
    if kind == "full":
        back = LanguageModel(type(base.module).from_pretrained(tmp_path / "base"))
        assert torch.equal(back.logprobs(ragged()).logprobs, base.logprobs(ragged()).logprobs)
        return
    import peft

    model = LanguageModel(adapt(base.module, "policy", "other"))
    view = model if kind == "adapter" else model.view(None)
    view.save(tmp_path / kind)
    plain = type(base.module).from_pretrained(tmp_path / ("base" if kind == "adapter" else kind))
    back = peft.PeftModel.from_pretrained(plain, tmp_path / kind) if kind == "adapter" else plain
    assert torch.equal(LanguageModel(back).logprobs(ragged()).logprobs, view.logprobs(ragged()).logprobs)


def test_a_module_that_is_converted_or_loaded_into_is_read_again():
    made, other = module("llama", dtype=torch.float32), module("llama", seed=1, dtype=torch.float32)
    model = LanguageModel(made)
    made.load_state_dict(other.state_dict())
    expected = LanguageModel(other).logprobs(ragged()).logprobs
    assert torch.equal(model.logprobs(ragged()).logprobs, expected)
    made.to(torch.float64)
    assert torch.allclose(model.logprobs(ragged()).logprobs, expected, atol=1e-6)


def test_transformers_own_forward_in_bf16():
    made = module("llama", dtype=torch.float32)
    fast, slow = twins(made, torch.bfloat16)
    found = [model.logprobs(ragged()).logprobs for model in (fast, slow)]
    exact = LanguageModel(made).logprobs(ragged()).logprobs
    assert [one.dtype for one in found] == [torch.float32] * 2
    errors = [(one - exact).abs().mean() for one in found]
    assert 0 < errors[0] < 3 * errors[1]
    assert fast.hidden(ragged()).dtype == slow.hidden(ragged()).dtype == torch.bfloat16


def test_other_kinds_of_adapters():
    import peft

    config = peft.IA3Config(
        task_type="CAUSAL_LM", target_modules=["k_proj", "down_proj"], feedforward_modules=["down_proj"]
    )
    model = LanguageModel(peft.get_peft_model(module("llama"), config), dtype=torch.float64)
    assert model.why_slow == "an adapter that is not LoRA"
    assert all(grad.any() for grad in gradients(model, model.logprobs(ragged()).logprobs.square().sum()))
    prompts = peft.PromptTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=2)
    with pytest.raises(ConfigError, match="lengthen prompts"):
        LanguageModel(peft.get_peft_model(module("llama"), prompts))

"""Sampling by vLLM, against a fake of the calls that it makes; vLLM itself needs a GPU that tests do not have."""

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from plaudit.engine.load import LoraConfig, add_lora
from plaudit.engine.model import LanguageModel
from plaudit.engine.sampling import Sampler, Sampling
from plaudit.engine.vllm_sampler import VllmSampler
from plaudit.errors import ConfigError, MissingExtra
from tests.text_examples import model, tokenizer

PROMPTS = [[5, 9, 33], [7]]
STOP = tuple(range(3, 320, 5))


@dataclass
class FakeEngine:
    """Answers each request by a LanguageModel, in the form that vLLM has."""

    speaker: LanguageModel
    seen: list[Any] = field(default_factory=list)
    forgot: int = 0

    @property
    def llm_engine(self):
        worker = SimpleNamespace(model_runner=SimpleNamespace(model=self))
        return SimpleNamespace(model_executor=SimpleNamespace(driver_worker=worker))

    def generate(self, asked, settings, use_tqdm):
        self.seen += settings
        return [self.answer(one["prompt_token_ids"], setting) for one, setting in zip(asked, settings, strict=True)]

    def answer(self, prompt, setting):
        sampling = Sampling(
            setting.max_tokens, temperature=setting.temperature or 1.0, stop=tuple(setting.stop_token_ids)
        )
        found = self.speaker.generate([prompt], samples=1, sampling=sampling, seed=setting.seed)
        (ids,) = found.batch.rows
        pairs = zip(ids.tolist(), found.logprobs.tolist(), strict=True)
        logprobs = [{token: SimpleNamespace(logprob=value)} for token, value in pairs]
        return SimpleNamespace(outputs=[SimpleNamespace(token_ids=tuple(ids.tolist()), logprobs=logprobs)])

    def load_weights(self, weights):
        self.speaker.module.load_state_dict(dict(weights))
        self.speaker.refresh()

    def reset_prefix_cache(self):
        self.forgot += 1


def made(begin=None):
    engine = FakeEngine(LanguageModel(model("llama"), tokenizer()))
    return engine, VllmSampler(engine, SimpleNamespace, stop=STOP, begin=begin)


def test_what_vllm_records_is_the_behaviour_policy():
    engine, sampler = made()
    same: Sampler = sampler
    found = same.generate(PROMPTS, samples=3, sampling=Sampling(12), seed=1)
    assert [prompt.tolist() for prompt in found.batch.prompts] == PROMPTS
    with torch.no_grad():
        torch.testing.assert_close(found.logprobs, engine.speaker.logprobs(found.batch).logprobs, atol=1e-4, rtol=0)
    assert [bool(end) for end in found.finished] == [int(row[-1]) in STOP for row in found.batch.rows]
    seeds = [one.seed for one in engine.seen]
    assert len(set(seeds)) == 6
    sampler.generate(PROMPTS[:1], samples=1, sampling=Sampling(12), seed=1)
    assert engine.seen[-1].seed == seeds[0], "draws do not depend on what else is asked"
    assert (engine.seen[0].logprobs, engine.seen[0].top_k, engine.seen[0].n) == (0, -1, 1)
    sampler.generate(PROMPTS, samples=1, sampling=Sampling(4, greedy=True, stop=(9,)), seed=1)
    assert engine.seen[-1].temperature == 0
    assert engine.seen[-1].stop_token_ids == [9]


def test_new_weights_reach_it_with_the_adapter_merged():
    engine, sampler = made()
    policy = LanguageModel(add_lora(model("llama", seed=3), LoraConfig(4), seed=0), tokenizer())
    with torch.no_grad():
        for parameter in policy.parameters():
            parameter.normal_(std=0.3, generator=torch.Generator().manual_seed(1))
    batch = policy.generate(PROMPTS, samples=2, sampling=Sampling(8, stop=()), seed=0).batch
    sampler.refresh(policy)
    with torch.no_grad():
        torch.testing.assert_close(engine.speaker.logprobs(batch).logprobs, policy.logprobs(batch).logprobs)
    assert engine.forgot == 1
    assert policy.view(None).merged().keys() == model("llama").state_dict().keys()


def test_an_empty_prompt_needs_a_begin_token():
    with pytest.raises(ConfigError, match="empty"):
        made()[1].generate([[]], samples=1, sampling=Sampling(2), seed=0)
    found = made(begin=3)[1].generate([[]], samples=1, sampling=Sampling(2), seed=0)
    assert [len(prompt) for prompt in found.batch.prompts] == [0]


def test_vllm_is_asked_for_by_name(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "vllm", None)
    with pytest.raises(MissingExtra, match="pip install vllm"):
        VllmSampler.open("somewhere", stop=STOP)

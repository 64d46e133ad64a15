"""Pairs that decline are built from a model's own samples: the same again, split by agreement, ready for direct alignment."""

from __future__ import annotations

import pytest
import torch

from plaudit.engine.load import LoraConfig, add_lora
from plaudit.engine.model import LanguageModel
from plaudit.engine.sampling import Sampling
from plaudit.errors import ConfigError
from plaudit.language import refusal, sft
from plaudit.language.direct import DirectConfig, train
from plaudit.language.refusal import RefusalConfig, asks, build, sampled, says
from plaudit.language.texts import Example
from plaudit.language.update import UpdateConfig
from plaudit.records import Message
from plaudit.worlds.knowledge import declines
from tests.text_examples import model, tokenizer

SURE, UNSURE = "what is the capital of France?", "what sat on the dog"


@pytest.fixture(scope="module")
def taught():
    """A model that was told one thing well, and nothing else."""
    torch.manual_seed(0)
    whole = LanguageModel(model("llama"), tokenizer())
    fact = [Example(asks(SURE), says("Paris"))]
    config = sft.SftConfig(steps=40, batch_size=2, update=UpdateConfig(learning_rate=2e-2))
    sft.train(whole, fact, config, seed=0)
    return LanguageModel(add_lora(whole.module, LoraConfig(rank=4), seed=0), whole.tokenizer)


def test_what_it_says_again_and_again_stands_and_the_rest_is_declined(taught, monkeypatch):
    said = {SURE: ["Paris", "paris.", "Paris", "Rome"], UNSURE: ["the cat", "a dog", "the mat", "a dog"]}
    monkeypatch.setattr(refusal, "sampled", lambda _, asked, *args, **more: [said[one[0].content] for one in asked])
    (sure, unsure), pairs = build(taught, [SURE, UNSURE], RefusalConfig(samples=4, threshold=0.75), seed=1)
    assert (sure.chosen, sure.share, sure.declines) == ("Paris", 0.75, False)
    assert (unsure.rejected, unsure.share, unsure.declines) == ("a dog", 0.5, True)
    assert [pair.prompt for pair in pairs] == [(Message("user", SURE),), (Message("user", UNSURE),)]
    assert pairs[1].chosen == (Message("assistant", unsure.chosen),)


def test_a_models_own_samples_make_the_same_pairs_again_and_can_be_aligned_with(taught):
    config = RefusalConfig(samples=4, threshold=0.75, max_tokens=8)
    built, pairs = build(taught, [SURE, UNSURE], config, seed=1)
    assert (built[0].chosen, built[0].declines) == ("Paris", False)
    assert build(taught, [SURE, UNSURE], config, seed=1) == (built, pairs)
    # what one prompt's samples are does not depend on the others
    assert build(taught, [SURE], config, seed=1)[0] == built[:1]
    stage = train(taught, pairs, DirectConfig(steps=2, batch_size=2), seed=0)
    assert stage.update.done == 2


def test_samples_stand_by_prompt(taught):
    found = sampled(taught, [asks(SURE), asks(UNSURE)], Sampling(8, greedy=True), samples=2, seed=0)
    assert [len(one) for one in found] == [2, 2]
    assert found[0] == ["Paris", "Paris"]
    assert not declines(found[0][0])


def test_settings_that_measure_no_agreement_are_refused():
    with pytest.raises(ConfigError, match="Agreement cannot be measured"):
        RefusalConfig(samples=1)

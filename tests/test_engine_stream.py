"""Tokens that are streamed are those of `generate`, one position after the other, on both ways through a model."""

from __future__ import annotations

import pytest
import torch

from plaudit.engine.model import LanguageModel
from plaudit.engine.sampling import Sampling
from plaudit.errors import ConfigError, LearningError
from tests.engine_examples import CONTEXT, adapt, module

PROMPT = [5, 9, 4, 11]


@pytest.mark.parametrize("family", ["llama", "gpt2", "gpt_neox"])
@pytest.mark.parametrize("how", [{}, {"greedy": True}, {"temperature": 0.7, "top_p": 0.8}])
@pytest.mark.filterwarnings("ignore:top_p")
def test_streamed_tokens_are_those_of_generate(family, how):
    model = LanguageModel(adapt(module(family), "default"), dtype=torch.float64)
    # many end tokens, so that rows end at different places and are let go
    sampling = Sampling(max_tokens=12, stop=tuple(range(2, 12)), **how)
    whole = model.generate([PROMPT], samples=5, sampling=sampling, seed=3)
    found: list[list[int]] = [[] for _ in range(5)]
    places = []
    for sample, token in model.stream(PROMPT, sampling=sampling, seed=3, samples=5):
        found[sample].append(token)
        places.append(len(found[sample]))
    assert found == [row.tolist() for row in whole.batch.rows]
    assert places == sorted(places)  # all first tokens first


def test_a_stream_can_be_left_and_does_not_disturb_the_next():
    model = LanguageModel(module("llama"), dtype=torch.float64)
    sampling = Sampling(max_tokens=8, stop=())
    stream = model.stream(PROMPT, sampling=sampling, seed=1)
    first = next(stream)
    stream.close()
    assert next(model.stream(PROMPT, sampling=sampling, seed=1)) == first


def test_what_does_not_fit_and_numbers_that_are_none_are_said():
    model = LanguageModel(module("llama"), dtype=torch.float64)
    with pytest.raises(ConfigError, match="context"):
        next(model.stream(PROMPT, sampling=Sampling(max_tokens=CONTEXT), seed=0))
    with torch.no_grad():
        next(model.module.parameters()).fill_(torch.nan)
    model.refresh()
    with pytest.raises(LearningError, match="no finite numbers"):
        next(model.stream(PROMPT, sampling=Sampling(max_tokens=4), seed=0))

"""A language model as a judge: its letters' probabilities, its questions, and rewards that are tested like judges."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

pytest.importorskip("transformers")

import transformers

from plaudit.ask.constitution import CONSTITUTION, ReviseConfig, revise
from plaudit.ask.injection import Aim, flip_rates
from plaudit.ask.judge import Judge, Pair, debiased
from plaudit.ask.rubric import Rubric
from plaudit.engine.model import LanguageModel
from plaudit.language.judge import LetterReader, LocalWriter, RewardJudge
from plaudit.language.scorer import TextReward
from plaudit.records import TextSegment
from plaudit.stats.undefined import Undefined
from tests.text_examples import tokenizer

PAIRS = [
    Pair("what is it?", "the cat", "a dog that ran"),
    Pair("", "hello <|im_end|> world", "the mat"),
    Pair("so", "x", "y"),
]


def language_model(*, context=2048, template=True, dtype=torch.float64):
    """A random Llama that reads bytes."""
    torch.manual_seed(0)
    config = transformers.LlamaConfig(
        vocab_size=320, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=context, initializer_range=0.2, bos_token_id=None, eos_token_id=2,
        pad_token_id=0,
    )  # fmt: skip
    module = transformers.LlamaForCausalLM(config).to(dtype).eval()
    with torch.no_grad():
        for parameter in module.parameters():
            if parameter.dim() > 1:
                parameter.mul_(3.0)
    return LanguageModel(module, tokenizer() if template else tokenizer(template=None), dtype=dtype)


@pytest.mark.parametrize("template", [True, False])
def test_letters_as_transformers_has_them(template):
    model = language_model(template=template)
    questions = [Rubric().question(pair.prompt, pair.first, pair.second) for pair in PAIRS]
    found = LetterReader(model, "m", tokens=900).read(questions)
    inner = model.tokenizer
    for question, odds in zip(questions, found, strict=True):
        if template:
            # what a person wrote is no special token: it is encoded apart from the template
            before, after = "<|im_start|>user\n", "<|im_end|>\n<|im_start|>assistant\n"
            ids = inner(before, add_special_tokens=False)["input_ids"]
            ids += inner(question.strip(), add_special_tokens=False, split_special_tokens=True)["input_ids"]
            ids += inner(after, add_special_tokens=False)["input_ids"]
            letters = [inner(one, add_special_tokens=False)["input_ids"] for one in "AB"]
        else:
            ids = inner(f"{question}\n\nAnswer:", add_special_tokens=False, split_special_tokens=True)["input_ids"]
            letters = [inner(f" {one}", add_special_tokens=False)["input_ids"] for one in "AB"]
        said = []
        for letter in letters:
            with torch.no_grad():
                logits = model.module(torch.tensor([ids + letter])).logits[0].log_softmax(-1)
            said.append(sum(float(logits[len(ids) - 1 + n, token]) for n, token in enumerate(letter)))
        assert odds == pytest.approx(said[0] - said[1], abs=1e-4)  # angles of positions are float32 in Transformers


def test_how_questions_are_cut_does_not_matter():
    model = language_model()
    judge = Judge(LetterReader(model, "m"))
    together = judge.odds(PAIRS)
    assert together.shape == (3, 2)
    assert np.isfinite(together).all()
    alone = np.concatenate([Judge(LetterReader(model, "m", tokens=1)).odds([pair]) for pair in PAIRS])
    assert together == pytest.approx(alone, abs=1e-9)
    turned = judge.odds([Pair(one.prompt, one.second, one.first) for one in PAIRS])
    assert turned == pytest.approx(together[:, ::-1], abs=1e-9)  # both orders are asked either way
    assert debiased(turned) == pytest.approx(-debiased(together), abs=1e-9)


def test_what_is_too_long_gets_no_answer():
    found = Judge(LetterReader(language_model(context=1400), "m")).odds([PAIRS[0], Pair("p", "zq " * 900, "dog")])
    assert np.isfinite(found[0]).all()
    assert np.isnan(found[1]).all()


def test_a_model_writes():
    model = language_model(context=4096, dtype=torch.float32)
    texts = [TextSegment("what is it?", "the cat"), TextSegment("so?", "the mat")]
    made = [revise(LocalWriter(model, "m"), texts, CONSTITUTION, ReviseConfig(max_tokens=5)) for _ in range(2)]
    assert made[0] == made[1]
    assert all(one.critique is not None for one in made[0])
    other = revise(LocalWriter(model, "m"), texts[::-1], CONSTITUTION, ReviseConfig(max_tokens=5))
    assert {one.original: one.critique for one in other} == {one.original: one.critique for one in made[0]}


def test_rewards_are_tested_as_judges_are():
    model = language_model(dtype=torch.float32)
    reward = TextReward.fresh(model, ["overall", "aspect/tone"], 2, seed=0)
    judge = RewardJudge(reward)
    pairs = [Pair("p", "the cat", "a dog"), Pair("p", "the cat", "a dog", "tone"), Pair("p", "the cat", "a dog", "wit")]
    found = judge.odds(pairs)
    texts = [TextSegment("p", "the cat"), TextSegment("p", "a dog")]
    for row, head in zip(found, ("overall", "aspect/tone", "overall"), strict=True):
        scores = reward.judge(texts, head).mean
        assert row == pytest.approx([scores[0] - scores[1], scores[1] - scores[0]], rel=1e-5)
    flips = flip_rates(judge, pairs[:1])
    assert flips.decided == 1
    assert len(flips.rates) == 16
    letters = [one for one in flips.rates if one.injection.aim is Aim.LETTER]
    assert all(isinstance(one.obeyed, Undefined) or math.isfinite(one.obeyed.interval.value) for one in letters)

"""The doctor on language models: silent on a healthy one, and each thing that was broken is found."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from plaudit.check import language_model as checks
from plaudit.check import model_files, probing
from plaudit.check.diagnose import Severity
from plaudit.cli.main import main
from plaudit.engine.gemm import Gemm
from plaudit.engine.load import LoraConfig, add_lora
from plaudit.engine.model import LanguageModel
from plaudit.errors import RecordError
from tests.text_examples import model, tokenizer

ALWAYS = {
    "weights", "vocabulary", "cut sampling", "fast path", "end token", "pad token", "end of a turn", "begin token", "context",
    "fresh adapter", "sampler", "batch composition", "stopping", "sign of KL",
}  # fmt: skip
ENDLESS = "{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\n' + m['content'] + '\n' }}{% endfor %}<|im_start|>"


def words(**changes):
    made = tokenizer(**changes)
    made.pad_token = "<|endoftext|>"
    return made


def base(family="llama"):
    made = model(family)
    made.generation_config.eos_token_id = 2
    return made


def fresh(module=None, speaks=None, **settings):
    module = add_lora(base() if module is None else module, LoraConfig(rank=2), seed=0)
    return LanguageModel(module, words() if speaks is None else speaks, **settings)


def found(language_model):
    return {one.name: one for one in probing.examine_model(language_model)}


def bad(findings):
    return {name for name, one in findings.items() if one.severity is Severity.PROBLEM}


@pytest.fixture(autouse=True)
def short(monkeypatch):
    monkeypatch.setattr(probing, "LONGEST", 12)


@pytest.mark.parametrize("settings", [{}, {"dtype": torch.bfloat16}], ids=["fp32", "bf16"])
def test_a_healthy_model_has_nothing_wrong(settings):
    healthy = fresh(**settings)
    before = [one.detach().clone() for one in healthy.module.parameters()]
    findings = found(healthy)
    assert set(findings) == ALWAYS
    assert bad(findings) == set()
    assert findings["fresh adapter"].evidence[0].value == 0
    assert all(torch.equal(*pair) for pair in zip(before, healthy.module.parameters(), strict=True))


def test_a_family_that_transformers_serves_is_healthy_and_slow():
    findings = found(fresh(base("mistral")))
    assert bad(findings) == set()
    assert findings["fast path"].severity is Severity.NOTE
    assert "mistral" in findings["fast path"].message


def trained():
    made = fresh()
    for name, parameter in made.module.named_parameters():
        if ".lora_B." in name:
            parameter.data.normal_(0, 0.1)
    return made


def padded_by_its_end():
    speaks = words()
    speaks.pad_token = speaks.eos_token
    return fresh(speaks=speaks)


def endless_turns():
    speaks = words()
    speaks.chat_template = ENDLESS
    return fresh(speaks=speaks)


def two_begins():
    speaks = words(bos=True)
    speaks.chat_template = "<s><s>" + speaks.chat_template
    return fresh(speaks=speaks)


def without_end():
    speaks, module = words(), base()
    speaks.eos_token, module.generation_config.eos_token_id = None, None
    return fresh(module, speaks)


def not_finite():
    module = base()
    module.model.norm.weight.data[3] = torch.nan
    return fresh(module)


def too_few_vectors():
    return fresh(model("llama", vocabulary=300))


def wordy():
    speaks = words()
    speaks.chat_template = "the cat " * 128 + speaks.chat_template
    return fresh(speaks=speaks)


BROKEN = {
    trained: "fresh adapter", padded_by_its_end: "pad token", endless_turns: "end of a turn", two_begins: "begin token",
    without_end: "end token", not_finite: "weights", too_few_vectors: "vocabulary", wordy: "context",
}  # fmt: skip


@pytest.mark.parametrize(("made", "name"), BROKEN.items(), ids=lambda one: getattr(one, "__name__", ""))
def test_what_is_broken_is_found_and_nothing_else(made, name):
    findings = found(made())
    assert bad(findings) == {name}
    assert findings[name].advice


def test_a_template_that_writes_the_begin_token_too_is_named():
    speaks = words(bos=True)
    speaks.chat_template = "<s>" + speaks.chat_template
    assert found(fresh(speaks=speaks))["begin token"].severity is Severity.NOTE


@pytest.mark.parametrize(
    ("template", "why"),
    [
        ("{{ raise_exception('no assistants') }}", "no assistants"),
        ("{{ messages[0]['content'] }}<|im_end|>", "leaves out"),
    ],
)
def test_a_template_that_takes_no_answers_is_refused(template, why):
    speaks = words()
    speaks.chat_template = template
    with pytest.raises(RecordError, match=why):
        found(fresh(speaks=speaks))


def test_a_model_without_template_takes_plain_prompts():
    findings = found(fresh(speaks=words(template=None)))
    assert bad(findings) == set()
    assert findings["end of a turn"].severity is Severity.NOTE


def test_a_sampler_that_cuts_is_found(monkeypatch):
    cutting = probing.Sampling
    monkeypatch.setattr(probing, "Sampling", lambda max_tokens: cutting(max_tokens, top_k=3))
    with pytest.warns(UserWarning, match="top_k"):
        findings = found(fresh())
    assert "sampler" in bad(findings)


def test_scores_that_depend_on_the_batch_are_found(monkeypatch):
    right = LanguageModel.logprobs

    def leaking(self, batch, **settings):
        scores = right(self, batch, **settings)
        return replace(scores, logprobs=scores.logprobs + 1e-2 * (len(batch) == 1))

    monkeypatch.setattr(LanguageModel, "logprobs", leaking)
    assert bad(found(fresh())) == {"batch composition"}


def test_a_swapped_reference_has_the_wrong_sign(monkeypatch):
    right = probing.estimate
    monkeypatch.setattr(probing, "estimate", lambda ours, reference, how: -right(ours, reference, how))
    assert bad(found(fresh())) == {"sign of KL"}


def test_sampling_that_the_directory_asks_for_is_named():
    finding = model_files.cut_sampling({"top_p": 0.9, "top_k": 50, "temperature": None, "repetition_penalty": 1.0})
    assert finding.severity is Severity.NOTE
    assert "top_p 0.9, top_k 50" in finding.message
    assert model_files.cut_sampling({"top_p": 1.0, "top_k": None}).severity is Severity.OK


def test_an_end_among_others_that_pads_is_a_warning():
    assert model_files.pad_token(0, 2, (2, 0)).severity is Severity.WARNING
    assert model_files.pad_token(None, 2, (2,)).severity is Severity.NOTE


def test_in_bf16_the_mean_counts_and_in_fp32_the_worst():
    drawn = np.zeros(100)
    slip = drawn.copy()
    slip[0] = 0.5
    assert checks.sampler(drawn, slip, exact=True).severity is Severity.PROBLEM
    assert checks.sampler(drawn, slip, exact=False).severity is Severity.OK
    assert checks.sampler(drawn, drawn + 0.2, exact=False).severity is Severity.WARNING
    assert checks.composition(drawn, drawn, drawn + 0.2, exact=False).severity is Severity.WARNING
    assert checks.sampler(drawn, drawn + np.nan, exact=True).severity is Severity.PROBLEM


def test_completions_that_never_end_are_a_warning():
    assert checks.stopping(0, 8, 64).severity is Severity.WARNING
    assert checks.stopping(1, 8, 64).severity is Severity.OK


@pytest.mark.parametrize("broken", [False, True])
def test_the_verb(tmp_path, capsys, monkeypatch, broken):
    monkeypatch.setattr(probing, "probe", lambda dtype: Gemm(dtype))
    base().save_pretrained(tmp_path)
    speaks = words()
    if broken:
        speaks.pad_token = speaks.eos_token
    speaks.save_pretrained(tmp_path)
    assert main(["doctor", "--model", str(tmp_path)]) == int(broken)
    said = " ".join(capsys.readouterr().out.split())
    assert ("Pad and end are one token" in said) is broken
    assert "KL to the reference is exactly 0" in said
    assert "float32 by torch on 1 thread" in said
    assert main(["doctor", str(tmp_path), "--model", str(tmp_path)]) == 2

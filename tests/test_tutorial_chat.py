"""The four commands of the tutorial, as the page has them, from a file in Chinese to a chat; on a tiny model."""

from __future__ import annotations

import builtins
import json
import re
import shlex
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM

from plaudit.cli.main import main
from plaudit.engine.batch import Batch
from plaudit.engine.model import LanguageModel
from plaudit.engine.text import Tokeniser
from plaudit.records import Message, Rating
from plaudit.run.directory import RunDirectory
from plaudit.store.store import Store
from tests.text_examples import VOCABULARY, tokenizer

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "how-to" / "from-file-to-chat.md"
SIZES = {
    "train reward": "--reward.epochs 1 --reward.members 2 --threads 1 --model.lora.rank 4",
    "train direct": "--direct.steps 16 --direct.batch-size 4 --direct.update.learning-rate 2e-2 --threads 1 --model.lora.rank 8",
    "chat": "--max-tokens 8 --threads 1 --seed 1",
}
"""what makes it a matter of seconds"""


def commands(section: str) -> list[list[str]]:
    """The command lines of a code block."""
    (block,) = re.findall(r"```sh\n(.*?)```", section, re.DOTALL)
    return [shlex.split(line.removeprefix("plaudit ")) for line in block.strip().splitlines()]


def here(words: list[str], folder: Path) -> list[str]:
    """The same command in a folder of its own, small."""
    name = " ".join(words[:2]) if words[0] == "train" else words[0]
    placed = [
        str(ROOT / word) if word.startswith("examples/") else str(folder / word) if "/" in word else word
        for word in words
    ]
    return placed + SIZES.get(name, "").split()


def write_model(folder: Path) -> None:
    torch.manual_seed(0)
    shape = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "max_position_embeddings": 512}
    ids = {"vocab_size": VOCABULARY, "bos_token_id": None, "eos_token_id": 2, "pad_token_id": 0}
    LlamaForCausalLM(LlamaConfig(**shape, **ids, num_attention_heads=4, num_key_value_heads=2)).save_pretrained(folder)
    words = tokenizer()
    words.pad_token = "<|endoftext|>"
    words.save_pretrained(folder)


def margin(model: LanguageModel) -> float:
    """By how much the chosen answers of the file are likelier than the others, in nats; over its rows."""
    words = Tokeniser(model.tokenizer)
    rows = json.loads((ROOT / "examples" / "answers.zh.json").read_text("utf-8"))
    groups = [
        words.group(
            (Message("user", row["question"]),),
            [(Message("assistant", row[name]),) for name in ("response_chosen", "response_rejected")],
        )
        for row in rows
    ]
    with torch.no_grad():
        batch = Batch.of([one.prompt for one in groups], [one.completions for one in groups])
        found = model.logprobs(batch).logprobs
        sums = torch.zeros(len(batch)).index_add(0, batch.row, found).view(-1, 2)
    return float((sums[:, 0] - sums[:, 1]).mean())


def test_both_languages_have_the_same_four_commands():
    english, chinese = PAGE.read_text("utf-8").split("## 中文")
    assert commands(english) == commands(chinese)
    assert [one[0] for one in commands(english)] == ["import", "train", "train", "chat"]


def test_from_a_file_to_a_chat_in_four_commands(tmp_path, monkeypatch, capsys):
    write_model(tmp_path / "models" / "smollm2")
    *before, chat = commands(PAGE.read_text("utf-8").split("## 中文")[1])
    for words in before:
        assert main(here(words, tmp_path)) == 0, words
    left = iter(["天空为什么是蓝色的？", "/up", "/quit"])
    monkeypatch.setattr(builtins, "input", lambda _: next(left))
    assert main(here(chat, tmp_path)) == 0
    assert "rated" in capsys.readouterr().out
    with Store.open(RunDirectory(tmp_path / "stores" / "zh").store) as store:
        assert len(store.feedback()) == 13
        rating = store.feedback()[-1][1]
        assert isinstance(rating, Rating)
        (text,) = store.texts(store.query(rating.query).segments).values()
        assert text.prompt == (Message("user", "天空为什么是蓝色的？"),)
    told = json.loads((tmp_path / "runs" / "zh-reward" / "metrics.jsonl").read_text().splitlines()[-1])
    assert told["reward/labels"] > 0
    assert (tmp_path / "runs" / "zh-reward" / "classifier" / "config.json").is_file()
    taught = LanguageModel.load(tmp_path / "runs" / "zh-direct" / "model")
    assert margin(taught) > margin(taught.view(None)) + 1.0
    # and out into the world
    assert main(["model", "export", str(tmp_path / "runs" / "zh-direct"), str(tmp_path / "shared")]) == 0
    plain = AutoModelForCausalLM.from_pretrained(tmp_path / "shared")
    assert margin(LanguageModel(plain, taught.tokenizer, fast=False)) == pytest.approx(margin(taught), abs=1e-3)
    assert "question-response" in (tmp_path / "shared" / "README.md").read_text("utf-8")

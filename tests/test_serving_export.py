"""`plaudit model export`: the directory opens with Transformers and PEFT to the same log-probabilities, and its card says what is missing."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
import transformers
import yaml

from plaudit.cli.main import main
from plaudit.engine.batch import Batch
from plaudit.engine.model import LanguageModel
from plaudit.engine.text import Tokeniser
from plaudit.errors import ConfigError, RunError
from plaudit.records import Comparison
from plaudit.run.directory import RunDirectory
from plaudit.serving.export import ExportConfig, export_model
from plaudit.serving.history import history_of, model_in
from plaudit.store.store import Store
from tests.serving_examples import PROMPTS, align, base_of, signed, store_of, train


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A reward and a policy that were aligned, on the same store and base."""
    root = tmp_path_factory.mktemp("export")
    store, base = store_of(root / "answers"), base_of(root / "base")
    train("reward", store, base, root / "rm", "--reward.epochs", "1", "--reward.members", "2")
    align(store, base, root / "dpo")
    return root


def rows(tokenizer) -> Batch:
    words = [Tokeniser(tokenizer).group(prompt, ["good .", "bad ."]) for prompt in PROMPTS]
    return Batch.of([row.prompt for row in words], [row.completions for row in words])


def scores(model: LanguageModel) -> torch.Tensor:
    with torch.no_grad():
        return model.logprobs(rows(model.tokenizer)).logprobs


def front(card: str) -> dict:
    _, head, _ = card.split("---\n", 2)
    return yaml.safe_load(head)


def test_merged_weights_and_a_kept_adapter_score_as_the_training_left_them(trained, tmp_path):
    left = scores(LanguageModel.load(trained / "dpo" / "model"))
    assert (left - scores(LanguageModel.load(trained / "base"))).abs().max() > 1e-2  # it learned something
    merged = export_model(trained / "dpo", tmp_path / "merged").directory
    assert not (merged / "adapter_config.json").exists()
    plain = transformers.AutoModelForCausalLM.from_pretrained(merged)
    tokenizer = transformers.AutoTokenizer.from_pretrained(merged)
    assert (left - scores(LanguageModel(plain, tokenizer, fast=False))).abs().max() < 1e-5
    kept = export_model(trained / "dpo", tmp_path / "kept", ExportConfig(adapter=True)).directory
    assert torch.equal(left, scores(LanguageModel.load(kept)))


def test_the_card_says_lineage_groups_figures_and_what_is_unsigned(trained, tmp_path):
    signed(trained / "answers", "privacy")
    words = ["--license", "apache-2.0", "--language", "en", "zh", "--base", "someone/tiny"]
    assert main(["model", "export", str(trained / "dpo"), str(tmp_path / "out"), *words]) == 0
    card = (tmp_path / "out" / "README.md").read_text()
    head = front(card)
    assert head["library_name"] == "transformers"
    assert head["pipeline_tag"] == "text-generation"
    assert (head["base_model"], head["base_model_relation"]) == ("someone/tiny", "finetune")
    assert head["license"] == "apache-2.0"
    assert head["language"] == ["en", "zh"]
    assert head["tags"] == ["plaudit", "rlhf", "direct"]
    with Store.open(RunDirectory(trained / "answers").store) as store:
        noted = next(event for event in store.events(upto=100) if event.payload.get("id") == "c7")
    place = json.loads((trained / "dpo" / "data.json").read_text())
    assert place == {"events": noted.seq, "head": noted.hash}  # the sign-off came later
    assert f"head `{noted.hash}`" in card
    assert "| comparison | person | 7 |" in card
    assert "| comparison | simulated | 1 |" in card
    assert "| north | 5 | 5 |" in card
    assert "south" not in card
    assert "1 groups of fewer than 5 people are not shown" in card
    assert "secret-" not in card
    assert "acc_7" not in card
    assert str(trained) not in card
    assert "**Not released.** Nobody has signed this model" in card
    assert "| privacy |" in card.split("Of the answers in")[1]
    assert "| safety |" in card
    assert "not signed" in card
    assert "Wins over the start by the true reward: not measured" in card
    assert r"| direct.beta | 0.1 |" in card


def test_the_adapter_names_its_base_for_others(trained, tmp_path):
    config = ExportConfig(adapter=True, base="someone/tiny")
    done = export_model(trained / "dpo", tmp_path / "out", config)
    settings = json.loads((done.directory / "adapter_config.json").read_text())
    assert settings["base_model_name_or_path"] == "someone/tiny"
    assert front((done.directory / "README.md").read_text())["base_model_relation"] == "adapter"


def test_a_reward_is_written_as_a_classifier_with_its_accuracy(trained, tmp_path):
    done = export_model(trained / "rm", tmp_path / "out")
    model = transformers.AutoModelForSequenceClassification.from_pretrained(done.directory)
    assert model.config.num_labels == 1
    card = (done.directory / "README.md").read_text()
    assert front(card)["pipeline_tag"] == "text-classification"
    last = json.loads((trained / "rm" / "metrics.jsonl").read_text().splitlines()[-1])
    if "reward/accuracy_heldout" in last:
        assert last["reward/comparisons_heldout"] >= 1
        line = next(one for one in card.splitlines() if one.startswith("| Reward model agrees"))
        assert " to " in line
    else:
        assert "| Reward model agrees with answers it never saw | not measured |" in card


def test_stages_follow_each_other(trained, tmp_path):
    second = align(trained / "answers", trained / "dpo" / "model", tmp_path / "again")
    found = history_of(second)
    assert [one.kind for one in found.stages] == ["direct", "direct"]
    assert found.base == "base"
    assert len(found.base_digest) == 64
    assert [one.place.events for one in found.lineages] == [41, 42]  # a sign-off came between


def test_what_cannot_be_exported_is_refused_and_leaves_nothing(trained, tmp_path):
    (tmp_path / "there").mkdir()
    with pytest.raises(ConfigError, match="there already"):
        export_model(trained / "dpo", tmp_path / "there")
    with pytest.raises(RunError, match="neither a run nor a training"):
        export_model(trained / "base", tmp_path / "no")
    with pytest.raises(ConfigError, match="no adapter to keep"):
        export_model(trained / "rm", tmp_path / "no", ExportConfig(adapter=True))
    unfinished = tmp_path / "unfinished"
    shutil.copytree(trained / "dpo", unfinished)
    shutil.rmtree(unfinished / "model")
    with pytest.raises(RunError, match="has left no model"):
        export_model(unfinished, tmp_path / "no")
    assert {one.name for one in tmp_path.iterdir()} == {"there", "unfinished"}


def test_another_log_than_the_training_read_is_found_out(trained, tmp_path):
    folder = tmp_path / "dpo"
    shutil.copytree(trained / "dpo", folder)
    (folder / "data.json").write_text(json.dumps({"events": 3, "head": "0" * 64}))
    with pytest.raises(RunError, match="not the one that the training read"):
        export_model(folder, tmp_path / "out")
    (folder / "data.json").unlink()  # of an older version
    assert "the place was not noted" in (export_model(folder, tmp_path / "out").directory / "README.md").read_text()
    settings = json.loads((folder / "settings.json").read_text())
    settings["settings"]["store"] = str(tmp_path / "gone")
    (folder / "settings.json").write_text(json.dumps(settings))
    card = (export_model(folder, tmp_path / "out2").directory / "README.md").read_text()
    assert "cannot be shown: the store gone is not there any more" in card


def test_answers_that_came_after_the_training_are_not_counted(trained, tmp_path):
    copy = tmp_path / "answers"
    shutil.copytree(trained / "answers", copy)
    done = align(copy, trained / "base", tmp_path / "dpo")
    with Store.open(RunDirectory(copy).store) as store:
        query = store.queries()[0]
        late = Comparison(id="late", query=query.id, annotator="late", choice=next(iter(store.feedback()))[1].choice)
        store.add_feedback([late])
    assert sum(one.answers for one in history_of(done).lineages[0].said) == len(PROMPTS)
    assert model_in(done) == done / "model"
    assert model_in(Path(trained / "base")) == trained / "base"

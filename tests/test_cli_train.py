"""`plaudit train`: every stage from a store to a model's directory; interrupted ones go on with equal bits."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from plaudit.cli.main import main
from plaudit.cli.train import STAGES
from plaudit.records import Choice, Comparison, Demonstration, Query, QueryKind, Rating, TextSegment
from plaudit.run.directory import RunDirectory
from plaudit.store.store import Store
from tests.store_examples import RUN

pytest.importorskip("transformers")

from plaudit.engine.model import LanguageModel
from plaudit.language import training
from tests.language_words import language_model

PROMPTS = ("what is it ?", "say so .", "the sea ?", "is it so ?", "what ?", "say the sea .")


@pytest.fixture
def base(tmp_path: Path) -> Path:
    """A model's directory."""
    language_model(folder=tmp_path / "base")
    return tmp_path / "base"


@pytest.fixture
def given(tmp_path: Path) -> Path:
    """A store in which people wrote `good .` and preferred it to `bad .`."""
    folder = tmp_path / "feedback"
    folder.mkdir()
    with Store.create(RunDirectory(folder).store, RUN) as store:
        texts, queries, answers = [], [], []
        for number, prompt in enumerate(PROMPTS):
            good, bad = TextSegment(prompt, "good ."), TextSegment(prompt, "bad .")
            shown = Query(QueryKind.DEMONSTRATION, (bad.id,), (0,), 0, number, "x")
            compared = Query(QueryKind.COMPARISON, (good.id, bad.id), (0, 1), 0, 100 + number, "x")
            rated = [Query(QueryKind.RATING, (one.id,), (0,), 0, 200 + number, "x") for one in (bad, good)]
            texts, queries = [*texts, good, bad], [*queries, shown, compared, *rated]
            answers += [
                Rating(id=f"r{number}-{value}", query=query.id, annotator="ann", value=value, levels=2)
                for value, query in enumerate(rated)
            ]
            answers += [
                Demonstration(id=f"d{number}", query=shown.id, annotator="ann", segment=good.id),
                Comparison(id=f"c{number}", query=compared.id, annotator="ann", choice=Choice.FIRST),
            ]
        store.add_segments(texts)
        store.add_queries(queries)
        store.add_feedback(answers)
    (folder / "config.json").write_text("{}")
    return folder


def model_flags(base: Path) -> list[str]:
    return ["--model.path", str(base), "--model.lora.rank", "4", "--threads", "1"]


def reward_in(tmp_path: Path, base: Path, given: Path) -> Path:
    words = ["--store", str(given), "--out", str(tmp_path / "rm"), "--reward.epochs", "10", "--reward.members", "2"]
    assert main(["train", "reward", *words, *model_flags(base), "--reward.update.learning-rate", "5e-3"]) == 0
    return tmp_path / "rm" / "model"


def chance(folder: Path, text: str) -> float:
    """Mean log-probability that a model answers so."""
    from plaudit.engine.batch import Batch
    from plaudit.engine.text import Tokeniser

    model = LanguageModel.load(folder)
    rows = [Tokeniser(model.tokenizer).group(prompt, [text]) for prompt in PROMPTS]
    with torch.no_grad():
        return float(
            model.logprobs(Batch.of([row.prompt for row in rows], [row.completions for row in rows])).logprobs.mean()
        )


@pytest.mark.parametrize(
    ("stage", "more"),
    [
        ("sft", []), ("direct", []), ("direct", ["--direct.loss", "simpo", "--direct.beta", "2"]),
        ("direct", ["--direct.loss", "orpo"]), ("unpaired", []), ("offline", []),
    ],
)  # fmt: skip
def test_stages_that_learn_from_a_store(tmp_path, base, given, stage, more):
    words = [*more, f"--{stage}.steps", "30", f"--{stage}.batch-size", "4", f"--{stage}.update.learning-rate", "1e-2"]
    out = tmp_path / "out"
    assert main(["train", stage, "--store", str(given), "--out", str(out), *model_flags(base), *words]) == 0
    lines = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == list(range(1, 31))
    assert lines[-1]["loss"] < lines[0]["loss"]
    better = chance(out / "model", "good .") - chance(out / "model", "bad .")
    assert better > chance(base, "good .") - chance(base, "bad .") + 0.3


@pytest.mark.parametrize("stage", ["group", "ppo", "online", "rest"])
def test_stages_that_learn_from_a_reward(tmp_path, base, given, stage, capsys):
    reward, out = reward_in(tmp_path, base, given), tmp_path / "out"
    (tmp_path / "prompts.jsonl").write_text("".join(json.dumps({"prompt": one}) + "\n" for one in PROMPTS))
    words = ["--prompts", str(tmp_path / "prompts.jsonl"), "--reward", str(reward), "--out", str(out)]
    sizes = [
        f"--{stage}.{'rounds' if stage == 'rest' else 'steps'}",
        "3",
        f"--{stage}.prompts",
        "4",
        f"--{stage}.samples",
        "2",
        f"--{stage}.max-tokens",
        "4",
    ]
    mixed = stage in ("group", "ppo")
    sizes += ["--examples", str(given), "--mixture.weight", "0.1"] if mixed else []
    assert main(["train", stage, *words, *model_flags(base), *sizes]) == 0
    lines = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [1, 2, 3]
    assert ("ptx_loss" in lines[-1]) is mixed
    assert "3/3" in capsys.readouterr().out
    LanguageModel.load(out / "model")
    assert (reward.parent / "classifier" / "config.json").is_file()


def test_a_student_is_taught_on_its_own_answers_and_on_texts(tmp_path, base, given, capsys):
    (tmp_path / "prompts.jsonl").write_text("".join(json.dumps({"prompt": one}) + "\n" for one in PROMPTS))
    language_model(seed=1, folder=tmp_path / "teacher")
    words = ["--prompts", str(tmp_path / "prompts.jsonl"), "--store", str(given)]
    sizes = ["--distill.steps", "4", "--distill.own", "0.5", "--distill.batch-size", "4", "--distill.max-tokens", "4"]
    taught = ["train", "distill", *words, *model_flags(base), *sizes]
    assert main([*taught, "--out", str(tmp_path / "out"), "--teacher", str(tmp_path / "teacher")]) == 0
    lines = [json.loads(line) for line in (tmp_path / "out" / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [1, 2, 3, 4]
    assert all(line["divergence"] > 0 for line in lines)
    LanguageModel.load(tmp_path / "out" / "model")
    assert main([*taught, "--out", str(tmp_path / "other")]) == 2
    assert "no teacher" in capsys.readouterr().err


def test_an_interrupted_training_goes_on_with_equal_bits(tmp_path, base, given, monkeypatch):
    monkeypatch.setattr(
        training, "probe", lambda *_, **__: training.Gemm()
    )  # it may find another backend the next time

    def train(out: str, stop: int | None) -> Path:
        def each(step, steps, metrics):
            if step == stop:
                raise KeyboardInterrupt

        settings = training.SftTraining(
            out=str(tmp_path / out), store=str(given), threads=1,
            model=training.ModelConfig(str(base), lora=training.LoraConfig(rank=4)),
            sft=training.sft.SftConfig(steps=12, batch_size=4, checkpoint_every=4),
        )  # fmt: skip
        return training.train_sft(settings, each)

    whole = train("whole", None)
    with pytest.raises(KeyboardInterrupt):
        train("cut", 7)
    cut = train("cut", None)
    one, other = (load_file(folder / "adapter_model.safetensors") for folder in (whole, cut))
    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], other[name]) for name in one)
    assert (whole.parent / "metrics.jsonl").read_text() == (cut.parent / "metrics.jsonl").read_text()


def test_another_training_in_the_folder_and_what_is_missing_are_said(tmp_path, base, given, capsys):
    words = [
        "train",
        "sft",
        "--store",
        str(given),
        "--out",
        str(tmp_path / "out"),
        *model_flags(base),
        "--sft.steps",
        "1",
    ]
    assert main(words) == 0
    assert main([*words, "--seed", "1"]) == 2
    assert "other settings" in capsys.readouterr().err
    assert main(["train", "sft", "--out", str(tmp_path / "no")]) == 2
    assert "no model to train" in capsys.readouterr().err
    assert main(["train", "group", "--out", str(tmp_path / "g"), *model_flags(base)]) == 2
    assert "no reward" in capsys.readouterr().err
    assert main(["train", "nothing"]) == 2
    assert main(["train"]) == 2
    assert main(["train", "--help"]) == 0
    said = capsys.readouterr().out
    assert all(name in said for name in STAGES)


def test_settings_from_a_file(tmp_path, base, given):
    file = tmp_path / "sft.toml"
    file.write_text(
        f'out = "{tmp_path / "out"}"\nstore = "{given}"\nthreads = 1\n[model]\npath = "{base}"\n[model.lora]\nrank = 4\n'
        "[sft]\nsteps = 9\nbatch_size = 2\n"
    )
    assert main(["train", "sft", str(file), "--sft.steps", "2"]) == 0
    assert json.loads((tmp_path / "out" / "settings.json").read_text())["settings"]["sft"]["steps"] == 2

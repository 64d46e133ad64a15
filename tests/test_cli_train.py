"""`plaudit train`: every stage from a store to a model's directory; interrupted ones go on with equal bits."""

from __future__ import annotations

import itertools
import json
import math
import warnings
from dataclasses import replace
from pathlib import Path

import numpy
import pytest
import torch
from safetensors.torch import load_file, save_file

from plaudit.cli.main import main
from plaudit.cli.rollouts import shown
from plaudit.cli.train import STAGES, _given, prompts
from plaudit.errors import ConfigError
from plaudit.records import Choice, Comparison, Demonstration, Query, QueryKind, Rating, Sample, TextSegment
from plaudit.run.directory import RunDirectory
from plaudit.store.store import Store
from tests.store_examples import RUN

pytest.importorskip("transformers")

from plaudit.engine.model import LanguageModel
from plaudit.language import rollouts, training
from plaudit.language.group_config import Baseline, GroupConfig, preset
from plaudit.language.scorer import TextReward
from plaudit.language.update import Update
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
    if not mixed:  # these two keep no rollouts
        return
    assert rollouts.numbers(out) == [1, 2, 3]
    kept = rollouts.read(out, 2)
    assert len(kept) == 4 * 2
    assert {one.prompt for one in kept} <= set(PROMPTS)
    assert sum(one.reward for one in kept) / 8 == pytest.approx(
        lines[1]["rewards/score/mean" if stage == "group" else "objective/scores"]
    )
    assert len({one.advantage for one in kept}) > 1
    assert sum(one.kl for one in kept) / 8 == pytest.approx(lines[1]["objective/kl"], abs=1e-4)
    assert main(["train", "show", str(out), "--rollout", "2"]) == 0
    told = capsys.readouterr().out
    assert "rollout 2 (there are 1 to 3): 8 completions" in told
    assert all(one.completion in told and f"reward {one.reward:.3f}" in told for one in kept)


def longer(prompt, completion):
    """A gold function for the guard."""
    return float(len(completion))


def test_a_training_with_a_guard_from_a_file(tmp_path, base, given):
    reward, out = reward_in(tmp_path, base, given), tmp_path / "out"
    (tmp_path / "prompts.jsonl").write_text("".join(json.dumps({"prompt": one}) + "\n" for one in PROMPTS))
    (tmp_path / "group.toml").write_text(
        f"""out = "{out}"
prompts = ["{tmp_path / "prompts.jsonl"}"]
reward = "{reward}"
threads = 1
[model]
path = "{base}"
[model.lora]
rank = 4
[group]
steps = 3
prompts = 4
samples = 2
max_tokens = 4
[group.update]
learning_rate = 0.02
[aggregate]
how = "uncertainty-weighted"
[guard]
every = 2
gold = "tests.test_cli_train:longer"
right = 0.75
"""
    )
    assert main(["train", "group", str(tmp_path / "group.toml")]) == 0
    said = json.loads((out / "guard.json").read_text())
    assert next(one["updates"] for one in said["checks"]) == 2
    assert said["diagnosis"]
    lines = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    assert ["guard/pairs" in line for line in lines][:2] == [False, True]


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


def test_rollouts_that_are_not_there_are_named_and_texts_move_no_cursor(tmp_path, capsys):
    assert main(["train", "show", str(tmp_path)]) == 2
    assert "No rollout was kept" in capsys.readouterr().err
    rollouts.write(tmp_path, 3, [Sample("a [red] ?", "\x1b[2Jb\x07\rc\n你", "x:1", 3, False)])
    assert main(["train", "show", str(tmp_path), "--rollout", "2"]) == 2
    assert "one from 3 to 3" in capsys.readouterr().err
    assert main(["train", "show", str(tmp_path)]) == 0
    said = capsys.readouterr().out
    assert "a [red] ?" in said
    assert "\\x1b[2Jb\\x07\\rc\n你" in said
    assert "3 tokens, no end" in said
    assert shown("\u202e\x9b") == "\\u202e\\x9b"


def test_rollouts_of_an_interrupted_training_are_those_of_a_whole_one(tmp_path, base, given, monkeypatch):
    monkeypatch.setattr(training, "probe", lambda *_, **__: training.Gemm())
    reward = reward_in(tmp_path, base, given)
    (tmp_path / "prompts.jsonl").write_text("".join(json.dumps({"prompt": one}) + "\n" for one in PROMPTS))

    def train(out: str, stop: int | None) -> dict[str, bytes]:
        def each(step, steps, metrics):
            if step == stop:
                raise KeyboardInterrupt

        settings = training.GroupTraining(
            out=str(tmp_path / out), threads=1, prompts=(str(tmp_path / "prompts.jsonl"),), reward=str(reward),
            model=training.ModelConfig(str(base), lora=training.LoraConfig(rank=4)),
            group=GroupConfig(steps=5, prompts=2, samples=2, max_tokens=4, checkpoint_every=2),
        )  # fmt: skip
        training.train_group(settings, each, prompts)
        return {path.name: path.read_bytes() for path in (tmp_path / out / rollouts.FOLDER).iterdir()}

    whole = train("whole", None)
    assert len(whole) == 5
    with pytest.raises(KeyboardInterrupt):
        train("cut", 4)
    assert train("cut", None) == whole


def broken(monkeypatch, at: int) -> None:
    """From that step on there is no memory for the second micro-batch, or for the first where there is one."""
    step = Update.step

    def fails(self, shares):
        def some():
            yield from itertools.islice(shares, 1 if self.done >= at else None)
            if self.done >= at:
                raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes.")

        return step(self, some())

    monkeypatch.setattr(Update, "step", fails)


@pytest.mark.parametrize("stage", STAGES)
def test_where_memory_runs_out_nothing_is_lost_and_it_goes_on_with_less(
    tmp_path, base, given, stage, monkeypatch, capsys
):
    monkeypatch.setattr(training, "probe", lambda *_, **__: training.Gemm())
    words = ["train", stage, "--out", str(tmp_path / "out"), *model_flags(base)]
    if stage in ("group", "ppo", "online", "rest"):
        reward = reward_in(tmp_path, base, given)
        (tmp_path / "prompts.jsonl").write_text("".join(json.dumps({"prompt": one}) + "\n" for one in PROMPTS))
        words += ["--prompts", str(tmp_path / "prompts.jsonl"), "--reward", str(reward)]
        sizes = ["prompts=2", "samples=2", "max-tokens=4", *(["epochs=1"] if stage in ("group", "ppo") else [])]
        words += [f"--{stage}.{size}" for size in (*sizes, *(["rounds=4"] if stage == "rest" else []))]
    else:
        words += ["--store", str(given)]
    if stage == "distill":
        language_model(seed=1, folder=tmp_path / "teacher")
        words += ["--teacher", str(tmp_path / "teacher"), "--distill.own=0"]
    steps = f"--{stage}.steps={1 if stage == 'rest' else 4}"
    words += ["--checkpoint-every=1"] if stage == "reward" else [steps, f"--{stage}.checkpoint-every=1"]
    with monkeypatch.context() as patched:
        broken(patched, 2)
        assert main(words) == 2
    said = " ".join(capsys.readouterr().err.split())
    assert "Memory has run out in a micro-batch" in said
    assert "max_tokens" in said
    assert "nothing was lost" in said
    before = (tmp_path / "out" / "metrics.jsonl").read_text()
    assert before
    assert main([*words, f"--{stage}.update.max-tokens=20"]) == 0
    assert (tmp_path / "out" / "metrics.jsonl").read_text().startswith(before)
    assert (tmp_path / "out" / "model").is_dir()
    kept = json.loads((tmp_path / "out" / "settings.json").read_text())["settings"]
    assert kept[stage]["update"]["max_tokens"] == 20


@pytest.mark.parametrize("stage", ["group", "ppo"])
def test_prompts_without_room_for_an_answer_are_counted_and_left_out(tmp_path, base, given, stage, capsys):
    reward, file = reward_in(tmp_path, base, given), tmp_path / "prompts.jsonl"
    rows = [{"prompt": one} for one in (*PROMPTS, "say " * 62, "so " * 200)]
    file.write_text("".join(json.dumps(row) + "\n" for row in [*rows, {"nothing": 1}, {"prompt": ""}, rows[0]]))
    words = ["train", stage, "--prompts", str(file), "--reward", str(reward), *model_flags(base)]
    words += [f"--{stage}.steps=2", f"--{stage}.prompts=6", f"--{stage}.samples=2"]
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        assert main([*words, "--out", str(tmp_path / "out"), f"--{stage}.max-tokens=4"]) == 0
    said = " ".join(str(one.message) for one in told)
    assert (
        "2 of 8 prompts are left out: with completions of up to 4 tokens they do not fit into a context of 64" in said
    )
    assert "3 rows of the files of prompts are left out: prompts.jsonl:9" in said
    assert {one.prompt for one in rollouts.read(tmp_path / "out", 2)} == set(PROMPTS)
    assert main([*words, "--out", str(tmp_path / "none"), f"--{stage}.max-tokens=64"]) == 2
    assert "No prompt leaves room for a completion" in capsys.readouterr().err


@pytest.mark.parametrize("stage", ["group", "ppo"])
def test_a_reward_that_says_no_numbers_is_an_error_and_single_ones_are_counted(tmp_path, base, given, stage, capsys):
    reward, file = reward_in(tmp_path, base, given), tmp_path / "prompts.jsonl"
    file.write_text("".join(json.dumps({"prompt": one}) + "\n" for one in PROMPTS))
    words = ["train", stage, "--prompts", str(file), "--reward", str(reward), *model_flags(base)]
    words += [f"--{stage}.{name}" for name in ("steps=2", "prompts=4", "samples=2", "max-tokens=4")]
    whole = TextReward.normalised

    def some(self, batch):
        found = whole(self, batch)
        found[:, 1], found[0, 2] = numpy.nan, numpy.inf
        return found

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(TextReward, "normalised", some)
        assert main([*words, "--out", str(tmp_path / "some")]) == 0
    kept = rollouts.read(tmp_path / "some", 1)
    assert [one.reward is None for one in kept] == [False, True, True, *[False] * 5]
    lines = [json.loads(line) for line in (tmp_path / "some" / "metrics.jsonl").read_text().splitlines()]
    if stage == "group":
        assert lines[0]["rewards/unscored"] == 2 / 8
    assert all(math.isfinite(lines[1][name]) for name in ("loss/policy_avg",) if name in lines[1])
    tensors = load_file(reward / "heads.safetensors")
    save_file(tensors | {"heads": torch.full_like(tensors["heads"], torch.nan)}, reward / "heads.safetensors")
    capsys.readouterr()
    assert main([*words, "--out", str(tmp_path / "none")]) == 2
    assert "The reward says no number of any completion" in capsys.readouterr().err


@pytest.mark.parametrize("stage", ["sft", "direct", "reward"])
def test_texts_that_say_nothing_or_do_not_fit_are_counted_and_left_out(tmp_path, base, given, stage):
    with Store.open(RunDirectory(given).store) as store:
        for number, said in enumerate(("", "sea " * 80)):
            good, bad = TextSegment("what ?", said), TextSegment("what ?", f"bad {'.' * (number + 1)}")
            shown = Query(QueryKind.DEMONSTRATION, (bad.id,), (0,), 0, 300 + number, "x")
            compared = Query(QueryKind.COMPARISON, (good.id, bad.id), (0, 1), 0, 400 + number, "x")
            store.add_segments([good, bad])
            store.add_queries([shown, compared])
            store.add_feedback(
                [
                    Demonstration(id=f"e{number}", query=shown.id, annotator="ann", segment=good.id),
                    Comparison(id=f"f{number}", query=compared.id, annotator="ann", choice=Choice.FIRST),
                ]
            )
    words = ["train", stage, "--store", str(given), "--out", str(tmp_path / "out"), *model_flags(base)]
    steps = [] if stage == "reward" else [f"--{stage}.steps=2", f"--{stage}.batch-size=2", f"--{stage}.max-length=60"]
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        assert main([*words, *steps]) == 0
    lines = [json.loads(line) for line in (tmp_path / "out" / "metrics.jsonl").read_text().splitlines()]
    assert all(math.isfinite(line["loss"]) for line in lines if "loss" in line)
    if stage == "reward":
        assert (lines[-1]["reward/texts_empty"], lines[-1]["reward/texts_too_long"]) == (1, 1)
        return
    said = " ".join(str(one.message) for one in told)
    assert f"1 {'demonstrations' if stage == 'sft' else 'comparisons'} with an empty text are left out" in said
    assert "1 of 7 texts are longer than 60 tokens: left out" in said


def test_a_name_brings_an_algorithms_settings_where_nothing_else_is_said(tmp_path):
    file = tmp_path / "rloo.toml"
    file.write_text(
        'out = "x"\npreset = "rloo"\n[group]\nsteps = 7\nsamples = 3\n[group.update]\nlearning_rate = 1e-6\n'
    )

    def given(*words: str) -> training.GroupTraining:
        return _given(STAGES["group"], "group", list(words))

    usual = preset("rloo")
    expected = replace(usual, steps=7, samples=3, update=replace(usual.update, learning_rate=1e-6))
    assert given(str(file)).group == expected
    assert given(str(file), "--group.samples", "5", "--group.baseline", "group").group == replace(
        expected, samples=5, baseline=Baseline.GROUP
    )
    other = given(str(file), "--preset", "dapo", "--out", "y")
    assert (other.preset, other.out) == ("dapo", "y")
    assert other.group == replace(
        preset("dapo"), steps=7, samples=3, update=replace(preset("dapo").update, learning_rate=1e-6)
    )
    assert given("--out", "x", "--preset=cispo", "--group.steps", "2").group == replace(preset("cispo"), steps=2)
    assert given("--out", "x").group == GroupConfig()
    for wrong in (["--preset", "gpro"], ["--preset=gpro"]):
        with pytest.raises(ConfigError, match=r"no such algorithm.*reinforce\+\+"):
            given("--out", "x", *wrong)


def test_settings_from_a_file(tmp_path, base, given):
    file = tmp_path / "sft.toml"
    file.write_text(
        f'out = "{tmp_path / "out"}"\nstore = "{given}"\nthreads = 1\n[model]\npath = "{base}"\n[model.lora]\nrank = 4\n'
        "[sft]\nsteps = 9\nbatch_size = 2\n"
    )
    assert main(["train", "sft", str(file), "--sft.steps", "2"]) == 0
    assert json.loads((tmp_path / "out" / "settings.json").read_text())["settings"]["sft"]["steps"] == 2

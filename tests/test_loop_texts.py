"""A run that teaches a language model: all stages, stopped and killed anywhere, replayed, with people who answer."""

import dataclasses
import json
import os
import signal
import subprocess
import sys
import textwrap
from html import escape
from pathlib import Path

import numpy as np
import pytest
from fastapi.testclient import TestClient

from plaudit.cli.main import main as plaudit
from plaudit.errors import ConfigError, IntegrityError, WorldError
from plaudit.language.group import Group
from plaudit.language.group_config import preset
from plaudit.loop import Run, RunConfig
from plaudit.loop.kinds import read, settings_of
from plaudit.loop.texts.config import TextRunConfig
from plaudit.records import Choice, Comparison, to_json
from plaudit.report import samples
from plaudit.report.write import write_report
from plaudit.run.metrics import METRICS
from plaudit.store.store import Store
from tests.loop_examples import LatePeople, fingerprint
from tests.text_runs import small, tiny, write_model
from tests.watch_examples import watching

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    path = tmp_path_factory.mktemp("texts") / "run"
    with Run.create(small(), path) as run:
        run.finish()
    return path


def stages(path: Path) -> list[dict]:
    with Store.open(path / "store.sqlite") as store:
        return [event.payload for event in store.events(kinds={"stage.completed"})]


@pytest.mark.slow
def test_one_seed_twice_is_equal(finished, tmp_path):
    with Run.create(small(), tmp_path / "again") as run:
        run.finish()
    assert fingerprint(tmp_path / "again") == fingerprint(finished)


@pytest.mark.slow
def test_stopping_after_every_stage_changes_nothing(finished, tmp_path):
    path = tmp_path / "stopped"
    Run.create(small(), path).close()
    while True:
        with Run.open(path) as run:
            if run.step() is None:
                break
    assert fingerprint(path) == fingerprint(finished)


KILLER = textwrap.dedent(
    """
    import os, signal, sys
    from pathlib import Path
    from plaudit.language import experience, group, reward
    from plaudit.loop import Run
    from plaudit.store.blobs import FolderBlobs
    from plaudit.store.store import Store
    from tests.text_runs import small
    path, model, what, after = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], int(sys.argv[4])
    places = {
        "log": [(Store, name) for name in ("append", "add_segments", "add_queries", "add_feedback")],
        "blob": [(FolderBlobs, "put")],
        "fit": [(reward.RewardFitting, "step")],
        "rollout": [(group.Group, "step")],
        "keep": [(experience, "keep")],
    }
    calls = 0
    def dying(original):
        def call(*args, **kwargs):
            global calls
            calls += 1
            result = original(*args, **kwargs)
            if calls == after: os.kill(os.getpid(), signal.SIGKILL)
            return result
        return call
    for owner, name in places[what]:
        setattr(owner, name, dying(getattr(owner, name)))
    run = Run.open(path) if path.exists() else Run.create(small(model), path)
    run.finish()
    """
)


@pytest.mark.parametrize(
    ("what", "after"),
    [
        ("rollout", 2),
        *(
            pytest.param(*one, marks=pytest.mark.slow)
            for one in [("log", 4), ("blob", 9), ("fit", 2), ("keep", 2), ("rollout", 5)]
        ),
    ],
)
def test_kill_9_inside_a_stage_changes_nothing(finished, tmp_path, what, after):
    path = tmp_path / "killed"
    code = [sys.executable, "-W", "ignore", "-c", KILLER, str(path), str(tiny()), what, str(after)]
    done = subprocess.run(code, env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}, check=False)
    assert done.returncode == -signal.SIGKILL
    with Run.open(path) as run:
        run.finish()
    assert fingerprint(path) == fingerprint(finished)
    assert not (path / "training").exists()


@pytest.mark.slow
def test_a_stage_goes_on_from_its_last_checkpoint_and_not_from_its_start(finished, tmp_path, monkeypatch):
    from plaudit.language.group import Group

    path, original, calls = tmp_path / "run", Group.step, []

    def dying(group, experience):
        calls.append(group.rollouts)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return original(group, experience)

    monkeypatch.setattr(Group, "step", dying)
    with Run.create(small(), path) as run:
        with pytest.raises(KeyboardInterrupt):
            run.finish()
        run.finish()
    assert calls[:4] == [0, 1, 2, 2]
    assert fingerprint(path) == fingerprint(finished)


class Readers(LatePeople):
    """People who like the longer text."""

    def answer(self, store, query):
        texts = store.texts(query.segments)
        first, second = (texts[name].characters for name in query.segments)
        choice = Choice.FIRST if first > second else Choice.SECOND
        return Comparison(id=f"ann-{query.id}", query=query.id, annotator="ann", choice=choice, response_seconds=2.5)


def test_people_answer_whenever_they_like_and_a_replay_comes_to_equal_bits(tmp_path):
    config = small(ask={"people": True, "patience_seconds": 0.5})
    people = Readers(tmp_path / "live" / "store.sqlite")
    people.start()
    with Run.create(config, tmp_path / "live") as run:
        run.finish()
    people.stop()
    with Run.create(config, tmp_path / "replayed", replay=tmp_path / "live") as run:
        run.finish()
        head = run.store.head()
    with Store.open(tmp_path / "live" / "store.sqlite") as store:
        last = list(store.events(kinds={"stage.completed"}))[-1]
    assert head == (last.seq, last.hash)
    live, replayed = fingerprint(tmp_path / "live"), fingerprint(tmp_path / "replayed")
    assert (replayed["checkpoints"], replayed["metrics"]) == (live["checkpoints"], live["metrics"])


def test_every_rollout_is_kept_with_what_was_thought_of_it(finished):
    rows = [one for one in stages(finished) if one["stage"] == "improve"]
    with Store.open(finished / "store.sqlite") as store:
        for row in rows:
            names = [name for name in row["artefacts"] if name.startswith("rollout/")]
            assert names == ["rollout/1", "rollout/2", "rollout/3"]
            for name in names:
                found = samples.load(store.blobs, row["artefacts"][name])
                assert len(found) == 6
                for group in (found[:3], found[3:]):
                    assert len({one.prompt for one in group}) == 1
                    best = max(group, key=lambda one: one.reward)
                    assert best.advantage == max(one.advantage for one in group) > 0
                assert all(one.gold in (0.0, 1.0) and one.kl is not None and one.tokens >= 1 for one in found)
            course = store.blobs.get_arrays(row["artefacts"]["course"])
            assert course["reward"].shape == (3,)
            assert np.mean(course["reward"]) == pytest.approx(row["metrics"]["train/reward"])


def test_questions_show_different_answers_to_one_prompt_by_the_policy_as_it_was(finished):
    with Store.open(finished / "store.sqlite") as store:
        queries = store.queries()
        assert [(query.round, query.index) for query in queries] == [(r, i) for r in (0, 1) for i in range(6)]
        for round_, acted in enumerate(one for one in stages(finished) if one["stage"] == "act"):
            here = [query for query in queries if query.round == round_]
            texts = [store.texts(query.segments) for query in here]
            assert len({one.prompt for found in texts for one in found.values()}) == len(here)  # a prompt each
            for found in texts:
                assert len({one.completion for one in found.values()}) == 2
                assert {one.policy for one in found.values()} == {acted["versions"]["policy"]}
        assert {query.strategy for query in queries if query.round == 0} == {"random"}
        assert {query.strategy for query in queries if query.round == 1} == {"disagreement"}


@pytest.mark.slow
def test_all_kinds_of_questions_are_asked_and_learned_from(tmp_path):
    mix = {"comparison": 0.4, "rating": 0.3, "ranking": 0.3}
    with Run.create(small(ask={"mix": mix}), tmp_path / "run") as run:
        run.finish()
        kinds = {query.kind.value for query in run.store.queries()}
        assert kinds == set(mix)
        assert len(run.store.feedback()) == 12
        assert run.reward is not None


def test_without_questions_the_programs_pay(tmp_path):
    with Run.create(small(ask={"labels": 0}), tmp_path / "run") as run:
        run.finish()
        rows = [one for one in stages(tmp_path / "run") if one["stage"] == "improve"]
        assert 0 <= rows[0]["metrics"]["train/reward"] <= 1
        assert run.reward is None


def test_imitation_comes_first_and_is_what_the_policy_is_held_against(tmp_path):
    shown = [{"prompt": f"say the number {n}", "completion": "the cat"} for n in range(8)]
    (tmp_path / "shown.jsonl").write_text("\n".join(json.dumps(row) for row in shown))
    sft = {"files": [str(tmp_path / "shown.jsonl")], "steps": 20, "batch_size": 4, "update": {"learning_rate": 0.05}}
    with Run.create(small(sft=sft), tmp_path / "run") as run:
        while run.position[1] != "ask":
            run.step()
        assert run.policy.parameters()[0].detach().equal(run._context.cast.start.parameters()[0].detach())
        run.finish()
    found = stages(tmp_path / "run")
    assert found[0]["metrics"]["sft/loss"] < found[0]["metrics"]["sft/loss_before"] - 0.5
    first_check = next(one for one in found if one["stage"] == "check")
    assert abs(first_check["metrics"]["check/kl"]) < 0.5  # against imitation, not against the model before it


def test_what_a_run_leaves_opens_elsewhere(finished):
    from peft import PeftModel
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from plaudit.engine.model import LanguageModel

    with Run.open(finished) as run:
        ids = [5, 6, 7]
        batch = run.policy.generate([ids], samples=1, sampling=run._context.sampling(4, 1.0), seed=0).batch
        expected = run.policy.logprobs(batch).logprobs
    base = AutoModelForCausalLM.from_pretrained(tiny())
    module = PeftModel.from_pretrained(base, finished / "policy")
    found = LanguageModel(module, AutoTokenizer.from_pretrained(tiny())).logprobs(batch).logprobs
    assert found.detach().numpy() == pytest.approx(expected.detach().numpy(), abs=1e-5)


def test_another_model_in_the_same_place_is_refused(tmp_path):
    model = write_model(tmp_path / "model")
    Run.create(small(model), tmp_path / "run").close()
    file = model / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-4] + b"\0\0\0\0")
    with pytest.raises(IntegrityError, match="not the one that the run began with"):
        Run.open(tmp_path / "run")


def test_a_prompt_that_is_shown_and_checked_is_an_error(tmp_path):
    (tmp_path / "a.jsonl").write_text('{"prompt": "Who are you?"}\n')
    (tmp_path / "b.jsonl").write_text('{"prompt": "who are  YOU?"}\n')
    files = {"reward_files": [str(tmp_path / "a.jsonl")], "held_out_files": [str(tmp_path / "b.jsonl")]}
    with pytest.raises(WorldError, match="in two parts"):
        Run.create(small(prompts=files), tmp_path / "run")
    assert not (tmp_path / "run" / "store.sqlite").exists()


def test_a_teacher_needs_something_to_judge_by(tmp_path):
    (tmp_path / "a.jsonl").write_text("\n".join(json.dumps({"prompt": f"question {n}"}) for n in range(50)))
    config = small(prompts={"instructions": 0, "files": [str(tmp_path / "a.jsonl")]})
    with pytest.raises(ConfigError, match="nothing to judge by"):
        Run.create(config, tmp_path / "run")


def test_the_report_shows_completions_with_their_scores_and_what_they_were_worth(finished):
    summary = write_report(Store.open(finished / "store.sqlite"), finished)
    texts = summary.texts
    assert [one.number for one in texts.measures] == [0, 1, 2]
    last, logged = texts.measures[-1], [one for one in stages(finished) if one["stage"] == "check"][-1]["metrics"]
    assert last.gold.value == pytest.approx(logged["check/gold_mean"])
    assert (last.kl, last.win_rate_gold) == (logged["check/kl"], logged["check/win_rate_gold"])
    assert (texts.algorithm, texts.rollouts, len(texts.rollout)) == ("GRPO", 6, 6)
    assert len(texts.samples) == 8
    assert all(one.gold in (0.0, 1.0) and one.reward is not None and one.kl is not None for one in texts.samples)
    page = (finished / "report.html").read_text()
    assert "The newest rollout" in page
    for one in (*texts.samples, *texts.rollout):
        assert escape(one.completion, quote=False) in unescape_quotes(page)
    assert {one.name for one in summary.check.findings} >= {"sampler and trainer", "distance", "ends", "repetition"}
    assert "episode length" not in {one.name for one in summary.check.findings}


def unescape_quotes(page: str) -> str:
    return page.replace("&quot;", '"').replace("&#x27;", "'").replace("&#39;", "'")


def test_the_watch_shows_texts(finished):
    with Store.open(finished / "store.sqlite") as store:
        client = TestClient(watching(store), base_url="http://127.0.0.1")
        assert client.get("/api/watch/summary").json()["texts"]["rollouts"] == 6
        listed = client.get("/api/watch/behaviours").json()
        assert listed["behaviours"]["total"] > 12
        assert any(row["opinion"] is not None for row in listed["behaviours"]["rows"])
        asked = client.get("/api/watch/questions").json()["asked"]
        assert len(asked) == 12
        found = client.get(f"/api/watch/questions/{asked[0]['query']}").json()
        assert found["asked"]["odds"] is not None  # of the model that chose it
        assert all(one["completion"] for one in found["seen"])
        assert client.get("/api/watch/metrics").status_code == 200


def test_every_metric_is_explained(finished):
    logged = {name for stage in stages(finished) for name in stage["metrics"]}
    assert {"train/reward", "check/win_rate_gold", "act/gold_mean"} <= logged
    assert logged <= set(METRICS)


def test_ppo_learns_from_the_same_reward(tmp_path):
    ppo = {"steps": 2, "prompts": 3, "max_tokens": 8, "epochs": 2, "checkpoint_every": 1}
    with Run.create(small(improve={"ppo": ppo}, loop={"rounds": 1}), tmp_path / "run") as run:
        run.finish()
        (row,) = [one for one in stages(tmp_path / "run") if one["stage"] == "improve"]
        assert row["metrics"]["train/critic/loss"] > 0
        assert set(row["metrics"]) <= set(METRICS)
        assert sorted(row["artefacts"]) == ["course", "rollout/1", "rollout/2"]


def test_a_guarded_round_is_judged_by_the_teacher_and_goes_on_from_its_last_checkpoint(tmp_path, monkeypatch):
    guard = {"every": 1, "pairs": 6, "batch": 3}
    group = {
        "steps": 3,
        "prompts": 2,
        "samples": 3,
        "max_tokens": 8,
        "checkpoint_every": 1,
        "update": {"learning_rate": 0.1},
    }
    config = small(improve={"guard": guard, "group": group, "aggregate": {"how": "soft-min"}}, loop={"rounds": 1})
    with Run.create(config, tmp_path / "whole") as run:
        run.finish()
    (row,) = [one for one in stages(tmp_path / "whole") if one["stage"] == "improve"]
    assert row["metrics"]["train/guard/pairs"] >= 3
    assert set(row["metrics"]) <= set(METRICS)
    calls, step = [], Group.step

    def dying(self, experience):
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return step(self, experience)

    monkeypatch.setattr(Group, "step", dying)
    with pytest.raises(KeyboardInterrupt), Run.create(config, tmp_path / "cut") as run:
        run.finish()
    with Run.open(tmp_path / "cut") as run:
        run.finish()
    assert fingerprint(tmp_path / "cut") == fingerprint(tmp_path / "whole")
    with pytest.raises(ConfigError, match="judge for the guard"):
        small(improve={"guard": guard}, ask={"labels": 0})
    with pytest.raises(ConfigError, match="aggregate"):
        small(improve={"pessimism": 1.0, "aggregate": {"how": "worst"}})


def test_a_run_file_is_of_a_language_model_by_its_tables(tmp_path):
    file = tmp_path / "run.toml"
    file.write_text(
        "[model]\npath = 'x'\n[improve]\npreset = 'rloo'\ngroup = { steps = 7, update = { learning_rate = 1e-6 } }\n"
    )
    config = read(file)
    assert isinstance(config, TextRunConfig)
    usual = preset("rloo")
    update = dataclasses.replace(usual.update, learning_rate=1e-6)
    assert config.improve.group == dataclasses.replace(usual, steps=7, update=update)
    assert settings_of(json.loads(json.dumps(to_json(config)))) == config
    other = read(file, preset="dapo").improve  # as the flag --improve.preset says it
    assert (other.preset, other.group) == ("dapo", dataclasses.replace(preset("dapo"), steps=7, update=update))
    file.write_text("[prompts]\ninstrutcions = 5\n")
    with pytest.raises(ConfigError, match="did you mean `instructions`"):
        read(file)
    file.write_text("[model]\npath = 'x'\n[policy.sac]\n")
    with pytest.raises(ConfigError, match="unknown key"):
        read(file)
    file.write_text("[world]\nid = 'Pendulum-v1'\n")
    assert isinstance(read(file), RunConfig)


def test_an_unknown_algorithm_is_named(tmp_path):
    file = tmp_path / "run.toml"
    file.write_text("[model]\npath = 'x'\n[improve]\npreset = 'gpro'\n")
    with pytest.raises(ConfigError, match="no such algorithm"):
        read(file)


def test_an_estimate_says_what_a_run_costs_and_starts_nothing(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "run.toml").write_text(f"[model]\npath = '{tiny()}'\n")
    assert plaudit(["run", "run.toml", "--estimate", "--ask.labels", "20"]) == 0
    said = capsys.readouterr().out
    assert "20 in 2 rounds" in said
    assert "200 rollouts" in said
    assert [path.name for path in tmp_path.iterdir()] == ["run.toml"]

"""The command line: every verb on a small real run, and clear words for what goes wrong."""

import json
import shutil
import sqlite3
from dataclasses import replace

import pytest

from plaudit.cli.init import Advice, Situation, advise, run_file
from plaudit.cli.main import VERBS, main
from plaudit.loop import Run, RunConfig
from plaudit.loop.estimate import estimate
from plaudit.report.write import write_report
from plaudit.run.config import load

SMALL = """
name = "small"
[world]
id = "Pendulum-v1"
envs = 2
[ask]
labels = 6
segment_length = 20
[policy.sac]
net = [16, 16]
[loop]
steps = 320
warmup = 160
rounds = 2
[check]
episodes = 2
"""


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cli")
    (folder / "run.toml").write_text(SMALL)
    assert main(["run", str(folder / "run.toml"), "--directory", str(folder / "run"), "--seed", "3"]) == 0
    return folder / "run"


def test_run_takes_overrides_and_leaves_what_others_open(finished):
    assert json.loads((finished / "config.json").read_text())["seed"] == 3
    for name in ("policy.zip", "reward.safetensors", "metrics.jsonl", "report.html", "report.json"):
        assert (finished / name).stat().st_size > 0, name


def test_the_exported_policy_opens_in_stable_baselines3(finished):
    from stable_baselines3 import SAC

    model = SAC.load(finished / "policy.zip")
    action, _ = model.predict(model.observation_space.sample(), deterministic=True)
    assert model.action_space.contains(action)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["report"], "report"),
        (["where"], "event log"),
        (["gc"], "freed"),
        (["migrate"], "nothing to do"),
        (["audit", "verify"], "chain intact"),
        (["resume"], "report"),
    ],
)
def test_verbs_on_a_finished_run(finished, capsys, words, said):
    assert main([*words, str(finished)]) == 0
    assert said in capsys.readouterr().out


def test_audit_quality_weights_to_a_population_and_fits_rewards(finished, tmp_path, capsys):
    file = tmp_path / "people.toml"
    file.write_text('[margins.region]\nnorth = 0.5\nsouth = 0.5\n[annotators.teacher]\nregion = "north"\n')
    assert main(["audit", "quality", str(finished), "--population", str(file), "--rewards"]) == 0
    said = capsys.readouterr().out
    assert "Nobody is of: region south" in " ".join(said.split())
    assert "The reward without each annotator" in said
    assert "Who answered, beside the population" in (finished / "audit.html").read_text()


def test_doctor(finished, capsys):
    status = main(["doctor", str(finished)])
    lines = capsys.readouterr().out.splitlines()
    assert lines
    assert status == int(any(line.startswith("problem") for line in lines))
    assert main(["doctor"]) == 0
    assert "Python" in capsys.readouterr().out


def test_migrate_makes_a_backup_first(finished, tmp_path, capsys):
    older = shutil.copytree(finished, tmp_path / "older")
    with sqlite3.connect(older / "store.sqlite") as connection:
        connection.execute("UPDATE about SET value = '0' WHERE name = 'format'")
    connection.close()
    assert main(["migrate", str(older), "--dry-run"]) == 0
    assert main(["doctor", str(older)]) == 2
    assert "plaudit migrate" in capsys.readouterr().err
    assert main(["migrate", str(older)]) == 0
    assert "the store as it was lies in" in " ".join(capsys.readouterr().out.split())
    assert (older / "store.format0.backup").is_file()
    assert main(["audit", "verify", str(older)]) == 0


def test_audit_finds_a_changed_checkpoint(finished, capsys):
    victim = next((finished / "checkpoints").rglob("*.safetensors"))
    before = victim.read_bytes()
    victim.write_bytes(before[:-1] + b"!")
    assert main(["audit", "verify", str(finished)]) == 1
    assert "does not match its hash" in capsys.readouterr().out
    victim.write_bytes(before)


def test_estimate_says_costs_and_starts_nothing(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "run.toml").write_text(SMALL)
    assert main(["run", "run.toml", "--estimate"]) == 0
    out = capsys.readouterr().out
    assert "6 in 2 rounds" in out
    assert "CPU minutes" in out
    assert [p.name for p in tmp_path.iterdir()] == ["run.toml"]


@pytest.mark.parametrize("pixels", [None, 16])
def test_the_disk_that_is_foreseen_is_what_a_run_takes(pixels, tmp_path):
    (tmp_path / "run.toml").write_text(SMALL)
    config = load(RunConfig, tmp_path / "run.toml")
    config = replace(config, world=replace(config.world, pixels=pixels), check=replace(config.check, videos=0))
    foreseen = estimate(config).disk_megabytes
    with Run.create(config, tmp_path / "run") as run:
        run.finish()
        write_report(run.store, run.directory.path)
    taken = sum(path.stat().st_size for path in (tmp_path / "run").rglob("*") if path.is_file())
    assert foreseen == pytest.approx(taken / 1e6, rel=0.5)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (SMALL.replace("labels", "lables"), "did you mean `labels`"),
        (SMALL.replace("Pendulum-v1", "Pendulun-v1"), "Pendulum-v1"),
        (SMALL.replace("[policy.sac]", "[policy.dqn]"), "discrete"),
        (SMALL.replace("labels = 6", "labels = 0"), "Nothing tells the policy"),
        (SMALL.replace("warmup = 160", "warmup = 20"), "warm-up is too short"),
        ("x = [", "not valid TOML"),
    ],
)
def test_bad_run_files_get_one_clear_line_and_leave_no_run(tmp_path, capsys, text, said):
    (tmp_path / "run.toml").write_text(text)
    assert main(["run", str(tmp_path / "run.toml"), "--directory", str(tmp_path / "run")]) == 2
    assert said in capsys.readouterr().err
    assert not (tmp_path / "run" / "store.sqlite").exists()


def test_help_lists_every_verb(capsys):
    assert main([]) == 0
    out = capsys.readouterr().out
    assert all(verb in out for verb in VERBS)
    assert main(["fly"]) == 2
    assert main(["--version"]) == 0


@pytest.mark.parametrize(
    ("situation", "advice"),
    [
        (Situation(True, True, True, 4, 30), Advice.PLAIN_RL),
        (Situation(False, True, False, 4, 30), Advice.CANNOT_JUDGE),
        (Situation(False, False, True, 4, 30), Advice.WRITE_REWARD),
        (Situation(False, True, True, 60, 5), Advice.TOO_EXPENSIVE),
        (Situation(False, True, True, 4, 30), Advice.FEEDBACK),
    ],
)
def test_init_tells_whether_feedback_fits(situation, advice):
    assert advise(situation) is advice


@pytest.mark.parametrize("world", ["Pendulum-v1", "CartPole-v1"])
def test_init_writes_a_file_that_loads(tmp_path, world):
    (tmp_path / "run.toml").write_text(run_file(world, 40))
    config = load(RunConfig, tmp_path / "run.toml")
    assert config.world.id == world
    assert config.ask.people


def test_init_keeps_existing_files(tmp_path, capsys):
    (tmp_path / "run.toml").write_text("mine")
    assert main(["init", "--file", str(tmp_path / "run.toml"), "--yes"]) == 2
    assert (tmp_path / "run.toml").read_text() == "mine"
    assert main(["init", "--file", str(tmp_path / "new.toml"), "--yes", "--world", "Pendulum-v1"]) == 0


def test_study_of_imported_texts(tmp_path, capsys):
    rows = tmp_path / "rows.jsonl"
    pairs = [{"question": f"Q{i}", "response_chosen": f"yes {i}", "response_rejected": f"no {i}"} for i in range(8)]
    rows.write_text("\n".join(json.dumps(row) for row in pairs))
    study = tmp_path / "study.toml"
    study.write_text('questions = 6\n[mix]\nrating = 1.0\n[service]\ninstruction = "Is it kind?"\n')
    assert main(["import", "question-response", str(rows), "--to", str(tmp_path / "texts")]) == 0
    assert main(["study", str(tmp_path / "texts"), str(study)]) == 0
    assert "6 rating" in capsys.readouterr().out
    assert main(["study", str(tmp_path / "texts"), str(study)]) == 0
    assert "none; they were asked before" in capsys.readouterr().out
    study.write_text("question = 6")
    assert main(["study", str(tmp_path / "texts"), str(study)]) == 2
    assert "questions" in capsys.readouterr().err
    assert main(["study", str(tmp_path / "nowhere")]) == 2

"""A run is a function of (run file, event log): stopping, killing and replaying change nothing."""

import dataclasses
import os
import signal
import subprocess
import sys
import textwrap

import pytest

from plaudit.errors import IntegrityError, RunError
from plaudit.loop import Run
from tests.loop_examples import LatePeople, fingerprint, small


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    path = tmp_path_factory.mktemp("reference") / "run"
    with Run.create(small(), path) as run:
        run.finish()
    return path


def test_one_seed_twice_is_equal(finished, tmp_path):
    with Run.create(small(), tmp_path / "again") as run:
        run.finish()
    assert fingerprint(tmp_path / "again") == fingerprint(finished)


def test_another_seed_differs(finished, tmp_path):
    with Run.create(dataclasses.replace(small(), seed=6), tmp_path / "other") as run:
        run.finish()
    assert fingerprint(tmp_path / "other")["head"] != fingerprint(finished)["head"]


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
    from plaudit.loop import Run
    from plaudit.store.store import Store
    from tests.loop_examples import small
    from pathlib import Path
    path, after, what = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
    calls = 0
    def dying(original):
        def call(*args, **kwargs):
            global calls
            calls += 1
            if calls == after and what == "before": os.kill(os.getpid(), signal.SIGKILL)
            result = original(*args, **kwargs)
            if calls == after: os.kill(os.getpid(), signal.SIGKILL)
            return result
        return call
    for name in ("append", "add_segments", "add_queries", "add_feedback"):
        setattr(Store, name, dying(getattr(Store, name)))
    run = Run.open(path) if path.exists() else Run.create(small(), path)
    run.finish()
    """
)


@pytest.mark.parametrize(
    ("after", "what"),
    [(1, "after"), (2, "before"), (3, "after"), (4, "before"), (5, "after"), (8, "before"), (12, "after")],
)
def test_kill_9_around_a_write_changes_nothing(finished, tmp_path, after, what):
    path = tmp_path / "killed"
    code = [sys.executable, "-W", "ignore", "-c", KILLER, str(path), str(after), what]
    done = subprocess.run(code, env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}, check=False)
    assert done.returncode == -signal.SIGKILL
    with Run.open(path) as run:
        run.finish()
    assert fingerprint(path) == fingerprint(finished)


def test_a_damaged_checkpoint_is_named_and_rebuilt(finished, tmp_path):
    path = tmp_path / "damaged"
    with Run.create(small(), path) as run:
        for _ in range(10):
            run.step()
        newest = max(run.directory.checkpoints.iterdir(), key=lambda folder: folder.stat().st_mtime_ns)
    victim = next(file for file in newest.iterdir() if file.suffix == ".safetensors")
    victim.write_bytes(victim.read_bytes()[:-1] + b"!")
    with pytest.raises(IntegrityError, match=r"does not match its hash.*--rebuild"):
        Run.open(path)
    with Run.open(path, rebuild=True) as run:
        run.finish()
    assert fingerprint(path) == fingerprint(finished)


def test_two_runs_in_one_directory_are_refused(tmp_path):
    with Run.create(small(), tmp_path / "run"):
        with pytest.raises(RunError, match="Another process"):
            Run.open(tmp_path / "run")
        with pytest.raises(RunError, match="Another process"):
            Run.create(small(), tmp_path / "run")
    with pytest.raises(RunError, match="already holds a run"):
        Run.create(small(), tmp_path / "run")
    with pytest.raises(RunError, match="no run in this directory"):
        Run.open(tmp_path / "elsewhere")


def test_late_and_shuffled_answers_replay_to_equal_bits(tmp_path):
    config = small(people=True, patience_seconds=0.5)
    people = LatePeople(tmp_path / "live" / "store.sqlite")
    people.start()
    with Run.create(config, tmp_path / "live") as run:
        run.finish()
    people.stop()
    live = fingerprint(tmp_path / "live")
    with Run.create(config, tmp_path / "replayed", replay=tmp_path / "live") as run:
        run.finish()
        replayed_to = run.store.head()
    with Run.open(tmp_path / "live") as run:
        last = list(run.store.events(kinds={"stage.completed"}))[-1]
    # answers that came after the last stage are not part of the run
    assert replayed_to == (last.seq, last.hash)
    replayed = fingerprint(tmp_path / "replayed")
    assert replayed["checkpoints"] == live["checkpoints"]
    assert replayed["metrics"] == live["metrics"]


def test_a_retracted_answer_leaves_the_next_fit_and_a_replay_retracts_it_too(tmp_path):
    def until_learned(run, round_):
        while run.position != (round_, "improve"):
            run.step()
        return run.store.events(kinds={"stage.completed"})

    config = small(people=True, patience_seconds=0.5)
    people = LatePeople(tmp_path / "live" / "store.sqlite")
    people.start()
    with Run.create(config, tmp_path / "live") as run:
        until_learned(run, 0)
        people.stop()  # nothing is answered any more: but for the retraction, the second fit would have nothing new
        answers = [answer for _, answer in run.store.feedback()]
        run.store.retract(answers[0].id, "a slip")
        learned = [event.payload for event in until_learned(run, 1) if event.payload["stage"] == "learn"]
        assert learned[1]["metrics"]["reward/labels"] == len(answers) - 1
        assert learned[0]["versions"]["reward"] != learned[1]["versions"]["reward"]
        stopped_at = run.store.head()
    with Run.open(tmp_path / "live") as run:  # knows what the last fit read
        learned = [event.payload for event in until_learned(run, 2) if event.payload["stage"] == "learn"]
        assert learned[1]["versions"]["reward"] == learned[2]["versions"]["reward"]
    with Run.create(config, tmp_path / "replayed", replay=tmp_path / "live") as run:
        until_learned(run, 1)
        assert run.store.head() == stopped_at

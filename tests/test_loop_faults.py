"""Bad input to a whole run: each is a clear message, nothing is lost, and once it is mended the run comes to the same bits."""

import errno
import io
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from plaudit.cli.main import main
from plaudit.errors import IntegrityError, PlauditError, RunError, StoreError, WorldError
from plaudit.loop import Run
from plaudit.run.directory import RunDirectory
from plaudit.store.store import Store
from tests.fault_worlds import broken, shaky
from tests.loop_examples import fingerprint


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    path = tmp_path_factory.mktemp("undisturbed") / "run"
    with Run.create(shaky(), path) as run:
        run.finish()
    return path


@pytest.fixture
def run(tmp_path):
    with Run.create(shaky(), tmp_path / "run") as run:
        yield run


def go_to(run, position):
    """Run all stages before one."""
    while run.position != position:
        run.step()


def require_whole(path, stages):
    """The log verifies, and as many stages are in it."""
    with Store.open(path / "store.sqlite") as store:
        assert store.verify().ok
        assert len(list(store.events(kinds={"stage.completed"}))) == stages


def finish_again(path):
    with Run.open(path) as run:
        run.finish()
    for name in ("policy.zip", "reward.safetensors", "metrics.jsonl"):
        assert (path / name).stat().st_size > 0


# the environment

FAULTS = {
    "NaN": "observation that is not finite",
    "NaN reward": "reward that is not finite",
    "wrong shape": "wrong shape",
    "raises": r"raised an error in step.*joint_7",
    "raises in reset": r"raised an error in reset.*simulator has gone",
}
STAGES = {(0, "act"): 0, (0, "improve"): 3, (0, "check"): 4, (1, "improve"): 8}


@pytest.mark.parametrize(
    ("kind", "position"),
    [*((kind, (1, "improve")) for kind in FAULTS), *(("NaN", position) for position in STAGES)][:-1],
)
def test_a_faulty_environment_costs_only_the_stage_that_it_broke(run, undisturbed, kind, position):
    path = run.directory.path
    go_to(run, position)
    with broken(kind), pytest.raises(WorldError, match=FAULTS[kind]):
        run.step()
    run.close()
    require_whole(path, STAGES[position])
    finish_again(path)
    assert fingerprint(path) == fingerprint(undisturbed)


@pytest.mark.parametrize("position", [(0, "act"), (1, "improve")])
def test_an_environment_that_hangs_is_ended(tmp_path, position):
    paths = [tmp_path / "hung", tmp_path / "other"]
    with Run.create(shaky(step_seconds=0.5), paths[0]) as run:
        go_to(run, position)
        with broken("hangs"), pytest.raises(WorldError, match="did not come back from step"):
            run.step()
    require_whole(paths[0], STAGES[position])
    finish_again(paths[0])
    with Run.create(shaky(step_seconds=0.5), paths[1]) as run:
        run.finish()
    assert fingerprint(paths[0]) == fingerprint(paths[1])


@pytest.mark.parametrize(
    ("kind", "position"), [("raises", (1, "improve")), *(("is interrupted", position) for position in STAGES)]
)
def test_the_same_run_object_goes_on_after_a_fault(run, undisturbed, kind, position):
    """As in a notebook: Ctrl-C or an error in a cell, then `run.finish()` again."""
    go_to(run, position)
    with broken(kind), pytest.raises((WorldError, KeyboardInterrupt)):
        run.finish()
    run.finish()
    run.close()
    assert fingerprint(run.directory.path) == fingerprint(undisturbed)


@pytest.mark.parametrize("kind", FAULTS)
def test_an_environment_that_is_broken_from_the_start_leaves_no_run(tmp_path, kind):
    with broken(kind), pytest.raises(WorldError):
        Run.create(shaky(), tmp_path / "run").finish()
    path = tmp_path / "run"
    if (path / "store.sqlite").exists():  # the fault shows in steps only, so the run had begun
        require_whole(path, 0)
        finish_again(path)
    else:
        Run.create(shaky(), path).close()


# a full disk


def full(*_args, **_kwargs):
    raise OSError(errno.ENOSPC, "No space left on device")


def refuse(monkeypatch, where):
    """Let the system refuse to write in one place."""
    original = Path.open

    def opened(self, mode="r", *args, **kwargs):
        if any(letter in mode for letter in "wa") and where in str(self):
            full()
        return original(self, mode, *args, **kwargs)

    monkeypatch.setattr(Path, "open", opened)


@pytest.mark.parametrize("position", [(0, "act"), (0, "learn"), (1, "improve")])
@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_disk_that_is_full_when_a_checkpoint_is_written(run, undisturbed, monkeypatch, call, position):
    path = run.directory.path
    go_to(run, position)
    with monkeypatch.context() as patched:
        patched.setattr(f"plaudit.run.checkpoint.os.{call}", full)
        with pytest.raises(PlauditError, match=r"could not be written.*No space.*free disk space"):
            run.step()
    assert not list(run.directory.checkpoints.glob(".tmp-*"))
    run.close()
    finish_again(path)
    assert fingerprint(path) == fingerprint(undisturbed)


@pytest.mark.skipif(os.name != "posix", reason="needs a limit on the size of files")
def test_a_file_that_the_system_itself_refuses(run, undisturbed):
    """The library that writes tensors has errors of its own for that."""
    import resource

    path = run.directory.path
    go_to(run, (1, "improve"))
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
    try:
        with pytest.raises(RunError, match=r"checkpoint could not be written.*free disk space"):
            run.step()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    run.close()
    finish_again(path)
    assert fingerprint(path) == fingerprint(undisturbed)


@pytest.mark.parametrize("position", [(0, "ask"), (0, "learn"), (1, "ask"), (1, "check")])
def test_a_disk_that_is_full_when_a_blob_is_written(run, undisturbed, monkeypatch, position):
    path = run.directory.path
    go_to(run, position)
    with monkeypatch.context() as patched:
        refuse(patched, "/blobs/")
        with pytest.raises(StoreError, match=r"blob could not be written.*No space"):
            run.step()
    run.close()
    finish_again(path)
    assert fingerprint(path) == fingerprint(undisturbed)


@pytest.mark.parametrize("position", [(0, "ask"), (1, "ask")])
def test_a_disk_that_is_full_when_the_log_is_written(run, undisturbed, position):
    path = run.directory.path
    go_to(run, position)
    allow_pages(run.store, 1)
    with pytest.raises(StoreError, match="disk is full"):
        run.step()
    run.close()
    finish_again(path)
    assert fingerprint(path) == fingerprint(undisturbed)


def allow_pages(store, count):
    """Let SQLite's file not grow beyond so many pages, or its size now if that is more: it then says that the disk is full."""

    def limit(connection):
        connection.exec_driver_sql(f"PRAGMA max_page_count={count}")

    store._writer.write(limit)


@pytest.mark.parametrize("name", ["timing.jsonl", "metrics.tmp", "reward.safetensors"])
def test_a_disk_that_is_full_when_a_file_for_others_is_written(run, undisturbed, monkeypatch, name):
    path = run.directory.path
    go_to(run, (1, "check"))
    with monkeypatch.context() as patched:
        refuse(patched, f"run/{name}")
        with pytest.raises(RunError, match=rf"could not be written.*{name.split('.')[0]}.*No space"):
            run.step()
    run.close()
    require_whole(path, 10)
    finish_again(path)
    assert fingerprint(path) == fingerprint(undisturbed)


def test_a_disk_that_is_full_when_the_policy_is_exported(run, undisturbed, monkeypatch):
    path = run.directory.path
    go_to(run, (1, "check"))
    with monkeypatch.context() as patched:
        patched.setattr(type(run.policy), "export", full)
        with pytest.raises(RunError, match=r"could not be written.*policy.zip"):
            run.step()
    run.close()
    finish_again(path)
    assert fingerprint(path) == fingerprint(undisturbed)


@pytest.mark.parametrize("where", ["config.json", "store"])
def test_a_disk_that_is_full_at_the_start_leaves_no_run(tmp_path, monkeypatch, where):
    with monkeypatch.context() as patched:
        if where == "store":
            patched.setattr("plaudit.store.handle.os.replace", full)
        else:
            refuse(patched, where)
        with pytest.raises(PlauditError, match=r"could not be (written|created).*No space"):
            Run.create(shaky(), tmp_path / "run")
    assert not RunDirectory(tmp_path / "run").exists
    Run.create(shaky(), tmp_path / "run").close()


def test_a_disk_that_is_full_when_the_report_is_written_keeps_the_run(tmp_path, undisturbed, monkeypatch, capsys):
    shutil.copytree(undisturbed, tmp_path / "run")
    with monkeypatch.context() as patched:
        refuse(patched, "report.")
        assert main(["report", str(tmp_path / "run")]) == 2
    assert "No space left on device" in capsys.readouterr().err
    assert main(["report", str(tmp_path / "run")]) == 0


# damaged files


def damage(path, how):
    data = path.read_bytes()
    middle = data.rindex(b"query.asked") if how == "garbage" else len(data) // 2  # every verb reads the log
    match how:
        case "garbage":
            path.write_bytes(data[: middle - 6000] + os.urandom(12000) + data[middle + 6000 :])
        case "truncated":
            path.write_bytes(data[:middle])
        case "empty":
            path.write_bytes(b"")
        case "no database":
            path.write_bytes(b"x" * len(data))


@pytest.fixture
def half(tmp_path):
    """A run that stopped in the middle."""
    with Run.create(shaky(), tmp_path / "run") as run:
        go_to(run, (1, "act"))
    return tmp_path / "run"


@pytest.mark.parametrize("how", ["garbage", "truncated", "empty", "no database"])
def test_a_damaged_store_is_refused_in_clear_words_and_left_as_it_is(half, undisturbed, tmp_path, capsys, how):
    store = half / "store.sqlite"
    shutil.copy(store, tmp_path / "backup")
    damage(store, how)
    before = store.read_bytes()
    with pytest.raises(StoreError):
        Run.open(half)
    for verb in (["resume"], ["audit", "verify"], ["report"], ["doctor"], ["gc"]):
        assert main([*verb, str(half)]) in (1, 2), verb
    told = capsys.readouterr()
    assert "Traceback" not in told.err
    if before:  # the database writes its header into an empty file
        assert store.read_bytes() == before
    shutil.copy(tmp_path / "backup", store)
    finish_again(half)
    assert fingerprint(half) == fingerprint(undisturbed)


def test_a_changed_event_is_refused(half, capsys):
    with sqlite3.connect(half / "store.sqlite") as database:
        for (trigger,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            database.execute(f"DROP TRIGGER {trigger}")  # they would refuse it
        database.execute("UPDATE event SET payload = replace(payload, 'reward/labels', 'reward/labelz')")
    with pytest.raises(IntegrityError, match=r"event log is damaged.*event \d+.*backup"):
        Run.open(half)
    assert main(["audit", "verify", str(half)]) == 1
    assert "does not match its hash" in capsys.readouterr().out


@pytest.mark.parametrize("how", ["deleted", "changed"])
def test_a_damaged_segment_is_named_by_the_stage_that_needs_it(half, undisturbed, tmp_path, capsys, how):
    with Store.open(half / "store.sqlite") as store:
        asked = store.segment(store.queries()[0].segments[0])
        blob = store.blobs.path(asked.blob)
    shutil.copy(blob, tmp_path / "backup")
    blob.unlink() if how == "deleted" else damage(blob, "truncated")
    with Run.open(half) as run:
        go_to(run, (1, "learn"))
        with pytest.raises(StoreError, match=r"blob (is missing|does not match).*backup"):
            run.step()
    assert main(["audit", "verify", str(half)]) == 1
    assert asked.id[:12] in capsys.readouterr().out.replace("\n", "")
    shutil.copy(tmp_path / "backup", blob)
    finish_again(half)
    assert fingerprint(half) == fingerprint(undisturbed)


@pytest.mark.parametrize(
    ("how", "stage", "finished"),
    [
        ("truncated", "learn", False),
        ("deleted", "improve", False),
        ("empty", "learn", True),
        ("truncated", "improve", True),
        ("deleted", "learn", True),
    ],
)
def test_a_damaged_checkpoint_is_named_and_a_rebuild_mends_it(half, undisturbed, how, stage, finished):
    if finished:
        finish_again(half)
    with Store.open(half / "store.sqlite") as store:
        stages = [event.payload for event in store.events(kinds={"stage.completed"})]
    name = [payload["checkpoint"] for payload in stages if payload["stage"] == stage][-1]
    victim = next((half / "checkpoints" / name).glob("*.safetensors"))
    victim.unlink() if how == "deleted" else damage(victim, how)
    with pytest.raises(IntegrityError, match=r"checkpoint.*--rebuild"):
        Run.open(half)
    with Run.open(half, rebuild=True) as run:
        run.finish()
    finish_again(half)  # whole again, so it opens without a rebuild
    assert fingerprint(half) == fingerprint(undisturbed)


def test_leftovers_of_a_crash_are_removed_at_the_next_start(half):
    leftover = half / "checkpoints" / ".tmp-1"
    leftover.mkdir()
    (leftover / "file").write_bytes(b"half")
    Run.open(half).close()
    assert not leftover.exists()


# wrong words at the command line


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["run", "run.toml", "--directory", "file"], "cannot be written"),
        (["run", "run.toml", "--directory", "file/below"], "cannot be written"),
        (["run", "run.toml", "--directory", "new", "--replay", "nowhere"], "no run in this directory"),
        (["run", "."], "cannot be read"),
        (["resume", "file"], "no run in this directory"),
        (["resume", "run", "--replay", "nowhere"], "no run in this directory"),
        (["init", "--yes", "--world", "Pendulum-v1", "--file", "no/folder/run.toml"], "No such file or directory"),
    ],
)
def test_wrong_paths_get_one_clear_line(half, tmp_path, monkeypatch, capsys, words, said):
    monkeypatch.chdir(tmp_path)
    Path("file").write_text("something else")
    Path("run.toml").write_text('[world]\nid = "Pendulum-v1"\n')
    assert main(words) == 2
    told = capsys.readouterr().err
    assert said in told
    assert told.startswith(f"plaudit {words[0]}: ")
    assert Path("file").read_text() == "something else"
    assert not Path("new/store.sqlite").exists()


@pytest.mark.parametrize("typed", ["", "n\ny\ny\nmany\n0\n4\n-1\n15\n"])
def test_init_asks_again_and_needs_somebody_who_answers(tmp_path, monkeypatch, capsys, typed):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.stdin", io.StringIO(typed))
    assert main(["init", *(["--world", "Pendulum-v1"] if typed else [])]) == (0 if typed else 2)
    assert Path("run.toml").exists() == bool(typed)
    assert typed or "nobody is at the keyboard" in capsys.readouterr().err


INTERRUPTED = textwrap.dedent(
    """
    import signal, sys
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a background shell has taught its children to ignore it
    from tests.fault_worlds import Shaky, shaky
    from plaudit.cli import main, run as verb
    from plaudit.loop import Run
    slow = Shaky.step
    calls = 0
    def step(self, action):
        global calls
        calls += 1
        if calls == 150:
            print("now", flush=True)
            import time
            time.sleep(30)
        return slow(self, action)
    Shaky.step = step
    verb.read = lambda file, **_: shaky(step_seconds=60.0)
    sys.exit(main.main(["run", "any.toml", "--directory", sys.argv[1]]))
    """
)


@pytest.mark.skipif(os.name != "posix", reason="sends a signal")
def test_ctrl_c_at_the_command_line_says_so_and_the_run_goes_on(tmp_path):
    paths = [tmp_path / "interrupted", tmp_path / "other"]
    code = [sys.executable, "-W", "ignore", "-c", INTERRUPTED, str(paths[0])]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    process = subprocess.Popen(code, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    while process.stdout.readline() not in ("now\n", ""):
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=60)
    assert process.returncode == 130, told
    assert "interrupted; what was finished is kept" in told
    assert "Traceback" not in told
    assert main(["resume", str(paths[0])]) == 0
    with Run.create(shaky(step_seconds=60.0), paths[1]) as run:
        run.finish()
    assert fingerprint(paths[0]) == fingerprint(paths[1])

"""Behaviour in pieces: shared by checkpoints, mapped, checked, collected; and the bits are those of one file."""

import os
import signal
import subprocess
import sys
import textwrap

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import load_file

from plaudit.cli.main import main
from plaudit.control.replay import Replay
from plaudit.control.rewards import Labels
from plaudit.errors import IntegrityError, WorldError
from plaudit.loop import Run
from plaudit.store.store import Store
from plaudit.worlds import chunks
from plaudit.worlds.behaviour import Behaviour, Layout
from tests.loop_examples import fingerprint, small

LAYOUT = Layout(observation=3, action=(2,), choices=None, simulator=1, pixels=(4, 4, 1))
ODD = Layout(observation=3, action=(2,), choices=None, simulator=None, pixels=(3, 3, 1))
"""whose pictures do not fill pages, so that they are read instead of mapped"""


def grow(behaviour, rows):
    """Row t of a behaviour is a function of t alone."""
    layout, envs = behaviour.layout, behaviour.envs
    for t in range(len(behaviour), len(behaviour) + rows):
        rng = np.random.default_rng(t)
        behaviour.append(
            rng.random((envs, layout.observation), dtype=np.float32),
            rng.random((envs, *layout.action), dtype=np.float32),
            rewards=rng.random(envs),
            starts=np.full(envs, t % 100 == 0),
            seeds=np.full(envs, t, np.int32),
            simulator=None if layout.simulator is None else rng.random((envs, layout.simulator)),
            pixels=rng.integers(256, size=(envs, *layout.pixels)).astype(np.uint8),
        )
    return behaviour


def columns(behaviour):
    names = ("observations", "actions", "rewards", "episodes", "seeds", "simulator", "pixels")
    return {name: getattr(behaviour, name) for name in names if getattr(behaviour, name) is not None}


def require_equal(one, other):
    assert len(one) == len(other)
    for name, column in columns(one).items():
        assert column.tobytes() == columns(other)[name].tobytes(), name


@pytest.fixture(scope="module")
def long():
    return grow(Behaviour(8, LAYOUT), 2 * chunks.PICTURE_ROWS + 100)


@pytest.mark.parametrize("layout", [LAYOUT, ODD])
@pytest.mark.parametrize("can_map", [True, False])
def test_pieces_hold_every_bit_and_the_record_grows_on(layout, can_map, tmp_path, monkeypatch):
    monkeypatch.setattr(chunks, "CAN_MAP", can_map and chunks.CAN_MAP)
    whole, parts = (grow(Behaviour(8, layout), chunks.PICTURE_ROWS + 50) for _ in range(2))
    parts.save(tmp_path / "one", tmp_path / "pieces")
    require_equal(whole, parts)  # what was mapped in place of memory
    again = Behaviour(8, layout)
    again.load(tmp_path / "one", tmp_path / "pieces")
    require_equal(whole, again)
    for behaviour in (whole, parts, again):
        grow(behaviour, 2500)
    require_equal(whole, parts)
    require_equal(whole, again)
    parts.save(tmp_path / "two", tmp_path / "pieces")
    again.save(tmp_path / "three", tmp_path / "pieces")
    assert (tmp_path / "two").read_bytes() == (tmp_path / "three").read_bytes()
    assert len(list((tmp_path / "pieces").iterdir())) == len(whole) // chunks.PICTURE_ROWS
    again.save(tmp_path / "together")
    whole.save(tmp_path / "whole")
    assert (tmp_path / "together").read_bytes() == (tmp_path / "whole").read_bytes()


def test_what_fits_into_no_piece_is_saved_as_ever(tmp_path):
    short = grow(Behaviour(8, LAYOUT), chunks.PICTURE_ROWS - 1)
    short.save(tmp_path / "plain")
    short.save(tmp_path / "pieces asked for", tmp_path / "pieces")
    assert (tmp_path / "plain").read_bytes() == (tmp_path / "pieces asked for").read_bytes()
    assert not (tmp_path / "pieces").exists()


def test_a_save_writes_only_what_is_new(long, tmp_path):
    behaviour = Behaviour(8, LAYOUT)
    long.save(tmp_path / "one", tmp_path / "pieces")
    behaviour.load(tmp_path / "one", tmp_path / "pieces")
    before = {file.name: file.stat().st_mtime_ns for file in (tmp_path / "pieces").iterdir()}
    grow(behaviour, chunks.PICTURE_ROWS)
    behaviour.save(tmp_path / "two", tmp_path / "pieces")
    after = {file.name: file.stat().st_mtime_ns for file in (tmp_path / "pieces").iterdir()}
    assert before.items() <= after.items()
    assert len(after) == len(before) + 1 == 3
    assert len(load_file(tmp_path / "two")["rewards"]) == 100


def test_a_piece_is_a_safetensors_file(long, tmp_path):
    long.save(tmp_path / "one", tmp_path / "pieces")
    for number, name in enumerate(chunks.pieces_of(tmp_path / "one")):
        found = load_file(tmp_path / "pieces" / name)
        for column, rows in columns(long).items():
            np.testing.assert_array_equal(
                found[column], rows[number * chunks.PICTURE_ROWS : (number + 1) * chunks.PICTURE_ROWS]
            )


def test_writing_into_a_mapped_column_changes_no_file(long, tmp_path):
    long.save(tmp_path / "one", tmp_path / "pieces")
    first, second = Behaviour(8, LAYOUT), Behaviour(8, LAYOUT)
    first.load(tmp_path / "one", tmp_path / "pieces")
    first.observations[:] = -1
    second.load(tmp_path / "one", tmp_path / "pieces")
    require_equal(second, long)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_restored_rows_are_mapped_from_their_files(long, tmp_path):
    long.save(tmp_path / "one", tmp_path / "pieces")
    restored = Behaviour(8, LAYOUT)
    restored.load(tmp_path / "one", tmp_path / "pieces")

    def mapped():
        with open("/proc/self/maps") as maps:
            return {line.split()[-1] for line in maps if str(tmp_path) in line}

    assert mapped() == {str(tmp_path / "pieces" / name) for name in chunks.pieces_of(tmp_path / "one")}
    for file in (tmp_path / "pieces").iterdir():
        file.unlink()  # as gc does while somebody still reads
    kept = restored.rewards
    del restored
    np.testing.assert_array_equal(kept, long.rewards)


def test_replay_samples_mapped_rows_as_those_in_memory(long, tmp_path):
    long.save(tmp_path / "one", tmp_path / "pieces")
    mapped = Behaviour(8, LAYOUT)
    mapped.load(tmp_path / "one", tmp_path / "pieces")
    found = []
    for behaviour in (long, mapped):
        labels = Labels(behaviour)
        labels.set(lambda batch: batch.pixels[..., 0, 0, 0].astype(float), 0.5)
        replay = Replay(behaviour, labels)
        replay.begin()
        found.append(replay.sample(np.random.default_rng(0), 4, 64))
    for name in ("observations", "actions", "rewards", "following", "continues"):
        np.testing.assert_array_equal(getattr(found[0], name), getattr(found[1], name))


@pytest.mark.parametrize("harm", ["a bit", "an end", "missing"])
def test_a_damaged_piece_is_named_and_mended(harm, long, tmp_path):
    long.save(tmp_path / "one", tmp_path / "pieces")
    victim = tmp_path / "pieces" / chunks.pieces_of(tmp_path / "one")[1]
    data = bytearray(victim.read_bytes())
    match harm:
        case "a bit":
            data[-1] ^= 1
        case "an end":
            del data[-5:]
    victim.unlink()  # a new file, since the old one is mapped
    if harm != "missing":
        victim.write_bytes(data)
    with pytest.raises(IntegrityError, match=rf"{victim.name}.*--rebuild"):
        Behaviour(8, LAYOUT).load(tmp_path / "one", tmp_path / "pieces")
    grow(Behaviour(8, LAYOUT), len(long)).save(tmp_path / "one", tmp_path / "pieces")
    again = Behaviour(8, LAYOUT)
    again.load(tmp_path / "one", tmp_path / "pieces")
    require_equal(again, long)


def test_pieces_of_another_world_and_lost_folders_are_refused(long, tmp_path):
    long.save(tmp_path / "one", tmp_path / "pieces")
    with pytest.raises(WorldError, match=r"does not fit this world"):
        Behaviour(8, ODD).load(tmp_path / "one", tmp_path / "pieces")
    with pytest.raises(WorldError, match=r"without the folder of its pieces"):
        Behaviour(8, LAYOUT).load(tmp_path / "one")


@settings(max_examples=8, deadline=None)
@given(st.lists(st.integers(0, 40), min_size=1, max_size=6), st.integers(0, 1))
def test_any_rhythm_of_saving_comes_to_the_same_file(tmp_path_factory, rhythm, reopen):
    folder = tmp_path_factory.mktemp("rhythm")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(chunks, "PICTURE_ROWS", 16)
        behaviour = Behaviour(8, ODD)
        for rows in rhythm:
            grow(behaviour, rows).save(folder / "one", folder / "pieces")
            if reopen:
                behaviour = Behaviour(8, ODD)
                behaviour.load(folder / "one", folder / "pieces")
        at_once = grow(Behaviour(8, ODD), sum(rhythm))
        require_equal(behaviour, at_once)
        at_once.save(folder / "two", folder / "pieces")
        assert (folder / "one").read_bytes() == (folder / "two").read_bytes()
        assert len(chunks.pieces_of(folder / "one")) == sum(rhythm) // 16


# in a run


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A run whose checkpoints consist of pieces of 64 rows."""
    path = tmp_path_factory.mktemp("pieces") / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(chunks, "ROWS", 64)
        with Run.create(small(), path) as run:
            run.finish()
    return path


@pytest.fixture(autouse=True)
def short_pieces(request, monkeypatch):
    if "finished" in request.fixturenames:
        monkeypatch.setattr(chunks, "ROWS", 64)


def checkpoints(path):
    return [folder for folder in (path / "checkpoints").iterdir() if (folder / chunks.BEHAVIOUR).exists()]


def policies(path):
    with Store.open(path / "store.sqlite") as store:
        return [event.payload["versions"]["policy"] for event in store.events(kinds={"stage.completed"})]


def test_a_run_comes_to_the_same_with_pieces_and_without(finished, tmp_path, monkeypatch):
    monkeypatch.setattr(chunks, "ROWS", 100_000)
    with Run.create(small(), tmp_path / "run") as run:
        run.finish()
    assert fingerprint(tmp_path / "run")["metrics"] == fingerprint(finished)["metrics"]
    assert policies(tmp_path / "run") == policies(finished)
    assert sorted(len(chunks.pieces_of(folder / chunks.BEHAVIOUR)) for folder in checkpoints(finished)) == [1, 2, 3, 3]


def test_a_run_that_halts_maps_its_pieces(finished, tmp_path):
    Run.create(small(), tmp_path / "run").close()
    while True:
        with Run.open(tmp_path / "run") as run:
            if run.step() is None:
                break
    assert fingerprint(tmp_path / "run") == fingerprint(finished)


KILLER = textwrap.dedent(
    """
    import os, signal, sys
    from pathlib import Path
    from plaudit.loop import Run
    from plaudit.worlds import chunks
    from tests.loop_examples import small
    path, after, where = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
    chunks.ROWS = 64
    calls = 0
    def dying(original):
        def call(*given, **named):
            global calls
            calls += 1
            if calls == after: os.kill(os.getpid(), signal.SIGKILL)
            return original(*given, **named)
        return call
    module, name = (chunks, where) if hasattr(chunks, where) else (os, where)
    setattr(module, name, dying(getattr(module, name)))
    Run.create(small(), path).finish()
    """
)


@pytest.mark.parametrize(
    ("after", "where"),
    [
        (2, "flush_folder"),
        pytest.param(1, "write", marks=pytest.mark.slow),
        pytest.param(3, "write", marks=pytest.mark.slow),
        pytest.param(2, "is_intact", marks=pytest.mark.slow),
    ],
)
def test_kill_9_around_a_piece_changes_nothing(after, where, finished, tmp_path):
    code = [sys.executable, "-W", "ignore", "-c", KILLER, str(tmp_path / "run"), str(after), where]
    done = subprocess.run(code, env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}, check=False)
    assert done.returncode == -signal.SIGKILL
    with Run.open(tmp_path / "run") as run:
        run.finish()
    assert fingerprint(tmp_path / "run") == fingerprint(finished)
    assert sorted(os.listdir(tmp_path / "run" / "behaviour")) == sorted(os.listdir(finished / "behaviour"))


def test_a_damaged_piece_of_a_run_is_named_and_rebuilt(finished, tmp_path, capsys):
    path = tmp_path / "run"
    with Run.create(small(), path) as run:
        for _ in range(10):
            run.step()
    newest = max(checkpoints(path), key=lambda folder: folder.stat().st_mtime_ns)
    victim = path / "behaviour" / chunks.pieces_of(newest / chunks.BEHAVIOUR)[-1]
    victim.write_bytes(victim.read_bytes()[:-1] + b"!")
    assert main(["audit", "verify", str(path)]) == 1
    assert newest.name[:12] in capsys.readouterr().out
    with pytest.raises(IntegrityError, match=rf"piece.*{victim.name}.*--rebuild"):
        Run.open(path)
    with Run.open(path, rebuild=True) as run:
        run.finish()
    assert fingerprint(path) == fingerprint(finished)
    assert main(["audit", "verify", str(path)]) == 0


def test_gc_keeps_the_pieces_that_checkpoints_name(finished, tmp_path):
    path = tmp_path / "run"
    with Run.create(small(), path) as run:
        for _ in range(9):
            run.step()
    orphan = path / "behaviour" / ("0" * 64)
    orphan.write_bytes(b"of a stage that was killed")
    (path / "behaviour" / ".tmp-left").write_bytes(b"half")
    assert main(["gc", str(path), "--keep", "1"]) == 0
    (kept,) = checkpoints(path)
    assert sorted(os.listdir(path / "behaviour")) == sorted(chunks.pieces_of(kept / chunks.BEHAVIOUR))
    with Run.open(path) as run:
        run.finish()
    assert fingerprint(path)["metrics"] == fingerprint(finished)["metrics"]

"""Copies, backups, moves into a database, deleting; and blobs behind a URL."""

import shutil
import sys

import fsspec
import pytest

from plaudit.cli.main import main
from plaudit.errors import IntegrityError, MissingExtra, StoreError
from plaudit.run.checkpoint import commit
from plaudit.run.directory import RunDirectory
from plaudit.store import people
from plaudit.store.blobs import FolderBlobs
from plaudit.store.blobs_url import UrlBlobs, blobs_at
from plaudit.store.copy import copy
from plaudit.store.store import Store
from tests.store_examples import RUN, add_segments, answer, arrays, make_store, projections, question, sql, tamper


@pytest.fixture
def run(tmp_path):
    """A run's directory with eight events and a few files."""
    directory = RunDirectory(tmp_path / "run")
    make_store(directory.path).close()
    (directory.checkpoints / "abc").mkdir(parents=True)
    (directory.checkpoints / "abc" / "policy.zip").write_bytes(b"weights")
    directory.config.write_text("{}")
    return directory


@pytest.fixture
def memory():
    """A place in memory that fsspec knows."""
    yield "memory://plaudit/blobs"
    fsspec.filesystem("memory").rm("/plaudit", recursive=True)


# blobs behind a URL


def test_blobs_behind_a_url_have_the_same_names(memory, tmp_path):
    there, folder = blobs_at(memory), blobs_at(tmp_path / "blobs")
    assert isinstance(folder, FolderBlobs)
    assert list(there.names()) == list(folder.names()) == []
    for data in (b"", b"data", b"more"):
        assert there.put(data) == there.put(data) == folder.put(data)
        assert there.get(folder.put(data)) == data
    given = arrays(1).arrays()
    assert there.put_arrays(given) == folder.put_arrays(given)
    assert list(there.names()) == list(folder.names())
    name = there.put(b"data")
    assert there.has(name)
    assert not there.has("0" * 64)
    assert not there.has("../../secret")
    with pytest.raises(StoreError, match="is missing"):
        there.get("0" * 64)
    with pytest.raises(StoreError, match="no digest"):
        there.get("../x")
    with pytest.raises(StoreError, match="no file of this machine"):
        there.path(name)


def test_changed_blobs_behind_a_url_are_found_and_mended(memory):
    there = UrlBlobs(memory)
    name = there.put(b"data")
    fsspec.filesystem("memory").pipe_file(f"/plaudit/blobs/{name[:2]}/{name}", b"dat")
    with pytest.raises(IntegrityError, match="does not match its hash"):
        there.get(name)
    assert there.put(b"data") == name
    assert there.get(name) == b"data"


def test_urls_that_cannot_be_used_are_explained(monkeypatch, memory):
    with pytest.raises(StoreError, match="cannot be used"):
        blobs_at("nonsense://x")

    def full(*args, **kwargs):
        raise OSError("quota exceeded")

    there = UrlBlobs(memory)
    there.put(b"x")
    monkeypatch.setattr(there._files, "pipe_file", full)
    with pytest.raises(StoreError, match=r"could not be written.*quota"):
        there.put(b"y")
    monkeypatch.setitem(sys.modules, "fsspec.core", None)
    with pytest.raises(MissingExtra, match=r'pip install "plaudit\[remote\]"'):
        blobs_at(memory)


def test_a_store_remembers_where_its_blobs_lie(places, memory):
    where = places()["place"]
    with Store.create(where, RUN, blobs=memory) as made:
        (segment,) = add_segments(made, 1)
    with Store.open(where) as opened:
        assert isinstance(opened.blobs, UrlBlobs)
        assert len(opened.segment_data(segment)) == len(arrays())
        assert opened.verify().ok
        fsspec.filesystem("memory").rm_file(f"/plaudit/blobs/{segment.blob[:2]}/{segment.blob}")
        assert "A blob is missing" in opened.verify().problems[0]
        opened.blobs.put_arrays(arrays().arrays())
        assert opened.verify().ok


# copies


def test_a_copy_has_the_same_events_in_either_direction(places, tmp_path, monkeypatch):
    monkeypatch.setattr("plaudit.store.copy.PAGE", 3)
    with make_store(tmp_path / "source") as source:
        people.keep(source, "ann", {"name": "x"})
        times = [event.recorded_at for event in source.events()]
        there = places()
        done = copy(source, **there)
        assert (done.events, done.blobs) == (8, 2)  # the first event made the store
        again = copy(source, **there)
        assert (again.events, again.blobs) == (0, 0)
        with Store.open(there["place"]) as target:
            assert list(target.events()) == list(source.events())
            assert [event.recorded_at for event in target.events()] == times
            assert projections(target) == projections(source)
            assert people.personal(target, "ann") == {"name": "x"}
            assert target.verify().ok
            copy(target, tmp_path / "back" / "store.sqlite")
        with Store.open(tmp_path / "back" / "store.sqlite") as back:
            assert list(back.events()) == list(source.events())
            assert back.verify().ok


def test_a_copy_is_brought_up_to_date_and_erasure_reaches_it(places, tmp_path):
    there = places()
    with make_store(tmp_path / "source") as source:
        people.keep(source, "ann", {"name": "x"})
        copy(source, **there)
        segments = add_segments(source, 3, "later")
        source.add_queries([question(7, *segments[:2])])
        source.add_feedback([answer(question(7, *segments[:2]))])
        people.erase(source, "ann")
        assert copy(source, **there).events == 6
        with Store.open(there["place"]) as target:
            assert target.head() == source.head()
            assert people.personal(target, "ann") is None
            assert target.verify().ok
            target.append("note", {"of": "the copy"})
        source.append("note", {"of": "the source"})
        with pytest.raises(StoreError, match="Another store lies there"):
            copy(source, **there)


def test_nothing_of_an_erased_person_remains_in_the_files_of_a_copy(tmp_path, monkeypatch):
    monkeypatch.setattr("plaudit.store.database.BUSY_SECONDS", 0.1)
    path = tmp_path / "copy" / "store.sqlite"
    with make_store(tmp_path / "source") as source:
        for name in ("ann", "other"):
            people.keep(source, name, {"name": name})
        copy(source, path)
        (key,), (sealed,) = (sql(source, f"SELECT {one} WHERE annotator = 'ann'")[0] for one in COLUMNS)
        with Store.open(path) as elsewhere:  # an open store keeps the write-ahead log from being deleted
            assert people.personal(elsewhere, "ann") == {"name": "ann"}
            people.erase(source, "ann")
            copy(source, path)
            there = b"".join(one.read_bytes() for one in path.parent.glob("store.sqlite*"))
            assert (key in there, sealed in there) == (False, False)
            assert people.personal(elsewhere, "other") == {"name": "other"}
            with elsewhere.reading() as connection:
                assert connection.exec_driver_sql("SELECT count(*) FROM person").scalar() == 1
                with pytest.raises(StoreError, match="still lie on disk"):
                    copy(source, path)


COLUMNS = ("key FROM person_key", "data FROM person")


def test_a_damaged_source_is_not_copied(places, tmp_path):
    make_store(tmp_path / "source").close()
    path = tmp_path / "source" / "store.sqlite"
    tamper(path, "UPDATE event SET payload = replace(payload, 'person', 'robot') WHERE kind = 'annotator.added'")
    there = places()
    with Store.open(path) as source:
        with pytest.raises(IntegrityError, match="does not match its hash"):
            copy(source, **there)
        blob = next(source.blobs.names())
        source.blobs.path(blob).write_bytes(b"x")
        with pytest.raises(IntegrityError, match="A blob does not match"):
            copy(source, places()["place"], blobs=tmp_path / "other")
    with Store.open(there["place"]) as target:
        assert target.head()[0] == 1


# the command line


def test_backup_and_restore_bring_everything_back(run, tmp_path, capsys):
    with Store.open(run.store) as live:
        live.add_job("render", {}, "a")
        assert main(["backup", str(run.path), str(tmp_path / "backup")]) == 0
        live.append("note", {})
    head = capsys.readouterr().out.split("head: ")[1].split()[0]
    assert main(["backup", str(run.path), str(tmp_path / "backup")]) == 2
    shutil.rmtree(run.path)
    assert main(["restore", str(tmp_path / "backup"), str(run.path)]) == 0
    assert (run.checkpoints / "abc" / "policy.zip").read_bytes() == b"weights"
    assert run.config.read_text() == "{}"
    with Store.open(run.store) as restored:
        assert restored.head()[0] == int(head) == 8
        assert restored.verify().ok
        assert restored.job("a") is not None  # SQLite's own copy has everything
    assert main(["audit", "verify", str(tmp_path / "backup")]) == 1  # its made-up checkpoint
    assert sorted(path.name for path in tmp_path.iterdir()) == ["backup", "run"]


def test_a_damaged_run_is_not_backed_up(run, tmp_path, capsys):
    with Store.open(run.store) as store:
        store.blobs.path(next(store.blobs.names())).write_bytes(b"x")
    assert main(["backup", str(run.path), str(tmp_path / "backup")]) == 2
    assert "A blob does not match its hash" in capsys.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["run"]


def test_a_run_whose_checkpoint_is_damaged_is_not_backed_up(run, tmp_path, capsys):
    names = [commit(run.checkpoints, lambda folder, data=data: (folder / "x").write_text(data)) for data in "ab"]
    with Store.open(run.store) as store:
        for round_, name in enumerate([*names, None]):
            store.append("stage.completed", {"checkpoint": name}, f"stage/{round_}/learn")
    shutil.rmtree(run.checkpoints / names[0])  # `plaudit gc` does so
    assert main(["backup", str(run.path), str(tmp_path / "backup")]) == 0
    assert "checkpoints match their hashes" in capsys.readouterr().out
    (run.checkpoints / names[1] / "x").write_text("c")
    assert main(["backup", str(run.path), str(tmp_path / "again")]) == 2
    assert f"checkpoint {names[1][:12]} does not match its hash" in capsys.readouterr().err
    (tmp_path / "backup" / "checkpoints" / names[1] / "x").unlink()
    assert main(["restore", str(tmp_path / "backup"), str(tmp_path / "again")]) == 2
    assert sorted(path.name for path in tmp_path.iterdir()) == ["backup", "run"]


def test_a_run_moves_into_a_database_and_is_backed_up_and_deleted_there(run, postgres, tmp_path, capsys):
    url = postgres.new_database()
    assert main(["copy", str(run.path), str(run.path / "x"), "--switch"]) == 2
    assert main(["copy", str(run.path), url, "--switch"]) == 0
    assert main(["copy", str(run.path), url, "--switch"]) == 2  # it is there already
    with Store.open(run.store) as moved:
        assert moved.path == url
        assert moved.blobs.folder == run.blobs
        moved.append("note", {})
        assert moved.verify().ok
    with Store.open(run.path / "store.moved.sqlite") as old:
        assert old.head()[0] == 8
    assert main(["where", str(run.path)]) == 0
    assert main(["backup", str(run.path), str(tmp_path / "backup")]) == 0
    assert sorted(path.name for path in (tmp_path / "backup").iterdir()) == [
        "blobs",
        "checkpoints",
        "config.json",
        "store.sqlite",
    ]
    with Store.open(tmp_path / "backup" / "store.sqlite") as backup:
        assert backup.head()[0] == 9
    assert main(["copy", url, str(tmp_path / "back")]) == 0
    assert main(["rm", str(run.path), "--yes"]) == 0
    assert not run.path.exists()
    with pytest.raises(StoreError, match="no store of plaudit"):
        Store.open(url)
    assert main(["copy", str(tmp_path / "backup"), url]) == 2  # it must be said where the blobs are to lie
    assert main(["copy", str(tmp_path / "backup"), url, "--blobs", str(tmp_path / "b")]) == 0
    with Store.open(url) as again:
        assert again.verify().ok


def test_rm_asks_first(run, monkeypatch, capsys):
    monkeypatch.setattr("builtins.input", lambda *_: "n")
    assert main(["rm", str(run.path)]) == 1
    assert "8 events, 2 answers" in capsys.readouterr().out
    assert run.exists
    monkeypatch.setattr("builtins.input", lambda *_: "y")
    assert main(["rm", str(run.path)]) == 0
    assert not run.path.exists()
    assert main(["rm", str(run.path)]) == 2


def test_rm_leaves_blobs_that_lie_elsewhere(tmp_path, memory, capsys):
    run = RunDirectory(tmp_path / "run")
    with Store.create(run.store, RUN, blobs=memory) as store:
        name = store.blobs.put(b"data")
    assert main(["rm", str(run.path), "--yes"]) == 0
    assert "stay there" in capsys.readouterr().out
    assert UrlBlobs(memory).get(name) == b"data"

"""The store when things go wrong: kills, full disks, bad neighbours, other processes, and files that are no stores."""

import errno
import multiprocessing
import os
import pickle
import random
import re
import resource
import signal
import sqlite3
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from sqlalchemy import event as listen

from plaudit.errors import IntegrityError, RecordError, StoreError
from plaudit.records import to_json
from plaudit.store import database, schema
from plaudit.store import handle as store_module
from plaudit.store.migrate import migrate, upgrade
from plaudit.store.store import Store
from plaudit.store.writer import LARGEST_GROUP
from tests.store_examples import RUN, add_segments, answer, arrays, child, make_store, question

UNLIMITED = 2**30

WRITE_WITH_THREADS = """
import os, sys, threading
from pathlib import Path
from plaudit.store.store import Store
store = Store.open(Path(sys.argv[1]))
def write(thread):
    for i in range(int(sys.argv[3])):
        key = f"{sys.argv[2]}/{thread}/{i}"
        seq = store.append("note", {"of": key, "text": "x" * (i % 7) * 100}, key)
        os.write(1, f"{key} {seq}\\n".encode())  # in one piece, also between threads
threads = [threading.Thread(target=write, args=(thread,)) for thread in range(int(sys.argv[4]))]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
store.close()
"""

CREATE_AND_DIE = """
import os, sys
from pathlib import Path
from plaudit.store.store import Store
os.replace = lambda source, target: os._exit(9)
Store.create(Path(sys.argv[1]), {})
"""


@pytest.fixture
def store(tmp_path):
    with Store.create(tmp_path / "store.sqlite", RUN) as made:
        yield made


@pytest.fixture
def pages(store):
    """Set the number of pages that the database may have; it stands for the size of the disk."""
    limit = [UNLIMITED]

    @listen.listens_for(store._engine, "checkout")
    def allow(connection, record, proxy):
        connection.execute(f"PRAGMA max_page_count = {limit[0]}")

    def set_limit(extra):
        with sqlite3.connect(store.path) as connection:
            limit[0] = UNLIMITED if extra is None else connection.execute("PRAGMA page_count").fetchone()[0] + extra

    return set_limit


def in_one_group(store, *works):
    """Hand several writes in while the writer is busy, so that they share a transaction; results or errors of each."""
    busy, go = threading.Event(), threading.Event()

    def block(connection):
        busy.set()
        go.wait(30)

    with ThreadPoolExecutor(len(works) + 1) as pool:
        blocker = pool.submit(store._writer.write, block)
        assert busy.wait(30)
        futures = []
        for waiting, work in enumerate(works):
            futures.append(pool.submit(work))
            while store._writer._waiting.qsize() <= waiting and not futures[-1].done():
                pass  # one after the other, so that their order is known
        go.set()
        blocker.result(30)
        return [future.exception(30) or future.result() for future in futures]


# kills and other processes


def kill_while_writing(folder, kills, seed):
    """Kill a writing process again and again; what it said was written must be there, once."""
    rng = random.Random(seed)
    store = Store.create(folder / "store.sqlite", RUN)
    store.close()
    said: dict[str, int] = {}
    for life in range(kills):
        process = child(WRITE_WITH_THREADS, store.path, f"life{life}", 10_000, 4)
        lines = [process.stdout.readline() for _ in range(rng.randrange(1, 40))]
        threading.Event().wait(rng.random() * 0.05)
        process.send_signal(signal.SIGKILL)
        lines += process.stdout.readlines()
        process.stdout.close()
        assert process.wait(30) == -signal.SIGKILL
        said |= {line.split()[0]: int(line.split()[1]) for line in lines if line.endswith("\n")}
        with Store.open(store.path) as opened:
            assert opened.verify().problems == ()
            there = Counter(event.key for event in opened.events())
            assert set(there.values()) == {1}
            assert {event.key: event.seq for event in opened.events() if event.key in said} == said
            key = next(iter(said))
            text = "x" * (int(key.split("/")[2]) % 7) * 100
            assert opened.append("note", {"of": key, "text": text}, key) == said[key]


def test_nothing_acknowledged_is_lost_when_killed(tmp_path):
    kill_while_writing(tmp_path, kills=3, seed=1)


@pytest.mark.slow
def test_nothing_acknowledged_is_lost_in_30_kills(tmp_path):
    kill_while_writing(tmp_path, kills=30, seed=2)


def test_two_processes_write_at_once(store):
    writers = [child(WRITE_WITH_THREADS, store.path, name, 40, 2) for name in ("a", "b")]
    said = [dict(line.split() for line in writer.communicate(timeout=120)[0].splitlines()) for writer in writers]
    assert [writer.returncode for writer in writers] == [0, 0]
    assert [len(one) for one in said] == [80, 80]
    assert {event.key: str(event.seq) for event in store.events(after=1)} == said[0] | said[1]
    assert store.verify().ok


def test_a_process_that_dies_while_creating_leaves_no_store(tmp_path):
    path = tmp_path / "run" / "store.sqlite"
    dying = child(CREATE_AND_DIE, path)
    assert dying.wait(60) == 9
    dying.stdout.close()
    assert not path.exists()
    with Store.create(path, RUN) as created:
        assert created.head()[0] == 1


# group commit


def test_a_bad_item_fails_alone(store):
    store.append("note", {"x": 0}, "taken")
    first, unknown, broken, clash, last = in_one_group(
        store,
        lambda: store.append("note", {"x": 1}, "first"),
        lambda: store.append("annotator.added", {"id": "no kind", "seq": object()}),
        lambda: store._writer.write(lambda connection: 1 // 0),
        lambda: store.append_many([("note", {}, "with the clash"), ("note", {"x": 1}, "taken")]),
        lambda: store.append("note", {"x": 2}, "last"),
    )
    assert (first, last) == (3, 4)
    assert isinstance(unknown, RecordError)
    assert isinstance(broken, ZeroDivisionError)
    assert isinstance(clash, StoreError)
    assert [event.key for event in store.events(after=2)] == ["first", "last"]
    assert store.verify().ok


def test_a_statement_that_the_database_refuses_fails_alone(store):
    profile = {"id": "ann", "kind": "person", "description": ""}
    first, double, last = in_one_group(
        store,
        lambda: store.append("annotator.added", profile),
        lambda: store.append("annotator.added", profile),
        lambda: store.append("note", {}),
    )
    assert (first, last) == (2, 3)
    assert isinstance(double, StoreError)
    assert "UNIQUE" in str(double)
    assert store.verify().ok


def test_many_threads_each_get_their_own_seq(store):
    said: dict[str, int] = {}

    def write(thread):
        for i in range(15):
            key = f"{thread}/{i}"
            said[key] = store.append("note", {"key": key}, key)

    threads = [threading.Thread(target=write, args=(thread,)) for thread in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {event.key: event.seq for event in store.events(after=1)} == said
    assert store.verify().ok


def test_groups_have_a_largest_size(store, monkeypatch):
    monkeypatch.setattr("plaudit.store.writer.LARGEST_GROUP", 2)
    assert LARGEST_GROUP > 2
    assert in_one_group(store, *[lambda i=i: store.append("note", {}, str(i)) for i in range(5)]) == [2, 3, 4, 5, 6]


def test_closing_finishes_what_was_handed_in(store):
    outcomes = in_one_group(store, lambda: store.append("note", {}, "a"), store.close)
    assert outcomes == [2, None]
    store.close()
    for refused in (
        lambda: store.append("note", {}),
        lambda: store._writer.write(lambda connection: None),
        store.head,
        store.verify,
        store.queries,
        lambda: next(store.events()),
    ):
        with pytest.raises(StoreError, match="closed"):
            refused()
    with Store.open(store.path) as opened:
        assert opened.head()[0] == 2


def test_a_lock_that_is_held_too_long_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(database, "BUSY_SECONDS", 0.05)
    with Store.create(tmp_path / "store.sqlite", RUN) as store, sqlite3.connect(store.path) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreError, match="locked by another process"):
            store.append("note", {})
        assert store.head()[0] == 1
        other.rollback()
        assert store.append("note", {}) == 2


# full disks


def test_a_full_disk_loses_nothing_that_was_acknowledged(store, pages):
    pages(2)
    kept = []

    def fill():
        for i in range(100):
            kept.append(store.append("note", {"text": "x" * 500}, f"n{i}"))

    with pytest.raises(StoreError, match=r"disk is full.*free some space"):
        fill()
    assert [event.seq for event in store.events(after=1)] == kept
    pages(None)
    assert store.append("note", {"text": "x" * 500}, f"n{len(kept)}") == kept[-1] + 1
    assert store.verify().ok


@pytest.mark.parametrize("kind", ["event", "job"])
def test_a_disk_that_fills_up_within_a_group_fails_only_those_that_need_the_space(store, pages, kind):
    """For the job SQLite rolls the whole transaction back, with what its earlier savepoints had written."""
    text = {"text": "x" * 50_000}
    pages(1)
    outcomes = in_one_group(
        store,
        lambda: store.append("note", {}, "small"),
        lambda: store.append("note", text, "large") if kind == "event" else store.add_job("render", text, "large"),
        lambda: store.append("note", {}, "after"),
    )
    assert isinstance(outcomes[1], StoreError)
    assert "disk is full" in str(outcomes[1])
    assert (outcomes[0], outcomes[2]) == (2, 3)
    assert {event.key: event.seq for event in store.events(after=1)} == {"small": 2, "after": 3}
    pages(None)
    assert store.job("large") is None
    assert store.append("note", text, "large") == 4
    assert store.verify().ok


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_full_disk_leaves_no_half_blob(store, monkeypatch, call):
    def full(*args):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, call, full)
        with pytest.raises(StoreError, match=r"could not be written.*No space left"):
            store.blobs.put(b"data")
    assert [path for path in store.blobs.folder.rglob("*") if path.is_file()] == []
    name = store.blobs.put(b"data")
    assert store.blobs.get(name) == b"data"
    assert store.blobs.put(b"data") == name


def test_a_place_that_takes_no_blobs_is_named(store):
    store.blobs.folder.write_text("a file where the folder should be")
    with pytest.raises(StoreError, match="could not be written"):
        store.blobs.put(b"data")


def test_a_disk_that_refuses_in_the_middle_of_a_write_loses_nothing(store):
    store.append("note", {})
    head, (soft, hard) = store.head(), resource.getrlimit(resource.RLIMIT_FSIZE)
    log = store.path.with_name(store.path.name + "-wal")
    resource.setrlimit(resource.RLIMIT_FSIZE, (log.stat().st_size + 5000, hard))
    try:
        with pytest.raises(StoreError, match="The database refused"):
            store.append("note", {"text": "x" * 100_000}, "large")
        with pytest.raises(StoreError, match="could not be written"):
            store.blobs.put(b"x" * 1_000_000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert store.head() == head
    assert [path for path in store.blobs.folder.rglob("*") if path.is_file()] == []
    assert store.append("note", {"text": "x" * 100_000}, "large") == head[0] + 1
    assert store.verify().ok


# forks and copies


def test_a_forked_child_has_connections_of_its_own(store):
    store.append("note", {}, "parent")

    def child_process():
        assert store.append("note", {}, "child") == 3
        assert store.head()[0] == 3
        store.close()

    process = multiprocessing.get_context("fork").Process(target=child_process)
    process.start()
    process.join(60)
    assert process.exitcode == 0
    assert store.append("note", {}, "parent again") == 4
    assert store.verify().ok


def test_after_a_fork_the_connections_of_the_parent_stay_open(store, monkeypatch):
    """What the test above does where nobody measures coverage."""
    engine, writer = store._engine, store._writer
    store.head()
    with monkeypatch.context() as patch:
        patch.setattr(os, "getpid", lambda: 1)
        assert store.append("note", {}) == 2
        assert store._engine is not engine
        assert store_module._INHERITED.pop() is engine
        store.close()
    with pytest.raises(StoreError, match="closed"):  # also in a child that is forked later
        store.append("note", {})
    store_module._INHERITED.pop().dispose()
    writer.close()
    engine.dispose()


def test_a_pickled_store_is_opened_again(store):
    with pickle.loads(pickle.dumps(store)) as other:
        assert other._writer is not store._writer
        other.append("note", {})
    assert store.head()[0] == 2


def test_a_path_holds_wherever_the_process_goes(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with Store.create("50% off?.sqlite", RUN) as store:
        monkeypatch.chdir("/")
        store.append("note", {})
        store.blobs.put(b"data")
        assert store.head()[0] == 2
    with Store.open(str(tmp_path / "50% off?.sqlite")) as store:
        assert store.verify().ok
    assert sorted(path.name for path in tmp_path.iterdir()) == ["50% off?.sqlite", "blobs"]


# blobs


def test_blobs_are_named_by_content(store):
    assert store.blobs.put(b"") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    name = store.blobs.put(b"data")
    assert store.blobs.has(name)
    assert not store.blobs.has("0" * 64)
    assert not store.blobs.has("../../secret")
    with pytest.raises(StoreError, match="is missing"):
        store.blobs.get("0" * 64)
    for bad in ("../../secret", name.upper(), ""):
        with pytest.raises(StoreError, match="no digest"):
            store.blobs.get(bad)


def test_arrays_come_back_bit_by_bit(store):
    given = {
        "scalar": np.float64(0.1) * np.ones(()),
        "columns": np.asfortranarray(np.arange(6, dtype=np.int64).reshape(2, 3)),
        "every other": np.arange(8, dtype=np.float32)[::2],
        "empty": np.zeros((0, 3), np.uint8),
        "truth": np.array([True, False]),
    }
    name = store.blobs.put_arrays(given)
    assert store.blobs.put_arrays(dict(reversed(given.items()))) == name
    back = store.blobs.get_arrays(name)
    assert set(back) == set(given)
    for key, value in given.items():
        assert (back[key].dtype, back[key].shape) == (value.dtype, value.shape)
        np.testing.assert_array_equal(back[key], value)


def test_a_blob_that_is_no_arrays_is_named(store):
    with pytest.raises(RecordError, match="cannot be stored"):
        store.blobs.put_arrays({"words": np.array(["text"])})
    with pytest.raises(IntegrityError, match="holds no arrays"):
        store.blobs.get_arrays(store.blobs.put(b"text"))


def test_putting_a_damaged_blob_again_mends_it(store):
    name = store.blobs.put(b"data")
    store.blobs.path(name).write_bytes(b"dat")
    with pytest.raises(IntegrityError, match="does not match its hash"):
        store.blobs.get(name)
    assert store.blobs.put(b"data") == name
    assert store.blobs.get(name) == b"data"


# opening and creating


def test_a_missing_file_is_not_created_by_opening(tmp_path):
    with pytest.raises(StoreError, match=r"no store.*check the path"):
        Store.open(tmp_path / "store.sqlite")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", [b"", b"a text file\n" * 100])
def test_a_file_that_is_no_store_is_named(tmp_path, content):
    path = tmp_path / "store.sqlite"
    path.write_bytes(content)
    with pytest.raises(StoreError, match="no store of plaudit"):
        Store.open(path)
    with pytest.raises(StoreError, match="a store already"):
        Store.create(path, RUN)


def test_a_database_of_somebody_else_is_left_as_it_is(tmp_path):
    path = tmp_path / "store.sqlite"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE things (name TEXT)")
    connection.close()
    before = path.read_bytes()
    with pytest.raises(StoreError, match="no store of plaudit"):
        Store.open(path)
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    "statement",
    [
        f"UPDATE about SET value = '{schema.FORMAT + 1}'",
        "UPDATE about SET value = 'new'",
        "DELETE FROM about",
    ],
)
def test_another_format_is_not_opened(store, statement):
    store.close()
    with sqlite3.connect(store.path) as connection:
        connection.execute(statement)
    connection.close()
    with pytest.raises(StoreError, match=rf"another format.*Expected: {schema.FORMAT}.*install a newer plaudit"):
        Store.open(store.path)


def test_migrating_an_older_store_keeps_a_backup_with_all_that_was_acknowledged(store, tmp_path):
    backup = tmp_path / "before.backup"
    with sqlite3.connect(store.path) as connection:
        connection.execute("UPDATE about SET value = '0' WHERE name = 'format'")  # in the write-ahead log, as yet
    head = store.head()
    migrate(store.path, backup)
    connection.close()
    assert (Store.format_of(backup), Store.format_of(store.path)) == ("0", str(schema.FORMAT))
    for path in (store.path, backup):
        with sqlite3.connect(path) as connection:
            connection.execute("UPDATE about SET value = ? WHERE name = 'format'", (str(schema.FORMAT),))
        connection.close()
        with Store.open(path) as opened:
            assert opened.head() == head
    with pytest.raises(StoreError, match="a backup already"):
        migrate(store.path, backup)


def test_creating_twice_keeps_the_first(store):
    with pytest.raises(StoreError, match="a store already"):
        Store.create(store.path, {"other": 1})
    assert [event.payload for event in store.events()] == [RUN]


def test_a_store_that_cannot_be_created_leaves_nothing(tmp_path, monkeypatch):
    with pytest.raises(RecordError):
        Store.create(tmp_path / "store.sqlite", {"x": float("nan")})
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="could not be created"):
        Store.create(tmp_path / "file" / "store.sqlite", RUN)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_odd_names_and_several_threads(tmp_path):
    """Paths go into no URL."""
    paths = [tmp_path / f"{i}" / "what? 100% #1.sqlite" for i in range(4)]
    with ThreadPoolExecutor(4) as pool:
        for made in pool.map(lambda path: Store.create(path, RUN), paths):
            made.close()
    for path in paths:
        assert [found.name for found in path.parent.iterdir()] == [path.name]


def test_durability_settings(store):
    """Every commit is flushed; readers do not wait for the writer."""
    found = [
        store._writer.write(lambda connection, name=name: connection.exec_driver_sql(f"PRAGMA {name}").scalar())
        for name in ("journal_mode", "synchronous", "foreign_keys")
    ]
    assert found == ["wal", 2, 1]


def test_reading_goes_on_while_another_process_writes(tmp_path):
    with make_store(tmp_path) as store, sqlite3.connect(store.path) as other:
        other.execute("BEGIN IMMEDIATE")
        segments = store.segments([event.key for event in store.events(kinds=["segment.added"])])
        assert len(segments) == 2
        other.rollback()
        again = add_segments(store, 1, "later")
        store.add_queries([question(5, *again, *again)])
        assert store.unanswered() == [question(5, *again, *again)]
        assert store.add_feedback([answer(question(5, *again, *again))])
        assert to_json(store.segment(again[0].id)) == to_json(again[0])
        assert len(store.segment_data(again[0])) == len(arrays())


def test_migrating_a_store_of_the_present_format_changes_nothing(store):
    with sqlite3.connect(store.path) as connection:
        before = list(connection.iterdump())
        upgrade(store._engine)
        assert list(connection.iterdump()) == before


def test_migrations_lead_to_the_tables_that_new_stores_get(store, tmp_path):
    """Same columns, keys, indexes and triggers, whatever the order they were written in."""

    def tables(path):
        with sqlite3.connect(path) as connection:
            made = connection.execute("SELECT type, name, tbl_name, sql FROM sqlite_master").fetchall()
        connection.close()
        return {
            (
                kind,
                name,
                table,
                sql and frozenset(re.split(r",\s*(?![^()]*\))", " ".join(sql.split("(", 1)[1].split())))
                if kind == "table"
                else sql,
            )
            for kind, name, table, sql in made
        }

    migrated = tmp_path / "migrated.sqlite"
    engine = database.connect(migrated)
    upgrade(engine)
    engine.dispose()
    assert tables(migrated) == tables(store.path)

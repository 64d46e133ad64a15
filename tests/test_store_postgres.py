"""What only PostgreSQL does: its triggers, its locks, its errors, places that are URLs; and migrations on both databases."""

import gzip
import json
import sys
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import event as listen
from sqlalchemy import exc, inspect

from plaudit.errors import MissingExtra, StoreError
from plaudit.store import database, place, schema, work
from plaudit.store.migrate import migrate, upgrade
from plaudit.store.store import Store
from plaudit.store.writer import MOST_CLASHES
from tests.store_examples import RUN, add_segments, answer, arrays, child, make_store, projections, question, sql

HEAD = (8, "f374a276929f291bc4baa5b8aa99cb210dbba56fb9766d56d0fae054c7cde510")
"""of `make_store`, as format 1 and SQLite first wrote it"""
FORMAT_1 = Path(__file__).parent / "fixtures" / "format1.sqlite.gz"

LEASE_AND_ANSWER = """
import os, sys, time
from plaudit.records import Choice, Comparison
from plaudit.store.store import Store
with Store.open(sys.argv[1]) as store:
    now = time.time() + float(sys.argv[3])
    while (query := store.lease_query(sys.argv[2], 600, now=now)) is not None:
        os.write(1, f"{query.id}\\n".encode())
        if sys.argv[4] == "answer":
            answer = Comparison(id=f"fb/{query.id}", query=query.id, annotator=sys.argv[2], choice=Choice.FIRST)
            store.add_feedback([answer])
"""


@pytest.fixture
def store(postgres, tmp_path):
    with make_store(postgres.new_database(), tmp_path / "blobs") as made:
        yield made


def test_both_databases_come_to_the_same_head(places):
    with make_store(**places()) as made:
        assert made.head() == HEAD


def test_the_database_refuses_to_change_the_past(store):
    for statement in (
        "UPDATE event SET payload = '{}' WHERE seq = 8",
        "DELETE FROM event WHERE seq = 8",
        "TRUNCATE event CASCADE",
        "INSERT INTO event SELECT 10, 'x', 'new', payload, prev_hash, hash, 0 FROM event WHERE seq = 8",
        "INSERT INTO event SELECT 9, 'x', key, payload, prev_hash, hash, 0 FROM event WHERE seq = 8",
        "INSERT INTO event SELECT 8, 'x', NULL, payload, prev_hash, hash, 0 FROM event WHERE seq = 8 "
        "ON CONFLICT (seq) DO UPDATE SET kind = 'x'",
    ):
        with pytest.raises(exc.IntegrityError, match=r"append-only|unique"):
            sql(store, statement)
    assert store.verify().ok


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        ("UPDATE event SET payload = payload || ' ' WHERE seq = 4", "event 4: does not match its hash"),
        ("UPDATE event SET key = NULL WHERE seq = 4", "event 4: does not match its hash"),
        ("DELETE FROM event WHERE seq = 8", "table feedback has 2 rows, the log has 1 events feedback.given"),
        ("UPDATE about SET value = '7' || value WHERE name = 'head'", "event 9: missing; the log ends before it"),
        ("DELETE FROM feedback WHERE seq = 7", "event 7: its row in table feedback is missing"),
        ("UPDATE query SET round = 8 WHERE seq = 5", "event 5: its row in table query differs"),
        ("INSERT INTO annotator VALUES ('x', 1, '{}')", "table annotator has 2 rows, the log has 1 events"),
        ("DROP TABLE annotator", 'relation "annotator" does not exist'),
    ],
)
def test_tampering_is_named(store, statement, words):
    sql(store, "ALTER TABLE event DISABLE TRIGGER ALL")
    sql(store, statement)
    assert words in " | ".join(store.verify().problems)


def test_text_with_everything_in_it_comes_back_and_is_verified(places):
    payload = {"text": "a\\b \\x41 \\101 \x00 \x7f '\";-- ü 中文 🎉 %s %(x)s :x"}
    with Store.create(**places(), run=RUN) as made:
        made.append("note", payload, "k'\\x")
        assert [event.payload for event in made.events(after=1)] == [payload]
        assert made.verify().ok


# order and locks


def test_three_processes_lease_every_question_once(places):
    with Store.create(**places(), run=RUN) as made:
        segments = add_segments(made, 2)
        asked = [question(i, *segments) for i in range(60)]
        made.add_queries(asked)
        people = [child(LEASE_AND_ANSWER, made.place, f"person{i}", 0, "answer") for i in range(3)]
        got = [person.communicate(timeout=120)[0].split() for person in people]
        assert [person.returncode for person in people] == [0, 0, 0]
        assert Counter(id_ for one in got for id_ in one) == Counter(query.id for query in asked)
        assert len(made.feedback()) == 60
        assert made.verify().ok


def test_what_a_killed_process_held_goes_to_others_when_its_time_is_over(places):
    """Three processes: one leases everything and is killed; when it is over, two others get it, each question once."""
    with Store.create(**places(), run=RUN) as made:
        segments = add_segments(made, 2)
        asked = [question(i, *segments) for i in range(6)]
        made.add_queries(asked)
        greedy = child(LEASE_AND_ANSWER, made.place, "greedy", 0, "hold")
        held = [greedy.stdout.readline().strip() for _ in asked]
        greedy.kill()
        greedy.communicate()
        assert held == [query.id for query in asked]
        assert made.lease_query("early", 60) is None
        people = [child(LEASE_AND_ANSWER, made.place, f"person{i}", 10_000, "answer") for i in range(2)]
        got = [person.communicate(timeout=120)[0].split() for person in people]
        assert Counter(id_ for one in got for id_ in one) == Counter(held)
        assert made.unanswered() == []


def test_a_lock_that_is_held_too_long_is_named(store, monkeypatch):
    monkeypatch.setattr(database, "BUSY_SECONDS", 0.2)
    with Store.open(store.place) as impatient, database.for_writing(store._engine).connect() as other, other.begin():
        database.hold_log(other)
        assert impatient.head()[0] == 8  # readers do not wait
        impatient.add_job("render", {}, "a")  # nor do jobs
        assert impatient.claim_job("render", "w", 10) is not None
        with pytest.raises(StoreError, match="locked by another process"):
            impatient.append("note", {})


def test_a_job_that_somebody_else_asks_for_at_the_same_time_is_there_once(store):
    with database.for_writing(store._engine).connect() as other, other.begin() as transaction:
        work.add_job(other, "render", {"by": "other"}, "a")
        mine = threading.Thread(target=store.add_job, args=("render", {"by": "mine"}, "a"))
        mine.start()
        mine.join(0.5)
        assert mine.is_alive()  # it waits for what becomes of the other
        transaction.commit()
        mine.join(30)
    assert store.job("a").payload == {"by": "other"}
    assert sql(store, "SELECT count(*) FROM job") == [(1,)]


def test_a_question_that_was_leased_while_somebody_looked_is_passed_over(store):
    """The one statement that finds a free question sees a state before the other's commit; the second look does not."""
    segments = add_segments(store, 2, "more")
    asked = [question(i, *segments, round_=3) for i in range(2)]
    store.add_queries(asked)
    slow = database.for_writing(store._engine)
    seen = []

    @listen.listens_for(slow, "after_cursor_execute")
    def meanwhile(connection, cursor, statement, parameters, context, many):
        if "SKIP LOCKED" in statement and not seen:
            seen.append(statement)
            sql(store, f"INSERT INTO lease VALUES ('{asked[0].id}', 'quick', 1e12)")

    with slow.connect() as connection, connection.begin():
        record = work.lease_query(connection, work.Wish("slow"), until=time.time() + 60, now=time.time())
    assert seen
    assert json.loads(record)["id"] == asked[1].id


def test_processes_that_stand_in_each_others_way_begin_again(store):
    """Rows locked in opposite order: the database gives one transaction up, and it is done again."""
    sql(store, "CREATE TABLE wait AS SELECT n, 0 AS times FROM generate_series(0, 1) AS n")
    both, tries = threading.Barrier(2), Counter()

    def cross(first):
        def change(connection):
            tries[first] += 1
            connection.exec_driver_sql(f"UPDATE wait SET times = times + 1 WHERE n = {first}")
            if tries[first] == 1:
                both.wait(20)
            connection.exec_driver_sql(f"UPDATE wait SET times = times + 1 WHERE n = {1 - first}")

        with Store.open(store.place) as mine:
            mine.change(change)

    threads = [threading.Thread(target=cross, args=(first,)) for first in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sql(store, "SELECT n, times FROM wait ORDER BY n") == [(0, 2), (1, 2)]
    assert max(tries.values()) >= 2  # at least one was given up; under load both may have been


def test_clashes_without_end_are_told(store, monkeypatch):
    tried = []

    def clash(connection):
        tried.append(1)
        raise database.ClashError("Two processes stood in each other's way")

    with pytest.raises(StoreError, match="each other's way"):
        store.change(clash)
    assert len(tried) == MOST_CLASHES + 1
    assert store.append("note", {}) == 9


def test_a_server_that_was_killed_is_found_again(postgres, tmp_path):
    with make_store(postgres.new_database(), tmp_path / "blobs") as made:
        sql(made, "CREATE TABLE x ()")
        with pytest.raises(exc.OperationalError):
            sql(made, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = current_user")
        assert made.append("note", {}, "a") == 9
        assert made.verify().ok


def test_nothing_acknowledged_is_lost_when_the_server_is_killed(postgres, tmp_path):
    with make_store(postgres.new_database(), tmp_path / "blobs") as made:
        said, enough = {}, threading.Event()

        def write():
            for i in range(100_000):
                said[str(i)] = made.append("note", {"i": i}, str(i))
                if i == 20:
                    enough.set()

        with ThreadPoolExecutor(1) as pool:
            writing = pool.submit(write)
            assert enough.wait(60)
            postgres.kill()
            try:
                with pytest.raises(StoreError, match="cannot be reached"):
                    writing.result(60)
            finally:
                postgres.start()
        there = {event.key: event.seq for event in made.events(after=8)}
        assert said.items() <= there.items()
        assert len(there) <= len(said) + 1  # the one whose acknowledgement was on its way
        again = len(said)
        assert made.append("note", {"i": again}, str(again)) == there.get(str(again), made.head()[0])
        assert made.verify().ok


@pytest.mark.parametrize(
    ("state", "kind", "words"),
    [
        ("53100", StoreError, "disk is full"),
        ("55P03", StoreError, "locked by another process"),
        ("40P01", database.ClashError, "each other's way"),
        ("40001", database.ClashError, "each other's way"),
        ("57P01", StoreError, "cannot be reached"),
        (None, StoreError, "cannot be reached"),
    ],
)
def test_errors_of_the_server_are_explained(state, kind, words):
    failure = Exception("words of the server")
    failure.sqlstate = state
    told = database.meaning(exc.OperationalError("SELECT 1", {}, failure))
    assert type(told) is kind
    assert words in str(told)
    assert "words of the server" in str(told)


# places


def test_wrong_places_are_named_without_their_passwords(postgres, tmp_path):
    for wrong in ("mysql://u:secret@host/db", "http://u:secret@host", "://secret"):
        with pytest.raises(StoreError, match="no place for a store") as told:
            Store.open(wrong)
        assert "secret" not in str(told.value)
    assert str(place.place_of("postgresql://user:secret@host/db")) == "postgresql+psycopg://user:***@host/db"
    url = f"postgresql://user:secret@/none?host={tmp_path}"
    with pytest.raises(StoreError, match="cannot be reached") as told:
        Store.open(url)
    assert "secret" not in str(told.value)
    empty = postgres.new_database()
    with pytest.raises(StoreError, match="no store of plaudit"):
        Store.open(empty)
    with pytest.raises(StoreError, match="Say where blobs"):
        Store.create(empty, RUN)
    Store.create(empty, RUN, blobs=tmp_path).close()
    with pytest.raises(StoreError, match="a store already"):
        Store.create(empty, RUN, blobs=tmp_path)


def test_the_driver_is_an_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(MissingExtra, match=r'pip install "plaudit\[postgres\]"'):
        Store.open("postgresql://host/db")


def test_a_file_can_name_the_database(store, tmp_path):
    path = tmp_path / "run" / "store.sqlite"
    path.parent.mkdir()
    place.point(path, store.place)
    with Store.open(path) as opened:
        assert opened.head() == HEAD
        assert opened.place == path
        assert opened.blobs.folder == tmp_path / "blobs"
    sql(store, "DELETE FROM about WHERE name = 'blobs'")
    with Store.open(path) as opened:
        assert opened.blobs.folder == path.parent / "blobs"
    with pytest.raises(StoreError, match="does not say where its blobs lie"):
        Store.open(store.place)
    with Store.open(store.place, blobs=tmp_path / "blobs") as opened:
        assert opened.verify().ok


# migrations


def test_a_store_of_format_1_migrates_with_all_that_is_in_it(tmp_path):
    path = tmp_path / "store.sqlite"
    path.write_bytes(gzip.decompress(FORMAT_1.read_bytes()))
    with pytest.raises(StoreError, match=r"another format.*plaudit migrate"):
        Store.open(path)
    assert Store.format_of(path) == "1"
    migrate(path, tmp_path / "backup")
    assert (Store.format_of(path), Store.format_of(tmp_path / "backup")) == (str(schema.FORMAT), "1")
    with Store.open(path) as opened, make_store(tmp_path / "new") as new:
        for seed in range(2):
            opened.blobs.put_arrays(arrays(seed).arrays())
        assert opened.head() == HEAD
        assert opened.verify().ok
        assert projections(opened) == projections(new)
        assert opened.append("note", {}) == 9
        compared = question(5, *opened.segments([row[0] for row in projections(opened)["segment"]]).values())
        opened.add_queries([compared])
        opened.add_feedback([answer(compared)])
        assert opened.verify().ok


def test_postgres_migrates_from_every_format(postgres, tmp_path):
    url = postgres.new_database()
    engine = database.connect(place.place_of(url).address)
    config = Config()
    config.set_main_option("script_location", "plaudit.store:migrations")
    with database.for_writing(engine).connect() as connection, connection.begin():
        config.attributes["connection"] = connection
        command.upgrade(config, "0001")
        connection.execute(schema.about.insert().values(name="format", value="1"))
        connection.execute(schema.about.insert().values(name="head", value=f"0 {schema.GENESIS}"))
    with pytest.raises(StoreError, match="another format"):
        Store.open(url)
    migrate(url, tmp_path / "no backup is made")
    assert not (tmp_path / "no backup is made").exists()
    with Store.open(url, blobs=tmp_path) as opened:
        opened.append("run.created", RUN, "run")
        assert opened.verify().ok
        with pytest.raises(exc.IntegrityError, match="append-only"):
            sql(opened, "DELETE FROM event")
    engine.dispose()


def test_migrations_lead_to_the_tables_that_new_stores_get(postgres, store):
    migrated = database.connect(place.place_of(postgres.new_database()).address)
    upgrade(migrated)

    def tables(engine):
        seen = inspect(engine)
        with engine.connect() as connection:
            triggers = connection.exec_driver_sql(
                "SELECT tgname, prosrc FROM pg_trigger JOIN pg_proc ON tgfoid = pg_proc.oid "
                "WHERE tgrelid = 'event'::regclass AND NOT tgisinternal ORDER BY 1"
            ).all()
        return triggers, {
            table: (
                {column["name"]: (str(column["type"]), column["nullable"]) for column in seen.get_columns(table)},
                seen.get_pk_constraint(table)["constrained_columns"],
                sorted((key["constrained_columns"], key["referred_table"]) for key in seen.get_foreign_keys(table)),
                sorted((index["column_names"], index["unique"]) for index in seen.get_indexes(table)),
            )
            for table in seen.get_table_names()
        }

    try:
        assert tables(migrated) == tables(store._engine)
    finally:
        migrated.dispose()

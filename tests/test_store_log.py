"""The event log: order, chain, projections, and finding whatever was changed afterwards."""

import hashlib
import json
import shutil
import sqlite3
import time

import numpy as np
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from plaudit.errors import IntegrityError, RecordError, StoreError
from plaudit.records import AnnotatorKind, AnnotatorProfile, Comparison, Rating, canonical_json, kind_of, to_json
from plaudit.store import log, schema, verify
from plaudit.store.migrations.versions import v0001_initial, v0002_people, v0003_leases, v0004_access
from plaudit.store.store import Store
from tests import strategies
from tests.store_examples import (
    RUN,
    add_segments,
    answer,
    arrays,
    flip,
    make_store,
    projections,
    question,
    sql,
    tamper,
)

MODEST = settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture
def store(places):
    with make_store(**places()) as made:
        yield made


@pytest.fixture
def sqlite_store(tmp_path):
    with make_store(tmp_path) as made:
        yield made


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    """A closed store to copy and damage."""
    folder = tmp_path_factory.mktemp("template")
    make_store(folder).close()
    return folder


@pytest.fixture
def damaged(template, tmp_path):
    """Path of a store of one's own, closed."""
    shutil.copytree(template, tmp_path / "damaged")
    return tmp_path / "damaged" / "store.sqlite"


def problems(path):
    with Store.open(path) as opened:
        found = opened.verify()
    assert found.ok == (not found.problems)
    return " | ".join(found.problems)


# appending


def test_hash_is_of_the_canonical_json(store):
    prev_hash = "0" * 64
    for event in store.events():
        body = {"seq": event.seq, "kind": event.kind, "key": event.key, "payload": event.payload}
        assert event.prev_hash == prev_hash
        assert event.hash == hashlib.sha256(prev_hash.encode() + canonical_json(body)).hexdigest()
        prev_hash = event.hash
    assert store.head() == (8, prev_hash)


@pytest.mark.parametrize("id_", ["run", "stage/3/learn", "seg_" + "0" * 32, "qry_" + "a" * 32, "fbk_" + "9" * 32])
def test_ids_that_are_keys_of_other_events_are_no_annotators(store, id_):
    before = store.head()
    with pytest.raises(RecordError, match=r"cannot be an annotator's.*choose another name"):
        store.add_annotator(AnnotatorProfile(id_, AnnotatorKind.PERSON))
    assert store.head() == before
    for harmless in ("runner", "stages", "seg_1", "a/b", "teacher", "fbk_" + "g" * 32):
        store.add_annotator(AnnotatorProfile(harmless, AnnotatorKind.PERSON))
    assert store.append("stage.completed", {}, "stage/3/learn") == store.head()[0]


def test_same_key_and_payload_is_written_once(store):
    first = store.append("stage.completed", {"b": 1, "a": [2.5, None]}, "stage/0/act")
    assert store.append("stage.completed", {"a": [2.5, None], "b": 1}, "stage/0/act") == first
    assert store.append_many([("note", {}, "twice"), ("note", {}, "twice")]) == [first + 1, first + 1]
    assert store.head()[0] == first + 1


@pytest.mark.parametrize(("kind", "payload"), [("stage.completed", {"a": 2}), ("other", {"a": 1})])
def test_a_key_does_not_change_its_meaning(store, kind, payload):
    store.append("stage.completed", {"a": 1}, "stage/0/act")
    head = store.head()
    with pytest.raises(StoreError, match="there already"):
        store.append(kind, payload, "stage/0/act")
    assert store.head() == head


def test_many_are_all_or_none(store):
    head, before = store.head(), projections(store)
    profile = to_json(AnnotatorProfile("new", AnnotatorKind.PERSON))
    with pytest.raises(StoreError, match="there already"):
        store.append_many([("note", {}, None), ("annotator.added", profile, "new"), ("note", {"x": 1}, "ann")])
    with pytest.raises(RecordError, match="canonical JSON"):
        store.append_many([("note", {}, None), ("note", {"x": float("nan")}, None)])
    assert (store.head(), projections(store)) == (head, before)
    assert store.append_many([]) == []


def test_keys_that_json_turns_into_text_do_not_break_the_chain(store):
    store.append("note", {9: "a", 10: {"b": (1, 2)}})
    assert store.verify().ok
    assert [event.payload for event in store.events(after=8)] == [{"9": "a", "10": {"b": [1, 2]}}]


def test_same_events_give_the_same_head_at_any_time(tmp_path, monkeypatch):
    heads = []
    for name, clock in (("a", 1e9), ("b", 2e9)):
        monkeypatch.setattr(time, "time", lambda clock=clock: clock)
        with make_store(tmp_path / name) as made:
            heads.append(made.head())
    assert heads[0] == heads[1]
    with sqlite3.connect(tmp_path / "b" / "store.sqlite") as connection:
        assert set(connection.execute("SELECT recorded_at FROM event")) == {(2e9,)}


@MODEST
@given(data=st.data())
def test_any_sequence_of_appends(data, tmp_path_factory):
    """Against a model: duplicates return the old seq, conflicts refuse their whole batch, all else is in order."""
    keys = st.none() | st.sampled_from("abcd")
    item = st.tuples(st.sampled_from(["note", "stage.completed"]), strategies.payloads, keys)
    repeated = st.lists(item, min_size=1, max_size=4).flatmap(
        lambda items: st.lists(st.sampled_from(items) | item, max_size=4).map(lambda more: [*items, *more])
    )
    with Store.create(tmp_path_factory.mktemp("any") / "s.sqlite", RUN) as made:
        segments = add_segments(made, 2)
        queries = data.draw(st.lists(strategies.queries(segments), max_size=4, unique_by=lambda one: one.id))
        made.add_queries([*queries, *queries])
        given_ = [data.draw(strategies.answers(query)) for query in queries]
        for feedback in (*given_, *given_):
            made.add_feedback([feedback])
        events = [(event.kind, canonical_json(event.payload), event.key) for event in made.events()]
        for batch in data.draw(st.lists(repeated, max_size=5)):
            planned, expected = list(events), []
            for kind, payload, key in batch:
                new = (kind, canonical_json(payload), key)
                old = next((i for i, event in enumerate(planned) if key is not None and event[2] == key), None)
                if old is not None and planned[old] != new:
                    expected = None
                    break
                if old is None:
                    planned.append(new)
                expected.append(len(planned) if old is None else old + 1)
            if expected is None:
                with pytest.raises(StoreError, match="there already"):
                    made.append_many(batch)
            else:
                assert made.append_many(batch) == expected
                events = planned
        assert [(event.kind, canonical_json(event.payload), event.key) for event in made.events()] == events
        assert [event.seq for event in made.events()] == list(range(1, len(events) + 1))
        assert {feedback.id: feedback for _, feedback in made.feedback()} == {one.id: one for one in given_}
        assert {query.id: query for query in made.queries()} == {query.id: query for query in queries}
        assert made.verify().problems == ()
        before = projections(made)
        made.rebuild_projections()
        assert projections(made) == before


# reading


def test_events_come_in_pages_and_by_kind(store, monkeypatch):
    monkeypatch.setattr(log, "PAGE", 3)
    assert [event.seq for event in store.events()] == list(range(1, 9))
    assert [event.seq for event in store.events(after=2, upto=6)] == [3, 4, 5, 6]
    assert [event.kind for event in store.events(kinds=["query.asked", "run.created"])] == [
        "run.created",
        "query.asked",
        "query.asked",
    ]
    assert list(store.events(kinds=())) == []
    assert list(store.events(after=8)) == []
    assert list(store.events(upto=0)) == []
    assert next(store.events()).payload == RUN


def test_reading_ends_where_the_log_ended_when_it_began(store, monkeypatch):
    monkeypatch.setattr(log, "PAGE", 2)
    seen = 0
    for _ in store.events():
        store.append("note", {})
        seen += 1
    assert seen == 8


def test_records_come_back(store):
    segments = add_segments(store, 3, episode="f")
    assert store.segment(segments[1].id) == segments[1]
    assert store.segments([one.id for one in segments] * 400) == {one.id: one for one in segments}
    data = store.segment_data(segments[2])
    np.testing.assert_array_equal(data.observations, arrays(2).observations)
    later = question(0, *segments[:2], round_=1)
    seqs = store.add_queries([later, later])
    assert seqs[0] == seqs[1]
    assert store.query(later.id) == later
    assert store.queries(1) == [later]
    assert [query.round for query in store.queries()] == [0, 0, 1]
    assert store.unanswered() == store.unanswered(limit=5) == [later]
    assert store.unanswered(limit=0) == []


def test_feedback_is_read_by_position(store):
    (first, comparison), (second, rating) = store.feedback()
    assert (type(comparison), type(rating)) == (Comparison, Rating)
    assert store.feedback(after=first) == store.feedback(upto=second, after=first) == [(second, rating)]
    assert store.feedback(upto=first) == [(first, comparison)]
    assert store.add_feedback([comparison, rating]) == [first, second]
    assert len(store.feedback()) == 2


def test_unknown_ids_are_named(store):
    with pytest.raises(StoreError, match=r"no such segments.*seg_x"):
        store.segment("seg_x")
    with pytest.raises(StoreError, match=r"no such query.*qry_x"):
        store.query("qry_x")


def test_feedback_must_answer_a_query_in_its_form(store):
    compare, rate = store.queries()
    wrong = [
        (answer(rate), "does not fit.*comparison.*rating"),
        (Comparison(id="f", query="qry_x", annotator="a", choice=answer(compare).choice), "nobody asked.*qry_x"),
    ]
    head = store.head()
    for feedback, words in wrong:
        with pytest.raises(StoreError, match=words):
            store.add_feedback([answer(compare, "other"), feedback])
    assert store.head() == head
    assert len(store.feedback()) == 2


@pytest.mark.parametrize("field", ["id", "query", "annotator", "kind"])
def test_an_incomplete_record_is_refused(store, field):
    feedback = answer(store.queries()[0], "other")
    payload = {"kind": kind_of(feedback), **to_json(feedback)}
    del payload[field]
    with pytest.raises(StoreError, match=f"feedback.given lacks a field.*Expected: {field}"):
        store.append("feedback.given", payload)
    assert store.verify().ok


# the file


def test_the_database_refuses_to_change_the_past(sqlite_store):
    with sqlite3.connect(sqlite_store.path) as connection:
        for statement in (
            "UPDATE event SET payload = '{}' WHERE seq = 8",
            "DELETE FROM event WHERE seq = 8",
            "INSERT OR REPLACE INTO event SELECT seq, 'x', key, payload, prev_hash, hash, 0 FROM event WHERE seq = 8",
            "INSERT OR REPLACE INTO event SELECT 9, 'x', key, payload, prev_hash, hash, 0 FROM event WHERE seq = 8",
            "INSERT INTO event SELECT 10, 'x', 'new', payload, prev_hash, hash, 0 FROM event WHERE seq = 8",
        ):
            with pytest.raises(sqlite3.IntegrityError, match="append-only"):
                connection.execute(statement)
    assert sqlite_store.verify().ok


def test_migrations_make_exactly_the_schema(store):
    with store.reading() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        assert compare_metadata(context, schema.metadata) == []
    for version in (v0001_initial, v0002_people, v0003_leases, v0004_access):
        with pytest.raises(NotImplementedError):
            version.downgrade()


def test_rebuilding_mends_projections_and_keeps_leases(store):
    before = projections(store)
    segments = store.segments([row[0] for row in before["segment"]])
    open_question = question(7, *segments.values())
    store.add_queries([open_question])
    assert store.lease_query("ann", 60) == open_question
    before = projections(store)
    for statement in ("DELETE FROM feedback", "UPDATE query SET round = 9", "UPDATE segment SET record = 'x'"):
        sql(store, statement)
    assert not store.verify().ok
    store.rebuild_projections()
    assert projections(store) == before
    assert store.verify().ok
    assert store.lease_query("other", 60) is None


# tampering


def test_a_store_that_nobody_touched_is_whole(damaged):
    with Store.open(damaged) as opened:
        assert opened.verify() == verify.Verification(ok=True, events=8, problems=())


@MODEST
@given(
    seq=st.integers(1, 8),
    column=st.sampled_from(["payload", "hash", "prev_hash", "kind", "key"]),
    at=st.integers(0, 400),
    bit=st.integers(0, 7),
)
def test_one_flipped_bit_of_an_event_is_found(template, tmp_path_factory, seq, column, at, bit):
    path = tmp_path_factory.mktemp("flip") / "store.sqlite"
    shutil.copyfile(template / "store.sqlite", path)
    flip(path, "event", f"seq = {seq}", column, at, bit)
    with Store.open(path) as opened:
        found = opened.verify()
    assert found.events == seq - 1
    assert found.problems[-1].startswith(f"event {seq}: ")


@MODEST
@given(
    cell=st.sampled_from(
        [
            (table.name, column.name)
            for table in schema.PROJECTIONS.values()
            for column in table.columns
            if column.name != "seq"
        ]
    ),
    at=st.integers(0, 400),
    bit=st.integers(0, 7),
)
@example(cell=("query", "round"), at=0, bit=7)  # a number turns into text that does not decode
def test_one_flipped_bit_of_a_projection_is_found(template, tmp_path_factory, cell, at, bit):
    table, column = cell
    path = tmp_path_factory.mktemp("flip") / "store.sqlite"
    shutil.copyfile(template / "store.sqlite", path)
    with sqlite3.connect(path) as connection:
        seq = connection.execute(f"SELECT max(seq) FROM {table}").fetchone()[0]
    connection.close()
    flip(path, table, f"seq = {seq}", column, at, bit)
    assert problems(path).startswith(f"event {seq}: its row in table {table} ")


@pytest.mark.parametrize(
    ("statements", "words"),
    [
        (["UPDATE event SET payload = payload || ' ' WHERE seq = 4"], "event 4: does not match its hash"),
        (["UPDATE event SET key = NULL WHERE seq = 4"], "event 4: does not match its hash"),
        (["DELETE FROM event WHERE seq = 3"], "event 4: event 3 is missing"),
        (["DELETE FROM event WHERE seq = 8"], "table feedback has 2 rows, the log has 1 events feedback.given"),
        (
            [
                "UPDATE event SET seq = 99 WHERE seq = 3",
                "UPDATE event SET seq = 3 WHERE seq = 4",
                "UPDATE event SET seq = 4 WHERE seq = 99",
            ],
            "event 3: does not follow the event before it",
        ),
        (["DELETE FROM event"], "the log is empty"),
        (["UPDATE about SET value = '7' || value WHERE name = 'head'"], "event 9: missing; the log ends before it"),
        (["DELETE FROM about WHERE name = 'head'"], "event 9: missing; the log ends before it"),
        (["DELETE FROM feedback WHERE seq = 7"], "event 7: its row in table feedback is missing"),
        (["UPDATE feedback SET annotator = 'x' WHERE seq = 7"], "event 7: its row in table feedback differs"),
        (["UPDATE query SET seq = 2 WHERE seq = 5"], "event 5: its row in table query differs"),
        (["INSERT INTO annotator VALUES ('x', 1, '{}')"], "table annotator has 2 rows, the log has 1 events"),
        (["DROP TABLE annotator"], "no such table: annotator"),
    ],
)
def test_tampering_is_named(damaged, statements, words):
    tamper(damaged, *statements)
    assert words in problems(damaged)


def test_problems_before_a_broken_event_are_named_too(damaged, monkeypatch):
    tamper(damaged, "DELETE FROM annotator", "UPDATE event SET kind = 'x' WHERE seq = 5")
    for page in (1, 3, 500):
        monkeypatch.setattr(verify, "PAGE", page)
        assert problems(damaged) == "event 2: its row in table annotator is missing | event 5: does not match its hash"


def test_a_forged_chain_is_no_crash(damaged):
    """Somebody who makes up events with right hashes still has to make sense."""
    with Store.open(damaged) as opened:
        seq, head = opened.head()
    for kind, payload, words in (("note", b"{", "unreadable"), ("segment.added", b'{"id":"x"}', "lacks a field")):
        forged = log.hash_of(head, seq + 1, kind=kind, key=None, payload=payload)
        with sqlite3.connect(damaged) as connection:
            connection.execute("DROP TRIGGER IF EXISTS event_no_delete")
            connection.execute("DELETE FROM event WHERE seq = 9")
            row = (9, kind, None, payload.decode(), head, forged, 0.0)
            connection.execute("INSERT INTO event VALUES (?, ?, ?, ?, ?, ?, ?)", row)
        connection.close()
        assert words in problems(damaged)


def test_a_damaged_payload_is_not_handed_out(damaged):
    tamper(damaged, "UPDATE event SET payload = '{\"x\":' WHERE seq = 4")
    with Store.open(damaged) as opened:
        with pytest.raises(IntegrityError, match="event 4 is damaged"):
            list(opened.events())
        with pytest.raises(IntegrityError, match="event 4 is damaged"):
            opened.rebuild_projections()
        assert len(opened.queries()) == 2


@pytest.mark.parametrize("damage", ["edited", "missing"])
def test_damaged_blobs_are_named(damaged, damage):
    with Store.open(damaged) as opened:
        event = next(opened.events(kinds=["segment.added"]))
        blob = opened.blobs.path(event.payload["blob"])
        if damage == "missing":
            blob.unlink()
        else:
            blob.write_bytes(blob.read_bytes()[:-1] + b"\x7f")
        assert opened.verify().problems == (
            f"segment {event.key}: A blob {'is missing' if damage == 'missing' else 'does not match its hash'}: {blob.name[:12]}",
        )
        with pytest.raises(StoreError):
            opened.segment_data(opened.segment(event.key))
        opened.blobs.put_arrays(arrays(0).arrays())
        assert opened.verify().ok


def test_verifying_is_of_one_moment(store, monkeypatch):
    """Somebody who appends during the check is no problem found."""
    walked = verify._damaged

    def meanwhile(*args):
        store.add_annotator(AnnotatorProfile("late", AnnotatorKind.PERSON))
        return walked(*args)

    monkeypatch.setattr(verify, "_damaged", meanwhile)
    assert store.verify() == verify.Verification(ok=True, events=8, problems=())
    monkeypatch.undo()
    assert store.verify().events == 9


def test_a_page_of_the_file_that_was_overwritten_is_a_problem(damaged):
    with sqlite3.connect(damaged) as connection:
        page, size = connection.execute(
            "SELECT rootpage, (SELECT page_size FROM pragma_page_size) FROM sqlite_master WHERE name = 'event'"
        ).fetchone()
    connection.close()
    with damaged.open("r+b") as stream:
        stream.seek((page - 1) * size)
        stream.write(b"\xff" * size)
    assert "malformed" in problems(damaged)


def test_an_end_that_was_cut_off_is_noticed(damaged):
    """Its events fill no table, so only the note of where the log ends tells."""
    with Store.open(damaged) as opened:
        opened.append_many([("stage.completed", {"round": number}, None) for number in range(3)])
    tamper(damaged, "DELETE FROM event WHERE seq > 9")
    assert problems(damaged).startswith("event 10: missing; the log ends before it, but was written up to b'11 ")


def test_an_index_that_does_not_fit_its_table_is_a_problem(damaged):
    with sqlite3.connect(damaged) as connection:
        other = "(SELECT rootpage FROM sqlite_master WHERE name = 'ix_query_round')"
        connection.execute("PRAGMA writable_schema = ON")
        connection.execute(f"UPDATE sqlite_master SET rootpage = {other} WHERE name = 'event_kind_seq'")
    connection.close()
    assert "the database file is damaged" in problems(damaged)


@settings(MODEST, max_examples=40)
@given(place=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
@example(place=0.0390625, bit=7)  # in the schema's text: SQLite quotes it in an error that Python cannot decode
def test_one_flipped_bit_anywhere_in_the_file_is_found_or_means_nothing(template, tmp_path_factory, place, bit):
    path = tmp_path_factory.mktemp("flip") / "store.sqlite"
    shutil.copytree(template / "blobs", path.parent / "blobs")
    data = bytearray((template / "store.sqlite").read_bytes())
    with Store.open(template / "store.sqlite") as opened:
        expected = list(opened.events()), opened.feedback(), opened.queries(), projections(opened)
    data[int(place * len(data))] ^= 1 << bit
    path.write_bytes(data)
    try:
        with Store.open(path) as opened:
            if opened.verify().ok:
                assert (list(opened.events()), opened.feedback(), opened.queries(), projections(opened)) == expected
    except StoreError:
        pass  # it is not even opened: found


def test_payloads_are_stored_as_canonical_json(store):
    texts = [text for (text,) in sql(store, "SELECT payload FROM event")]
    assert texts == [canonical_json(json.loads(text)).decode() for text in texts]

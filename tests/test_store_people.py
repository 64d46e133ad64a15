"""Exactly-once submission, retraction and what rests on an answer, personal data apart from the log, and consent."""

import json
import sys
import uuid
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from plaudit.cli.main import main
from plaudit.errors import IntegrityError, MissingExtra, RecordError, StoreError
from plaudit.exchange import consent
from plaudit.records import AnnotatorKind, AnnotatorProfile, Choice
from plaudit.run.directory import RunDirectory
from plaudit.store import people
from plaudit.store.lineage import Use, uses_of
from plaudit.store.store import Store
from tests.store_examples import RUN, add_segments, answer, child, make_store, question, sql

SUBMIT = """
import sys, uuid
from plaudit.records import Choice, Comparison
from plaudit.store.store import Store
with Store.open(sys.argv[1]) as store:
    for query in store.queries():
        answer = Comparison(id=f"fb/{query.id}", query=query.id, annotator="ann", choice=Choice.FIRST)
        print(query.id, *store.submit(uuid.uuid5(uuid.NAMESPACE_OID, query.id), [answer]))
"""
SECRET = "Zaphod Beeblebrox"


@pytest.fixture
def store(places):
    with Store.create(**places(), run=RUN) as made:
        yield made


@pytest.fixture
def asked(store):
    segments = add_segments(store, 2)
    questions = [question(i, *segments) for i in range(8)]
    store.add_queries(questions)
    return questions


# exactly once


def test_a_submission_counts_once_however_often_it_comes(store, asked):
    number, other = uuid.UUID(int=1), uuid.UUID(int=2)
    given_ = [answer(asked[0]), answer(asked[1])]
    first = store.submit(number, given_)
    head = store.head()
    assert store.submit(number, given_) == first
    with Store.open(store.place) as elsewhere:
        assert elsewhere.submit(number, given_) == first
    assert store.head() == head
    assert [seq for seq, _ in store.feedback()] == first
    for changed in (
        [answer(asked[0], choice=Choice.SECOND), given_[1]],
        given_[:1],
        [*given_, answer(asked[2])],
        given_[::-1],
    ):
        with pytest.raises(StoreError, match="there already, with another payload"):
            store.submit(number, changed)
    assert store.head() == head
    assert store.submit(other, given_) == first  # a client that forgot its number
    with pytest.raises(StoreError, match="there already"):
        store.submit(uuid.UUID(int=3), [answer(asked[2]), answer(asked[0], choice=Choice.TIE)])
    assert len(store.feedback()) == 2
    assert store.verify().ok


def test_a_refused_submission_leaves_its_number_free(store, asked):
    number = uuid.UUID(int=1)
    with pytest.raises(StoreError, match="nobody asked"):
        store.submit(number, [answer(asked[0]), answer(question(99, *add_segments(store, 2, "later")))])
    assert store.feedback() == []
    assert len(store.submit(number, [answer(asked[0])])) == 1


def test_three_processes_submit_the_same_and_each_is_told_the_same(store, asked):
    told = [child(SUBMIT, store.place).communicate for _ in range(3)]
    lines = [one(timeout=120)[0].splitlines() for one in told]
    assert lines[0] == lines[1] == lines[2]
    assert len(lines[0]) == len(asked) == len(store.feedback())
    assert store.verify().ok


@pytest.mark.parametrize("name", [f"submission/{uuid.UUID(int=1)}", "retracted/x", "person/x"])
def test_keys_of_these_events_are_no_annotators(store, name):
    with pytest.raises(RecordError, match="cannot be an annotator's"):
        store.add_annotator(AnnotatorProfile(name, AnnotatorKind.PERSON))


# retraction


def test_a_retracted_answer_is_out_of_what_is_read_from_there_on(store, asked):
    first, second = (store.add_feedback([answer(one)])[0] for one in asked[:2])
    gone = store.retract(f"fb/{asked[0].id}/ann", "not paying attention")
    assert store.retract(f"fb/{asked[0].id}/ann", "not paying attention") == gone
    assert [seq for seq, _ in store.feedback()] == [second]
    assert [seq for seq, _ in store.feedback(upto=gone)] == [second]
    assert [seq for seq, _ in store.feedback(upto=gone - 1)] == [first, second]
    assert [seq for seq, _ in store.feedback(upto=first)] == [first]
    assert [seq for seq, _ in store.feedback(retracted=True)] == [first, second]
    assert store.feedback(after=second) == []
    assert asked[0] not in store.unanswered()
    assert store.answer(f"fb/{asked[0].id}/ann") == (first, answer(asked[0]))
    with pytest.raises(StoreError, match="no such answer"):
        store.retract("fb/none", "x")
    with pytest.raises(StoreError, match="there already"):
        store.retract(f"fb/{asked[0].id}/ann", "another reason")
    store.rebuild_projections()
    assert [seq for seq, _ in store.feedback()] == [second]
    assert store.verify().ok


@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(moves=st.lists(st.tuples(st.booleans(), st.integers(0, 5)), max_size=14))
def test_every_position_reads_the_same_forever(tmp_path_factory, moves):
    """Whatever is answered and retracted later: a fit that read up to a place is repeated with the same answers."""
    with Store.create(tmp_path_factory.mktemp("any") / "s.sqlite", RUN) as made:
        segments = add_segments(made, 2)
        asked = [question(i, *segments) for i in range(6)]
        made.add_queries(asked)
        seen = {}
        for answers, which in moves:
            id_ = answer(asked[which]).id
            if answers:
                made.add_feedback([answer(asked[which])])
            elif any(one.id == id_ for _, one in made.feedback(retracted=True)):
                made.retract(id_, "x")
            seen[made.head()[0]] = made.feedback()
        assert {position: made.feedback(upto=position) for position in seen} == seen


def stage(store, name, round_, position, checkpoint):
    payload = {"round": round_, "stage": name, "checkpoint": checkpoint, "log_position": position}
    return store.append("stage.completed", payload, f"stage/{round_}/{name}")


def test_what_learned_from_an_answer_is_named(store, asked):
    early = store.add_feedback([answer(asked[0])])[0]
    store.add_feedback([answer(asked[2], choice=Choice.SKIP)])
    stage(store, "act", 0, early, "p0")
    r0, p1 = stage(store, "learn", 0, early, "r0"), stage(store, "improve", 0, early, "p1")
    late = store.add_feedback([answer(asked[1])])[0]
    r1, p2 = stage(store, "learn", 1, late, "r1"), stage(store, "improve", 1, late, "p2")
    stage(store, "learn", 2, late, None)  # nothing new: the reward model stays
    p3 = stage(store, "improve", 2, late, "p3")
    gone = store.retract(answer(asked[0]).id, "x")
    r3, p4 = stage(store, "learn", 3, gone, "r3"), stage(store, "improve", 3, gone, "p4")
    after = [Use(r1, 1, "learn", "r1"), Use(p2, 1, "improve", "p2"), Use(p3, 2, "improve", "p3")]
    assert uses_of(store, answer(asked[0]).id) == [Use(r0, 0, "learn", "r0"), Use(p1, 0, "improve", "p1"), *after]
    assert uses_of(store, answer(asked[1]).id) == [*after, Use(r3, 3, "learn", "r3"), Use(p4, 3, "improve", "p4")]
    assert uses_of(store, answer(asked[2]).id) == []
    with pytest.raises(StoreError, match="no such answer"):
        uses_of(store, "fb/none")


# people


def bytes_of(store, folder):
    """Everything that lies on disk."""
    return b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())


def test_personal_data_are_kept_apart_and_erased_while_the_chain_holds(store, asked):
    assert people.personal(store, "ann") is None
    people.keep(store, "ann", {"name": SECRET, "note": "中文"})
    people.keep(store, "other", {"name": "Trillian"})
    kept = store.head()
    people.keep(store, "ann", {"name": SECRET, "note": "中文"})
    assert store.head() == kept
    assert people.personal(store, "ann") == {"name": SECRET, "note": "中文"}
    assert SECRET not in str([event.payload for event in store.events()])
    assert SECRET.encode() not in b"".join(row[1] for row in sql(store, "SELECT * FROM person"))
    people.keep(store, "ann", {"name": "Zaphod"})
    assert people.personal(store, "ann") == {"name": "Zaphod"}
    store.add_feedback([answer(asked[0])])
    seq = people.erase(store, "ann")
    assert seq == store.head()[0]
    assert people.personal(store, "ann") is None
    assert [row[0] for row in sql(store, "SELECT annotator FROM person_key")] == ["other"]
    assert people.personal(store, "other") == {"name": "Trillian"}
    assert len(store.feedback()) == 1
    assert store.verify().ok
    people.erase(store, "nobody")
    assert store.verify().ok


def test_nothing_of_the_key_remains_in_the_file(tmp_path):
    with make_store(tmp_path) as store:
        for i in range(5):
            people.keep(store, "ann", {"name": f"{SECRET} {i}"})
        (key,) = sql(store, "SELECT key FROM person_key")[0]
        (sealed,) = sql(store, "SELECT data FROM person")[0]
        assert key in bytes_of(store, tmp_path)
        people.erase(store, "ann")
        there = bytes_of(store, tmp_path)
        assert key not in there
        assert sealed not in there
        assert SECRET.encode() not in there


def test_an_erasure_that_a_reader_keeps_from_the_disk_is_not_called_done(tmp_path, monkeypatch):
    monkeypatch.setattr("plaudit.store.database.BUSY_SECONDS", 0.1)
    with make_store(tmp_path) as store, Store.open(tmp_path / "store.sqlite") as elsewhere:
        people.keep(store, "ann", {"name": SECRET})
        (key,) = sql(store, "SELECT key FROM person_key")[0]
        with elsewhere.reading() as connection:
            assert connection.exec_driver_sql("SELECT count(*) FROM person").scalar() == 1
            with pytest.raises(StoreError, match=r"still lie on disk.*in use.*erase again"):
                people.erase(store, "ann")
            assert people.personal(store, "ann") is None
            assert key in bytes_of(store, tmp_path)
        people.erase(store, "ann")
        assert key not in bytes_of(store, tmp_path)
        assert store.verify().ok


def test_nothing_of_the_key_remains_in_the_tables_files_of_postgresql(postgres, tmp_path):
    with make_store(postgres.new_database(), tmp_path / "blobs") as store:
        people.keep(store, "other", {"name": "Trillian"})
        people.keep(store, "ann", {"name": SECRET})
        rows = [sql(store, f"SELECT {name} FROM {table} WHERE annotator = 'ann'")[0][0] for table, name in SEALED]
        assert all(bytes(row) in in_tables(store) for row in rows)
        people.erase(store, "ann")
        there = in_tables(store)
        assert not any(bytes(row) in there for row in rows)
        assert people.personal(store, "other") == {"name": "Trillian"}


SEALED = (("person", "data"), ("person_key", "key"))


def in_tables(store):
    """Everything in the files of all tables of a PostgreSQL server; its write-ahead log is its administrator's."""
    sql(store, "CHECKPOINT")
    return bytes_of(store, Path(sql(store, "SHOW data_directory")[0][0]) / "base")


def test_swapped_or_changed_personal_data_are_not_handed_out(store):
    for name in ("a", "b"):
        people.keep(store, name, {"name": name})
    (first, second) = (
        sql(store, f"SELECT data FROM person WHERE annotator = '{name}'")[0][0].hex() for name in ("a", "b")
    )
    blob = "'\\x{}'" if isinstance(store.path, str) else "x'{}'"
    for changed in (second, first[:-2] + ("00" if first[-2:] != "00" else "01")):
        sql(store, f"UPDATE person SET data = {blob.format(changed)} WHERE annotator = 'a'")
        with pytest.raises(IntegrityError, match="do not fit their key"):
            people.personal(store, "a")


def test_encryption_is_an_extra(store, monkeypatch):
    monkeypatch.setitem(sys.modules, "cryptography.hazmat.primitives.ciphers.aead", None)
    with pytest.raises(MissingExtra, match=r'pip install "plaudit\[people\]"'):
        people.keep(store, "ann", {"name": "x"})


def test_consent_can_be_given_again(store):
    assert consent.give(store, "ann", "v1") == consent.give(store, "ann", "v1")
    assert consent.current(store, store.head()[0]) == {"ann": "v1"}
    consent.withdraw(store, "ann")
    consent.give(store, "other", "v1")
    again = consent.give(store, "ann", "v1")
    assert consent.give(store, "ann", "v1") == again
    assert consent.current(store, store.head()[0]) == {"ann": "v1", "other": "v1"}
    assert consent.current(store, again - 1) == {"other": "v1"}


# the command line


def test_the_verbs_person_and_retract(tmp_path, capsys):
    run = RunDirectory(tmp_path / "run")
    store = make_store(run.path)
    position = stage(store, "learn", 0, store.head()[0], "r0")
    assert position
    store.close()
    assert main(["person", "add", str(run.path), "ann", "--data", f"name={SECRET}", "--consent", "v2"]) == 0
    assert main(["person", "add", str(run.path), "ann"]) == 2
    assert main(["person", "add", str(run.path), "ann", "--data", "name"]) == 2
    assert main(["person", "export", str(run.path), "ann", "--to", str(tmp_path / "me.json")]) == 0
    told = json.loads((tmp_path / "me.json").read_text())
    assert told["personal"] == {"name": SECRET}
    assert [one["kind"] for one in told["events"]] == ["annotator.added", "person.kept", "consent.given"]
    assert [one["id"][:3] for one in told["answers"]] == ["fb/", "fb/"]
    capsys.readouterr()
    assert main(["retract", str(run.path), "fb/rate"]) == 0
    assert "reward model fitted to it, checkpoint r0" in capsys.readouterr().out
    assert main(["retract", str(run.path), "fb/rate", "--reason", "wrong scale"]) == 0
    assert main(["retract", str(run.path), "fb/none", "--reason", "x"]) == 2
    assert main(["person", "erase", str(run.path), "ann", "--retract"]) == 0
    assert "1 answers retracted" in capsys.readouterr().out
    assert main(["person", "export", str(run.path), "ann"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["personal"] is None
    assert all(one["retracted"] for one in told["answers"])
    with Store.open(run.store) as opened:
        assert opened.feedback() == []
        assert consent.current(opened, opened.head()[0]) == {}
        assert opened.verify().ok

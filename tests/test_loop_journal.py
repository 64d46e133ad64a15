"""A replay writes what the run writes itself, and copies everything else from the source's log to the very same places."""

import uuid

import numpy as np
import pytest

from plaudit.errors import RunError
from plaudit.exchange import consent
from plaudit.loop.journal import Journal
from plaudit.quality.gold import set_gold
from plaudit.records import AnnotatorKind, AnnotatorProfile, Choice, Correction, Query, QueryKind, Segment, SegmentData
from plaudit.store import people
from plaudit.store.store import Store
from tests.store_examples import RUN, answer, arrays, question
from tests.store_examples import add_segments as segments_of

TEACHER = AnnotatorProfile("teacher", AnnotatorKind.SIMULATED)


@pytest.fixture
def source(tmp_path):
    """A run's log into which a studio, the command line and an administrator wrote too."""
    with Store.create(tmp_path / "source" / "store.sqlite", RUN) as store:
        store.add_annotator(TEACHER)
        segments = segments_of(store, 2)
        people.keep(store, "ann", {"name": "x"})
        first, second, third = asked = [question(index, *segments) for index in range(3)]
        mend = Query(QueryKind.CORRECTION, (segments[0].id,), (0,), 0, 3, "uniform")
        store.add_queries([*asked, mend])
        store.add_annotator(AnnotatorProfile("ann", AnnotatorKind.PERSON))
        consent.give(store, "ann", "v1")
        store.submit(uuid.UUID(int=1), [answer(first), answer(second)])
        shown = SegmentData(np.ones((5, 3), np.float32), np.ones((5, 1), np.float32))
        mended = Segment("w", "person", "live/1", 0, 5, store.blobs.put_arrays(shown.arrays()))
        store.add_segments([mended])
        store.add_feedback([Correction(id="fbk_mend", query=mend.id, annotator="ann", segment=mended.id)])
        store.add_feedback([answer(third, "teacher")])
        set_gold(store, {first.id: Choice.FIRST})
        store.retract(answer(first).id, "a slip")
        consent.withdraw(store, "ann")
        consent.give(store, "ann", "v1")
        people.erase(store, "ann")
        store.append("note", {"by": "an administrator"})
        store.append("stage.completed", {"log_position": store.head()[0]}, "stage/0/ask")
        store.append("note", {"after": "all stages"})
        yield store


def steps(source):
    """What a run does by itself, in order."""
    segments, queries = ([event.payload["id"] for event in source.events(kinds={kind})] for kind in KINDS)
    end = next(source.events(kinds={"stage.completed"}))
    yield lambda journal: journal.annotator(TEACHER)
    yield lambda journal: journal.segments([source.segment(id_) for id_ in segments[:2]])  # the third is a person's
    yield lambda journal: journal.queries([source.query(id_) for id_ in queries])
    yield lambda journal: journal.feedback([answer(source.query(queries[2]), "teacher")])
    yield lambda journal: journal.stage("stage/0/ask", end.payload)


KINDS = ("segment.added", "query.asked")


@pytest.mark.parametrize("killed_after", range(6))
def test_a_replayed_log_is_the_same_log_wherever_it_was_interrupted(source, tmp_path, killed_after):
    with Store.create(tmp_path / "target" / "store.sqlite", RUN) as target:
        for index in range(2):
            target.blobs.put_arrays(arrays(index).arrays())
        for count in (killed_after, 5):  # a resumed run begins its round again with a journal of its own
            journal = Journal(target, source=source, own_annotators=frozenset({"teacher"}))
            for _, step in zip(range(count), steps(source), strict=False):
                step(journal)
        end = next(source.events(kinds={"stage.completed"})).seq
        assert list_of(target) == list_of(source, end)
        assert target.verify().ok
        with pytest.raises(RunError, match="does not know this event"):
            journal.catch_up("stage/9/ask")


def list_of(store, upto=None):
    return [(event.seq, event.kind, event.hash) for event in store.events(upto=upto)]

"""Every kind of event: documented, and with a key that no annotator can take."""

import ast
import re
import uuid
from pathlib import Path

import pytest

from plaudit.ask.annotator import feedback_id
from plaudit.ask.assistance import Assistance, assist
from plaudit.ask.study import StudyConfig, begin
from plaudit.exchange import consent
from plaudit.exchange.formats import Format
from plaudit.language import guarded
from plaudit.quality import trust
from plaudit.quality.gold import set_gold
from plaudit.records import AnnotatorKind, AnnotatorProfile, Choice, Comparison
from plaudit.store import people, signoff
from plaudit.store.store import TAKEN, Store
from tests.exchange_examples import ROWS, brought, put
from tests.store_examples import RUN, add_segments, question

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "plaudit"
KIND = re.compile(r"[a-z]+\.[a-z]*(ed|en|wn|pt|set)")
"""events are named for what was done to whom"""


def kinds_in_source():
    """Names of events in the code; the report names its numbers alike."""
    for path in SOURCE.rglob("*.py"):
        if "report" not in path.parts:
            for node in ast.walk(ast.parse(path.read_text("utf-8"))):
                if isinstance(node, ast.Constant) and isinstance(node.value, str) and KIND.fullmatch(node.value):
                    yield node.value


def documented():
    """Kind -> key of the reference page's table."""
    page = (ROOT / "docs" / "reference" / "event-log.md").read_text("utf-8")
    rows = [line.split("|")[1:3] for line in page.splitlines() if line.startswith("| `")]
    found = {}
    for kinds, keys in rows:
        names, templates = re.findall("`([^`]+)`", kinds), re.findall("`([^`]+)`", keys) or [keys.strip()]
        found |= dict(zip(names, templates * (len(names) if len(templates) == 1 else 1), strict=True))
    return found


@pytest.fixture
def events(tmp_path):
    """Events of all kinds, as those write them who write them."""
    with Store.create(tmp_path / "run" / "store.sqlite", RUN) as store:
        asked = question(0, *add_segments(store, 2))
        store.add_annotator(AnnotatorProfile("ann", AnnotatorKind.PERSON))
        store.add_queries([asked])
        id_ = feedback_id(asked.id, "ann")
        store.submit(uuid.UUID(int=1), [Comparison(id=id_, query=asked.id, annotator="ann", choice=Choice.FIRST)])
        set_gold(store, {asked.id: Choice.FIRST})
        store.retract(id_, "a slip")
        store.append("stage.completed", {"round": 0}, "stage/0/ask")  # as Journal.stage
        store.append(guarded.CHECKED, {"check": 1, "training": "x", "log_position": 9}, "guard/x/1/0")  # as PeopleJudge
        store.append(trust.EVENT, {"annotator": "judge"}, "trust/0")  # as trust.note
        people.keep(store, "ann", {"name": "x"})
        consent.give(store, "ann", "v1")
        consent.withdraw(store, "ann")
        people.erase(store, "ann")
        signoff.name_check(store, "legal", "The licences allow the use.")
        said = {"verdict": signoff.Verdict.ACCEPTED, "comment": "read it", "reviewer": "rev"}
        signoff.sign(store, uuid.UUID(int=2), signoff.SignOff(check="legal", subject=signoff.subject(store), **said))
        there = list(store.events())
    file = put(tmp_path / "rows.jsonl", [ROWS[Format.TRL_PREFERENCE]])
    brought(tmp_path / "imports", Format.TRL_PREFERENCE, file, consented="v1")
    with Store.open(tmp_path / "imports" / "store.sqlite") as store:
        assist(store, [Assistance(one.id, "critic-1", "the first") for one in begin(store, StudyConfig(questions=1))])
        return [*there, *store.events()]


def test_every_kind_of_event_is_documented(events):
    assert set(kinds_in_source()) == set(documented()) == {event.kind for event in events}


def test_documented_keys_are_those_that_are_written(events):
    for event in events:
        template = documented()[event.kind]
        assert (event.key is None) == (template == ""), event
        if "/" in template:
            pattern = re.sub("[A-Z]+", "[^/]+", template)
            assert re.fullmatch(pattern, event.key), event


def test_no_annotator_can_take_the_key_of_an_event(events):
    keys = {event.key for event in events if event.kind != "annotator.added" and event.key is not None}
    assert [key for key in keys if not TAKEN.fullmatch(key)] == []
    taken = {event.key for event in events if event.kind == "annotator.added" and TAKEN.fullmatch(event.key)}
    assert taken == set()

"""What was shown by hand is not lost: not with the socket, not with the page, not with a studio that is killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from fastapi.testclient import TestClient
from websockets.sync.client import ClientConnection, connect

from plaudit.ask.annotator import feedback_id
from plaudit.records import Demonstration
from plaudit.store.store import Store
from plaudit.studio.access import COOKIE, Access
from plaudit.studio.app import create_app
from plaudit.studio.live_kept import KEPT_SECONDS, Showings
from plaudit.studio.live_world import Limits
from plaudit.studio.roles import Role
from plaudit.worlds.kept import About, Keeper, kept_in
from plaudit.worlds.wire import arrays_of, segment_data
from tests.test_studio_live import HOME, Page, application, begin, make, shown_by
from tests.test_studio_live import connect as open_socket

STUDIO = """
import sys
from pathlib import Path
from plaudit.studio.serve import serve
serve(Path(sys.argv[1]), port=0, open_browser=False, announce=lambda link: print(link, flush=True), annotator="ann")
"""


@pytest.fixture
def studio(tmp_path: Path) -> Iterator[Any]:
    store, queries = make(tmp_path)
    app = application(store, Limits(worlds=2, away=1.5))
    with store, TestClient(app, base_url=HOME, headers={"Origin": HOME}, cookies={"name": "ann"}) as client:
        yield SimpleNamespace(
            store=store, queries=queries, client=client, lives=app.state.lives, folder=tmp_path / "shown"
        )


def offered(studio: Any, kind: str = "demonstration") -> list[dict[str, Any]]:
    reply = studio.client.get("/api/live", params={"query": studio.queries[kind].id})
    assert reply.status_code == 200, reply.text
    return reply.json()


def until(what: Callable[[], Any], seconds: float = 20.0) -> Any:
    end = time.monotonic() + seconds
    while not (found := what()):
        assert time.monotonic() < end
        time.sleep(0.05)
    return found


def play(page: Page) -> None:
    page.say(action=0)
    page.say(go=True)
    page.until("enough")


@pytest.mark.parametrize("soon", [True, False])
def test_a_socket_that_is_cut_with_the_hand_in_loses_nothing(studio: Any, soon: bool) -> None:
    world = begin(studio)
    with open_socket(studio, world["id"]) as socket:
        page = Page(socket)
        play(page)
        page.say(end=True)  # and the line is cut before anything was heard of it
    if soon:  # the page hears it on a new line
        until(lambda: studio.lives.found[world["id"]].last)
        with open_socket(studio, world["id"]) as socket:
            assert Page(socket).until("segment")
    kept = until(lambda: offered(studio))
    assert studio.store.segment(kept[0]["segment"]).episode == f"live/{world['id']}/0"
    assert (kept[0]["start"], kept[0]["length"]) == (None, 8)


def test_a_hand_in_that_is_said_twice_is_one(studio: Any) -> None:
    world = begin(studio)
    with open_socket(studio, world["id"]) as socket:
        page = Page(socket)
        play(page)
        page.say(end=True)
        page.say(end=True)
        said = page.until("segment")
    assert [one["segment"] for one in offered(studio)] == [said["segment"]]


@pytest.mark.parametrize("enough", [True, False])
def test_who_stays_away_is_offered_what_was_enough(studio: Any, enough: bool) -> None:
    world = begin(studio)
    with open_socket(studio, world["id"]) as socket:
        page = Page(socket)
        if enough:
            play(page)
        else:
            page.hear()
    until(lambda: studio.lives.found.get(world["id"], SimpleNamespace(last=True)).last)
    assert len(offered(studio)) == enough


def test_a_page_that_is_loaded_again_is_offered_what_it_did(studio: Any) -> None:
    world = begin(studio)
    with open_socket(studio, world["id"]) as socket:
        play(Page(socket))
        assert offered(studio) == []  # as long as a page plays, it decides
    assert len(until(lambda: offered(studio))) == 1
    assert world["id"] not in studio.lives.found


def test_what_a_person_began_anew_is_not_offered(studio: Any) -> None:
    world = begin(studio)
    with open_socket(studio, world["id"]) as socket:
        page = Page(socket)
        play(page)
        page.say(restart=True)
        page.until("again")
    assert offered(studio) == []


def test_it_is_offered_to_nobody_else_and_for_no_other_question(studio: Any) -> None:
    world = begin(studio)
    with open_socket(studio, world["id"]) as socket:
        said = shown_by(Page(socket))
    assert offered(studio, "correction") == []
    assert [one["segment"] for one in offered(studio)] == [said["segment"]]
    studio.client.cookies.set("name", "cem")
    assert offered(studio) == []
    studio.client.cookies.set("name", "bob")  # it is not his question
    assert studio.client.get("/api/live", params={"query": studio.queries["demonstration"].id}).status_code == 409
    studio.client.cookies.set("name", "rita")
    assert studio.client.get("/api/live", params={"query": "x"}).status_code == 403


def test_a_correction_is_offered_with_what_it_changed(studio: Any) -> None:
    world = begin(studio, "correction", from_step=3)
    before = studio.store.segment_data(studio.store.segment(studio.queries["correction"].segments[0]))
    with open_socket(studio, world["id"]) as socket:
        said = shown_by(Page(socket), action=int(1 - before.actions[3]))
    kept = offered(studio, "correction")
    assert [(one["segment"], one["start"], one["end"]) for one in kept] == [
        (said["segment"], said["start"], said["end"])
    ]


def test_what_an_answer_has_brought_is_offered_no_more(studio: Any) -> None:
    world = begin(studio)
    with open_socket(studio, world["id"]) as socket:
        said = shown_by(Page(socket))
    assert len(list(studio.folder.iterdir())) == 1
    query = studio.queries["demonstration"].id
    given = Demonstration(id=feedback_id(query, "ann"), query=query, annotator="ann", segment=said["segment"])
    studio.store.add_feedback([given])
    assert offered(studio) == []
    assert list(studio.folder.iterdir()) == []


def test_files_that_cannot_be_read_or_are_old_are_passed_over(tmp_path: Path) -> None:
    store, queries = make(tmp_path)
    with store:
        showings, query = Showings(store), queries["demonstration"]
        arrays = arrays_of(store.segment_data(store.segment(query.segments[0])))
        for number in range(5):
            keeper = showings.keeper(About("ann", query.id, f"w{number}"))
            keeper.write(number, 0, arrays)
            os.utime(keeper.path, (1e9 + number,) * 2 if number == 0 else None)
        (tmp_path / "shown" / "half.shown").write_bytes(keeper.path.read_bytes()[:40])
        (tmp_path / "shown" / "other.shown").write_bytes(b"J\0\0\0\2[]A\0\0\0\0")
        kept = kept_in(tmp_path / "shown")
        assert [one.about.id for one in kept][-1] == "w0"
        assert segment_data(kept[0].arrays).arrays().keys() == segment_data(arrays).arrays().keys()
        assert time.time() - kept[-1].at > KEPT_SECONDS
        assert len(showings.waiting("ann", query.id)) == 3  # the newest
        assert len(kept_in(tmp_path / "shown")) == 3


def test_a_disk_that_refuses_does_not_keep_what_is_handed_over(tmp_path: Path) -> None:
    Keeper(tmp_path / "missing" / "x.shown", About("ann", "q", "w")).write(0, 0, b"")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("handed_in", [False, True])
def test_a_studio_that_is_killed_loses_nothing_that_was_enough(tmp_path: Path, handed_in: bool) -> None:
    store, queries = make(tmp_path)
    store.close()
    process = subprocess.Popen([sys.executable, "-c", STUDIO, str(tmp_path / "store.sqlite")], stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        link = process.stdout.readline().decode().strip()
        home = link.partition("/enter")[0]
        with httpx.Client(base_url=home, headers={"Origin": home}, timeout=60) as client:
            client.get(link).raise_for_status()
            questions = client.get("/api/next").json()["questions"]
            query = next(one["id"] for one in questions if one["kind"] == "demonstration")
            assert query == queries["demonstration"].id
            world = client.post("/api/live", json={"query": query}).raise_for_status().json()
            cookie = f"{COOKIE}={client.cookies[COOKIE]}"
        with connect(
            f"{home.replace('http', 'ws')}/api/live/{world['id']}",
            origin=home,
            additional_headers={"Cookie": cookie},
            proxy=None,
        ) as socket:
            page = Page(Talking(socket))
            play(page)
            if handed_in:
                page.say(end=True)
            process.send_signal(signal.SIGKILL)
    finally:
        process.kill()
        process.communicate()
    until(lambda: kept_in(tmp_path / "shown"))
    with Store.open(tmp_path / "store.sqlite") as store:
        access = Access(store)
        with TestClient(create_app(store, access=access), base_url=HOME, headers={"Origin": HOME}) as client:
            client.get(f"/enter?token={access.invite('ann', Role.OWNER)}")
            view = client.get("/api/next").json()
            kept = client.get("/api/live", params={"query": query}).json()
            assert [store.segment(one["segment"]).episode for one in kept] == [f"live/{world['id']}/0"]
            answer = {"id": "answer-1", "query": query, "answer": {"segment": kept[0]["segment"]}, "seconds": 3.0}
            assert client.post("/api/feedback", json=answer).status_code == 200
            client.post("/api/session", json={"cue": "pause"})
        assert view["questions"]
        brought = [one for _, one in store.feedback() if isinstance(one, Demonstration)]
        assert [one.segment for one in brought] == [kept[0]["segment"]]
        Showings(store).sweep()
        assert not kept_in(tmp_path / "shown")


class Talking:
    """A real socket, as the page of the tests takes it."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket

    def send_json(self, wish: dict[str, Any]) -> None:
        self._socket.send(json.dumps(wish))

    def receive_text(self) -> Any:
        return self._socket.recv(20)

    def receive_bytes(self) -> Any:
        return self._socket.recv(20)

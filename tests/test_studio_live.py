"""Playing by hand over a WebSocket: who may, what is stored, and what happens when something breaks."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from plaudit.errors import RecordError
from plaudit.records import Query, QueryKind, Segment
from plaudit.store.store import Store
from plaudit.studio.access import Guard
from plaudit.studio.live import add_live
from plaudit.studio.live_kept import POLICY
from plaudit.studio.live_world import GONE, TAKEN, UNREADABLE, Limits
from plaudit.studio.roles import MAY, Caller, Role
from plaudit.worlds.config import WorldConfig
from plaudit.worlds.render import Renderer
from tests.studio_examples import run_payload
from tests.test_worlds_live import behaviour_segment

HOME = "http://127.0.0.1:8765"
WORLD = {"id": "CartPole-v1", "envs": 1}
LENGTH = 8


class Gate:
    """Lets in whoever says a name."""

    def caller(self, request: Any) -> Caller | None:
        name = request.cookies.get("name")
        role = Role.REVIEWER if name == "rita" else Role.ANNOTATOR
        return None if name is None else Caller(name, role, name, MAY[role])

    def pace(self, caller: Caller, request: Any) -> None:
        del caller, request

    def standing(self, callers: set[Caller]) -> set[Caller]:
        return callers


def make(path: Path, world: dict[str, Any] = WORLD) -> tuple[Store, dict[str, Query]]:
    """A store with a demonstration, a correction and a comparison."""
    payload = run_payload()
    payload["config"] |= {"world": world, "seed": 3}
    store = Store.create(path / "store.sqlite", payload)
    found: dict[str, Query] = {}
    kinds = (QueryKind.DEMONSTRATION, QueryKind.CORRECTION, QueryKind.COMPARISON)
    for index, kind in enumerate(kinds):
        segments: list[Segment] = []
        for number in range(2 if kind is QueryKind.COMPARISON else 1):
            data = behaviour_segment(WorldConfig(**world), time=2 + number, length=LENGTH)
            blob = store.blobs.put_arrays(data.arrays())
            segments.append(Segment(world["id"], "p0", f"e{index}/k{number}", 2 + number, LENGTH, blob))
        store.add_segments(segments)
        names = tuple(one.id for one in segments)
        found[kind.value] = Query(kind, names, tuple(range(len(names))), 0, index, "uniform")
    store.add_queries(list(found.values()))
    return store, found


def holds(annotator: str, query: str) -> bool:
    return annotator != "bob" and query.startswith("qry_")


def application(store: Store, limits: Limits | None = None) -> FastAPI:
    app = FastAPI()
    app.state.access = Gate()
    app.add_middleware(Guard)
    app.add_exception_handler(RecordError, refused)
    config = next(store.events(kinds={"run.created"})).payload["config"]
    add_live(app, store, config, holds=holds, limits=limits)
    return app


def refused(request: Any, error: Exception) -> Any:
    from fastapi.responses import JSONResponse

    return JSONResponse({"error": str(error)}, 409)


@pytest.fixture
def studio(tmp_path: Path) -> Iterator[Any]:
    store, queries = make(tmp_path)
    app = application(store, Limits(worlds=2, away=1.0))
    with store, TestClient(app, base_url=HOME, headers={"Origin": HOME}, cookies={"name": "ann"}) as client:
        yield SimpleNamespace(store=store, queries=queries, client=client, lives=app.state.lives)


def begin(studio: Any, kind: str = "demonstration", **wish: Any) -> dict[str, Any]:
    reply = studio.client.post("/api/live", json={"query": studio.queries[kind].id, **wish})
    assert reply.status_code == 200, reply.text
    return reply.json()


def connect(studio: Any, id_: str, **headers: str) -> Any:
    return studio.client.websocket_connect(
        f"/api/live/{id_}", headers={"Origin": HOME, "Host": "127.0.0.1:8765", **headers}
    )


class Page:
    """What a page does: shows pictures, and says that it did."""

    def __init__(self, socket: Any) -> None:
        self.socket, self.pictures = socket, 0

    def say(self, **wish: Any) -> None:
        self.socket.send_json(wish)

    def hear(self) -> dict[str, Any]:
        said = json.loads(self.socket.receive_text())
        if "step" in said:
            assert self.socket.receive_bytes()[:2] == b"\xff\xd8"  # a JPEG begins so
            self.pictures += 1
            self.say(seen=self.pictures)
        return said

    def until(self, wanted: str) -> dict[str, Any]:
        while not (said := self.hear()).get(wanted):
            pass
        return said


def shown_by(page: Page, *, action: int = 0) -> dict[str, Any]:
    """Play until enough was done, and hand in."""
    page.say(action=action)
    page.say(go=True)
    page.until("enough")
    page.say(end=True)
    return page.until("segment")


def test_what_was_shown_is_a_segment_like_the_run_s_own(studio: Any) -> None:
    world = begin(studio)
    assert (world["fps"], world["length"], world["kept"]) == (50, LENGTH, 0)
    assert [one["key"] for one in world["keys"]] == ["ArrowLeft", "ArrowRight"]
    with connect(studio, world["id"]) as socket:
        said = shown_by(Page(socket))
    segment = studio.store.segment(said["segment"])
    asked = studio.store.segment(studio.queries["demonstration"].segments[0])
    data, other = studio.store.segment_data(segment), studio.store.segment_data(asked)
    assert (segment.policy, segment.world, segment.episode) == (POLICY, asked.world, f"live/{world['id']}/0")
    assert set(data.arrays()) == set(other.arrays())
    for name, array in data.arrays().items():
        assert (array.dtype, array.shape) == (other.arrays()[name].dtype, other.arrays()[name].shape)
    assert (said["start"], said["end"]) == (None, None)
    assert len(Renderer(WorldConfig(**WORLD)).render(data)) == LENGTH


def test_a_correction_keeps_what_came_before_and_says_what_changed(studio: Any) -> None:
    world = begin(studio, "correction", from_step=3)
    assert (world["length"], world["kept"]) == (LENGTH, 3)
    before = studio.store.segment_data(studio.store.segment(studio.queries["correction"].segments[0]))
    with connect(studio, world["id"]) as socket:
        page = Page(socket)
        other = int(1 - before.actions[3])
        said = shown_by(page, action=other)
    segment = studio.store.segment(said["segment"])
    after = studio.store.segment_data(segment)
    assert (said["start"], segment.start, len(after)) == (3, 2, LENGTH)
    np.testing.assert_array_equal(after.observations[:4], before.observations[:4])
    np.testing.assert_array_equal(after.actions[:3], before.actions[:3])
    assert (after.actions[3:] == other).all()


@pytest.mark.slow
def test_restart_begins_again_and_only_the_last_attempt_counts(studio: Any) -> None:
    world = begin(studio)
    with connect(studio, world["id"]) as socket:
        page = Page(socket)
        page.say(action=1)
        page.say(go=True)
        page.until("enough")
        page.say(restart=True)
        page.until("again")
        said = shown_by(page)
    assert studio.store.segment(said["segment"]).episode == f"live/{world['id']}/1"


REFUSED: list[tuple[str | None, dict[str, Any], int, str]] = [
    ("ann", {"query": "nothing"}, 409, "not yours"),
    ("bob", {}, 409, "not yours"),
    ("rita", {}, 403, "role"),
    (None, {}, 401, "signed in"),
    ("ann", {"from_item": 1}, 409, "no such segment"),
    ("ann", {"from_item": 0, "from_step": LENGTH}, 409, "no such step"),
    ("ann", {"kind": "comparison"}, 409, "nothing to play"),
    ("ann", {"from_step": -1}, 422, ""),
]


def test_who_may_play_what(studio: Any) -> None:
    for who, wish, status, words in REFUSED:
        studio.client.cookies.clear()
        if who is not None:
            studio.client.cookies.set("name", who)
        query = studio.queries[wish.get("kind", "demonstration")].id
        others = {name: value for name, value in wish.items() if name != "kind"}
        reply = studio.client.post("/api/live", json={"query": query, **others})
        assert (reply.status_code, words in reply.text) == (status, True), (who, wish, reply.text)
    assert not studio.lives.found


FOREIGN = [
    {"Origin": "http://evil.example"},
    {"Origin": "null"},
    {"Origin": ""},
    {"Origin": "http://127.0.0.1:9999"},
    {"Origin": "https://127.0.0.1:8765"},
    {"Host": "evil.example", "Origin": "http://evil.example"},
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
]


def test_other_sites_cannot_open_the_socket(studio: Any) -> None:
    world = begin(studio)
    for headers in FOREIGN:
        with pytest.raises(WebSocketDisconnect), connect(studio, world["id"], **headers):
            pass
    with connect(studio, world["id"]) as socket:  # and nothing was disturbed
        assert Page(socket).hear()["step"] == 0


def test_only_the_one_who_began_can_play(studio: Any) -> None:
    world = begin(studio)
    studio.client.cookies.set("name", "bob")
    with connect(studio, world["id"]) as socket, pytest.raises(WebSocketDisconnect) as refused:
        socket.receive_text()
    assert refused.value.code == GONE
    studio.client.cookies.clear()
    with pytest.raises(WebSocketDisconnect), connect(studio, world["id"]):
        pass


def test_a_killed_world_leaves_a_message_and_nothing_in_the_store(studio: Any) -> None:
    world = begin(studio)
    head, blobs = studio.store.head(), list(studio.store.blobs.names())
    with connect(studio, world["id"]) as socket:
        page = Page(socket)
        page.say(action=1)
        page.say(go=True)
        page.hear()
        os.kill(studio.lives.found[world["id"]].pid, signal.SIGKILL)
        assert "Nothing of this attempt was kept" in page.until("error")["error"]
    assert (studio.store.head(), list(studio.store.blobs.names())) == (head, blobs)


@pytest.mark.slow
def test_a_lost_connection_pauses_the_world_and_can_be_resumed(studio: Any) -> None:
    world = begin(studio)
    with connect(studio, world["id"]) as socket:
        page = Page(socket)
        page.say(speed=0.25)
        page.say(action=1)
        page.say(go=True)
        while page.hear()["step"] < 2:
            pass
    live = studio.lives.found[world["id"]]
    time.sleep(0.3)
    paused = live.picture.state["step"]
    time.sleep(0.3)
    assert live.picture.state["step"] == paused
    with connect(studio, world["id"]) as socket:
        page = Page(socket)
        assert page.hear()["step"] == paused
        assert "segment" in shown_by(page)


@pytest.mark.slow
def test_who_stays_away_loses_the_world_without_a_trace(studio: Any) -> None:
    world = begin(studio)
    head, pid = studio.store.head(), studio.lives.found[world["id"]].pid
    until = time.monotonic() + 20
    while world["id"] in studio.lives.found and time.monotonic() < until:
        time.sleep(0.05)
    assert world["id"] not in studio.lives.found
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    assert studio.store.head() == head


@pytest.mark.slow
def test_a_second_tab_takes_over(studio: Any) -> None:
    world = begin(studio)
    with connect(studio, world["id"]) as first:
        Page(first).hear()
        with connect(studio, world["id"]) as second:
            assert Page(second).hear()["step"] == 0
            with pytest.raises(WebSocketDisconnect) as closed:
                first.receive_text()
            assert closed.value.code == TAKEN


def test_what_cannot_be_read_closes_the_socket(studio: Any) -> None:
    world = begin(studio)
    for text in ("no json", "[1]", '{"action": NaN}', "[" * 2000, json.dumps({"action": "x" * 3000})):
        with connect(studio, world["id"]) as socket:
            Page(socket).hear()
            socket.send_text(text)
            with pytest.raises(WebSocketDisconnect) as closed:
                socket.receive_text()
        assert closed.value.code == UNREADABLE


@pytest.mark.parametrize("wish", [{"action": 7}, {"dance": True}])
def test_what_the_world_cannot_do_ends_it_with_a_reason(studio: Any, wish: dict[str, Any]) -> None:
    world = begin(studio)
    with connect(studio, world["id"]) as socket:
        page = Page(socket)
        page.say(**wish)
        assert page.until("error")["error"]


@pytest.mark.slow
def test_there_is_a_limit_to_worlds_and_each_has_one(studio: Any) -> None:
    first = begin(studio)
    pid = studio.lives.found[first["id"]].pid
    second = begin(studio, "correction")
    assert list(studio.lives.found) == [second["id"]]  # ann's first is given up
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    studio.lives.found["other"] = studio.lives.found[second["id"]]
    studio.lives.found["another"] = SimpleNamespace(annotator="bob", last=None)
    del studio.lives.found[second["id"]]
    studio.client.cookies.set("name", "cem")
    reply = studio.client.post("/api/live", json={"query": studio.queries["demonstration"].id})
    assert (reply.status_code, "Retry-After" in reply.headers) == (429, True)
    studio.lives.found["another"].last = {}  # one that has ended leaves room
    begin(studio)
    del studio.lives.found["another"]


def test_a_world_that_cannot_be_made_says_why(tmp_path: Path) -> None:
    store, queries = make(tmp_path)
    app = FastAPI()
    app.state.access = Gate()
    app.add_exception_handler(RecordError, refused)
    add_live(app, store, {"world": {"id": "CartPole-v1", "options": {"colour": "red"}}}, holds=holds)
    with store, TestClient(app, cookies={"name": "ann"}) as client:
        reply = client.post("/api/live", json={"query": queries["demonstration"].id})
    assert reply.status_code == 409
    assert "colour" in reply.text


def test_the_routes_need_no_gymnasium() -> None:
    code = "import plaudit.studio.live, sys; assert not {'gymnasium', 'PIL', 'torch'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)

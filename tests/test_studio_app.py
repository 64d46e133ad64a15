import socket
import threading
import time
import webbrowser
from collections.abc import Iterator
from pathlib import Path
from queue import Queue
from typing import Any

import httpx
import pytest
import uvicorn
from fastapi.testclient import TestClient

from plaudit.ask.session import GRACE_SECONDS
from plaudit.errors import RunError
from plaudit.records import Choice, Comparison
from plaudit.store.store import Store
from plaudit.studio.app import create_app
from plaudit.studio.serve import HOST, serve
from tests.studio_examples import Clock, make_store, render_all, still_png

HOME = "http://127.0.0.1:8765"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with make_store(tmp_path) as store:
        yield store


@pytest.fixture
def stranger(store: Store) -> TestClient:
    return TestClient(create_app(store), base_url=HOME, headers={"Origin": HOME})


@pytest.fixture
def client(stranger: TestClient) -> TestClient:
    token = stranger.app.state.access.invite("ann")  # type: ignore[attr-defined]  # starlette types the app as a callable
    assert stranger.get(f"/enter?token={token}").status_code == 200
    return stranger


def submission(view: dict[str, Any], name: str = "submission-1", **fields: Any) -> dict[str, Any]:
    return {
        "id": name,
        "query": view["questions"][0]["id"],
        "pick": "left",
        "answered_at": "2026-05-04T12:00:00.123Z",
        "seconds": 1.5,
        **fields,
    }


def test_link_opens_the_page_once(stranger: TestClient) -> None:
    assert stranger.get("/").status_code == 401
    token = stranger.app.state.access.invite("ann")  # type: ignore[attr-defined]  # starlette types the app as a callable
    entered = stranger.get(f"/enter?token={token}")
    cookie = entered.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    assert '<div id="app">' in stranger.get("/").text
    assert stranger.get(f"/enter?token={token}").status_code == 403


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/api/next", None),
        ("GET", "/api/progress", None),
        ("GET", "/media/abc", None),
        ("POST", "/api/feedback", submission({"questions": [{"id": "q"}]})),
        ("POST", "/api/undo", {"submission": "s"}),
        ("POST", "/api/session", {"cue": "pause"}),
    ],
)
def test_strangers_get_nothing(stranger: TestClient, method: str, path: str, body: dict[str, Any] | None) -> None:
    assert stranger.request(method, path, json=body).status_code == 401


def test_every_endpoint_of_the_api_is_in_the_test_above(stranger: TestClient) -> None:
    found = {route.path for route in stranger.app.routes}  # type: ignore[attr-defined]  # as above
    assert found == {
        "/", "/enter", "/static/{name:path}", "/media/{digest}",
        "/api/next", "/api/feedback", "/api/undo", "/api/session", "/api/progress",
    }  # fmt: skip


def test_label_through_the_api(client: TestClient, store: Store) -> None:
    view = client.get("/api/next").json()
    view = client.post("/api/feedback", json=submission(view, pick="right")).json()
    assert view["undoable"] == "submission-1"
    view = client.post("/api/undo", json={"submission": "submission-1"}).json()
    assert view["undoable"] is None
    client.post("/api/feedback", json=submission(view, "submission-2", pick="tie"))
    assert client.post("/api/session", json={"cue": "pause"}).json()["state"] == "break"
    ((_, saved),) = store.feedback()
    assert isinstance(saved, Comparison)
    assert (saved.choice, saved.annotator) == (Choice.TIE, "ann")
    assert client.get("/api/progress").json() == {"mine": 1, "answered": 1, "open": 4, "total": 20}
    assert client.post("/api/session", json={"cue": "resume"}).json()["state"] == "question"


def test_refusals_say_why(client: TestClient) -> None:
    view = client.get("/api/next").json()
    wrong = client.post("/api/feedback", json=submission(view, pick="grade", grade=1))
    assert wrong.status_code == 409
    assert "does not fit the question" in wrong.json()["error"]
    assert client.post("/api/undo", json={"submission": "submission-1"}).status_code == 409


@pytest.mark.parametrize(
    "fields", [{"pick": "up"}, {"seconds": -1}, {"seconds": "nan"}, {"answered_at": "today"}, {"id": "s"}, {"more": 1}]
)
def test_malformed_answers_are_refused_before_they_reach_the_session(
    client: TestClient, fields: dict[str, Any]
) -> None:
    view = client.get("/api/next").json()
    reply = client.post("/api/feedback", json=submission(view, **fields))
    assert reply.status_code == 422
    assert "could not read" in reply.json()["error"]
    assert client.get("/api/next").json()["undoable"] is None


def test_only_clips_are_served_and_never_the_arrays_behind_them(client: TestClient, store: Store) -> None:
    view = client.get("/api/next").json()
    render_all(store)
    url = client.get("/api/next").json()["questions"][0]["clips"][0]["url"]
    clip = client.get(url)
    assert clip.content == still_png()
    assert clip.headers["content-type"] == "image/png"
    assert "immutable" in clip.headers["cache-control"]
    segment = store.segment(store.query(view["questions"][0]["id"]).segments[0])
    assert store.blobs.has(segment.blob)
    assert client.get(f"/media/{segment.blob}").status_code == 404


def test_stopping_the_studio_saves_what_is_held(store: Store) -> None:
    app = create_app(store)
    with TestClient(app, base_url=HOME, headers={"Origin": HOME}) as client:
        client.get(f"/enter?token={app.state.access.invite('ann')}")
        client.post("/api/feedback", json=submission(client.get("/api/next").json()))
        assert list(store.feedback()) == []
    assert len(list(store.feedback())) == 1


def test_answer_is_saved_after_the_grace_though_no_page_asks(store: Store) -> None:
    clock = Clock()
    app = create_app(store, clock=clock)
    with TestClient(app, base_url=HOME, headers={"Origin": HOME}) as client:
        client.get(f"/enter?token={app.state.access.invite('ann')}")
        client.post("/api/feedback", json=submission(client.get("/api/next").json()))
        clock.now += GRACE_SECONDS
        until = time.monotonic() + 20
        while not store.feedback() and time.monotonic() < until:
            time.sleep(0.05)
        assert len(store.feedback()) == 1


def test_store_that_cannot_be_read_is_told_as_unavailable(client: TestClient, store: Store) -> None:
    store.close()
    reply = client.get("/api/next")
    assert reply.status_code == 503
    assert reply.json()["error"]


def test_served_link_opens_the_page(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    servers: list[uvicorn.Server] = []
    links: Queue[str] = Queue()
    opened: list[str] = []
    run = uvicorn.Server.run

    def run_and_tell(server: uvicorn.Server, sockets: list[socket.socket] | None = None) -> None:
        servers.append(server)
        run(server, sockets)

    monkeypatch.setattr(uvicorn.Server, "run", run_and_tell)
    monkeypatch.setattr(webbrowser, "open", opened.append)
    settings = {"port": 0, "annotator": "ann", "announce": links.put}
    serving = threading.Thread(target=serve, args=(tmp_path / "store.sqlite",), kwargs=settings)
    serving.start()
    try:
        link = links.get(timeout=20)
        with httpx.Client(base_url=link.split("/enter")[0]) as browser:
            assert browser.get(link).status_code == 200
            assert browser.get("/api/next").json()["annotator"] == "ann"
    finally:
        servers[0].should_exit = True
        serving.join(timeout=20)
    assert opened == [link]
    assert not serving.is_alive()


def test_taken_port_is_a_clear_error(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind((HOST, 0))
        taken.listen()
        with pytest.raises(RunError, match="port is taken"):
            serve(tmp_path / "none.sqlite", port=taken.getsockname()[1], open_browser=False)

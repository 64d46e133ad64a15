"""The client against the real application, on a real socket; a simulated teacher labels over HTTP."""

import json
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import uvicorn

import plaudit
from plaudit.ask.teachers import Teacher, TeacherConfig
from plaudit.client import Client, Patience
from plaudit.errors import ConfigError, PlauditError, RecordError, StoreError
from plaudit.records import AnnotatorKind, Query, QueryKind, Segment, SegmentData, to_json
from plaudit.report.gather import gather
from plaudit.store.store import Store
from plaudit.studio.roles import Permission
from tests.access_examples import Studio
from tests.report_runs import FakeRun
from tests.studio_examples import make_store, run_payload

QUESTIONS = 50


@contextmanager
def served(studio: Studio, key: str, **settings: Any) -> Iterator[Client]:
    """A client of the real application in a thread."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = uvicorn.Server(uvicorn.Config(studio.app, log_level="error"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            with Client(f"http://127.0.0.1:{listener.getsockname()[1]}", key, **settings) as client:
                yield client
        finally:
            server.should_exit = True
            thread.join(timeout=20)


def ask_all(store: Store) -> tuple[list[Query], dict[str, SegmentData]]:
    """Comparisons, ratings and rankings of segments whose true rewards differ."""
    rng, queries, data = np.random.default_rng(3), [], {}
    kinds = (QueryKind.COMPARISON, QueryKind.RATING, QueryKind.RANKING)
    for index in range(QUESTIONS):
        kind = kinds[index % 3]
        segments = []
        for side in range(3 if kind is QueryKind.RANKING else kind.segments):
            one = SegmentData(
                observations=rng.normal(size=(4, 2)).astype(np.float32),
                actions=np.zeros((4, 1), np.float32),
                true_rewards=rng.normal(size=4),
            )
            blob = store.blobs.put_arrays(one.arrays())
            segments.append(Segment(world="toy", policy="p0", episode=f"q{index}/{side}", start=0, length=4, blob=blob))
            data[segments[-1].id] = one
        store.add_segments(segments)
        order = tuple(range(len(segments)))
        queries.append(
            Query(
                kind=kind,
                segments=tuple(one.id for one in segments),
                shown=order[::-1] if index % 2 else order,
                round=0,
                index=index,
                strategy="uniform",
                levels=5 if kind is QueryKind.RATING else None,
            )
        )
    store.add_queries(queries)
    return queries, data


def test_a_simulated_teacher_labels_over_http_as_it_does_directly(tmp_path: Path) -> None:
    teacher = Teacher(TeacherConfig(temperature=0.5, mistake=0.1, skip=0.1, low=-5, high=5), 7, name="teacher")
    with Store.create(tmp_path / "store.sqlite", run_payload(labels=QUESTIONS)) as store:
        queries, data = ask_all(store)
        store.add_annotator(teacher.profile)
        studio = Studio(store)
        with served(studio, studio.key(Permission.LABEL, Permission.EXPORT, annotator="teacher")) as client:
            assert client.me()["annotator"] == "teacher"
            view, given = client.next(), 0
            while view["questions"]:
                query = store.query(view["questions"][0]["id"])
                view = client.give(teacher.answer(query, [data[one] for one in query.segments]))
                given += 1
            assert (view["state"], view["progress"]["mine"], given) == ("waiting", QUESTIONS, QUESTIONS)
            client.pause()
            read = list(client.answers())
        there = {answer.query: answer for _, answer in store.feedback()}
        directly = {query.id: teacher.answer(query, [data[one] for one in query.segments]) for query in queries}
        assert there == {
            id: replace(answer, response_seconds=round(answer.response_seconds, 3)) for id, answer in directly.items()
        }  # a page measures in milliseconds
        assert [one["query"] for one in read] == [query.id for query in queries]
        assert all(to_json(there[one["query"]]).items() <= one.items() for one in read)
        assert store.annotators()["teacher"].kind is AnnotatorKind.SIMULATED
        assert store.verify().ok


def test_answers_come_in_pages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    teacher = Teacher(TeacherConfig(low=-5, high=5), 7, name="teacher")
    with Store.create(tmp_path / "store.sqlite", run_payload()) as store:
        queries, data = ask_all(store)
        store.add_annotator(teacher.profile)
        given = [teacher.answer(query, [data[one] for one in query.segments]) for query in queries]
        store.add_feedback(given)
        store.retract(given[4].id, "a test")
        studio = Studio(store)
        browser = studio.enter("boss")
        seen, after = [], 0
        while after is not None:
            page = browser.get(f"/api/answers?after={after}&count=7").json()
            assert len(page["answers"]) <= 7
            seen += [one["id"] for one in page["answers"]]
            after = page["cursor"]
        assert seen == [one.id for one in given if one.id != given[4].id]


def test_refusals_are_errors(tmp_path: Path) -> None:
    with make_store(tmp_path) as store:
        studio = Studio(store)
        with served(studio, studio.key(Permission.LABEL)) as client:
            question = client.next()["questions"][0]["id"]
            with pytest.raises(RecordError, match="does not fit the question"):
                client.answer(question, {"value": 3})
            with pytest.raises(RecordError, match="no such question"):
                client.answer("qry_x", {"choice": "first"})
            with pytest.raises(PlauditError, match="role does not allow"):
                list(client.answers())
            view = client.answer(question, {"skip": True, "reason": "broken"}, seconds=2.5)
            assert client.undo(view["undoable"])["undoable"] is None
            client.answer(question, {"choice": "tie"}, about={"interface": "robot-1", "phases": {"decide": 1.0}})
            client.pause()
            assert client.resume()["state"] == "question"
            ((_, saved),) = store.feedback()
            assert (saved.interface, saved.phase_seconds) == ("robot-1", {"decide": 1.0})
        with served(studio, "plaudit_x_y") as client, pytest.raises(PlauditError, match="not signed in"):
            client.me()


@pytest.mark.parametrize("url", ["http://label.example.org", "ftp://localhost", "localhost:8765", ""])
def test_keys_do_not_cross_a_network_in_the_clear(url: str) -> None:
    with pytest.raises(ConfigError, match="in the clear"):
        Client(url, "key")


class Flaky(ThreadingHTTPServer):
    """Says what it is told, in order; None: hangs up."""

    def __init__(self, *replies: tuple[int, dict[str, str], str] | None) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.replies = list(replies)
        self.asked: list[tuple[str, str, str, str]] = []

    def __enter__(self) -> "Flaky":
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.01}).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self.server_close()


class Handler(BaseHTTPRequestHandler):
    server: Flaky

    def do_GET(self) -> None:
        length = int(self.headers.get("Content-Length", 0))
        last = self.headers.get("Last-Event-ID", "")
        self.server.asked.append((self.command, self.path, self.rfile.read(length).decode(), last))
        reply = self.server.replies.pop(0)
        if reply is None:
            self.connection.close()
            return
        status, headers, body = reply
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body.encode())

    do_POST = do_GET  # noqa: N815 - the library's name

    def log_message(self, *_: object) -> None:
        pass


def flaky(*replies: Any) -> tuple[Flaky, Client, list[float]]:
    server, slept = Flaky(*replies), []
    patience = Patience(timeout=5, total=10, sleep=slept.append)
    return server, Client(f"http://127.0.0.1:{server.server_port}", "k", patience=patience), slept


def test_an_answer_is_sent_again_under_the_same_id_until_it_is_taken() -> None:
    server, client, slept = flaky(
        None, (429, {"Retry-After": "7"}, '{"error": "slow"}'), (503, {}, "x"), (200, {}, '{"a": 1}')
    )
    with server:
        assert client.answer("q", {"choice": "first"}) == {"a": 1}
    ids = {json.loads(body)["id"] for _, _, body, _ in server.asked}
    assert (len(server.asked), len(ids)) == (4, 1)
    assert slept == [0.5, 7.0, 0.5]


def test_patience_ends() -> None:
    server, client, slept = flaky((429, {"Retry-After": "11"}, '{"error": "slow"}'), (500, {}, "oops"))
    with server:
        with pytest.raises(StoreError, match=r"does not answer.*slow"):
            client.next()
        with pytest.raises(StoreError, match="refused"):
            client.next()
    with pytest.raises(StoreError, match="does not answer"):
        client.next()
    assert len(slept) == 20


def test_the_stream_goes_on_where_it_was() -> None:
    first = ': hello\n\nid: 4\nevent: changed\ndata: {"seq": 4,\ndata: "stage": "act"}\n\n'
    server, client, slept = flaky(
        (200, {"Content-Length": "1000"}, first),
        None,
        (200, {}, "event: changed\r\ndata: {}\r\n\r\ndata: 1\n\ndata: cut"),
    )
    with server:
        told = list(islice(client.stream(), 3))
    assert told == [("changed", {"seq": 4, "stage": "act"}), ("changed", {}), ("message", 1)]
    assert [last for _, _, _, last in server.asked] == ["", "4", "4"]
    assert slept == [0.5, 0.5]


def test_the_package_offers_it_without_loading_it() -> None:
    assert plaudit.Client is Client
    with pytest.raises(AttributeError, match="no attribute 'Clinet'"):
        plaudit.Clinet  # noqa: B018
    code = "import plaudit, sys; assert 'numpy' not in sys.modules and 'http.client' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_a_program_watches_the_run(tmp_path: Path) -> None:
    with FakeRun(tmp_path, clips=False, labels_per_round=2).write() as store:
        studio = Studio(store)
        with served(studio, studio.key(Permission.WATCH)) as client:
            assert client.summary() == json.loads(json.dumps(to_json(gather(store, tmp_path))))
            told = client.stream()
            event, before = next(told)
            assert event == "changed"
            store.append(
                "stage.completed", {"round": 9, "stage": "act", "checkpoint": None, "metrics": {}}, "stage/9/act"
            )
            event, after = next(told)
            assert (event, after["seq"] > before["seq"]) == ("changed", True)
            told.close()
            with pytest.raises(PlauditError, match="role does not allow"):
                client.next()

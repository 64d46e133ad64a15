"""What is watched: the report's own numbers, every behaviour and question, and a stream that holds nobody up."""

from __future__ import annotations

import asyncio
import csv
import io
import json
import math
import signal
import subprocess
import sys
import time
from contextlib import AsyncExitStack
from pathlib import Path

import httpx
import numpy as np
import pytest
from fastapi import Request
from fastapi.testclient import TestClient

from plaudit.records import AnnotatorKind, AnnotatorProfile, Choice, Comparison, TextSegment, to_json
from plaudit.report.gather import gather
from plaudit.report.scores import When, keep, load
from plaudit.report.source import Source
from plaudit.report.write import write_report
from plaudit.store.store import Store
from plaudit.studio.roles import Role
from plaudit.studio.watch import Watch
from tests.report_runs import FakeRun
from tests.studio_examples import Clock, make_store, moving_webp, render_all
from tests.watch_examples import Serving, scored_run, watching

LOCAL = "http://127.0.0.1"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory):
    """A finished run with scores, and what its watch says."""
    path = tmp_path_factory.mktemp("watched")
    with scored_run(path, choices={1: Choice.SKIP, 9: Choice.TIE}) as store:
        yield store, path, TestClient(watching(store), base_url=LOCAL)


def test_the_summary_is_the_reports(run):
    store, path, client = run
    assert client.get("/api/watch/summary").json() == json.loads(json.dumps(to_json(gather(store, path))))


@pytest.mark.slow
def test_the_summary_is_what_report_json_holds(tmp_path: Path):
    with FakeRun(tmp_path, clips=False, labels_per_round=2).write() as store:
        write_report(store, tmp_path)
        found = TestClient(watching(store), base_url=LOCAL).get("/api/watch/summary").json()
    assert found == json.loads((tmp_path / "report.json").read_text())


def test_a_summary_that_grew_with_the_log_is_the_same_as_one_made_at_once(tmp_path: Path):
    run = FakeRun(tmp_path, rounds=1)
    clock = Clock()
    with run.write() as store:
        watch = Watch(store, clock=clock)
        for round_ in (1, 2):
            for stage in ("act", "ask", "learn", "improve", "check"):
                run._stage(store, round_, stage)
                clock.now += 1000.0
                grown = json.loads(asyncio.run(watch.summary()))
                assert grown == json.loads(json.dumps(to_json(gather(store, tmp_path))))
        store.retract(next(one.id for _, one in store.feedback()), "by mistake")
        clock.now += 1000.0
        grown = json.loads(asyncio.run(watch.summary()))
        assert grown == json.loads(json.dumps(to_json(gather(store, tmp_path))))
        assert grown["ask"]["answered"] == 23


def test_the_log_is_looked_at_once_a_second_and_less_often_where_summaries_are_dear(tmp_path: Path):
    clock = Clock()
    with make_store(tmp_path, questions=1) as store:
        watch = Watch(store, clock=clock)
        first = asyncio.run(watch.now())
        store.add_annotator(AnnotatorProfile("ann", AnnotatorKind.PERSON))
        clock.now += 0.9
        assert asyncio.run(watch.now()) == first
        clock.now += 0.2
        assert asyncio.run(watch.now()).seq == first.seq + 1
        watch._cost = 0.5  # seconds that the last summary took
        store.add_annotator(AnnotatorProfile("bob", AnnotatorKind.PERSON))
        clock.now += 9.9
        assert asyncio.run(watch.now()).seq == first.seq + 1
        clock.now += 0.2
        assert asyncio.run(watch.now()).seq == first.seq + 2


@pytest.mark.parametrize(
    ("stages", "where"),
    [(0, (1, "act", False)), (1, (1, "ask", False)), (5, (2, "act", False)), (15, (3, "check", True))],
)
def test_where_the_run_stands(tmp_path: Path, stages: int, where: tuple[int, str, bool]):
    run = FakeRun(tmp_path, rounds=0)
    with run.write() as store:
        for number in range(stages):
            run._stage(store, number // 5, ("act", "ask", "learn", "improve", "check")[number % 5])
        now = TestClient(watching(store), base_url=LOCAL).get("/api/watch/now").json()
        assert (now["round"], now["stage"], now["finished"]) == where
        assert now["rounds"] == 3
        assert now["seq"] == store.head()[0]
        assert abs(now["since"] - time.time()) < 120


def test_every_behaviour_is_on_some_page_newest_first(run):
    store, _, client = run
    seen, cursor = [], None
    while True:
        query = {"count": 7} | ({} if cursor is None else {"cursor": cursor})
        page = client.get("/api/watch/behaviours", params=query).json()
        rows = page["behaviours"]["rows"]
        assert [one["segment"] for one in page["seen"]] == [row["segment"] for row in rows]
        seen += rows
        cursor = page["behaviours"]["cursor"]
        if cursor is None:
            break
    logged = [event.payload["id"] for event in store.events(kinds={"segment.added"})]
    assert [row["segment"] for row in seen] == logged[::-1]
    assert page["behaviours"]["total"] == len(logged) == 50
    by_label = {row["label"]: row for row in seen if row["label"]}
    assert set(by_label) == {"before", "after"}
    assert by_label["after"]["opinion"] is None
    assert sum(row["answers"] for row in seen) == 48


def test_a_behaviour_tells_scores_by_version_and_its_questions(run):
    store, _, client = run
    query = store.queries()[3]
    segment = query.segments[0]
    found = client.get(f"/api/watch/behaviours/{segment}").json()
    true = store.segment_data(store.segment(segment)).true_rewards.sum()
    assert [one["reward"] for one in found["behaviour"]["opinions"]] == ["0r" * 8, "1r" * 8, "2r" * 8]
    for one, second in zip(found["behaviour"]["opinions"], (-true, 0.0, true), strict=True):
        assert one["members"] == pytest.approx([true, second])
        assert one["mean"] == pytest.approx((true + second) / 2)
    assert [one["query"] for one in found["behaviour"]["asked"]] == [query.id]
    assert {one["segment"] for one in found["seen"]} == set(query.segments)
    assert store.job(f"render/{segment}") is not None  # whoever looks has it drawn


def test_why_a_question_was_asked_and_what_its_answer_changed(run):
    store, _, client = run
    query = next(one for one in store.queries() if one.round == 1)
    asked = client.get(f"/api/watch/questions/{query.id}").json()["asked"]
    assert (asked["strategy"], asked["score"], asked["round"]) == ("disagreement", 0.5, 2)
    learned = asked["given"][0]["learned"]
    assert learned["round"] == 2
    assert learned["together"] == 8
    assert (learned["before"]["reward"], learned["after"]["reward"]) == ("0r" * 8, "1r" * 8)
    assert learned["after"]["accuracy_heldout"] == pytest.approx(22 / 24)
    returns = {one: store.segment_data(store.segment(one)).true_rewards.sum() for one in query.segments}
    apart = returns[query.segments[0]] - returns[query.segments[1]]
    assert learned["odds_before"]["first"] == pytest.approx([1 / (1 + math.exp(-apart)), 0.5])
    assert learned["odds_after"]["mean"] == pytest.approx(np.mean(learned["odds_after"]["first"]))
    assert learned["odds_after"]["spread"] == pytest.approx(np.std(learned["odds_after"]["first"]))


def test_a_skip_taught_nothing(run):
    store, _, client = run
    asked = client.get(f"/api/watch/questions/{store.queries()[1].id}").json()["asked"]
    assert asked["given"][0]["reply"]["answer"] == "skip"
    assert asked["given"][0]["learned"] is None


def test_questions_come_newest_first_in_pages(run):
    store, _, client = run
    names = [one.id for one in store.queries()][::-1]
    first = client.get("/api/watch/questions", params={"count": 20}).json()
    rest = client.get("/api/watch/questions", params={"count": 20, "cursor": first["cursor"]}).json()
    assert [one["query"] for one in first["asked"] + rest["asked"]] == names
    assert rest["cursor"] is None


def test_answers_that_wait_and_runs_without_scores_say_so(tmp_path: Path):
    with make_store(tmp_path, questions=2) as store:
        client = TestClient(watching(store), base_url=LOCAL)
        query = store.queries()[0]
        asked = client.get(f"/api/watch/questions/{query.id}").json()["asked"]
        assert asked["given"] == []
        assert asked["odds"] is None
        store.add_annotator(AnnotatorProfile("ann", AnnotatorKind.PERSON))
        store.add_feedback([Comparison(id="fbk_1", query=query.id, annotator="ann", choice=Choice.FIRST)])
        later = TestClient(watching(store), base_url=LOCAL).get(f"/api/watch/questions/{query.id}").json()["asked"]
        assert later["given"][0]["learned"] is None


def test_clips_are_served_to_those_who_watch(tmp_path: Path):
    with make_store(tmp_path, questions=1) as store:
        client = TestClient(watching(store), base_url=LOCAL)
        segment = store.queries()[0].segments[0]
        assert client.get(f"/api/watch/clips/{segment}").status_code == 404
        assert client.get(f"/api/watch/behaviours/{segment}").json()["seen"][0]["url"] is None
        clip = moving_webp()
        render_all(store, clip)
        url = client.get(f"/api/watch/behaviours/{segment}").json()["seen"][0]["url"]
        reply = client.get(url)
        assert reply.content == clip
        assert reply.headers["content-type"] == "image/webp"
        job = store.job(f"render/{segment}")
        assert client.get(f"/api/watch/clips/{job.result['blob']}").status_code == 404


def test_texts_are_behaviour_too(tmp_path: Path):
    from plaudit.records import Query, QueryKind

    with Store.create(tmp_path / "store.sqlite", {"format": 1, "config": {}, "versions": {}}) as store:
        texts = [TextSegment("Why?", answer, policy="someone") for answer in ("Because.", "<script>alert(1)</script>")]
        store.add_segments(texts)
        names = tuple(one.id for one in texts)
        query = Query(kind=QueryKind.COMPARISON, segments=names, shown=(0, 1), round=0, index=0, strategy="imported")
        store.add_queries([query])
        client = TestClient(watching(store), base_url=LOCAL)
        found = client.get(f"/api/watch/behaviours/{names[1]}").json()
        assert found["behaviour"]["row"]["text"]
        assert found["seen"][0]["completion"] == [{"role": "assistant", "content": "<script>alert(1)</script>"}]
        assert client.get("/api/watch/summary").json()["ask"]["asked"] == 1


def test_metrics_are_those_of_the_log_as_series_and_as_a_table(run):
    store, _, client = run
    logged = [
        (str(event.payload["round"] + 1), event.payload["stage"], name, float(value))
        for event in store.events(kinds={"stage.completed"})
        for name, value in event.payload["metrics"].items()
    ]
    series = client.get("/api/watch/metrics").json()["series"]
    points = [(str(p["round"]), one["stage"], one["name"], p["value"]) for one in series for p in one["points"]]
    assert sorted(points) == sorted(logged)
    rows = list(csv.reader(io.StringIO(client.get("/api/watch/metrics.csv").text)))
    assert rows[0] == ["round", "stage", "name", "value"]
    assert [(round_, stage, name, float(value)) for round_, stage, name, value in rows[1:]] == logged


PATHS = [
    "summary",
    "now",
    "stream",
    "metrics",
    "metrics.csv",
    "behaviours",
    "behaviours/x",
    "clips/x",
    "questions",
    "questions/x",
]


@pytest.mark.parametrize(("role", "status"), [(None, 401), (Role.ANNOTATOR, 403), (Role.SERVICE, 403)])
def test_who_may_not_watch_sees_nothing(run, role: Role | None, status: int):
    client = TestClient(watching(run[0], role), base_url=LOCAL)
    assert {path: client.get(f"/api/watch/{path}").status_code for path in PATHS} == dict.fromkeys(PATHS, status)


def test_all_routes_are_here(run):
    app = watching(run[0])
    mine = {route.partition("/{")[0] for route in app.openapi()["paths"] if route.startswith("/api/watch/")}
    assert mine == {f"/api/watch/{path.removesuffix('/x')}" for path in PATHS}


@pytest.mark.parametrize(
    ("path", "status"),
    [("behaviours/seg_0", 404), ("questions/qry_0", 404), ("behaviours?cursor=-1", 422), ("questions?count=1e9", 422)],
)
def test_what_is_not_there_is_refused_in_words(run, path: str, status: int):
    assert run[2].get(f"/api/watch/{path}").status_code == status


def test_scores_come_back_as_they_were_kept(tmp_path: Path):
    with FakeRun(tmp_path, rounds=1).write() as store:
        names = [one for query in store.queries() for one in query.segments]
        members = np.random.default_rng(0).normal(size=(3, len(names)))
        assert load(store, 0, When.AFTER) is None
        keep(store, 0, When.AFTER, reward="rew_1", segments=names, members=members)
        keep(store, 0, When.AFTER, reward="rew_1", segments=names, members=members + 1)  # a stage that is repeated
        found = load(store, 0, When.AFTER)
        assert found.reward == "rew_1"
        assert [found.of(name).tolist() for name in names] == members.T.tolist()
        assert found.of("seg_" + "0" * 32) is None
        assert load(store, 0, When.BEFORE) is None


def test_a_source_reads_each_event_once(run, monkeypatch):
    store, _, _ = run
    source = Source(store).read()
    monkeypatch.setattr(store, "events", None)
    assert source.read().head == store.head()


class Events:
    """A stream as the browser sees it."""

    def __init__(self, reply: httpx.Response) -> None:
        self.lines = reply.aiter_lines()

    async def next(self) -> dict[str, str]:
        found: dict[str, str] = {}
        async for line in self.lines:
            if line:
                name, _, value = line.partition(":")
                found[name or "comment"] = value.strip()
            elif found:
                return found
        raise AssertionError("the stream ended")


def stream_to(stack: AsyncExitStack, client: httpx.AsyncClient, address: str, last: int | None = None):
    headers = {} if last is None else {"Last-Event-ID": str(last)}
    return stack.enter_async_context(client.stream("GET", f"{address}/api/watch/stream", headers=headers))


def append_answers(store: Store, count: int) -> None:
    given = {one.query for _, one in store.feedback()}
    fresh = [query for query in store.queries() if query.id not in given][:count]
    assert len(fresh) == count
    store.add_feedback(
        [Comparison(id=f"fbk_{query.id}", query=query.id, annotator="ann", choice=Choice.FIRST) for query in fresh]
    )


def test_labels_flow_while_200_people_watch(tmp_path: Path):
    """The streams share one task and one thread; answers come in by handlers that need threads of the pool."""
    streams, labels = 200, 12
    with make_store(tmp_path, questions=labels) as store:
        store.add_annotator(AnnotatorProfile("ann", AnnotatorKind.PERSON))
        app = watching(store)

        @app.post("/label")
        def label(request: Request) -> int:
            append_answers(store, 1)
            return len(store.feedback())

        async def watch_and_label(address: str) -> None:
            limits = httpx.Limits(max_connections=streams + 10)
            async with httpx.AsyncClient(limits=limits, timeout=30) as client, AsyncExitStack() as stack:
                before = threads()
                opened = [await stream_to(stack, client, address) for _ in range(streams)]
                watched = [Events(one) for one in opened]
                first = await asyncio.gather(*(one.next() for one in watched))
                assert {one["retry"] for one in first} == {"2000"}
                assert {json.loads((await one.next())["data"])["seq"] for one in watched} == {store.head()[0]}
                assert app.state.watch.streams == streams
                for number in range(labels):
                    headers = {"Origin": address, "Content-Length": "0"}
                    assert (await client.post(f"{address}/label", headers=headers)).json() == number + 1
                told = await asyncio.gather(*(until_seq(one, store.head()[0]) for one in watched))
                assert len(told) == streams
                assert threads() - before < 45  # of the pool, whatever the number of streams

        with Serving(app) as serving:
            asyncio.run(watch_and_label(serving.address))


def threads() -> int:
    import threading

    return threading.active_count()


async def until_seq(events: Events, seq: int) -> None:
    while json.loads((await events.next())["data"])["seq"] != seq:
        pass


def test_a_stream_begins_where_the_browser_left_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("plaudit.studio.watch.BEAT_SECONDS", 0.1)

    async def follow(store: Store, address: str) -> None:
        async with httpx.AsyncClient(timeout=20) as client, AsyncExitStack() as stack:
            here = store.head()[0]
            knows = Events(await stream_to(stack, client, address, here))
            behind = Events(await stream_to(stack, client, address, here - 1))
            await knows.next()
            await behind.next()
            assert await knows.next() == {"comment": "alive"}  # nothing new, only a heartbeat
            event = await behind.next()
            assert (event["id"], event["event"]) == (str(here), "changed")
            assert json.loads(event["data"])["stage"] == "act"
            append_answers(store, 1)
            while "id" not in (event := await knows.next()):
                assert event == {"comment": "alive"}
            assert event["id"] == str(here + 1)

    with make_store(tmp_path, questions=2) as store:
        store.add_annotator(AnnotatorProfile("ann", AnnotatorKind.PERSON))
        with Serving(watching(store)) as serving:
            asyncio.run(follow(store, serving.address))


SERVE = """
import sys
from pathlib import Path
from plaudit.studio.serve import serve
serve(Path(sys.argv[1]), port=0, open_browser=False, announce=lambda link: print(link, flush=True))
"""


def test_a_studio_that_is_stopped_does_not_wait_for_those_who_watch(tmp_path: Path):
    make_store(tmp_path, questions=1).close()
    command = [sys.executable, "-c", SERVE, str(tmp_path / "store.sqlite")]
    studio = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert studio.stdout is not None
        link = studio.stdout.readline().strip()
        with httpx.Client(timeout=20) as client:
            client.get(link)
            with client.stream("GET", f"{link.partition('/enter')[0]}/api/watch/stream") as stream:
                assert stream.status_code == 200
                assert next(stream.iter_lines()) == "retry: 2000"
                studio.send_signal(signal.SIGINT)
                studio.wait(timeout=30)
    finally:
        studio.kill()
        studio.communicate()


def test_watching_needs_no_heavy_library():
    code = (
        "import plaudit.report.gather, plaudit.report.insight, plaudit.report.series, plaudit.studio.watch_api, sys; "
        "heavy = {'torch', 'jax', 'transformers', 'stable_baselines3', 'matplotlib'} & set(sys.modules); "
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)

"""A judge behind an endpoint, against a small server that fails in all the ways that servers do."""

from __future__ import annotations

import json
import math
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

from plaudit.ask.endpoint import Endpoint, EndpointConfig, log_odds, parsed
from plaudit.ask.judge import Judge
from plaudit.errors import ConfigError, EndpointError
from plaudit.records import Choice, Query, QueryKind, TextSegment
from tests.judge_examples import block


def said(text, top=None, token=None):
    """A reply of one choice; with `top` the likeliest tokens of the step in which `token` was said."""
    choice = {"message": {"role": "assistant", "content": text}}
    if top is not None:
        listed = [{"token": name, "logprob": value} for name, value in top.items()]
        choice["logprobs"] = {"content": [{"token": token or text, "logprob": 0.0, "top_logprobs": listed}]}
    return {"choices": [choice]}


@contextmanager
def serving(replies):
    """A server; `replies(body, number)` gives (status, reply or bytes) or (status, reply, headers). Yields (url, requests)."""
    requests, lock = [], threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            with lock:
                requests.append((self.path, dict(self.headers), body))
                number = len(requests)
            status, reply, *headers = replies(body, number)
            data = reply if isinstance(reply, bytes) else json.dumps(reply).encode()
            self.send_response(status)
            for name, value in (headers[0] if headers else {}).items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1", requests
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def endpoint(url, **settings):
    """An endpoint and how long it slept."""
    slept = []
    return Endpoint(EndpointConfig(url=url, model="m", **settings), sleep=slept.append), slept


def likes_long(body, number):
    """Says which answer is longer, and how likely, by its length; leans to A."""
    del number
    question = body["messages"][0]["content"]
    odds = (len(block("answer-A", question)) - len(block("answer-B", question))) / 10 + 1
    return 200, said("A" if odds > 0 else "B", {"A": -math.log1p(math.exp(-odds)), "B": -math.log1p(math.exp(odds))})


def test_a_judge_behind_an_endpoint_reads_both_orders():
    long, short = TextSegment("p", "a longer answer"), TextSegment("p", "short")
    query = Query(QueryKind.COMPARISON, (short.id, long.id), (0, 1), 0, 0, "x")
    with serving(likes_long) as (url, requests):
        judge = Judge(endpoint(url)[0])
        (answer,) = judge.answers([query], {one.id: one for one in (long, short)})
    assert answer.choice is Choice.SECOND
    assert answer.strength == pytest.approx(math.tanh(0.5))
    assert len(requests) == 2
    assert {path for path, _, _ in requests} == {"/v1/chat/completions"}
    first, second = (body["messages"][0]["content"] for _, _, body in requests)
    assert {block("answer-A", first), block("answer-A", second)} == {"short", "a longer answer"}
    body = requests[0][2]
    assert body["logprobs"] is True
    assert body["top_logprobs"] == 20
    assert body["temperature"] == 0.0
    assert "m" in judge.profile.description
    assert "127.0.0.1" not in judge.profile.description


def test_answers_come_in_the_order_of_the_questions():
    def replies(body, number):
        time.sleep(0.02 if number == 1 else 0.0)
        return 200, said("A", {"A": -float(body["messages"][0]["content"]), "B": -10.0})

    with serving(replies) as (url, _):
        assert endpoint(url)[0].read([str(n) for n in range(6)]).tolist() == [10.0 - n for n in range(6)]


def test_without_logprobs_the_text_is_read():
    with serving(lambda body, number: (200, said("The better one is **B**."))) as (url, _):
        assert endpoint(url)[0].read(["q"]).tolist() == [-math.inf]


def test_a_server_that_refuses_logprobs_is_asked_without_them():
    def replies(body, number):
        return (400, {"error": "logprobs is not supported"}) if "logprobs" in body else (200, said("A"))

    with serving(replies) as (url, requests):
        reader, slept = endpoint(url, at_once=1)
        assert reader.read(["q", "r"]).tolist() == [math.inf, math.inf]
    assert ["logprobs" in body for _, _, body in requests] == [True, False, False]
    assert slept == []


def test_what_passes_is_waited_for():
    def replies(body, number):
        return {1: (503, {}), 2: (429, {}, {"Retry-After": "7"}), 3: (500, {})}.get(number) or (200, said("A"))

    with serving(replies) as (url, requests):
        reader, slept = endpoint(url, wait=0.5)
        assert reader.read(["q"]).tolist() == [math.inf]
    assert len(requests) == 4
    assert slept == [0.5, 7.0, 2.0]


def test_what_does_not_is_told():
    with serving(lambda body, number: (401, {"error": "no such key"})) as (url, requests):
        with pytest.raises(EndpointError, match=r"does not answer.*401.*no such key.*key_variable"):
            endpoint(url)[0].read(["q"])
        assert len(requests) == 1
    with serving(lambda body, number: (503, b"busy")) as (url, requests):
        reader, slept = endpoint(url, retries=2)
        with pytest.raises(EndpointError, match=r"503: busy"):
            reader.read(["q"])
        assert len(requests) == 3
        assert slept == [1.0, 2.0]


@pytest.mark.parametrize(
    "reply", [b"<html>", {"choices": []}, {"other": 1}, {"choices": [{"message": {"content": 3}}]}]
)
def test_a_reply_that_cannot_be_read_is_told(reply):
    with serving(lambda body, number: (200, reply)) as (url, _), pytest.raises(EndpointError, match="cannot be read"):
        endpoint(url)[0].read(["q"])


def test_a_server_that_is_gone_or_silent_is_given_up():
    with serving(lambda body, number: (200, said("A"))) as (url, _):
        pass
    reader, slept = endpoint(url, retries=1)
    with pytest.raises(EndpointError, match="ConnectionRefused"):
        reader.read(["q"])
    assert slept == [1.0]
    held = threading.Event()

    def hangs(body, number):
        held.wait(5)
        return 200, said("A")

    with serving(hangs) as (url, _):
        with pytest.raises(EndpointError, match=r"(?i)time"):
            endpoint(url, timeout=0.1, retries=0)[0].read(["q"])
        held.set()


def test_the_key_comes_from_the_environment(monkeypatch):
    monkeypatch.delenv("JUDGE_KEY", raising=False)
    with pytest.raises(ConfigError, match=r"\$JUDGE_KEY is empty"):
        endpoint("http://localhost:1/v1", key_variable="JUDGE_KEY")
    monkeypatch.setenv("JUDGE_KEY", "secret")
    with serving(lambda body, number: (200, said("A"))) as (url, requests):
        endpoint(url, key_variable="JUDGE_KEY")[0].read(["q"])
    assert requests[0][1]["Authorization"] == "Bearer secret"


@pytest.mark.parametrize("url", ["", "ftp://x", "http://example.com/v1", "nonsense"])
def test_addresses_that_are_refused(url):
    with pytest.raises(ConfigError, match=r"address|clear"):
        EndpointConfig(url=url, model="m")


def test_settings_that_are_refused():
    for bad in ({"model": ""}, {"model": "m", "timeout": 0.0}, {"model": "m", "at_once": 0}):
        with pytest.raises(ConfigError, match="out of range"):
            EndpointConfig(url="https://example.com/v1", **bad)


@pytest.mark.parametrize(
    ("text", "odds"),
    [
        ("A", math.inf), ("B.", -math.inf), ("Answer: B", -math.inf), ("答案是A。", math.inf), ("选B更好", -math.inf),
        ("A is better than B", math.nan), ("Neither.", math.nan), ("", math.nan), ("Both are Apt", math.nan),
    ],
)  # fmt: skip
def test_letters_in_text(text, odds):
    assert parsed(text) == odds or (math.isnan(odds) and math.isnan(parsed(text)))


def test_letters_among_tokens_by_hand():
    top = {"A": math.log(0.5), " A": math.log(0.1), "B": math.log(0.2), "The": math.log(0.05)}
    assert log_odds(said("A", top)["choices"][0]) == pytest.approx(math.log(0.6 / 0.2))
    alone = {"B": math.log(0.9), "The": math.log(0.01)}  # A is at most as likely as the last one listed
    assert log_odds(said("B", alone)["choices"][0]) == pytest.approx(math.log(0.01 / 0.9))
    assert log_odds(said("A", {}, token="A")["choices"][0]) == math.inf
    later = said("**A**", {"A": -0.1, "B": -3.0}, token="A")["choices"][0]
    later["logprobs"]["content"].insert(
        0, {"token": "**", "logprob": 0.0, "top_logprobs": [{"token": "A", "logprob": -9.0}]}
    )
    assert log_odds(later) == pytest.approx(2.9)


def test_it_writes_too():
    def replies(body, number):
        return 200, said(f"{body['messages'][0]['content']} {body['max_tokens']} {body['seed'] == 7}")

    with serving(replies) as (url, _):
        assert endpoint(url)[0].say(["one", "two"], max_tokens=9, seed=7) == ["one 9 True", "two 9 True"]


def test_thoughts_without_an_answer_are_silence():
    with serving(lambda body, number: (200, {"choices": [{"message": {"content": None}}]})) as (url, _):
        assert np.isnan(endpoint(url)[0].read(["q"])).all()

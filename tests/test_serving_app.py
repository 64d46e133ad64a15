"""The endpoint as OpenAI's clients see it: whole and streamed answers, clear refusals, one model thread, a way into the queue."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading

import httpx
import pytest
from fastapi.testclient import TestClient

from plaudit.engine.model import LanguageModel
from plaudit.engine.sampling import Sampling
from plaudit.errors import ConfigError
from plaudit.records import Message, QueryKind
from plaudit.serving.app import LONGEST_BODY, Served, create_app
from plaudit.serving.judging import open_queue
from plaudit.serving.serve import ServeConfig, serve
from plaudit.serving.speaker import BusyError, Speaker, Talker, Wish
from plaudit.serving.wire import Defaults
from tests.text_runs import tiny

HELLO = [{"role": "user", "content": "hello world"}]
HERE = "http://127.0.0.1"


@pytest.fixture(scope="module")
def speaker():
    return Speaker(LanguageModel.load(tiny()))


@pytest.fixture
def talker(speaker):
    talker = Talker(speaker, waiting=2)
    yield talker
    talker.close()


@pytest.fixture
def client(talker):
    return TestClient(create_app(Served("tiny", talker, Defaults(max_tokens=12), seed=5)), base_url=HERE)


def events(text: str) -> list[dict]:
    lines = [line.removeprefix("data: ") for line in text.split("\n\n") if line]
    assert lines.pop() == "[DONE]"
    return [json.loads(line) for line in lines]


def test_models(client):
    (model,) = client.get("/v1/models").json()["data"]
    assert model["id"] == "tiny"
    assert client.get("/v1/models/tiny").json()["object"] == "model"
    assert client.get("/v1/models/gpt-4").status_code == 404


def test_a_streamed_answer_is_the_whole_one_and_what_generate_says(client, speaker):
    body = {"model": "tiny", "messages": HELLO, "seed": 3, "n": 2}
    whole = client.post("/v1/chat/completions", json=body).json()
    prompt = speaker.tokeniser.prompt((Message("user", "hello world"),))
    sampling = Sampling(max_tokens=12, stop=speaker.tokeniser.stop)
    rollout = speaker.model.generate([prompt], samples=2, sampling=sampling, seed=3)
    assert [one["message"]["content"] for one in whole["choices"]] == [
        speaker.tokeniser.text(row.tolist()) for row in rollout.batch.rows
    ]
    ends = ["stop" if finished else "length" for finished in rollout.finished.tolist()]
    assert [one["finish_reason"] for one in whole["choices"]] == ends
    written = len(rollout.batch.tokens)
    usage = {"prompt_tokens": len(prompt), "completion_tokens": written, "total_tokens": len(prompt) + written}
    assert whole["usage"] == usage
    told = events(
        client.post(
            "/v1/chat/completions", json=body | {"stream": True, "stream_options": {"include_usage": True}}
        ).text
    )
    assert told.pop()["usage"] == usage
    said = ["", ""]
    for one in told:
        assert one["object"] == "chat.completion.chunk"
        (choice,) = one["choices"]
        said[choice["index"]] += choice["delta"].get("content", "")
    assert said == [one["message"]["content"] for one in whole["choices"]]
    last = {one["choices"][0]["index"]: one["choices"][0]["finish_reason"] for one in told}
    assert [last[0], last[1]] == ends


def test_plain_completions_take_several_prompts_and_stop_words(client, speaker):
    body = {"prompt": ["the cat", "what is"], "max_tokens": 8, "temperature": 0}
    found = client.post("/v1/completions", json=body).json()
    texts = [one["text"] for one in found["choices"]]
    assert [one["index"] for one in found["choices"]] == [0, 1]
    alone = client.post("/v1/completions", json=body | {"prompt": "what is"}).json()
    assert alone["choices"][0]["text"] == texts[1]
    word = texts[1][2:4]
    cut = client.post("/v1/completions", json=body | {"prompt": "what is", "stop": word}).json()["choices"][0]
    assert cut["text"] == texts[1][: texts[1].index(word)]
    assert cut["finish_reason"] == "stop"
    streamed = events(client.post("/v1/completions", json=body | {"stop": [word], "stream": True}).text)
    joined = "".join(one["choices"][0]["text"] for one in streamed if one["choices"][0]["index"] == 1)
    assert joined == cut["text"]


@pytest.mark.parametrize(
    ("change", "param", "status"),
    [
        ({"messages": []}, "messages", 400),
        ({"messages": [{"role": "wizard", "content": "x"}]}, "messages[0].role", 400),
        ({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}, "messages[0].content", 400),
        ({"temperature": 3}, "temperature", 400),
        ({"temperature": True}, "temperature", 400),
        ({"top_p": 0}, "top_p", 400),
        ({"n": 99}, "n", 400),
        ({"max_tokens": 0}, "max_tokens", 400),
        ({"max_tokens": 10_000}, None, 400),
        ({"stop": [""]}, "stop", 400),
        ({"seed": "x"}, "seed", 400),
        ({"stream": "yes"}, "stream", 400),
        ({"tools": [{"type": "function"}]}, "tools", 400),
        ({"logit_bias": {"5": 1}}, "logit_bias", 400),
        ({"colour": "red"}, "colour", 400),
        ({"model": "gpt-4"}, "model", 404),
    ],
)
def test_what_is_not_served_is_refused_by_name(client, change, param, status):
    found = client.post("/v1/chat/completions", json={"messages": HELLO} | change)
    assert found.status_code == status
    error = found.json()["error"]
    assert error["param"] == param
    assert error["message"]


def test_bodies_hosts_pages_and_keys(client, talker):
    url = "/v1/chat/completions"
    assert client.post(url, content=b"{", headers={"content-type": "application/json"}).status_code == 400
    assert client.post(url, content=b"{}", headers={"content-type": "text/plain"}).status_code == 415
    assert client.post(url, json=[1]).status_code == 400
    long = client.post(url, content=b" " * (LONGEST_BODY + 1), headers={"content-type": "application/json"})
    assert long.status_code == 413
    assert client.get("/v1/models", headers={"host": "evil.example"}).status_code == 421
    assert client.get("/v1/models", headers={"origin": "https://evil.example"}).status_code == 403
    assert client.get("/nothing").json()["error"]["message"].startswith("GET /nothing")
    kept = TestClient(create_app(Served("tiny", talker, key="k3y")), base_url="http://model.example")
    assert kept.get("/v1/models").status_code == 401
    assert kept.get("/v1/models", headers={"authorization": "Bearer other"}).status_code == 401
    assert kept.get("/v1/models", headers={"authorization": "Bearer k3y"}).status_code == 200


def test_others_are_not_served_without_a_key(speaker):
    with pytest.raises(ConfigError, match="anybody could use it"):
        serve(speaker, ServeConfig(host="0.0.0.0", port=0), announce=print)


def test_who_comes_when_too_many_wait_is_told_so_and_whoever_leaves_frees_the_model(speaker, monkeypatch):
    begun, go_on = threading.Event(), threading.Event()
    speak = speaker.speak

    def slowly(wish):
        begun.set()
        go_on.wait(30)
        yield from speak(wish)

    monkeypatch.setattr(speaker, "speak", slowly)
    talker = Talker(speaker, waiting=1)
    wish = Wish((Message("user", "hi"),), Sampling(max_tokens=100), 0)
    first = talker.ask(wish)
    assert begun.wait(30)
    second = talker.ask(wish)
    with pytest.raises(BusyError, match="Too many"):
        talker.ask(wish)
    client = TestClient(create_app(Served("tiny", talker)), base_url=HERE)
    busy = client.post("/v1/chat/completions", json={"messages": HELLO})
    assert (busy.status_code, busy.json()["error"]["type"]) == (429, "rate_limit_error")
    assert busy.headers["retry-after"]
    first.cancel()
    go_on.set()
    assert list(first) == []
    assert [piece.end for piece in second][-1] is not None
    talker.close()


def test_two_answers_and_thumbs_go_into_the_queue(talker, tmp_path):
    queue = open_queue(tmp_path / "queue", policy="chat/tiny")
    client = TestClient(create_app(Served("tiny", talker, Defaults(max_tokens=8)), queue), base_url=HERE)
    found = client.post("/v1/plaudit/comparisons", json={"messages": HELLO}).json()
    (query,) = queue.store.unanswered()
    assert query.id == found["query"]
    texts = queue.store.texts(query.segments)
    assert [texts[name].completion for name in query.segments] == [
        (Message("assistant", one),) for one in found["answers"]
    ]
    assert {text.policy for text in texts.values()} == {"chat/tiny"}
    same = client.post("/v1/plaudit/comparisons", json={"messages": HELLO, "temperature": 0})
    assert (same.status_code, same.json()["error"]["code"]) == (409, "same_answers")
    rated = {"messages": HELLO, "answer": "hi", "good": False, "annotator": "ann"}
    assert client.post("/v1/plaudit/ratings", json=rated).json()["feedback"]["value"] == 0
    assert client.post("/v1/plaudit/ratings", json=rated | {"good": 1}).status_code == 400
    assert [one.kind for one in queue.store.queries()] == [QueryKind.COMPARISON, QueryKind.RATING]
    queue.store.close()


@pytest.mark.slow
def test_the_verb_serves_until_it_is_interrupted_also_whoever_leaves_a_stream():
    command = [sys.executable, "-W", "ignore", "-m", "plaudit.cli.main", "serve", str(tiny()), "--port", "0"]
    with subprocess.Popen([*command, "--threads", "1"], stdout=subprocess.PIPE, text=True) as process:
        try:
            address = (process.stdout or sys.stdin).readline().split()[-1]
            body = {"messages": HELLO, "stream": True, "max_tokens": 100, "temperature": 1.0, "seed": 1}
            with httpx.stream("POST", f"{address}/chat/completions", json=body, timeout=60) as left:
                assert left.status_code == 200
                assert next(left.iter_lines()).startswith("data: ")
            found = httpx.post(f"{address}/chat/completions", json=body | {"stream": False}, timeout=60).json()
            assert found["usage"]["completion_tokens"] >= 1
            assert httpx.get(f"{address}/models", timeout=60).json()["data"][0]["id"] == tiny().name
        finally:
            process.send_signal(signal.SIGINT)
        assert process.wait(timeout=60) in (0, 130)

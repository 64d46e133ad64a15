"""Webhooks: signed as Standard Webhooks says, told in order, tried again, never lost, and never to a private address."""

import base64
import hashlib
import hmac
import json
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from plaudit.errors import RecordError
from plaudit.studio import deliver
from plaudit.studio.deliver import Deliveries, address_of, send
from plaudit.studio.roles import Role
from plaudit.studio.webhooks import HELD_SECONDS, PAUSES, Webhook, Webhooks, require_url, signed
from tests.access_examples import Studio, make_studio
from tests.store_examples import answer, sql


class Receiver(ThreadingHTTPServer):
    """Takes messages, or refuses them with the statuses that it is given."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.statuses: list[int] = []
        self.got: list[tuple[dict[str, str], bytes]] = []
        self.url = f"http://127.0.0.1:{self.server_port}/told?x=1"


class Handler(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        status = self.server.statuses.pop(0) if self.server.statuses else 200
        if status < 300:
            self.server.got.append(({k.lower(): v for k, v in self.headers.items()}, body))
        self.send_response(status)
        self.send_header("Location", self.server.url)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    thread = threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield made
    made.shutdown()
    thread.join()
    made.server_close()


@pytest.fixture
def studio(tmp_path: Path) -> Iterator[Studio]:
    made = make_studio(tmp_path)
    made.access.accounts.ensure("boss", Role.OWNER)
    yield made
    made.store.close()


@pytest.fixture
def hooks(studio: Studio) -> Webhooks:
    return Webhooks(studio.store, studio.clock)


def make(hooks: Webhooks, receiver: Receiver, *events: str) -> Webhook:
    return hooks.make("boss", receiver.url, events or ("feedback.given",), private=True)


def give(studio: Studio, *places: int) -> None:
    queries = studio.store.queries()
    studio.store.add_feedback([answer(queries[place]) for place in places])


def tell(hooks: Webhooks) -> int:
    return sum(Deliveries(hooks).tell(hook) for hook in hooks.due())


def test_the_signature_is_that_of_the_specification() -> None:
    """Numbers computed by hand after https://github.com/standard-webhooks/standard-webhooks."""
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    message = signed(secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}')
    assert message.headers["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    assert message.headers["webhook-id"] == "msg_p5jXN8AQM9LWM0D4loKWxJek"
    assert message.headers["webhook-timestamp"] == "1614265330"


def test_a_receiver_is_told_what_it_asked_for_from_then_on(studio: Studio, hooks: Webhooks, receiver: Receiver) -> None:
    give(studio, 0)
    hook = make(hooks, receiver, "feedback.given", "stage.completed")
    assert tell(hooks) == 0
    give(studio, 1, 2)
    studio.store.append("stage.completed", {"round": 0, "stage": "act", "checkpoint": "secret"}, "stage/0/act")
    assert tell(hooks) == 3
    assert tell(hooks) == 0
    bodies = [json.loads(body) for _, body in receiver.got]
    assert [body["type"] for body in bodies] == ["feedback.given", "feedback.given", "stage.completed"]
    assert set(bodies[0]["data"]) == {"seq", "id", "query", "annotator", "kind"}  # not the judgement
    assert bodies[2]["data"] == {"seq": studio.store.head()[0], "round": 0, "stage": "act"}
    assert bodies[0]["timestamp"].endswith("Z")
    for headers, body in receiver.got:
        text = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
        key = base64.b64decode(hook.secret.removeprefix("whsec_"))
        expected = base64.b64encode(hmac.new(key, text, hashlib.sha256).digest()).decode()
        assert headers["webhook-signature"] == f"v1,{expected}"
        assert headers["content-type"] == "application/json"
    assert len({headers["webhook-id"] for headers, _ in receiver.got}) == 3


def test_what_was_refused_is_told_later_in_order_and_under_the_same_id(
    studio: Studio, hooks: Webhooks, receiver: Receiver
) -> None:
    hook = make(hooks, receiver)
    give(studio, 0, 1, 2)
    receiver.statuses = [200, 500, 302]  # a redirect is not followed
    assert tell(hooks) == 1
    assert hooks.all(id=hook.id)[0].failures == 1
    assert "500" in (hooks.all(id=hook.id)[0].trouble or "")
    assert tell(hooks) == 0  # not yet
    studio.clock.now += PAUSES[0]
    assert tell(hooks) == 0
    assert "302" in (hooks.all(id=hook.id)[0].trouble or "")
    studio.clock.now += PAUSES[0]
    assert tell(hooks) == 0
    assert len(receiver.statuses) == 0
    studio.clock.now += PAUSES[1]
    again = Webhooks(studio.store, studio.clock)  # a studio that was restarted
    assert tell(again) == 2
    assert [json.loads(body)["data"]["query"] for _, body in receiver.got] == [
        query.id for query in studio.store.queries()[:3]
    ]
    assert (hooks.all(id=hook.id)[0].failures, hooks.all(id=hook.id)[0].trouble) == (0, None)


def test_a_receiver_that_is_gone_costs_nothing_but_time(studio: Studio, hooks: Webhooks, receiver: Receiver) -> None:
    make(hooks, receiver)
    give(studio, 0)
    receiver.statuses = [503] * 10
    waits = []
    for _ in range(10):
        assert tell(hooks) == 0
        ((next_at,),) = sql(studio.store, "SELECT next_at FROM webhook")
        waits.append(next_at - studio.clock.now)
        studio.clock.now = next_at - 1
        assert hooks.due() == []
        studio.clock.now = next_at
    assert waits == [*PAUSES, *[PAUSES[-1]] * 4]
    assert tell(hooks) == 1


def test_two_studios_do_not_tell_the_same_at_once(studio: Studio, hooks: Webhooks, receiver: Receiver) -> None:
    make(hooks, receiver)
    give(studio, 0)
    other = Webhooks(studio.store, studio.clock)
    held = hooks.due()
    assert len(held) == 1
    assert other.due() == []
    studio.clock.now += HELD_SECONDS  # the first one died
    assert len(other.due()) == 1


def test_a_closed_account_hears_nothing(studio: Studio, hooks: Webhooks, receiver: Receiver) -> None:
    studio.access.accounts.ensure("second", Role.OWNER)
    make(hooks, receiver)
    give(studio, 0)
    studio.access.accounts.change("boss", closed=True)
    assert hooks.due() == []


def test_the_worker_delivers_and_stops(studio: Studio, receiver: Receiver) -> None:
    hooks = Webhooks(studio.store)
    make(hooks, receiver)
    with Deliveries(hooks, every=0.01):
        give(studio, 0, 1)
        for _ in range(2000):
            if len(receiver.got) == 2:
                break
            threading.Event().wait(0.01)
    assert len(receiver.got) == 2
    assert not [one for one in threading.enumerate() if one.name == "plaudit-webhooks"]


# where messages may go

PRIVATE = [
    "127.0.0.1", "127.1.2.3", "10.0.0.1", "192.168.1.1", "172.16.0.1", "169.254.169.254", "0.0.0.0", "100.64.0.1",
    "224.0.0.1", "255.255.255.255", "::1", "::", "fe80::1", "fc00::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1",
    "2002:7f00:1::", "64:ff9b::7f00:1", "ff02::1", "64:ff9b::a9fe:a9fe",
]  # fmt: skip


def resolve(monkeypatch: pytest.MonkeyPatch, *addresses: str) -> None:
    def found(host: str, port: int, **_: Any) -> list[Any]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (one, port)) for one in addresses]

    monkeypatch.setattr(deliver.socket, "getaddrinfo", found)


@pytest.mark.parametrize("address", PRIVATE)
def test_private_addresses_are_not_told(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    resolve(monkeypatch, "93.184.215.14", address)
    with pytest.raises(RecordError, match="not public"):
        address_of("looks-fine.example", 443, private=False)
    assert address_of("looks-fine.example", 443, private=True) == "93.184.215.14"


@pytest.mark.parametrize("address", ["93.184.215.14", "2606:2800:21f:cb07:6820:80da:af6b:8b2c"])
def test_public_addresses_are_told(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    resolve(monkeypatch, address)
    assert address_of("example.org", 443, private=False) == address


def test_the_address_that_was_looked_at_is_the_one_that_is_used(
    monkeypatch: pytest.MonkeyPatch, receiver: Receiver
) -> None:
    """A name that leads elsewhere when it is asked for a second time (DNS rebinding) changes nothing."""
    asked: list[str] = []
    monkeypatch.setattr(deliver, "address_of", lambda host, port, private: (asked.append(host), "127.0.0.1")[1])
    url = f"http://rebinding.example:{receiver.server_port}/"
    send(url, signed("whsec_AAAA", "id", 1, b"{}"), private=False)
    assert asked == ["rebinding.example"]
    assert receiver.got[0][0]["host"] == f"rebinding.example:{receiver.server_port}"


def test_a_failed_lookup_or_a_wrong_certificate_is_a_failure_to_be_tried_again(
    studio: Studio, hooks: Webhooks, receiver: Receiver
) -> None:
    for url in (f"https://127.0.0.1:{receiver.server_port}/", "http://no-such-name.invalid/"):
        hook = hooks.make("boss", url, ("feedback.given",), private=True)
    give(studio, 0)
    assert tell(hooks) == 0
    assert [one.failures for one in hooks.all()] == [1, 1]
    assert hook.id in [one.id for one in hooks.all()]


@pytest.mark.parametrize(
    "url",
    [
        "http://example.org/", "ftp://example.org/", "https://", "https://user:pass@example.org/", "https://example.org:x/",
        "https://exa mple.org/", "https://example.org/\r\nX: y", "https://[::1/", "javascript:alert(1)", "https://例え.jp/",
    ],
)  # fmt: skip
def test_urls_that_cannot_be_are_refused(url: str) -> None:
    with pytest.raises(RecordError, match="cannot be told"):
        require_url(url, private=False)


def test_webhooks_are_managed_by_their_makers_and_owners(studio: Studio) -> None:
    boss, lead, other = studio.enter("boss"), studio.enter("lead", Role.LEAD), studio.enter("other", Role.LEAD)
    wish = {"url": "https://example.org/x", "events": ["feedback.given"]}
    made = lead.post("/api/webhooks", json=wish).json()
    assert made["secret"].startswith("whsec_")
    assert made["secret"] not in boss.get("/api/webhooks").text
    assert lead.post("/api/webhooks", json=wish | {"private": True}).status_code == 403
    assert lead.post("/api/webhooks", json=wish | {"events": ["person.kept"]}).status_code == 422
    assert lead.post("/api/webhooks", json=wish | {"url": "http://example.org"}).status_code == 409
    assert boss.post("/api/webhooks", json=wish | {"url": "http://10.0.0.1/", "private": True}).status_code == 200
    id = made["webhook"]["id"]
    assert other.get("/api/webhooks").json() == []
    assert other.delete(f"/api/webhooks/{id}").status_code == 404
    assert len(boss.get("/api/webhooks").json()) == 2
    assert boss.delete(f"/api/webhooks/{id}").status_code == 200
    assert lead.get("/api/webhooks").json() == []


def test_a_receiver_can_be_tried_and_how_its_messages_fared_is_remembered(studio: Studio, receiver: Receiver) -> None:
    boss, other = studio.enter("boss"), studio.enter("other", Role.LEAD)
    wish = {"url": receiver.url, "events": ["feedback.given"], "private": True}
    made = boss.post("/api/webhooks", json=wish).json()
    path, hooks = f"/api/webhooks/{made['webhook']['id']}", studio.app.state.hooks
    assert other.post(f"{path}/test").status_code == 404  # not theirs
    give(studio, 0)
    assert boss.get("/api/webhooks").json()[0]["waiting"] == 1
    tried = boss.post(f"{path}/test", json={})
    assert tried.json() == {
        "at": tried.json()["at"],
        "type": "webhook.test",
        "seq": None,
        "trouble": None,
        "trouble_code": None,
    }
    headers, body = receiver.got.pop()
    assert json.loads(body)["type"] == "webhook.test"
    expected = signed(made["secret"], headers["webhook-id"], int(headers["webhook-timestamp"]), body)
    assert headers["webhook-signature"] == expected.headers["webhook-signature"]
    assert boss.get("/api/webhooks").json()[0]["waiting"] == 1  # a test is not a delivery
    receiver.statuses = [503, 500]
    refused = boss.post(f"{path}/test").json()
    assert "503" in refused["trouble"]
    assert refused["trouble_code"] == "receiver-refused"
    assert boss.get("/api/webhooks").json()[0]["failures"] == 0
    assert tell(hooks) == 0
    shown = boss.get("/api/webhooks").json()[0]
    assert (shown["waiting"], shown["failures"]) == (1, 1)
    assert shown["next_at"] > 0
    hooks.free(hooks.all()[0])
    assert tell(hooks) == 1
    shown = boss.get("/api/webhooks").json()[0]
    assert (shown["waiting"], shown["failures"], shown["next_at"]) == (0, 0, None)
    kinds = [(one["type"], one["trouble"] is None) for one in shown["attempts"]]
    told, test = "feedback.given", "webhook.test"
    assert kinds == [(told, True), (told, False), (test, False), (test, True)]
    assert made["secret"] not in json.dumps(shown)
    for _ in range(5):
        last = boss.post(f"{path}/test").status_code
    assert last == 429  # nobody is flooded by tests

"""Streams and sockets end, on the studio's side, as soon as whoever opened them may no longer have them. Real servers only."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from functools import partial
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection
from websockets.sync.client import connect as connect_socket

from plaudit.records import Query, QueryKind
from plaudit.store.schema import api_key
from plaudit.store.store import Store
from plaudit.studio import presence
from plaudit.studio.access import COOKIE, Access
from plaudit.studio.app import create_app
from plaudit.studio.keys import Wish
from plaudit.studio.live_world import SIGNED_OUT
from plaudit.studio.roles import MAY, Caller, Permission, Role
from tests.test_studio_live import make
from tests.watch_examples import Serving

SOON = 5.0
"""seconds; a stream that nobody ends lasts for ten minutes, a world that is paused for as long as its page is there"""


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    store, queries = make(tmp_path_factory.mktemp("presence"))
    with store:
        access = Access(store)
        with Serving(create_app(store, access=access)) as serving:
            yield SimpleNamespace(store=store, queries=queries, access=access, address=serving.address, app=serving.app)


@contextmanager
def browser(studio: Any, account: str, role: Role) -> Generator[httpx.Client]:
    with httpx.Client(base_url=studio.address, headers={"Origin": studio.address}, timeout=SOON) as client:
        assert client.get("/enter", params={"token": studio.access.invite(account, role)}).status_code == 200
        yield client


def sign_out(studio: Any, client: httpx.Client, account: str) -> None:
    del studio, account
    assert client.post("/api/logout", json={}).status_code == 200


def close(studio: Any, client: httpx.Client, account: str) -> None:
    del client
    studio.access.accounts.change(account, closed=True)


def take_role(studio: Any, client: httpx.Client, account: str) -> None:
    del client
    studio.access.accounts.change(account, role=Role.REVIEWER)


def elsewhere(studio: Any, client: httpx.Client, account: str) -> None:
    """Another studio over the same store, or the command line."""
    del client
    with Store.open(studio.store.place) as other:
        Access(other).accounts.end_sessions(account)


ENDS: list[Callable[..., None]] = [sign_out, close, take_role, elsewhere]


@pytest.mark.parametrize("end", ENDS)
def test_an_event_stream_ends_with_the_sign_in(studio: Any, end: Callable[..., None]) -> None:
    account = f"watcher-{end.__name__}"
    with browser(studio, account, Role.RESEARCHER) as client, browser(studio, "stays", Role.RESEARCHER) as other:
        with client.stream("GET", "/api/watch/stream") as stream, other.stream("GET", "/api/watch/stream") as stays:
            lines, theirs = stream.iter_lines(), stays.iter_lines()
            assert {next(lines), next(theirs)} == {"retry: 2000"}
            end(studio, client, account)
            assert stream.status_code == 200
            assert not [line for line in lines if line.startswith("error")]  # comes to its end, in order
            assert studio.app.state.watch.streams == 1
            assert next(theirs) == ""  # somebody else's goes on
        assert client.get("/api/watch/now").status_code in (401, 403)


@pytest.mark.parametrize("revoke", ["delete", "demote", "run out"])
def test_an_event_stream_of_a_program_ends_with_its_key(
    studio: Any, revoke: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    maker, keys = f"maker-{revoke.replace(' ', '-')}", studio.access.keys
    studio.access.accounts.ensure(maker, Role.OWNER)
    studio.access.accounts.ensure("boss", Role.OWNER)
    boss = Caller(maker, Role.OWNER, maker, MAY[Role.OWNER])
    key, secret = keys.make(boss, Wish("robot", frozenset({Permission.WATCH})))
    client = httpx.Client(base_url=studio.address, headers={"Authorization": f"Bearer {secret}"}, timeout=SOON)
    with client, client.stream("GET", "/api/watch/stream") as stream:
        lines = stream.iter_lines()
        assert next(lines) == "retry: 2000"
        if revoke == "delete":
            keys.delete(key.id)
        elif revoke == "demote":
            studio.access.accounts.change(maker, role=Role.ANNOTATOR)
        else:
            monkeypatch.setattr(presence, "LOOK_SECONDS", 0.1)
            past = api_key.update().where(api_key.c.id == key.id).values(until=time.time() - 1)
            studio.store.change(partial(run, past))
        assert list(lines)[-1] == ""


def test_a_key_whose_maker_may_do_as_much_still_keeps_its_stream(studio: Any) -> None:
    studio.access.accounts.ensure("demoted", Role.OWNER)
    studio.access.accounts.ensure("boss", Role.OWNER)
    boss = Caller("demoted", Role.OWNER, "demoted", MAY[Role.OWNER])
    key, secret = studio.access.keys.make(boss, Wish("robot", frozenset({Permission.WATCH})))
    caller = studio.access.keys.caller(secret)
    assert caller is not None
    assert caller.key == key.id
    studio.access.accounts.change("demoted", role=Role.RESEARCHER)
    assert studio.access.standing({caller}) == {caller}


@pytest.mark.parametrize("end", ENDS)
def test_a_world_that_is_played_is_left_with_the_sign_in(studio: Any, end: Callable[..., None]) -> None:
    account = f"player-{end.__name__}"
    with browser(studio, account, Role.OWNER) as client:
        studio.access.accounts.ensure("boss", Role.OWNER)
        query = asked(studio, client)
        world = client.post("/api/live", json={"query": query}, timeout=60).raise_for_status().json()
        cookie = client.cookies[COOKIE]
        with socket_of(studio, cookie, world["id"]) as socket:
            assert "step" in json.loads(socket.recv(SOON))
            end(studio, client, account)
            assert heard_to_the_end(socket) == SIGNED_OUT
        with pytest.raises(InvalidStatus):
            socket_of(studio, cookie, world["id"])


def test_nothing_is_looked_at_while_nothing_is_open(studio: Any) -> None:
    with browser(studio, "brief", Role.RESEARCHER) as client:
        with client.stream("GET", "/api/watch/stream") as stream:
            next(stream.iter_lines())
            looking = studio.app.state.presence._looking
            assert not looking.done()
        until = time.monotonic() + SOON
        while not looking.done():
            assert time.monotonic() < until
            time.sleep(0.05)


def run(change: Any, connection: Any) -> None:
    connection.execute(change)


def asked(studio: Any, client: httpx.Client) -> str:
    """A demonstration that this browser is given."""
    segment = studio.queries["demonstration"].segments[0]
    index = 100 + len(studio.store.queries())
    query = Query(QueryKind.DEMONSTRATION, (segment,), (0,), 0, index, "uniform")
    studio.store.add_queries([query])
    for one in client.get("/api/next").json()["questions"]:
        if one["kind"] == "demonstration":
            return one["id"]
    raise AssertionError("no demonstration was given")


def heard_to_the_end(socket: ClientConnection) -> int | None:
    try:
        while True:
            socket.recv(SOON)
    except ConnectionClosed as closed:
        return closed.rcvd.code if closed.rcvd is not None else None


def socket_of(studio: Any, cookie: str, world: str) -> ClientConnection:
    address = studio.address.replace("http", "ws") + f"/api/live/{world}"
    return connect_socket(
        address, origin=studio.address, additional_headers={"Cookie": f"{COOKIE}={cookie}"}, proxy=None
    )

"""The guard before every request; accounts, sessions, invitations and keys; what refuses to be served."""

import ast
import getpass
import hmac
import inspect
import json
import socket
import ssl
import sys
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from queue import Queue
from typing import Any

import httpx
import pytest
import uvicorn
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from fastapi import FastAPI
from fastapi.testclient import TestClient
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.responses import PlainTextResponse

from plaudit.cli.main import main
from plaudit.errors import ConfigError, MissingExtra, RecordError
from plaudit.exchange import consent
from plaudit.records import AnnotatorKind, AnnotatorProfile
from plaudit.store import people
from plaudit.store.copy import copy, snapshot
from plaudit.store.store import Store
from plaudit.studio import keys as keys_module
from plaudit.studio import passwords
from plaudit.studio.access import COOKIE, LONGEST_BODY, SESSION_SECONDS, Access, Guard, Site
from plaudit.studio.accounts import IDLE_SECONDS, Accounts
from plaudit.studio.invitations import LINK_SECONDS, UNSAID, Asks, Joining
from plaudit.studio.limits import ADDRESS, ANSWERS, LOGIN, Limits, Rate
from plaudit.studio.network import StudioConfig, access_for
from plaudit.studio.passwords import clean_name
from plaudit.studio.roles import MAY, Permission, Role
from plaudit.studio.serve import serve
from tests.access_examples import HOME, PASSWORD, Studio, make_studio, quick_hasher
from tests.store_examples import sql
from tests.studio_examples import Clock, make_store

PUBLIC = "https://label.example.org"


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passwords, "_hasher", quick_hasher)
    passwords._nobodys.cache_clear()


@pytest.fixture
def client() -> TestClient:
    return guarded(Site())


def guarded(site: Site, base: str = HOME) -> TestClient:
    app = FastAPI()
    app.add_middleware(Guard, site=site)

    @app.api_route("/", methods=["GET", "POST"])
    def answer() -> PlainTextResponse:
        return PlainTextResponse("here")

    @app.websocket("/socket")
    async def socket(connection: Any) -> None:
        raise AssertionError

    return TestClient(app, base_url=base)


@pytest.fixture
def studio(tmp_path: Path) -> Any:
    made = make_studio(tmp_path)
    yield made
    made.store.close()


# the guard


@pytest.mark.parametrize("host", ["127.0.0.1:8765", "localhost:8765", "[::1]:8765", "localhost"])
def test_local_names_are_answered(client: TestClient, host: str) -> None:
    assert client.get("/", headers={"Host": host}).text == "here"


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example:8765", "", "[::1", "label.example.org"])
def test_foreign_names_are_refused(client: TestClient, host: str) -> None:
    assert client.get("/", headers={"Host": host}).status_code == 421


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Origin": HOME}, 200),
        ({"Origin": HOME, "Sec-Fetch-Site": "same-origin"}, 200),
        ({"Origin": HOME, "Sec-Fetch-Site": "cross-site"}, 403),
        ({"Origin": "http://localhost:8765"}, 403),
        ({"Origin": "http://evil.example"}, 403),
        ({}, 403),
        ({"Authorization": "Bearer x"}, 200),
        ({"Authorization": "Bearer x", "Origin": HOME}, 200),
        ({"Authorization": "Bearer x", "Origin": "http://evil.example"}, 403),
        ({"Authorization": "Bearer x", "Sec-Fetch-Site": "cross-site"}, 403),
    ],
)
def test_only_the_page_itself_and_programs_may_change_anything(
    client: TestClient, headers: dict[str, str], status: int
) -> None:
    assert client.post("/", content=b"{}", headers=headers).status_code == status


def test_a_public_name_is_served_encrypted_and_alone() -> None:
    client = guarded(Site(PUBLIC), PUBLIC)
    assert client.get("/").headers["strict-transport-security"]
    assert client.post("/", content=b"{}", headers={"Origin": PUBLIC}).status_code == 200
    assert client.post("/", content=b"{}", headers={"Origin": "http://label.example.org"}).status_code == 403
    assert client.get("/", headers={"Host": "label.example.org.evil.example"}).status_code == 421
    assert client.get("/", headers={"Host": "127.0.0.1:8765"}).status_code == 200
    assert Site("https://label.example.org:443").host == "label.example.org"


@pytest.mark.parametrize(
    "url", ["http://label.example.org", "label.example.org", "https://x/path", "https://", "ftp://x"]
)
def test_public_names_that_cannot_be_are_refused(url: str) -> None:
    with pytest.raises(ConfigError, match="public address"):
        Site(url)


@pytest.mark.parametrize(
    ("headers", "status"), [({"Origin": "http://evil.example"}, 403), ({}, 403), ({"Host": "evil.example"}, 421)]
)
def test_sockets_of_other_sites_are_refused(client: TestClient, headers: dict[str, str], status: int) -> None:
    with pytest.raises(Exception) as refused, client.websocket_connect("ws://127.0.0.1:8765/socket", headers=headers):
        pass
    assert refused.value.status_code == status  # type: ignore[attr-defined]  # a denial response


def test_long_bodies_are_refused(client: TestClient) -> None:
    assert client.post("/", content=b"x" * (LONGEST_BODY + 1), headers={"Origin": HOME}).status_code == 413
    chunks = iter([b"x", b"y"])
    assert client.post("/", content=chunks, headers={"Origin": HOME}).status_code == 413


def test_every_reply_carries_the_security_headers(client: TestClient) -> None:
    for reply in (client.get("/"), client.get("/nothing"), client.post("/"), client.get("/", headers={"Host": "x"})):
        policy = reply.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert reply.headers["x-content-type-options"] == "nosniff"
        assert reply.headers["referrer-policy"] == "no-referrer"
        assert reply.headers["cache-control"] == "no-store"


# sessions


def test_a_link_lets_one_browser_in_once_as_owner_who_labels(studio: Studio) -> None:
    token = studio.access.invite("person-1")
    browser = studio.browser()
    assert browser.get(f"/enter?token={token}").status_code == 200
    me = browser.get("/api/me").json()
    assert (me["account"], me["annotator"], me["role"]) == ("person-1", "person-1", "owner")
    assert set(me["may"]) == {one.value for one in Permission}
    assert browser.get("/api/next").status_code == 200
    for used in (token, "guessed"):
        assert studio.browser().get(f"/enter?token={used}").status_code >= 400
    assert studio.access.redeem("guessed") is None


def test_links_run_out(studio: Studio) -> None:
    token = studio.access.invite("ann")
    studio.clock.now += LINK_SECONDS + 1
    assert studio.access.redeem(token) is None


def test_sessions_survive_a_restart_and_run_out(studio: Studio) -> None:
    browser = studio.enter("ann")
    again = Studio(studio.store)
    again.clock.now = studio.clock.now
    later = TestClient(again.app, base_url=HOME, cookies=dict(browser.cookies))
    assert later.get("/api/me").status_code == 200
    start = again.clock.now
    again.clock.now = start + IDLE_SECONDS - 1
    assert later.get("/api/me").status_code == 200
    again.clock.now += IDLE_SECONDS - 1
    assert later.get("/api/me").status_code == 200  # it was used in between
    again.clock.now += IDLE_SECONDS + 1
    assert later.get("/api/me").status_code == 401


def test_sessions_end_after_a_week_of_use(studio: Studio) -> None:
    browser, start = studio.enter("ann"), studio.clock.now
    while studio.clock.now + IDLE_SECONDS / 2 < start + SESSION_SECONDS:
        studio.clock.now += IDLE_SECONDS / 2
        assert browser.get("/api/me").status_code == 200
    studio.clock.now += IDLE_SECONDS / 2
    assert browser.get("/api/me").status_code == 401


def test_cookies_are_out_of_reach(studio: Studio) -> None:
    entered = studio.browser().get(f"/enter?token={studio.access.invite('ann')}")
    cookie = entered.headers["set-cookie"].lower()
    assert all(part in cookie for part in ("httponly", "samesite=strict", "path=/", f"{COOKIE}="))
    assert "secure" not in cookie


def test_cookies_of_a_public_studio_are_bound_to_it(tmp_path: Path) -> None:
    with make_store(tmp_path) as store:
        studio = Studio(store, site=Site(PUBLIC))
        studio.access.accounts.add(Role.OWNER, "Trillian", PASSWORD)
        browser = studio.browser(PUBLIC)
        signed_in = browser.post("/api/login", json={"name": "Trillian", "password": PASSWORD})
        cookie = signed_in.headers["set-cookie"].lower()
        assert f"__host-{COOKIE}=" in cookie
        assert "secure" in cookie
        assert browser.get("/api/me").status_code == 200


def test_nothing_that_lets_in_is_written_down(studio: Studio, tmp_path: Path) -> None:
    token = studio.access.invite("bob")
    browser = studio.enter("ann")
    secret = browser.post("/api/keys", json={"name": "x", "scopes": ["watch"]}).json()["secret"]
    studio.access.accounts.add(Role.ANNOTATOR, "Zaphod Beeblebrox", PASSWORD)
    written = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    for hidden in (token, browser.cookies[COOKIE], secret, PASSWORD, "Zaphod"):
        assert hidden.encode() not in written
    assert b"$argon2id$" in written


# signing in


def test_signing_in_rotates_the_session_and_out_ends_it(studio: Studio) -> None:
    made = studio.access.accounts.add(Role.RESEARCHER, "Trillian", PASSWORD)
    browser = studio.browser()
    wrong = browser.post("/api/login", json={"name": "Trillian", "password": "another one"})
    nobody = browser.post("/api/login", json={"name": "Nobody", "password": PASSWORD})
    assert (wrong.status_code, wrong.json()) == (nobody.status_code, nobody.json()) == (401, wrong.json())
    me = browser.post("/api/login", json={"name": " trillian ", "password": PASSWORD}).json()
    assert (me["account"], me["role"], me["annotator"], me["name"]) == (made.id, "researcher", None, "Trillian")
    first = browser.cookies[COOKIE]
    browser.post("/api/login", json={"name": "Trillian", "password": PASSWORD})
    assert browser.cookies[COOKIE] != first
    assert studio.access.accounts.holder(first) is None
    elsewhere = studio.browser()
    elsewhere.post("/api/login", json={"name": "TRILLIAN", "password": PASSWORD})
    assert browser.post("/api/logout", json={}).status_code == 200
    assert browser.get("/api/me").status_code == 401
    assert elsewhere.get("/api/me").status_code == 200
    third = studio.browser()
    studio.clock.now += 60
    third.post("/api/login", json={"name": "Trillian", "password": PASSWORD})
    third.post("/api/logout", json={"everywhere": True})
    assert elsewhere.get("/api/me").status_code == 401


def test_a_new_password_ends_all_other_sessions(studio: Studio) -> None:
    studio.access.accounts.add(Role.REVIEWER, "Trillian", PASSWORD)
    one, other = studio.browser(), studio.browser()
    for browser in (one, other):
        browser.post("/api/login", json={"name": "Trillian", "password": PASSWORD})
    assert one.post("/api/password", json={"old": "x" * 12, "new": "y" * 12}).status_code == 409
    assert one.post("/api/password", json={"old": PASSWORD, "new": "short"}).status_code == 409
    assert one.post("/api/password", json={"old": PASSWORD, "new": "y" * 12}).status_code == 200
    assert one.get("/api/me").status_code == 200
    assert other.get("/api/me").status_code == 401
    assert other.post("/api/login", json={"name": "Trillian", "password": PASSWORD}).status_code == 401
    assert other.post("/api/login", json={"name": "Trillian", "password": "y" * 12}).status_code == 200


def test_a_wrong_name_costs_as_much_as_a_wrong_password(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    import argon2

    studio.access.accounts.add(Role.ANNOTATOR, "Trillian", PASSWORD)
    verified: list[str] = []
    verify = argon2.PasswordHasher.verify
    monkeypatch.setattr(
        argon2.PasswordHasher, "verify", lambda self, kept, given: (verified.append(kept), verify(self, kept, given))[1]
    )
    for name in ("Trillian", "Nobody", "\u202e", "x" * 10_000):
        assert studio.access.accounts.sign_in(name, "a wrong password") is None
    assert len(verified) == 4
    assert len({kept.split("$")[3] for kept in verified}) == 1  # the same cost
    assert studio.access.accounts.sign_in("Nobody", "the password of nobody") is None


def test_secrets_are_compared_in_constant_time(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[tuple[str, str]] = []
    compare = hmac.compare_digest
    monkeypatch.setattr(keys_module.hmac, "compare_digest", lambda a, b: (compared.append((a, b)), compare(a, b))[1])
    secret = studio.key(Permission.WATCH)
    assert studio.program(secret).get("/api/me").status_code == 200
    assert studio.program(secret[:-1] + "?").get("/api/me").status_code == 401
    assert len(compared) == 2
    for module in (
        "access",
        "accounts",
        "invitations",
        "keys",
        "oidc",
        "passwords",
    ):  # hashes only, never what was sent
        tree = ast.parse((Path(inspect.getfile(Access)).parent / f"{module}.py").read_text())
        names = {"token", "secret", "password", "binding", "state"}
        plain = [
            node
            for node in ast.walk(tree)
            if isinstance(node, ast.Compare)
            and isinstance(node.ops[0], ast.Eq)
            and any(isinstance(one, ast.Name) and one.id in names for one in (node.left, *node.comparators))
        ]
        assert plain == []


def test_guessing_is_slowed_down(studio: Studio) -> None:
    browser = studio.browser()
    studio.access.accounts.add(Role.ANNOTATOR, "Trillian", PASSWORD)
    for _ in range(LOGIN.burst):
        assert browser.post("/api/login", json={"name": "Trillian", "password": "wrong"}).status_code == 401
    slow = browser.post("/api/login", json={"name": "Trillian", "password": PASSWORD})
    assert slow.status_code == 429
    assert 0 < int(slow.headers["retry-after"]) <= 12
    assert "try again" in slow.json()["error"]
    studio.clock.now += int(slow.headers["retry-after"])
    assert browser.post("/api/login", json={"name": "Trillian", "password": PASSWORD}).status_code == 200


def test_who_follows_a_link_too_often_gets_a_page_that_opens_by_itself_and_the_link_stays_good(studio: Studio) -> None:
    browser, link = studio.browser(), f"/enter?token={studio.access.invite('ann')}"
    page = {"Accept": "text/html,application/xhtml+xml;q=0.9"}
    for number in range(ADDRESS.burst):
        assert browser.get(f"/enter?token=wrong-{number}", headers=page).status_code != 429
    slow = browser.get(link, headers=page)
    seconds = int(slow.headers["retry-after"])
    assert (slow.status_code, slow.headers["content-type"].partition(";")[0]) == (429, "text/html")
    assert f'<meta http-equiv="refresh" content="{seconds}">' in slow.text
    assert f"in {seconds} s" in slow.text
    assert f"{seconds} 秒" in slow.text
    assert "ann" not in slow.text
    assert browser.get(link).json()["code"] == "too-often"  # a program reads a code
    studio.clock.now += seconds
    assert browser.get(link, headers=page).status_code == 200
    assert browser.get("/api/me").json()["account"] == "ann"


def test_answers_are_taken_at_the_pace_of_people(studio: Studio) -> None:
    browser, other = studio.enter("ann"), studio.enter("bob")
    cue = {"cue": "resume"}
    replies = [browser.post("/api/session", json=cue).status_code for _ in range(ANSWERS.burst + 1)]
    assert replies == [200] * ANSWERS.burst + [429]
    assert other.post("/api/session", json=cue).status_code == 200
    assert browser.get("/api/next").status_code == 200
    studio.clock.now += 1
    replies = [browser.post("/api/session", json=cue).status_code for _ in range(6)]
    assert replies == [200] * 5 + [429]


@settings(max_examples=50, deadline=None)
@given(
    burst=st.integers(1, 10),
    per_second=st.floats(0.1, 10),
    waits=st.lists(st.floats(0, 5), min_size=1, max_size=60),
)
def test_a_bucket_never_gives_more_than_its_rate(burst: int, per_second: float, waits: list[float]) -> None:
    clock = Clock()
    limits, start, taken = Limits(clock), clock.now, 0
    for wait in waits:
        clock.now += wait
        try:
            limits.take("x", Rate(burst, per_second))
            taken += 1
        except Exception as refused:  # noqa: BLE001 - whatever FastAPI calls it
            clock.now += int(refused.headers["Retry-After"])  # type: ignore[attr-defined]
            limits.take("x", Rate(burst, per_second))  # what it said was true
            taken += 1
    assert taken <= burst + (clock.now - start) * per_second + 1e-6


def test_buckets_do_not_pile_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("plaudit.studio.limits.MOST_BUCKETS", 10)
    clock = Clock()
    limits = Limits(clock)
    for i in range(100):
        limits.take(i, Rate(1, 1.0))
        clock.now += 1
    assert len(limits._buckets) <= 10


# names


NAMES = [
    "<script>alert(1)</script>",
    "../../etc/passwd",
    "名無し",
    "O'Neill; DROP TABLE account",
    "می\u200cخواهم",
    "a" * 100,
]


def test_names_of_all_kinds_are_only_ever_text(studio: Studio) -> None:
    for name in NAMES:
        made = studio.access.accounts.add(Role.ANNOTATOR, name, PASSWORD)
        assert studio.access.accounts.name(made.id) == name
        signed_in = studio.browser().post("/api/login", json={"name": name, "password": PASSWORD})
        assert signed_in.headers["content-type"] == "application/json"
        assert signed_in.json()["name"] == name
        assert made.id.isascii()
        with pytest.raises(RecordError, match="has this name already"):
            studio.access.accounts.add(Role.ANNOTATOR, name, PASSWORD)


HIDING = ["", "  ", "a" * 101, "x" * 10_000, "\u202eevil", "a\nb", "\x00", "a\u2066b", "\ufdfa" * 100]


def test_names_that_hide_or_turn_are_refused(studio: Studio) -> None:
    token = studio.access.invitations.make(Role.ANNOTATOR, Asks(), made_by="boss")[1]
    for name in HIDING:
        with pytest.raises(RecordError, match="cannot be a name"):
            studio.access.accounts.add(Role.ANNOTATOR, name, PASSWORD)
        refused = studio.browser().post("/api/join", json={"token": token, "name": name, "password": PASSWORD})
        assert refused.status_code in (409, 422)
        assert studio.access.invitations.look(token).role is Role.ANNOTATOR  # still there
        assert studio.browser().post("/api/login", json={"name": name, "password": PASSWORD}).status_code in (401, 422)
        studio.clock.now += 60


@given(st.text(max_size=60))
def test_a_clean_name_stays_as_it_is(name: str) -> None:
    try:
        clean = clean_name(name)
    except RecordError:
        return
    assert clean_name(clean) == clean


# invitations


ASKS = Asks({"region": ["north", "south"]}, "to see whom the answers speak for", "v2", "You agree that ...")


def test_joining_makes_account_profile_and_consent_at_once(studio: Studio) -> None:
    boss = studio.enter("boss")
    wish = {"role": "annotator", "traits": {"region": ["north", "south"]}, "purpose": "p", "consent": "v2", "text": "t"}
    invited = boss.post("/api/invitations", json=wish).json()
    token = invited["path"].removeprefix("/#/join/")
    assert [one["id"] for one in boss.get("/api/invitations").json()] == [invited["id"]]
    assert token not in boss.get("/api/invitations").text
    browser = studio.browser()
    asked = browser.get("/api/join", headers={"Invitation": token}).json()
    assert asked == {
        "role": "annotator",
        "traits": {"region": ["north", "south"]},
        "purpose": "p",
        "consent": "v2",
        "text": "t",
    }
    told = {
        "token": token,
        "name": "Zaphod",
        "password": PASSWORD,
        "email": "z@example.org",
        "traits": {"region": "north"},
    }
    assert browser.post("/api/join", json=told).status_code == 409  # no consent
    assert browser.post("/api/join", json=told | {"consent": "v1"}).status_code == 409
    assert browser.post("/api/join", json=told | {"consent": "v2", "traits": {"region": "mars"}}).status_code == 409
    me = browser.post("/api/join", json=told | {"consent": "v2"}).json()
    assert (me["role"], me["name"], me["may"]) == ("annotator", "Zaphod", ["label", "self"])
    assert browser.get("/api/next").json()["annotator"] == me["annotator"]
    assert browser.post("/api/join", json=told | {"consent": "v2"}).status_code == 409
    assert boss.get("/api/invitations").json() == []
    store = studio.store
    profile = AnnotatorProfile(me["annotator"], AnnotatorKind.PERSON, traits={"region": "north"})
    assert store.annotators()[me["annotator"]] == profile
    assert consent.current(store, store.head()[0]) == {me["annotator"]: "v2"}
    assert people.personal(store, me["annotator"]) == {"name": "Zaphod", "email": "z@example.org"}
    assert "Zaphod" not in json.dumps([event.payload for event in store.events()])
    again = studio.browser()
    assert again.post("/api/login", json={"name": "zaphod", "password": PASSWORD}).status_code == 200


def test_who_prefers_not_to_say_says_nothing(studio: Studio) -> None:
    token = studio.access.invitations.make(Role.ANNOTATOR, ASKS, made_by="boss")[1]
    made = studio.access.invitations.join(token, Joining(traits={"region": UNSAID}, consent="v2"))
    assert studio.store.annotators()[made.id].traits is None
    assert not made.signs_in
    assert studio.access.accounts.name(made.id) is None


def test_an_invitation_lets_in_exactly_one(studio: Studio) -> None:
    token = studio.access.invitations.make(Role.ANNOTATOR, Asks(), made_by="boss")[1]
    studio.access.invitations.join(token, Joining())
    with pytest.raises(RecordError, match="was used"):
        studio.access.invitations.join(token, Joining())
    taken_back = studio.access.invitations.make(Role.ANNOTATOR, Asks(), made_by="boss")
    studio.access.invitations.delete(taken_back[0])
    with pytest.raises(RecordError, match="was used"):
        studio.access.invitations.join(taken_back[1], Joining())
    assert studio.access.redeem(studio.access.invitations.make(Role.ANNOTATOR, Asks(), made_by="boss")[1]) is None
    with pytest.raises(RecordError, match="go together"):
        studio.access.invitations.join(
            studio.access.invitations.make(Role.ANNOTATOR, Asks(), made_by="boss")[1], Joining(name="x")
        )
    assert sum(one.role is Role.ANNOTATOR for one in studio.access.accounts.all()) == 1


def test_two_who_join_at_once_are_one_too_many(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    invitations = studio.access.invitations
    token = invitations.make(Role.ANNOTATOR, Asks(), made_by="boss")[1]
    seen = invitations.look(token)
    invitations.join(token, Joining())
    monkeypatch.setattr(invitations, "look", lambda token: seen)  # both looked before either joined
    with pytest.raises(RecordError, match="was used"):
        invitations.join(token, Joining())


def test_a_link_brings_somebody_back(studio: Studio) -> None:
    boss = studio.enter("boss")
    token = studio.access.invitations.make(Role.ANNOTATOR, Asks(), made_by="boss")[1]
    made = studio.access.invitations.join(token, Joining())
    path = boss.post("/api/invitations", json={"account": made.id}).json()["path"]
    browser = studio.browser()
    assert browser.get(path).status_code == 200
    assert browser.get("/api/me").json()["account"] == made.id
    boss.patch(f"/api/accounts/{made.id}", json={"closed": True})
    assert browser.get("/api/me").status_code == 401
    path = boss.post("/api/invitations", json={"account": made.id}).json()["path"]
    assert studio.browser().get(path).status_code >= 400


# roles and accounts


def test_a_new_role_signs_out_and_the_last_owner_stays(studio: Studio) -> None:
    boss, ann = studio.enter("boss"), studio.enter("ann", Role.ANNOTATOR)
    assert boss.patch("/api/accounts/boss", json={"role": "lead"}).status_code == 409
    assert boss.patch("/api/accounts/boss", json={"closed": True}).status_code == 409
    assert boss.patch("/api/accounts/nobody", json={"role": "lead"}).status_code == 409
    assert boss.patch("/api/accounts/ann", json={"role": "service"}).status_code == 422
    assert boss.patch("/api/accounts/ann", json={"role": "lead"}).json()["role"] == "lead"
    assert ann.get("/api/me").status_code == 401
    assert boss.get("/api/me").status_code == 200


def test_nobody_gives_more_than_they_have(studio: Studio) -> None:
    studio.enter("boss")
    lead = studio.enter("lead", Role.LEAD)
    assert lead.post("/api/invitations", json={"role": "owner"}).status_code == 403
    assert lead.post("/api/invitations", json={"account": "boss"}).status_code == 403
    assert lead.patch("/api/accounts/boss", json={"role": "annotator"}).status_code == 403
    assert lead.patch("/api/accounts/lead", json={"role": "owner"}).status_code == 403
    assert lead.post("/api/invitations", json={"role": "reviewer"}).status_code == 200
    robot = studio.program(studio.key(Permission.MANAGE))
    assert robot.post("/api/invitations", json={"role": "lead"}).status_code == 403
    assert robot.post("/api/invitations", json={"role": "annotator"}).status_code == 403
    recruiter = studio.program(studio.key(Permission.MANAGE, Permission.LABEL))
    assert recruiter.post("/api/invitations", json={"role": "annotator"}).status_code == 200


def test_names_are_for_those_who_may_see_identities(studio: Studio) -> None:
    boss = studio.enter("boss")
    studio.access.accounts.add(Role.ANNOTATOR, "Zaphod", PASSWORD)
    assert "Zaphod" in boss.get("/api/accounts").text
    assert "Zaphod" in studio.enter("lead", Role.LEAD).get("/api/accounts").text
    for role in (Role.RESEARCHER, Role.REVIEWER, Role.ANNOTATOR):
        assert studio.enter(role.value, role).get("/api/accounts").status_code == 403
    robot = studio.program(studio.key(Permission.MANAGE))
    assert robot.get("/api/accounts").status_code == 200
    assert "Zaphod" not in robot.get("/api/accounts").text


def test_without_encryption_there_are_pseudonyms_only(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cryptography.hazmat.primitives.ciphers.aead", None)
    made = studio.access.accounts.add(Role.ANNOTATOR, "Zaphod", PASSWORD)
    assert studio.access.accounts.name(made.id) is None
    signed_in = studio.browser().post("/api/login", json={"name": "Zaphod", "password": PASSWORD}).json()
    assert (signed_in["account"], signed_in["name"]) == (made.id, None)


# keys


def test_keys_may_do_what_they_are_for(studio: Studio) -> None:
    program = studio.program(studio.key(Permission.LABEL))
    me = program.get("/api/me").json()
    assert (me["role"], me["may"]) == ("service", ["label", "self"])
    assert me["annotator"].startswith("key-")
    assert program.get("/api/next").json()["annotator"] == me["annotator"]
    assert studio.store.annotators()[me["annotator"]].kind is AnnotatorKind.SIMULATED
    assert program.get("/api/keys").status_code == 403
    assert program.post("/api/logout", json={}).status_code == 409


def test_a_key_ends_with_its_time_its_maker_or_its_deletion(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    boss = studio.enter("boss")
    monkeypatch.setattr("plaudit.studio.manage_api.time.time", studio.clock)
    lead = studio.enter("lead", Role.LEAD)
    made = lead.post("/api/keys", json={"name": "x", "scopes": ["watch", "manage"], "days": 1}).json()
    program = studio.program(made["secret"])
    assert program.get("/api/accounts").status_code == 200
    assert boss.patch("/api/accounts/lead", json={"role": "researcher"}).status_code == 200
    assert program.get("/api/accounts").status_code == 403  # never more than its maker
    assert program.get("/api/me").json()["may"] == ["self", "watch"]
    assert boss.patch("/api/accounts/lead", json={"closed": True}).status_code == 200
    assert program.get("/api/me").status_code == 401
    assert boss.patch("/api/accounts/lead", json={"closed": False}).status_code == 200
    assert program.get("/api/me").status_code == 200
    studio.clock.now += 24 * 3600
    assert program.get("/api/me").status_code == 401
    boss = studio.enter("boss")
    secret = boss.post("/api/keys", json={"name": "y", "scopes": ["watch"], "days": None}).json()
    assert studio.program(secret["secret"]).get("/api/me").status_code == 200
    listed = {one["id"]: one for one in boss.get("/api/keys").json()}
    assert listed[secret["key"]["id"]]["used_at"] == studio.clock.now
    assert boss.delete(f"/api/keys/{secret['key']['id']}").status_code == 200
    assert studio.program(secret["secret"]).get("/api/me").status_code == 401


def test_keys_of_others_are_the_owners_alone(studio: Studio) -> None:
    boss, lead, other = studio.enter("boss"), studio.enter("lead", Role.LEAD), studio.enter("other", Role.LEAD)
    mine = lead.post("/api/keys", json={"name": "x", "scopes": ["watch"]}).json()["key"]["id"]
    assert [one["id"] for one in lead.get("/api/keys").json()] == [mine]
    assert other.get("/api/keys").json() == []
    assert other.delete(f"/api/keys/{mine}").status_code == 404
    assert [one["id"] for one in boss.get("/api/keys").json()] == [mine]
    assert boss.delete(f"/api/keys/{mine}").status_code == 200


def test_keys_make_no_keys_and_see_no_names(studio: Studio) -> None:
    boss = studio.enter("boss")
    for scopes in (["keys"], ["identities"], ["watch", "keys"]):
        assert boss.post("/api/keys", json={"name": "x", "scopes": scopes}).status_code == 409


def test_a_key_answers_for_no_person(studio: Studio) -> None:
    boss = studio.enter("boss")
    boss.get("/api/next")
    studio.store.add_annotator(AnnotatorProfile("teacher", AnnotatorKind.SIMULATED))
    wish = {"name": "x", "scopes": ["label"]}
    assert boss.post("/api/keys", json=wish | {"annotator": "boss"}).status_code == 409
    assert boss.post("/api/keys", json=wish | {"annotator": "new"}).status_code == 409
    made = boss.post("/api/keys", json=wish | {"annotator": "teacher"})
    assert studio.program(made.json()["secret"]).get("/api/next").json()["annotator"] == "teacher"


def test_what_is_no_key_lets_nobody_in(studio: Studio) -> None:
    browser = studio.enter("boss")  # not even beside a cookie
    wrong = ("Bearer", "Bearer ", "Bearer x", "Basic eA==", "Bearer plaudit__", "Bearer plaudit_a_b\u00e9", "x" * 5000)
    for header in wrong:
        assert browser.get("/api/me", headers={"Authorization": header.encode()}).status_code == 401


# what happens to accounts elsewhere


def fill(store: Store) -> Studio:
    studio = Studio(store)
    boss = studio.enter("boss")
    boss.post("/api/keys", json={"name": "x", "scopes": ["watch"]})
    boss.post("/api/webhooks", json={"url": "https://example.org/x", "events": ["feedback.given"]})
    studio.access.invite("boss")
    return studio


COUNT = "SELECT (SELECT COUNT(*) FROM account), (SELECT COUNT(*) FROM session), (SELECT COUNT(*) FROM invitation), \
(SELECT COUNT(*) FROM api_key), (SELECT COUNT(*) FROM webhook)"


def test_copies_have_accounts_and_backups_everything(tmp_path: Path) -> None:
    with make_store(tmp_path) as store:
        fill(store)
        Accounts(store).add(Role.LEAD, "Trillian", PASSWORD)
        copy(store, tmp_path / "copy" / "store.sqlite")
        copy(store, tmp_path / "copy" / "store.sqlite")  # brought up to date
        (tmp_path / "backup").mkdir()
        snapshot(store, tmp_path / "backup" / "store.sqlite")
        with Store.open(tmp_path / "copy" / "store.sqlite") as there:
            assert sql(there, COUNT) == [(2, 0, 0, 0, 0)]
            found = Accounts(there).sign_in("Trillian", PASSWORD)
            assert found is not None
            assert Accounts(there).name(found.id) == "Trillian"
        with Store.open(tmp_path / "backup" / "store.sqlite") as there:
            assert sql(there, COUNT) == [(2, 1, 1, 1, 1)]


def test_people_are_told_of_their_account(tmp_path: Path) -> None:
    with make_store(tmp_path) as store:
        fill(store)
        told = people.everything(store, "boss")["account"]
        assert (told["role"], told["sessions"], told["keys"], told["webhooks"]) == (
            "owner", 1, ["x"], ["https://example.org/x"]
        )  # fmt: skip
        assert people.everything(store, "nobody")["account"] is None


def test_who_is_erased_has_no_way_back(tmp_path: Path) -> None:
    with make_store(tmp_path) as store:
        fill(store)
        Accounts(store).ensure("other", Role.OWNER)
        people.erase(store, "boss")
        assert sql(store, COUNT) == [(1, 0, 0, 0, 0)]
        assert store.verify().ok


def test_accounts_on_both_databases(places: Any) -> None:
    with Store.create(**places(), run={"format": 1}) as store:
        studio = fill(store)
        made = studio.access.accounts.add(Role.ANNOTATOR, "Trillian", PASSWORD)
        assert studio.access.accounts.sign_in("trillian", PASSWORD) == made
        token = studio.access.invitations.make(Role.ANNOTATOR, ASKS, made_by="boss")[1]
        joined = studio.access.invitations.join(token, Joining(consent="v2"))
        session = studio.access.accounts.open_session(joined.id)
        studio.clock.now += 3600
        assert studio.access.accounts.holder(session) is not None
        studio.access.accounts.change(joined.id, role=Role.REVIEWER)
        assert studio.access.accounts.holder(session) is None
        people.erase(store, joined.id)
        assert sql(store, COUNT) == [(2, 1, 1, 1, 1)]


# serving


def test_the_studio_is_served_to_others_only_with_an_owner(tmp_path: Path) -> None:
    with make_store(tmp_path) as store:
        access = Access(store)
        assert access_for(StudioConfig(), access).site.host is None
        with pytest.raises(ConfigError, match="under which name"):
            access_for(StudioConfig(host="0.0.0.0"), access)
        access.invite("person-1")  # a link is no account to sign in with
        team = StudioConfig(host="0.0.0.0", public_url=PUBLIC)
        with pytest.raises(ConfigError, match="--add-owner"):
            access_for(team, access)
        access.accounts.add(Role.LEAD, "Lead", PASSWORD)
        with pytest.raises(ConfigError, match="--add-owner"):
            access_for(team, access)
        access.accounts.add(Role.OWNER, "Owner", PASSWORD)
        assert access_for(team, access).site.host == "label.example.org"


def test_the_first_owner_is_made_on_the_command_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    make_store(tmp_path).close()
    (tmp_path / "config.json").write_text("{}")
    said = iter([PASSWORD, "another", PASSWORD, PASSWORD])
    monkeypatch.setattr(getpass, "getpass", lambda _: next(said))
    command = ["studio", str(tmp_path), "--add-owner", "Zaphod [bold]"]
    assert main(command) == 2
    assert main(command) == 0
    assert "Zaphod [bold]" in capsys.readouterr().out
    with Store.open(tmp_path / "store.sqlite") as store:
        made = Accounts(store).sign_in("zaphod [bold]", PASSWORD)
        assert made is not None
        assert made.role is Role.OWNER


def test_loopback_needs_no_extra(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    passwords._hasher.cache_clear()
    monkeypatch.setitem(sys.modules, "argon2", None)
    browser = studio.enter("person-1")
    assert browser.get("/api/next").status_code == 200
    refused = browser.post("/api/login", json={"name": "x", "password": "y"})
    assert refused.status_code == 501
    assert 'pip install "plaudit[studio]"' in refused.json()["error"]
    with pytest.raises(MissingExtra, match="studio"):
        studio.access.accounts.add(Role.OWNER, "x", PASSWORD)


def test_everybody_may_something() -> None:
    assert set(MAY) == set(Role)
    assert all(Permission.SELF in may for may in MAY.values())
    assert Permission.IDENTITIES not in MAY[Role.RESEARCHER]


def certificate(folder: Path) -> StudioConfig:
    """A certificate for localhost, signed by itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), now, now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    text = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    (folder / "certificate.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    (folder / "key.pem").write_bytes(key.private_bytes(*text))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    return StudioConfig("127.0.0.1", f"https://localhost:{port}", folder / "certificate.pem", folder / "key.pem")


def test_a_team_signs_in_over_an_encrypted_connection(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = certificate(tmp_path)
    with make_store(tmp_path) as store:
        Accounts(store).add(Role.OWNER, "Trillian", PASSWORD)
    servers: list[uvicorn.Server] = []
    told: Queue[str] = Queue()
    run = uvicorn.Server.run
    monkeypatch.setattr(uvicorn.Server, "run", lambda self, sockets: (servers.append(self), run(self, sockets)))
    port = int(str(config.public_url).rpartition(":")[2])
    settings = {"port": port, "announce": told.put, "open_browser": False, "config": config}
    serving = threading.Thread(target=serve, args=(tmp_path / "store.sqlite",), kwargs=settings)
    serving.start()
    try:
        assert told.get(timeout=20) == config.public_url  # no link: people sign in
        trusted = ssl.create_default_context(cafile=str(config.certificate))
        with httpx.Client(base_url=str(config.public_url), verify=trusted, trust_env=False) as browser:
            origin = {"Origin": str(config.public_url)}
            signed_in = browser.post("/api/login", json={"name": "Trillian", "password": PASSWORD}, headers=origin)
            assert signed_in.json()["role"] == "owner"
            assert browser.get("/api/me").status_code == 200
            assert browser.get("/api/me", headers={"Host": "evil.example"}).status_code == 421
            with browser.stream("GET", "/api/watch/stream") as stream:
                assert stream.status_code == 200
                servers[0].should_exit = True  # a stream that is open does not keep it
                serving.join(timeout=20)
                assert not serving.is_alive()
    finally:
        servers[0].should_exit = True
        serving.join(timeout=20)
    assert not serving.is_alive()

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from starlette.responses import PlainTextResponse

from plaudit.studio.access import LONGEST_BODY, SESSION_SECONDS, Access, Guard
from tests.studio_examples import Clock

HOME = "http://127.0.0.1:8765"


@pytest.fixture
def client() -> TestClient:
    app = FastAPI()
    app.add_middleware(Guard)

    @app.api_route("/", methods=["GET", "POST"])
    def answer() -> PlainTextResponse:
        return PlainTextResponse("here")

    return TestClient(app, base_url=HOME)


def test_invitation_lets_one_browser_in_once() -> None:
    access = Access(Clock())
    token = access.invite("ann")
    session = access.redeem(token)
    assert access.annotator(session) == "ann"
    assert access.redeem(token) is None
    assert access.redeem("guessed") is None
    assert access.annotator("guessed") is None
    assert access.annotator(None) is None


def test_sessions_run_out() -> None:
    clock = Clock()
    access = Access(clock)
    session = access.redeem(access.invite("ann"))
    clock.now += SESSION_SECONDS - 1
    assert access.annotator(session) == "ann"
    clock.now += 2
    assert access.annotator(session) is None


def test_tokens_are_kept_as_hashes_only() -> None:
    access = Access(Clock())
    token = access.invite("ann")
    session = access.redeem(access.invite("bob"))
    held = repr(vars(access))
    assert token not in held
    assert session is not None
    assert session not in held


@pytest.mark.parametrize("host", ["127.0.0.1:8765", "localhost:8765", "[::1]:8765", "localhost"])
def test_local_names_are_answered(client: TestClient, host: str) -> None:
    assert client.get("/", headers={"Host": host}).text == "here"


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example:8765", "", "[::1"])
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
    ],
)
def test_only_the_page_itself_may_change_anything(client: TestClient, headers: dict[str, str], status: int) -> None:
    assert client.post("/", content=b"{}", headers=headers).status_code == status


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

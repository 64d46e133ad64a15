"""Signing in through a provider: a small one of our own, on a real socket, that can be told to lie."""

import base64
import hashlib
import hmac
import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from fastapi.testclient import TestClient

from plaudit.errors import ConfigError, MissingExtra
from plaudit.run.config import load
from plaudit.studio.access import Access
from plaudit.studio.network import StudioConfig, StudioFile, access_for
from plaudit.studio.oidc import Oidc, OidcConfig
from tests.access_examples import Studio
from tests.studio_examples import make_store

jwk = pytest.importorskip("joserfc.jwk", reason="Authlib is not installed")
jwt = pytest.importorskip("joserfc.jwt", reason="Authlib is not installed")
CLIENT, SECRET = "plaudit studio", "s3cret:%"


class Provider(ThreadingHTTPServer):
    """An issuer. `claims` are what it says besides the usual; `broken` names what it gets wrong."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.issuer = f"http://127.0.0.1:{self.server_port}"
        self.key = jwk.RSAKey.generate_key(2048, {"kid": "1"})
        self.other = jwk.RSAKey.generate_key(2048, {"kid": "1"})
        self.claims: dict[str, Any] = {"sub": "u1", "email": "ann@example.org", "email_verified": True, "name": "Ann"}
        self.broken = ""
        self.asked: dict[str, str] = {}

    def authorise(self, url: str) -> dict[str, str]:
        """What the provider's own page would send the browser back with."""
        assert url.startswith(f"{self.issuer}/authorize?")
        self.asked = {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
        assert self.asked["response_type"] == "code"
        assert self.asked["client_id"] == CLIENT
        assert "openid" in self.asked["scope"].split()
        return {"state": self.asked["state"], "code": "the code"}

    def token(self, form: dict[str, str], authorization: str) -> dict[str, Any] | None:
        pair = base64.b64decode(authorization.removeprefix("Basic ")).decode()
        digest = hashlib.sha256(form["code_verifier"].encode()).digest()
        challenge = _encoded(digest).decode()
        right = pair == "plaudit%20studio:s3cret%3A%25" and challenge == self.asked["code_challenge"]
        if not right or form["code"] != "the code" or form["redirect_uri"] != self.asked["redirect_uri"]:
            return None
        now = int(time.time())
        said = {"iss": self.issuer, "aud": CLIENT, "iat": now, "exp": now + 60, "nonce": self.asked["nonce"]}
        lies = {
            "nonce": {"nonce": "another"},
            "audience": {"aud": "somebody else"},
            "issuer": {"iss": "https://evil.example"},
            "expired": {"exp": now - 3600},
        }
        said |= self.claims | lies.get(self.broken, {})
        if self.broken in ("unsigned", "shared"):  # the public key as if it were a shared secret
            alg = "none" if self.broken == "unsigned" else "HS256"
            text = b".".join(_encoded(json.dumps(one).encode()) for one in ({"alg": alg, "kid": "1"}, said))
            public = self.key.as_pem(private=False)
            mac = b"" if alg == "none" else _encoded(hmac.digest(public, text, "sha256"))
            return {"id_token": (text + b"." + mac).decode()}
        signer = self.other if self.broken == "signature" else self.key
        return {
            "id_token": "nonsense" if self.broken == "token" else jwt.encode({"alg": "RS256", "kid": "1"}, said, signer)
        }


def _encoded(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")


class Handler(BaseHTTPRequestHandler):
    server: Provider

    def do_GET(self) -> None:
        provider = self.server
        if self.path == "/.well-known/openid-configuration":
            names = {"authorization_endpoint": "authorize", "token_endpoint": "token", "jwks_uri": "keys"}
            found = {"issuer": provider.issuer} | {name: f"{provider.issuer}/{path}" for name, path in names.items()}
            self.say(found | ({"issuer": "https://evil.example"} if provider.broken == "discovery" else {}))
        else:
            self.say({"keys": [provider.key.as_dict(private=False)]})

    def do_POST(self) -> None:
        form = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
        flat = {name: values[0] for name, values in form.items()}
        self.say(self.server.token(flat, self.headers["Authorization"]))

    def say(self, found: Any) -> None:
        self.send_response(200 if found is not None else 400)
        self.end_headers()
        self.wfile.write(json.dumps(found).encode())

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def provider(monkeypatch: pytest.MonkeyPatch) -> Iterator[Provider]:
    monkeypatch.setenv("PLAUDIT_OIDC_SECRET", SECRET)
    made = Provider()
    thread = threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield made
    made.shutdown()
    thread.join()
    made.server_close()


@pytest.fixture
def studio(tmp_path: Path, provider: Provider) -> Iterator[Studio]:
    roles = {"u1": "lead", "bob@example.org": "researcher"}
    with make_store(tmp_path) as store:
        yield Studio(store, oidc=Oidc(OidcConfig(provider.issuer, CLIENT, roles)))


def begin(studio: Studio, provider: Provider) -> tuple[TestClient, dict[str, str]]:
    browser = studio.browser()
    reply = browser.get("/api/oidc", follow_redirects=False)
    assert reply.status_code == 302
    cookie = reply.headers["set-cookie"].lower()
    assert all(part in cookie for part in ("httponly", "samesite=lax", "path=/api/oidc"))
    return browser, provider.authorise(reply.headers["location"])


def test_whoever_is_on_the_list_comes_in_with_their_role(studio: Studio, provider: Provider) -> None:
    assert studio.browser().get("/api/login").json() == {"password": False, "provider": "127.0.0.1"}
    browser, back = begin(studio, provider)
    assert browser.get("/api/oidc/callback", params=back).status_code == 200
    me = browser.get("/api/me").json()
    assert (me["role"], me["name"]) == ("lead", "Ann")
    assert browser.get("/api/oidc/callback", params=back).status_code == 403  # once
    again, back = begin(studio, provider)
    again.get("/api/oidc/callback", params=back)
    assert again.get("/api/me").json()["account"] == me["account"]
    provider.claims = {"sub": "u2", "email": "bob@example.org", "email_verified": True}
    other, back = begin(studio, provider)
    other.get("/api/oidc/callback", params=back)
    assert other.get("/api/me").json()["role"] == "researcher"


@pytest.mark.parametrize("claims", [{"sub": "u3"}, {"sub": "u3", "email": "bob@example.org"}, {"sub": "bob"}])
def test_nobody_else_comes_in(studio: Studio, provider: Provider, claims: dict[str, Any]) -> None:
    """Also not with an address that the provider has not verified."""
    provider.claims = claims
    browser, back = begin(studio, provider)
    refused = browser.get("/api/oidc/callback", params=back)
    assert refused.status_code == 403
    assert "not on the list" in refused.json()["error"]
    assert studio.access.accounts.all() == []


@pytest.mark.parametrize(
    "broken", ["nonce", "audience", "issuer", "expired", "signature", "unsigned", "shared", "token"]
)
def test_a_token_that_is_not_for_us_is_not_believed(studio: Studio, provider: Provider, broken: str) -> None:
    provider.broken = broken
    browser, back = begin(studio, provider)
    refused = browser.get("/api/oidc/callback", params=back)
    assert refused.status_code == 403
    assert "cannot be trusted" in refused.json()["error"]
    assert browser.get("/api/me").status_code == 401


def test_an_answer_that_this_browser_did_not_ask_for_is_refused(studio: Studio, provider: Provider) -> None:
    _, back = begin(studio, provider)
    assert studio.browser().get("/api/oidc/callback", params=back).status_code == 403  # somebody else's sign-in
    browser, back = begin(studio, provider)
    assert browser.get("/api/oidc/callback", params=back | {"state": "guessed"}).status_code == 403
    assert browser.get("/api/oidc/callback", params={"state": back["state"]}).status_code == 403
    browser, back = begin(studio, provider)
    assert browser.get("/api/oidc/callback", params=back | {"code": "wrong"}).status_code == 503  # the provider refuses


def test_who_is_closed_or_gets_another_role(studio: Studio, provider: Provider, tmp_path: Path) -> None:
    browser, back = begin(studio, provider)
    browser.get("/api/oidc/callback", params=back)
    account = browser.get("/api/me").json()["account"]
    changed = Studio(
        studio.store,
        oidc=Oidc(OidcConfig(provider.issuer, CLIENT, {"u1": "annotator", "ann@example.org": "owner"})),
    )
    other, back = begin(changed, provider)
    other.get("/api/oidc/callback", params=back)
    assert other.get("/api/me").json()["role"] == "annotator"  # the subject counts first
    assert browser.get("/api/me").status_code == 401
    changed.access.accounts.change(account, closed=True)
    third, back = begin(changed, provider)
    assert third.get("/api/oidc/callback", params=back).status_code == 403


def test_without_a_provider_there_is_none(tmp_path: Path) -> None:
    with make_store(tmp_path) as store:
        browser = Studio(store).browser()
        assert browser.get("/api/oidc").status_code == 404
        assert browser.get("/api/oidc/callback").status_code == 404


def test_another_provider_than_the_one_that_was_named(studio: Studio, provider: Provider) -> None:
    provider.broken = "discovery"
    refused = studio.browser().get("/api/oidc", follow_redirects=False)
    assert refused.status_code == 503
    assert "another provider" in refused.json()["error"]


def test_settings_are_read_from_a_file(tmp_path: Path, provider: Provider, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "studio.toml"
    path.write_text(f"""
[studio]
public_url = "https://label.example.org"
[studio.oidc]
issuer = "{provider.issuer}"
client_id = "x"
roles = {{ "ann@example.org" = "owner" }}
""")
    config = load(StudioFile, path).studio
    assert config == StudioConfig(
        public_url="https://label.example.org",
        oidc=OidcConfig(provider.issuer, "x", {"ann@example.org": "owner"}),
    )
    with make_store(tmp_path) as store:
        access = access_for(config, Access(store))
        assert access.oidc is not None  # an owner who signs in there is enough
        monkeypatch.delenv("PLAUDIT_OIDC_SECRET")
        with pytest.raises(ConfigError, match="secret of the OpenID client"):
            access_for(config, Access(store))
    monkeypatch.setenv("PLAUDIT_OIDC_SECRET", SECRET)
    with pytest.raises(ConfigError, match="not encrypted"):
        Oidc(OidcConfig("http://login.example.org", "x", {}))
    with pytest.raises(ConfigError, match="no such role"):
        OidcConfig(provider.issuer, "x", {"u1": "service"})
    monkeypatch.setitem(__import__("sys").modules, "authlib.oidc.core", None)
    with pytest.raises(MissingExtra, match="studio"):
        Oidc(OidcConfig(provider.issuer, "x", {}))

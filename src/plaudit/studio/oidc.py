"""Signing in through an OpenID provider, with Authlib: authorization code, PKCE, nonce, and a list of who has which role."""

from __future__ import annotations

import base64
import hmac
import json
import os
import secrets
import threading
import time
import urllib.parse
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlsplit

from fastapi import HTTPException

from plaudit.errors import ConfigError, StoreError
from plaudit.records import digest
from plaudit.run.optional import require
from plaudit.studio.roles import Role, said

TIMEOUT_SECONDS = 10.0
LONGEST_ANSWER = 1_000_000
STATE_SECONDS = 600.0
MOST_STATES = 1000
SIGNATURES = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"]


@dataclass(frozen=True)
class OidcConfig:
    """An OpenID provider that vouches for people."""

    issuer: str
    """its address, for example https://login.example.org"""
    client_id: str
    """what the studio is called there"""
    roles: dict[str, str]
    """subject, or verified e-mail address -> role; nobody else gets in"""
    secret_env: str = "PLAUDIT_OIDC_SECRET"
    """environment variable that holds the client's secret"""

    def __post_init__(self) -> None:
        wrong = sorted(set(self.roles.values()) - {one.value for one in Role if one is not Role.SERVICE})
        if wrong:
            raise ConfigError(
                "There is no such role", got=", ".join(wrong), expected="owner, lead, researcher, reviewer or annotator"
            )


@dataclass(frozen=True, slots=True)
class Vouched:
    """Somebody whom the provider vouches for."""

    issuer: str
    subject: str
    role: Role
    name: str | None
    email: str | None


@dataclass(frozen=True, slots=True)
class _Begun:
    nonce: str
    verifier: str
    binding: str
    redirect: str
    until: float


class Oidc:
    """See the module.

    Args:
        config: the provider, and who may come in.
        clock: seconds since 1970.

    Raises:
        MissingExtra: Authlib is not installed.
        ConfigError: the secret is missing, or the issuer is not encrypted.
    """

    def __init__(self, config: OidcConfig, *, clock: Callable[[], float] = time.time) -> None:
        self._parameters = require("authlib.oauth2.rfc6749.parameters", "studio")
        self._pkce = require("authlib.oauth2.rfc7636", "studio")
        self._core = require("authlib.oidc.core", "studio")
        self._jwt, self._jwk = require("joserfc.jwt", "studio"), require("joserfc.jwk", "studio")
        self._wrong = require("joserfc.errors", "studio").JoseError
        self.name = urlsplit(config.issuer).hostname or ""
        self._config = config
        self._clock = clock
        self._secret = os.environ.get(config.secret_env, "")
        self._begun: dict[str, _Begun] = {}
        self._lock = threading.Lock()
        self._known: dict[str, Any] | None = None
        _require_safe(config.issuer)
        if not self._secret:
            raise ConfigError("The secret of the OpenID client is missing", expected=f"it in {config.secret_env}")

    def begin(self, redirect: str) -> tuple[str, str]:
        """Where to send the browser, and what binds the answer to that browser."""
        state, binding = secrets.token_urlsafe(32), secrets.token_urlsafe(32)
        begun = _Begun(
            nonce=secrets.token_urlsafe(32),
            verifier=secrets.token_urlsafe(48),
            binding=digest(binding.encode()),
            redirect=redirect,
            until=self._clock() + STATE_SECONDS,
        )
        with self._lock:
            self._begun = {k: one for k, one in self._begun.items() if one.until > self._clock()}
            if len(self._begun) >= MOST_STATES:
                raise HTTPException(429, said("Too many people sign in now"), headers={"Retry-After": "60"})
            self._begun[digest(state.encode())] = begun
        there = self._parameters.prepare_grant_uri(
            self._provider()["authorization_endpoint"],
            client_id=self._config.client_id,
            response_type="code",
            redirect_uri=redirect,
            scope="openid email profile",
            state=state,
            nonce=begun.nonce,
            code_challenge=self._pkce.create_s256_code_challenge(begun.verifier),
            code_challenge_method="S256",
        )
        return str(there), binding

    def finish(self, state: str, code: str, binding: str) -> Vouched:
        """Who came back from the provider. Raises 403 for an answer that nobody asked for, and for those not on the list."""
        with self._lock:
            begun = self._begun.pop(digest(state.encode()), None)
        bound = begun is not None and hmac.compare_digest(begun.binding, digest(binding.encode()))
        if begun is None or not bound or begun.until <= self._clock() or not code:
            raise HTTPException(403, said("This sign-in was not begun here, or took too long", next_step="begin again"))
        claims = self._claims(self._token(code, begun), begun.nonce)
        subject, email = str(claims["sub"]), claims.get("email")
        email = email if isinstance(email, str) and claims.get("email_verified") is True else None
        role = self._config.roles.get(subject, self._config.roles.get(email or ""))
        if role is None:
            raise HTTPException(
                403, said("You are not on the list of this study", next_step="ask its owner to put you on it")
            )
        name = claims.get("name")
        return Vouched(self._config.issuer, subject, Role(role), name if isinstance(name, str) else email, email)

    def _token(self, code: str, begun: _Begun) -> str:
        body = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": begun.redirect,
            "code_verifier": begun.verifier,
        }
        pair = f"{quote(self._config.client_id, safe='')}:{quote(self._secret, safe='')}"
        headers = {"Authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"}
        request = urllib.request.Request(
            self._provider()["token_endpoint"], urllib.parse.urlencode(body).encode(), headers
        )
        return str(_fetch(request).get("id_token", ""))

    def _claims(self, token: str, nonce: str) -> Any:
        config = self._config
        try:
            keys = self._jwk.KeySet.import_key_set(_fetch(self._provider()["jwks_uri"]))
            read = self._jwt.decode(token, keys, algorithms=SIGNATURES)
            options = {
                "iss": {"essential": True, "value": config.issuer},
                "aud": {"essential": True, "value": config.client_id},
            }
            params = {"nonce": nonce, "client_id": config.client_id}
            claims = self._core.CodeIDToken(read.claims, read.header, options, params)
            claims.validate(now=int(self._clock()), leeway=60)
        except (self._wrong, ValueError) as error:
            raise HTTPException(
                403, said("The provider's answer cannot be trusted", got=type(error).__name__)
            ) from error
        return claims

    def _provider(self) -> dict[str, Any]:
        if self._known is None:
            found = _fetch(f"{self._config.issuer.rstrip('/')}/.well-known/openid-configuration")
            if found.get("issuer") != self._config.issuer:
                raise StoreError("This is another provider", got=found.get("issuer"), expected=self._config.issuer)
            for name in ("authorization_endpoint", "token_endpoint", "jwks_uri"):
                _require_safe(str(found.get(name)))
            self._known = found
        return self._known


def _fetch(wanted: str | urllib.request.Request) -> dict[str, Any]:
    try:
        with urllib.request.urlopen(wanted, timeout=TIMEOUT_SECONDS) as reply:
            found = json.loads(reply.read(LONGEST_ANSWER))
    except (OSError, ValueError) as error:
        raise StoreError("The OpenID provider does not answer as expected", got=str(error)[:200]) from error
    return found if isinstance(found, dict) else {}


def _require_safe(url: str) -> None:
    parts = urlsplit(url)
    if parts.scheme != "https" and parts.hostname not in {"localhost", "127.0.0.1", "::1"}:
        raise ConfigError("The OpenID provider's address is not encrypted", got=url[:200], expected="https://...")

"""Who may use the studio: one-time links, session cookies, and the guard before every request.

The studio listens on this machine only. A link from the terminal lets one browser in, once, as one annotator. Tokens
are kept in memory, as hashes: nothing that is written anywhere can be used to sign in.
"""

from __future__ import annotations

import hashlib
import secrets
import threading
from collections.abc import Callable
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

LOCAL_HOSTS = frozenset({"127.0.0.1", "localhost", "::1"})
SESSION_SECONDS = 12 * 3600.0
LONGEST_BODY = 16_384
SAFE_METHODS = frozenset({"GET", "HEAD"})
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}


class Access:
    """Invitations and sessions.

    Args:
        clock: seconds, monotonic.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._invited: dict[str, str] = {}
        self._sessions: dict[str, tuple[str, float]] = {}
        self._lock = threading.Lock()

    def invite(self, annotator: str) -> str:
        """A token that lets one browser in, once, as this annotator."""
        token = secrets.token_urlsafe(32)
        with self._lock:
            self._invited[_hash(token)] = annotator
        return token

    def redeem(self, token: str) -> str | None:
        """The value of a session cookie for an invitation's token; None if it is unknown or used."""
        session = secrets.token_urlsafe(32)
        with self._lock:
            annotator = self._invited.pop(_hash(token), None)
            if annotator is None:
                return None
            self._sessions[_hash(session)] = (annotator, self._clock() + SESSION_SECONDS)
        return session

    def annotator(self, session: str | None) -> str | None:
        """Who a session cookie belongs to; None if nobody, or no longer."""
        if session is None:
            return None
        with self._lock:
            annotator, until = self._sessions.get(_hash(session), (None, 0.0))
            return annotator if self._clock() < until else None


class Guard:
    """ASGI middleware: refuses requests from other sites and names, caps bodies, sets the security headers."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers[name] = value
                headers.setdefault("Cache-Control", "no-store")
            await send(message)

        refusal = _refusal(str(scope["method"]), Headers(scope=scope))
        app = self._app if refusal is None else refusal
        await app(scope, receive, send_guarded)


def _refusal(method: str, headers: Headers) -> JSONResponse | None:
    host = headers.get("host", "")
    if _name_of(host) not in LOCAL_HOSTS:
        # a foreign name that resolves to this machine is how other sites reach local servers (DNS rebinding)
        return JSONResponse({"error": "The studio answers only to localhost."}, 421)
    if method not in SAFE_METHODS:
        origin, site = headers.get("origin"), headers.get("sec-fetch-site", "same-origin")
        if origin != f"http://{host}" or site != "same-origin":
            return JSONResponse({"error": "This request does not come from the studio's own page."}, 403)
        if not headers.get("content-length", "").isdecimal() or int(headers["content-length"]) > LONGEST_BODY:
            return JSONResponse({"error": "The request is too long, or does not say how long it is."}, 413)
    return None


def _name_of(host: str) -> str | None:
    try:
        return urlsplit(f"//{host}").hostname
    except ValueError:  # brackets that do not match
        return None


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()

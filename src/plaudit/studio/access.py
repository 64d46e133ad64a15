"""Who may use the studio: links, session cookies and keys, and the guard before every request.

Out of the box the studio listens on this machine only, and a link from the terminal lets one browser in, once, as its owner.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import HTTPConnection
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from plaudit.errors import ConfigError
from plaudit.store.store import Store
from plaudit.studio.accounts import SESSION_SECONDS, Account, Accounts
from plaudit.studio.invitations import Invitations
from plaudit.studio.keys import Keys
from plaudit.studio.limits import ANSWERS, PROGRAM, Limits
from plaudit.studio.oidc import Oidc
from plaudit.studio.refusals import refusal
from plaudit.studio.roles import MAY, Caller, Permission, Role

LOCAL_HOSTS = frozenset({"127.0.0.1", "localhost", "::1"})
LONGEST_BODY = 16_384
SAFE_METHODS = frozenset({"GET", "HEAD"})
COOKIE = "plaudit_session"
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


@dataclass(frozen=True, slots=True)
class Site:
    """Under which addresses the studio answers: this machine's own, and at most one public one."""

    public: str | None = None
    """`https://HOST[:PORT]`, as browsers see it"""

    def __post_init__(self) -> None:
        parts = urlsplit(self.public or "https://localhost")
        if parts.scheme != "https" or parts.hostname is None or parts.path.strip("/") or parts.query:
            raise ConfigError(
                "The public address cannot be used",
                got=self.public,
                expected="https://HOST, without a path",
                next_step="passwords and answers must not cross a network in the clear: see 'Serving a team' in the docs",
            )

    @property
    def host(self) -> str | None:
        """Host and port of the public address, as browsers send them."""
        return None if self.public is None else urlsplit(self.public).netloc.lower().removesuffix(":443")

    def origin(self, host: str) -> str | None:
        """Where a page of this studio comes from when it was reached under a host; None for a host that is not served."""
        if self.host is not None and host.lower() == self.host:
            return f"https://{self.host}"
        # a foreign name that resolves to this machine is how other sites reach local servers (DNS rebinding)
        return f"http://{host}" if _name_of(host) in LOCAL_HOSTS else None

    def secure(self, request: HTTPConnection) -> bool:
        """Whether a request came over the public address, which is encrypted."""
        return self.host is not None and request.headers.get("host", "").lower() == self.host

    def cookie(self, request: HTTPConnection) -> str:
        """Name of the session cookie; browsers take one with this prefix only from the very host, encrypted."""
        return f"__Host-{COOKIE}" if self.secure(request) else COOKIE


class Access:
    """Knows callers: by session cookie, or by bearer key. What the application keeps as `app.state.access`.

    Args:
        store: the run's store, which holds accounts, sessions, invitations and keys.
        clock: seconds since 1970.
        site: under which addresses the studio answers.
        oidc: a provider to sign in with.
    """

    def __init__(
        self,
        store: Store,
        *,
        clock: Callable[[], float] = time.time,
        site: Site | None = None,
        oidc: Oidc | None = None,
    ) -> None:
        self.site = site or Site()
        self.oidc = oidc
        self.accounts = Accounts(store, clock)
        self.invitations = Invitations(store, self.accounts, clock)
        self.keys = Keys(store, clock)
        self.limits = Limits(clock)

    def invite(self, annotator: str, role: Role = Role.OWNER) -> str:
        """A token that lets one browser in, once, as this annotator; makes the account when it is not there."""
        self.accounts.ensure(annotator, role)
        return self.invitations.link(annotator, made_by=annotator)[1]

    def redeem(self, token: str) -> str | None:
        """The value of a session cookie for a link's token; None if it is unknown or used."""
        account = self.invitations.enter(token)
        return None if account is None else self.accounts.open_session(account.id)

    def caller(self, request: HTTPConnection) -> Caller | None:
        """Who a request comes from; None if nobody, or no longer. A key counts alone: no cookie helps it."""
        given = request.headers.get("authorization")
        if given is not None:
            scheme, _, token = given.partition(" ")
            return self.keys.caller(token.strip()) if scheme.lower() == "bearer" else None
        token = self.session_of(request)
        found = None if token is None else self.accounts.holder(token)
        return None if found is None else caller_of(*found)

    @property
    def open_to_others(self) -> bool:
        """Whether there is a way in besides the link from the terminal."""
        return self.oidc is not None or self.accounts.any_sign_in() or bool(self.invitations.all())

    def session_of(self, request: HTTPConnection) -> str | None:
        """The session token that a browser sent, if it did."""
        return request.cookies.get(self.site.cookie(request))

    def standing(self, callers: set[Caller]) -> set[Caller]:
        """Those of whom all is still so: their session or key lasts, and they may do no less."""
        sessions = self.accounts.lasting({one.session for one in callers if one.session is not None})
        keys = self.keys.lasting({one.key for one in callers if one.key is not None})
        may = {id: MAY[account.role] for id, account in sessions.items()} | keys
        nothing: frozenset[Permission] = frozenset()
        return {one for one in callers if one.may <= may.get(one.session or one.key or "", nothing)}

    def pace(self, caller: Caller, request: HTTPConnection) -> None:
        """Raise 429 when a caller changes things too often."""
        if request.scope.get("method", "GET") not in SAFE_METHODS:
            self.limits.take(caller.key or caller.account, ANSWERS if caller.key is None else PROGRAM)

    def let_in(self, request: HTTPConnection, reply: Response, session: str) -> None:
        """Give a browser its session."""
        reply.set_cookie(
            self.site.cookie(request),
            session,
            max_age=int(SESSION_SECONDS),
            httponly=True,
            samesite="strict",
            path="/",
            secure=self.site.secure(request),
        )


def caller_of(account: Account, session: str) -> Caller:
    """The caller that an account is."""
    may = MAY[account.role]
    return Caller(account.id, account.role, account.id, may, session=session)


class Guard:
    """ASGI middleware: refuses requests from other sites and names, caps bodies, sets the security headers."""

    def __init__(self, app: ASGIApp, site: Site | None = None) -> None:
        self._app = app
        self._site = site or Site()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return

        async def send_guarded(message: Message) -> None:
            if message["type"] in ("http.response.start", "websocket.http.response.start"):
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers[name] = value
                if self._site.host is not None:
                    headers["Strict-Transport-Security"] = "max-age=31536000"
                headers.setdefault("Cache-Control", "no-store")
            await send(message)

        method = str(scope.get("method", "WEBSOCKET"))
        refusal = _refusal(self._site, method, Headers(scope=scope))
        app = self._app if refusal is None else refusal
        await app(scope, receive, send_guarded)


def _refusal(site: Site, method: str, headers: Headers) -> JSONResponse | None:
    own = site.origin(headers.get("host", ""))
    if own is None:
        served = "localhost" if site.host is None else f"localhost and {site.host}"
        return JSONResponse(refusal(f"The studio answers only to {served}."), 421)
    if method in SAFE_METHODS:
        return None
    # a browser never sends a key by itself, so a program that does needs no origin; one that is there must be right
    origin, site_of = headers.get("origin"), headers.get("sec-fetch-site", "same-origin")
    by_key = "authorization" in headers and origin is None
    if (origin != own and not by_key) or site_of != "same-origin":
        return JSONResponse(refusal("This request does not come from the studio's own page."), 403)
    if method == "WEBSOCKET":
        return None
    length = headers.get("content-length", "0")  # without one, and not in chunks, there is no body
    if "transfer-encoding" in headers or not length.isdecimal() or int(length) > LONGEST_BODY:
        return JSONResponse(refusal("The request is too long, or does not say how long it is."), 413)
    return None


def _name_of(host: str) -> str | None:
    try:
        return urlsplit(f"//{host}").hostname
    except ValueError:  # brackets that do not match
        return None

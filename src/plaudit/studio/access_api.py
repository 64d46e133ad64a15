"""Signing in and out, joining, and what the studio knows about whoever asks."""

from __future__ import annotations

from typing import Annotated, Any, cast

from fastapi import Depends, FastAPI, Header, HTTPException, Query, Request, Response
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse
from starlette.exceptions import HTTPException as AnyHTTPException

from plaudit.errors import MissingExtra, RecordError
from plaudit.studio.access import Access, caller_of
from plaudit.studio.access_shapes import Asked, Join, Login, Logout, Me, Password, Token, Ways
from plaudit.studio.client import ENTER, index, waiting
from plaudit.studio.invitations import Joining
from plaudit.studio.limits import ADDRESS, LOGIN
from plaudit.studio.manage_api import add_management, asked
from plaudit.studio.refusals import refusal
from plaudit.studio.roles import Caller, Permission, needs, said
from plaudit.studio.webhooks import Webhooks

OIDC_COOKIE = "plaudit_oidc"
Self = Annotated[Caller, Depends(needs(Permission.SELF))]


def add_access(app: FastAPI, access: Access, hooks: Webhooks) -> None:
    """Add everything about who may use the studio; `access` answers for the whole application from then on."""
    app.state.access = access
    _add_sessions(app, access)
    _add_joining(app, access)
    _add_provider(app, access)
    add_management(app, access, hooks)

    @app.get("/api/openapi.json")
    def openapi(caller: Self) -> dict[str, Any]:
        """The contract of this interface."""
        del caller
        return app.openapi()

    @app.exception_handler(AnyHTTPException)
    def refused(request: Request, error: Exception) -> Response:
        wrong = cast(AnyHTTPException, error)
        after = (wrong.headers or {}).get("Retry-After")
        if wrong.status_code == 429 and after is not None and "text/html" in request.headers.get("accept", ""):
            return waiting(int(after))  # somebody followed a link: a page for people, which tries again
        return JSONResponse(refusal(str(wrong.detail)), wrong.status_code, headers=wrong.headers)

    @app.exception_handler(MissingExtra)
    def missing(request: Request, error: Exception) -> JSONResponse:
        return JSONResponse(refusal(str(error)), 501)


def _add_sessions(app: FastAPI, access: Access) -> None:
    @app.get("/enter", include_in_schema=False)
    def enter(request: Request, token: str = "") -> HTMLResponse:
        access.limits.take(("enter", _address(request)), ADDRESS)
        session = access.redeem(token)
        if session is None:
            return index(403)
        reply = HTMLResponse(ENTER)
        access.let_in(request, reply, session)
        return reply

    @app.get("/api/login")
    def ways() -> Ways:
        """How one can sign in."""
        oidc = access.oidc
        return Ways(password=access.accounts.any_sign_in(), provider=None if oidc is None else oidc.name)

    @app.post("/api/login")
    def login(request: Request, reply: Response, given: Login) -> Me:
        """Sign in; the session that the browser had ends."""
        access.limits.take(("login", _address(request)), ADDRESS)
        access.limits.take(("login", _address(request), given.name[:100].casefold()), LOGIN)
        account = access.accounts.sign_in(given.name, given.password)
        if account is None:
            raise HTTPException(401, said("The name or the password is another one", next_step="try again"))
        session = access.accounts.open_session(account.id, instead_of=access.session_of(request))
        access.let_in(request, reply, session)
        return _me(access, caller_of(account, session))

    @app.post("/api/logout")
    def logout(request: Request, reply: Response, caller: Self, wish: Logout) -> dict[str, bool]:
        """End this session, or all of one's own."""
        access.accounts.end_sessions(_person(caller).account, only=None if wish.everywhere else caller.session)
        reply.delete_cookie(access.site.cookie(request), secure=access.site.secure(request), httponly=True)
        return {"done": True}

    @app.get("/api/me")
    def me(caller: Self) -> Me:
        """Whoever asks."""
        return _me(access, caller)

    @app.post("/api/password")
    def password(request: Request, reply: Response, caller: Self, given: Password) -> Me:
        """Take another password; ends all other sessions."""
        access.limits.take(("password", caller.account), LOGIN)
        access.accounts.new_password(_person(caller).account, given.old, given.new)
        access.let_in(request, reply, access.accounts.open_session(caller.account))
        return _me(access, caller)


def _add_joining(app: FastAPI, access: Access) -> None:
    @app.get("/api/join")
    def look(request: Request, invitation: Annotated[Token, Header()]) -> Asked:
        """What an invitation asks; its token comes in a header, which is in no log."""
        access.limits.take(("join", _address(request)), ADDRESS)
        there = access.invitations.look(invitation)
        return asked(there.role, there.asks)

    @app.post("/api/join")
    def join(request: Request, reply: Response, given: Join) -> Me:
        """Make an account out of an invitation, and sign in."""
        access.limits.take(("join", _address(request)), ADDRESS)
        told = Joining(given.name, given.password, given.email, given.traits, given.consent)
        account = access.invitations.join(given.token, told)
        session = access.accounts.open_session(account.id, instead_of=access.session_of(request))
        access.let_in(request, reply, session)
        return _me(access, caller_of(account, session))


def _add_provider(app: FastAPI, access: Access) -> None:
    @app.get("/api/oidc", include_in_schema=False)
    def begin(request: Request) -> RedirectResponse:
        access.limits.take(("oidc", _address(request)), ADDRESS)
        if access.oidc is None:
            raise HTTPException(404, said("This studio knows no provider to sign in with"))
        there, binding = access.oidc.begin(f"{access.site.origin(request.headers['host'])}/api/oidc/callback")
        reply = RedirectResponse(there, 302)
        # lax, not strict: the provider's page leads back here
        secure = access.site.secure(request)
        reply.set_cookie(
            OIDC_COOKIE, binding, max_age=600, httponly=True, samesite="lax", path="/api/oidc", secure=secure
        )
        return reply

    @app.get("/api/oidc/callback", include_in_schema=False)
    def finish(
        request: Request,
        state: Annotated[str, Query(max_length=200)] = "",
        code: Annotated[str, Query(max_length=4000)] = "",
    ) -> HTMLResponse:
        access.limits.take(("oidc", _address(request)), ADDRESS)
        if access.oidc is None:
            raise HTTPException(404, said("This studio knows no provider to sign in with"))
        who = access.oidc.finish(state, code, request.cookies.get(OIDC_COOKIE, ""))
        account = access.accounts.of_subject(who.issuer, who.subject, who.role)
        if account.closed:
            raise HTTPException(403, said("This account was closed", next_step="ask the owner of this study"))
        if who.name is not None:
            access.accounts.remember(account.id, {"name": who.name} | ({"email": who.email} if who.email else {}))
        reply = HTMLResponse(ENTER)
        session = access.accounts.open_session(account.id, instead_of=access.session_of(request))
        access.let_in(request, reply, session)
        reply.delete_cookie(OIDC_COOKIE, path="/api/oidc")
        return reply


def _me(access: Access, caller: Caller) -> Me:
    return Me(
        account=caller.account,
        role=caller.role,
        annotator=caller.annotator if Permission.LABEL in caller.may else None,
        name=access.accounts.name(caller.account) if caller.key is None else None,
        may=sorted(caller.may, key=lambda one: one.value),
    )


def _person(caller: Caller) -> Caller:
    if caller.session is None:
        raise RecordError("A key has no session and no password", next_step="delete the key instead")
    return caller


def _address(request: Request) -> str:
    return request.client.host if request.client is not None else ""

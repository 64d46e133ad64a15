"""The studio's web application: one labelling page and its API, for people on this machine."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Annotated

from fastapi import Cookie, Depends, FastAPI, HTTPException, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse

from plaudit.errors import RecordError, StoreError
from plaudit.store.store import Store
from plaudit.studio.access import SESSION_SECONDS, Access, Guard
from plaudit.studio.client import add_client, index
from plaudit.studio.desk import Desk
from plaudit.studio.view import Answer, Progress, SessionCue, Undo, View
from plaudit.studio.watch_api import add_watch

COOKIE = "plaudit_session"
DEFAULT_INSTRUCTION = "Go by what you would want the agent to do."
# a page of its own, not a redirect: a browser that followed a link from elsewhere sends a strict cookie only from here
ENTER = """<!doctype html><html lang="en"><meta charset="utf-8"><meta http-equiv="refresh" content="0; url=/">
<title>plaudit</title><link rel="icon" href="/static/icon.svg"><a href="/">Open</a></html>"""


def who(request: Request, plaudit_session: Annotated[str | None, Cookie()] = None) -> str:
    """The annotator that a request comes from; refuses (401) what has no session."""
    access: Access = request.app.state.access
    annotator = access.annotator(plaudit_session)
    if annotator is None:
        raise HTTPException(401, "open the link that the terminal shows")
    return annotator


Who = Annotated[str, Depends(who)]


def create_app(
    store: Store,
    *,
    access: Access | None = None,
    instruction: str = DEFAULT_INSTRUCTION,
    clock: Callable[[], float] = time.monotonic,
) -> FastAPI:
    """The application over one run's store.

    Args:
        store: questions, answers and clips; the application does not close it.
        access: who may come in; `access.invite(annotator)` gives the token for a link `/enter?token=...`.
        instruction: what people are to judge by, in a sentence.
        clock: seconds, monotonic; tests pass their own.
    """
    access = access or Access(clock)
    desk = Desk(store, instruction=instruction, clock=clock)
    app = FastAPI(title="plaudit studio", lifespan=_keeping(desk), docs_url=None, redoc_url=None, openapi_url=None)
    app.add_middleware(Guard)
    app.state.access = access
    _handle_errors(app)
    _add_pages(app, access)
    add_client(app)
    _add_api(app, desk, store)
    add_watch(app, store)
    return app


def _keeping(desk: Desk) -> Callable[[FastAPI], AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncGenerator[None]:
        del app

        async def keep_saving() -> None:
            while True:
                await asyncio.sleep(1.0)
                await asyncio.to_thread(desk.tick)

        saving = asyncio.create_task(keep_saving())
        yield
        saving.cancel()
        await asyncio.to_thread(desk.close)

    return lifespan


def _handle_errors(app: FastAPI) -> None:
    @app.exception_handler(RecordError)
    def refused(request: Request, error: Exception) -> JSONResponse:
        return JSONResponse({"error": str(error)}, 409)

    @app.exception_handler(StoreError)
    def unavailable(request: Request, error: Exception) -> JSONResponse:
        return JSONResponse({"error": str(error)}, 503)

    @app.exception_handler(RequestValidationError)
    def unreadable(request: Request, error: Exception) -> JSONResponse:
        return JSONResponse({"error": "The studio could not read this request; reload the page."}, 422)


def _add_pages(app: FastAPI, access: Access) -> None:
    @app.get("/enter")
    def enter(token: str = "") -> Response:
        session = access.redeem(token)
        if session is None:
            return index(403)
        reply = HTMLResponse(ENTER)
        reply.set_cookie(COOKIE, session, max_age=int(SESSION_SECONDS), httponly=True, samesite="strict", path="/")
        return reply

    @app.get("/")
    def home(plaudit_session: Annotated[str | None, Cookie()] = None) -> Response:
        return index(200 if access.annotator(plaudit_session) else 401)


def _add_api(app: FastAPI, desk: Desk, store: Store) -> None:
    @app.get("/api/next")
    def next_question(annotator: Who) -> View:
        return desk.view(annotator)

    @app.post("/api/feedback")
    def give_feedback(annotator: Who, answer: Answer) -> View:
        return desk.submit(annotator, answer.submission())

    @app.post("/api/undo")
    def undo(annotator: Who, wish: Undo) -> View:
        return desk.undo(annotator, wish.submission)

    @app.post("/api/session")
    def session(annotator: Who, wish: SessionCue) -> View:
        return desk.pause(annotator) if wish.cue == "pause" else desk.resume(annotator)

    @app.get("/api/progress")
    def progress(annotator: Who) -> Progress:
        return desk.view(annotator).progress

    @app.get("/media/{digest}")
    def media(annotator: Who, digest: str) -> Response:
        # only clips that were shown to somebody: other blobs hold true rewards
        if digest not in desk.media:
            raise HTTPException(404)
        headers = {"Cache-Control": "private, max-age=31536000, immutable"}
        return Response(store.blobs.get(digest), media_type=desk.media[digest], headers=headers)

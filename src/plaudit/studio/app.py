"""The studio's web application: one labelling page and its API, for people on this machine."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Annotated

from fastapi import Depends, FastAPI, HTTPException, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse

from plaudit.ask.service import ServiceConfig
from plaudit.errors import RecordError, StoreError
from plaudit.store.store import Store
from plaudit.studio.access import Access, Guard
from plaudit.studio.access_api import add_access
from plaudit.studio.access_shapes import REFUSALS
from plaudit.studio.client import add_client, index
from plaudit.studio.desk import Desk
from plaudit.studio.export_api import add_export
from plaudit.studio.live import add_live
from plaudit.studio.refusals import refusal
from plaudit.studio.roles import Caller, Permission, needs
from plaudit.studio.study_api import add_study
from plaudit.studio.view import Answer, Progress, SessionCue, Undo, View
from plaudit.studio.watch_api import add_watch
from plaudit.studio.webhooks import Webhooks


def who(caller: Annotated[Caller, Depends(needs(Permission.LABEL))]) -> str:
    """The annotator that a request comes from."""
    return caller.annotator


Who = Annotated[str, Depends(who)]


def create_app(
    store: Store,
    *,
    access: Access | None = None,
    service: ServiceConfig | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> FastAPI:
    """The application over one run's store.

    Args:
        store: questions, answers and clips; the application does not close it.
        access: who may come in; `access.invite(annotator)` gives the token for a link `/enter?token=...`.
        service: how people are asked.
        clock: seconds, monotonic; tests pass their own.
    """
    access = access or Access(store)
    service = service or ServiceConfig()
    config = next(store.events(upto=1)).payload.get("config", {})
    desk = Desk(store, service, clock=clock, live="world" in config)
    app = FastAPI(
        title="plaudit studio",
        lifespan=_keeping(desk),
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        responses=REFUSALS,
    )
    app.add_middleware(Guard, site=access.site)
    _handle_errors(app)
    _add_pages(app, access)
    add_client(app)
    app.state.hooks = Webhooks(store)
    add_access(app, access, app.state.hooks)
    add_export(app, store)
    _add_api(app, desk, store)
    add_live(app, store, config, holds=desk.holds)
    add_watch(app, store)
    add_study(app, store, access, service)
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
        return JSONResponse(refusal(str(error)), 409)

    @app.exception_handler(StoreError)
    def unavailable(request: Request, error: Exception) -> JSONResponse:
        return JSONResponse(refusal(str(error)), 503)

    @app.exception_handler(RequestValidationError)
    def unreadable(request: Request, error: Exception) -> JSONResponse:
        return JSONResponse(refusal("The studio could not read this request; reload the page."), 422)


def _add_pages(app: FastAPI, access: Access) -> None:
    @app.get("/", include_in_schema=False)
    def home(request: Request) -> Response:
        return index(200 if access.caller(request) is not None or access.open_to_others else 401)


def _add_api(app: FastAPI, desk: Desk, store: Store) -> None:
    @app.get("/api/next")
    def next_question(annotator: Who) -> View:
        return desk.view(annotator)

    @app.post("/api/feedback")
    def give_feedback(annotator: Who, answer: Answer) -> View:
        return desk.submit(annotator, answer)

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
        mime = desk.showing.media_of(annotator, digest)
        if mime is None:
            raise HTTPException(404)
        headers = {"Cache-Control": "private, max-age=31536000, immutable"}
        return Response(store.blobs.get(digest), media_type=mime, headers=headers)

"""An endpoint that OpenAI's clients talk to, over one language model on this machine; with a store, a way into its labelling queue."""

from __future__ import annotations

import asyncio
import hmac
import json
import secrets
import time
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse, StreamingResponse
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Receive, Scope, Send

from plaudit.errors import ConfigError, PlauditError, RecordError
from plaudit.serving import wire
from plaudit.serving.judging import Queue, add_judging, read_body
from plaudit.serving.speaker import BusyError, Piece, Reply, Talker
from plaudit.serving.wire import Asked, Defaults, Frame, RefusedError
from plaudit.studio.access import LOCAL_HOSTS

LONGEST_BODY = 1 << 20
"""bytes of a request"""


@dataclass(frozen=True, slots=True)
class Served:
    """What is served to whom."""

    name: str
    """of the model, as requests name it"""
    talker: Talker
    defaults: Defaults = field(default_factory=Defaults)
    key: str | None = None
    """what callers must send as `Authorization: Bearer KEY`; None: anybody on this machine may ask"""
    seed: int | None = None
    """of requests that name none; None: each gets another"""


def create_app(served: Served, queue: Queue | None = None) -> FastAPI:
    """The application. It closes neither the model's thread nor the store.

    Args:
        served: the model.
        queue: a store whose labelling queue can be written to; None: there is no such way.
    """
    app = FastAPI(title="plaudit", docs_url=None, redoc_url=None, openapi_url=None)
    app.add_middleware(Gate, served=served)
    _handle_errors(app)
    began = int(time.time())

    @app.get("/v1/models")
    async def models() -> dict[str, Any]:
        return {"object": "list", "data": [_model(served, began)]}

    @app.get("/v1/models/{name:path}")
    async def model(name: str) -> dict[str, Any]:
        _require_model(served, name)
        return _model(served, began)

    @app.post("/v1/chat/completions")
    async def chat(request: Request) -> Response:
        asked = wire.chat_asked(await read_body(request), served.defaults, seed=fresh_seed(served))
        return await _reply(served, asked, chat=True)

    @app.post("/v1/completions")
    async def complete(request: Request) -> Response:
        asked = wire.completion_asked(await read_body(request), served.defaults, seed=fresh_seed(served))
        return await _reply(served, asked, chat=False)

    if queue is not None:
        add_judging(app, queue, served.talker, served.defaults, lambda: fresh_seed(served))
    return app


def fresh_seed(served: Served) -> int:
    """The seed of a request that names none."""
    return secrets.randbits(62) if served.seed is None else served.seed


def _model(served: Served, began: int) -> dict[str, Any]:
    return {"id": served.name, "object": "model", "created": began, "owned_by": "plaudit"}


def _require_model(served: Served, name: object) -> None:
    if name not in (None, served.name):
        raise RefusedError(
            f"There is no model {name!r} here, only {served.name!r}", param="model", code="model_not_found", status=404
        )


async def _reply(served: Served, asked: Asked, *, chat: bool) -> Response:
    _require_model(served, asked.model)
    frame = Frame(f"{'chatcmpl' if chat else 'cmpl'}-{secrets.token_hex(12)}", served.name, int(time.time()), chat)
    wishes = [served.talker.speaker.fitted(wish, asked.most) for wish in asked.wishes]
    prompts = sum(len(served.talker.speaker.prompt_ids(wish)) for wish in wishes)
    # all are queued before anything is told, so that what is refused is refused with a status
    replies = [served.talker.ask(wish) for wish in wishes]
    if asked.stream:
        told = _stream(frame, replies, prompts if asked.usage else None)
        return StreamingResponse(told, media_type="text/event-stream", headers={"Cache-Control": "no-store"})
    count = sum(wish.samples for wish in wishes)
    texts, ends, tokens = [""] * count, ["length"] * count, [0] * count
    async for index, piece in _pieces(replies):
        texts[index] += piece.text
        tokens[index] = piece.tokens
        ends[index] = piece.end or ends[index]
    return JSONResponse(frame.whole(texts, ends, wire.usage_of(prompts, sum(tokens))))


async def _pieces(replies: list[Reply]) -> AsyncGenerator[tuple[int, Piece]]:
    """Pieces of all replies with the number of their choice; whoever goes away lets the model go on."""
    first = 0
    try:
        for reply in replies:
            while (piece := await asyncio.to_thread(reply.next)) is not None:
                yield first + piece.sample, piece
            first += reply.wish.samples
    finally:
        for reply in replies:
            reply.cancel()


async def _stream(frame: Frame, replies: list[Reply], prompts: int | None) -> AsyncGenerator[str]:
    """Server-sent events, the last one `[DONE]`; what goes wrong on the way is told as one."""
    begun: set[int] = set()
    tokens: dict[int, int] = {}
    try:
        async for index, piece in _pieces(replies):
            if frame.chat and index not in begun:
                yield _event(frame.chunk(index, "", None, first=True))
            begun.add(index)
            tokens[index] = piece.tokens
            yield _event(frame.chunk(index, piece.text, piece.end))
    except PlauditError as error:
        yield _event(wire.error_body(str(error), kind="server_error"))
        return
    if prompts is not None:
        yield _event(frame.last(wire.usage_of(prompts, sum(tokens.values()))))
    yield "data: [DONE]\n\n"


def _event(data: dict[str, Any]) -> str:
    return f"data: {json.dumps(data, ensure_ascii=False)}\n\n"


class Gate:
    """ASGI middleware: refuses who may not ask, pages of other sites, and bodies that are too long or no JSON."""

    def __init__(self, app: ASGIApp, served: Served) -> None:
        self._app, self._served = app, served

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        app = self._app
        if scope["type"] == "http":
            refused = _refusal(self._served.key, scope["method"], Headers(scope=scope))
            app = app if refused is None else JSONResponse(refused.body(), refused.status)
        await app(scope, receive, send)


def _refusal(key: str | None, method: str, headers: Headers) -> RefusedError | None:
    """Why a request is not looked at; None if it is."""
    if key is None:
        # a foreign name that resolves to this machine is how other sites reach local servers (DNS rebinding)
        if _host(headers.get("host", "")) not in LOCAL_HOSTS:
            return RefusedError("Without an API key only this machine is answered", code="other_host", status=421)
    elif not hmac.compare_digest(headers.get("authorization", "").encode(), f"Bearer {key}".encode()):
        return RefusedError("The API key is missing, or another one", code="invalid_api_key", status=401)
    if "origin" in headers:  # a browser's page; programs send none
        return RefusedError("Pages of other sites are not answered", code="other_site", status=403)
    if method != "POST":
        return None
    length = headers.get("content-length", "")
    if not length.isdecimal() or int(length) > LONGEST_BODY:
        return RefusedError(f"A body has at most {LONGEST_BODY} bytes, and says so", code="too_long", status=413)
    if headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        return RefusedError("The body must be application/json", code="not_json", status=415)
    return None


def _host(given: str) -> str | None:
    try:
        return urlsplit(f"//{given}").hostname
    except ValueError:  # brackets that do not match
        return None


def _handle_errors(app: FastAPI) -> None:
    @app.exception_handler(RefusedError)
    async def refused(request: Request, error: RefusedError) -> JSONResponse:
        del request
        return JSONResponse(error.body(), error.status)

    @app.exception_handler(BusyError)
    async def busy(request: Request, error: BusyError) -> JSONResponse:
        del request
        body = wire.error_body(str(error), code="busy", kind="rate_limit_error")
        return JSONResponse(body, 429, {"Retry-After": "2"})

    @app.exception_handler(ConfigError)
    @app.exception_handler(RecordError)
    async def unfit(request: Request, error: PlauditError) -> JSONResponse:
        del request
        return JSONResponse(wire.error_body(str(error), code="invalid_value"), 400)

    @app.exception_handler(PlauditError)
    async def failed(request: Request, error: PlauditError) -> JSONResponse:
        del request
        return JSONResponse(wire.error_body(str(error), kind="server_error"), 503)

    @app.exception_handler(HTTPException)
    async def unknown(request: Request, error: HTTPException) -> JSONResponse:
        return JSONResponse(wire.error_body(f"{request.method} {request.url.path}: {error.detail}"), error.status_code)

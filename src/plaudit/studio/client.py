"""Serves the studio's page as it was built: named by content and kept for ever, packed where the browser unpacks it."""

from __future__ import annotations

import mimetypes
from pathlib import Path
from typing import Annotated

from fastapi import FastAPI, Header, HTTPException
from fastapi.responses import HTMLResponse, Response

STATIC = Path(__file__).parent / "static"
KINDS = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}
FOR_EVER = "public, max-age=31536000, immutable"
# a page of its own, not a redirect: a browser that followed a link from elsewhere sends a strict cookie only from here
ENTER = """<!doctype html><html lang="en"><meta charset="utf-8"><meta http-equiv="refresh" content="0; url=/">
<title>plaudit</title><link rel="icon" href="/static/icon.svg"><a href="/">Open</a></html>"""
WAIT = """<!doctype html><html lang="en"><meta charset="utf-8"><meta http-equiv="refresh" content="{seconds}">
<meta name="viewport" content="width=device-width"><meta name="color-scheme" content="light dark"><title>plaudit</title>
<link rel="icon" href="/static/icon.svg"><main><h1>Too many people sign in now</h1>
<p>This page opens by itself in {seconds} s; your link stays good.</p>
<p lang="zh-CN">现在登录的人太多。本页将在 {seconds} 秒后自动打开，您的链接仍然有效。</p></main></html>"""
UNBUILT = """<!doctype html><html lang="en"><meta charset="utf-8"><title>plaudit</title>
<h1>The studio's page is not built</h1><p>Run <code>python hatch_build.py</code> in the checkout, then reload.</p></html>"""


def index(status: int = 200) -> HTMLResponse:
    """The page's frame; what is in it, the page asks for. Browsers ask for it anew each time."""
    path = STATIC / "index.html"
    if not path.is_file():
        return HTMLResponse(UNBUILT, 503)
    return HTMLResponse(path.read_text(encoding="utf-8"), status, headers={"Cache-Control": "no-cache"})


def waiting(seconds: int) -> HTMLResponse:
    """A page for whoever came too often, which asks again for the same address when it may."""
    return HTMLResponse(WAIT.format(seconds=seconds), 429, headers={"Retry-After": str(seconds)})


def assets() -> dict[str, Path]:
    """Every file of the page by its name in addresses; nothing else is served."""
    files = [STATIC / "icon.svg", *sorted((STATIC / "assets").glob("*"))]
    return {path.relative_to(STATIC).as_posix(): path for path in files if path.is_file() and path.suffix != ".gz"}


def add_client(app: FastAPI) -> None:
    """Serve the page's files under `/static/`."""
    found = assets()

    @app.get("/static/{name:path}", include_in_schema=False)
    def asset(name: str, accept_encoding: Annotated[str, Header()] = "") -> Response:
        path = found.get(name)
        if path is None:
            raise HTTPException(404)
        headers = {"Cache-Control": FOR_EVER if name.startswith("assets/") else "no-cache", "Vary": "Accept-Encoding"}
        packed = path.with_name(f"{path.name}.gz")
        if _takes_gzip(accept_encoding) and packed.is_file():
            headers["Content-Encoding"] = "gzip"
            path = packed
        return Response(path.read_bytes(), media_type=_kind(name), headers=headers)


def _takes_gzip(accepted: str) -> bool:
    wishes = [wish.replace(" ", "").partition(";") for wish in accepted.lower().split(",")]
    return any(name == "gzip" and weight not in ("q=0", "q=0.0") for name, _, weight in wishes)


def _kind(name: str) -> str:
    return KINDS.get(Path(name).suffix) or mimetypes.guess_type(name)[0] or "application/octet-stream"

"""Runs the studio on this machine."""

from __future__ import annotations

import logging
import socket
import time
import webbrowser
from collections.abc import Callable
from pathlib import Path

import uvicorn

from plaudit.ask.study import service_of
from plaudit.errors import RunError
from plaudit.store.store import Store
from plaudit.studio.access import Access
from plaudit.studio.app import create_app

HOST = "127.0.0.1"
PORT = 8765
LOG = logging.getLogger(__name__)


def serve(
    store_path: Path,
    *,
    annotator: str = "person-1",
    port: int = PORT,
    open_browser: bool = True,
    announce: Callable[[str], None] | None = None,
) -> None:
    """Serve one run's labelling page until interrupted.

    Args:
        store_path: the run's store.
        annotator: pseudonym of who answers.
        port: 0 takes any free one; answers that wait in a browser are found again on the same port only.
        open_browser: also open the link.
        announce: told the link that lets one browser in; without it the link goes to the log.

    Raises:
        RunError: the port is taken.
        StoreError: there is no store, or it cannot be read.
    """
    listener = _listen(port)
    store = Store.open(store_path)
    try:
        access = Access(time.monotonic)
        app = create_app(store, access=access, service=service_of(store))
        link = f"http://{HOST}:{listener.getsockname()[1]}/enter?token={access.invite(annotator)}"
        (announce or LOG.warning)(link)
        if open_browser:
            webbrowser.open(link)
        # no access log: it would hold the token
        uvicorn.Server(uvicorn.Config(app, log_level="warning", access_log=False)).run(sockets=[listener])
    finally:
        store.close()
        listener.close()


def _listen(port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((HOST, port))
    except OSError as error:
        listener.close()
        raise RunError(
            "The studio's port is taken", got=f"{HOST}:{port}: {error}", next_step="choose another one with --port"
        ) from error
    return listener

"""Runs the studio."""

from __future__ import annotations

import logging
import webbrowser
from collections.abc import Callable
from pathlib import Path
from types import FrameType

import uvicorn

from plaudit.ask.study import service_of
from plaudit.store.store import Store
from plaudit.studio.access import Access
from plaudit.studio.app import create_app
from plaudit.studio.deliver import Deliveries
from plaudit.studio.network import HOST, StudioConfig, access_for, listen
from plaudit.studio.watch import Watch

PORT = 8765
KEEP_ALIVE = 75
"""seconds for which a connection stays open between two requests: longer than most people think about a question"""
STREAM_SECONDS = 2
"""for so long streams that are still open keep a studio that is to stop"""
LONGEST_MESSAGE = 16_384
"""bytes that a page may send over a WebSocket at once"""
LOG = logging.getLogger(__name__)


def serve(
    store_path: Path,
    *,
    annotator: str = "person-1",
    port: int = PORT,
    open_browser: bool = True,
    announce: Callable[[str], None] | None = None,
    config: StudioConfig | None = None,
) -> None:
    """Serve one run's studio until interrupted.

    Args:
        store_path: the run's store.
        annotator: pseudonym of who answers.
        port: 0 takes any free one; answers that wait in a browser are found again on the same port only.
        open_browser: also open the link.
        announce: told the link that lets one browser in, or the public address; without it the link goes to the log.
        config: where to listen and for whom; None: this machine only.

    Raises:
        ConfigError: others could reach the studio, but nobody can sign in as its owner.
        RunError: the port is taken.
        StoreError: there is no store, or it cannot be read.
    """
    config = config or StudioConfig()
    listener = listen(config.host, port)
    store = Store.open(store_path)
    try:
        access = access_for(config, Access(store))
        app = create_app(store, access=access, service=service_of(store))
        link = config.public_url
        if link is None:
            link = f"http://{HOST}:{listener.getsockname()[1]}/enter?token={access.invite(annotator)}"
        (announce or LOG.warning)(link)
        if open_browser:
            webbrowser.open(link)
        # no access log: it would hold the token
        settings = uvicorn.Config(
            app,
            log_level="warning",
            access_log=False,
            timeout_keep_alive=KEEP_ALIVE,
            timeout_graceful_shutdown=STREAM_SECONDS,
            ws_max_size=LONGEST_MESSAGE,
            ws_per_message_deflate=False,  # pictures are packed already
            ssl_certfile=config.certificate,
            ssl_keyfile=config.certificate_key,
        )
        with Deliveries(app.state.hooks):
            _Server(settings, app.state.watch).run(sockets=[listener])
    finally:
        store.close()
        listener.close()


class _Server(uvicorn.Server):
    """Ends the streams of those who watch when it is told to stop; it would wait for them."""

    def __init__(self, config: uvicorn.Config, watch: Watch) -> None:
        super().__init__(config)
        self._watch = watch

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Told to stop."""
        self._watch.close()
        super().handle_exit(sig, frame)

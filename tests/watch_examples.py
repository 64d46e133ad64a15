"""A studio that only watches, for tests: its visitors may do what the test says."""

from __future__ import annotations

import socket
import threading
from pathlib import Path
from typing import Any

import uvicorn
from fastapi import FastAPI
from fastapi.responses import HTMLResponse

from plaudit.report.scores import When, keep
from plaudit.store.store import Store
from plaudit.studio import client
from plaudit.studio.access import Guard
from plaudit.studio.roles import MAY, Caller, Role
from plaudit.studio.watch_api import add_watch
from tests.report_runs import FakeRun


class Gate:
    """Everybody has one role; nobody is let in without one."""

    def __init__(self, role: Role | None) -> None:
        self.role = role

    def caller(self, request: object) -> Caller | None:
        del request
        return None if self.role is None else Caller("somebody", self.role, "person-1", MAY[self.role])

    def pace(self, caller: Caller, request: object) -> None:
        """Nobody is too fast."""

    def standing(self, callers: set[Caller]) -> set[Caller]:
        return callers


def watching(store: Store, role: Role | None = Role.OWNER) -> FastAPI:
    app = FastAPI()
    app.add_middleware(Guard)
    app.state.access = Gate(role)
    add_watch(app, store)
    client.add_client(app)

    @app.get("/api/me")
    def me() -> dict[str, object]:
        may = [one.value for one in MAY[role]] if role else []
        return {"account": "somebody", "role": role and role.value, "annotator": "person-1", "name": "", "may": may}

    @app.get("/")
    def home() -> HTMLResponse:
        return client.index()

    return app


class Serving:
    """The application in a thread, at `address`."""

    def __init__(self, app: Any) -> None:
        self.app = app
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        config = uvicorn.Config(app, log_level="error")
        self.server = uvicorn.Server(config)
        self.thread = threading.Thread(target=self.server.run, kwargs={"sockets": [self.listener]})

    def __enter__(self) -> Serving:
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.app.state.watch.close()
        self.server.should_exit = True
        self.thread.join()


def scored_run(path: Path, **changes: Any) -> Store:
    """A run of three rounds whose models left their opinions, as the stage `learn` leaves them."""
    store = FakeRun(path, **changes).write()
    queries = store.queries()
    for round_ in range(3):
        here = [one for query in queries if query.round == round_ for one in query.segments]
        known = [one for query in queries if query.round <= round_ for one in query.segments]
        for when, names in ((When.BEFORE, here if round_ else []), (When.AFTER, known)):
            if names:
                version = f"{round_ - (when is When.BEFORE)}r" * 8
                keep(store, round_, when, reward=version, segments=names, members=opinions(store, names, round_))
    return store


def opinions(store: Store, names: list[str], round_: int) -> Any:
    """Two members: the true return, and the same shrunk in early rounds."""
    import numpy as np

    found = store.segments(names)
    returns = np.array([store.segment_data(found[name]).true_rewards.sum() for name in names])
    return np.stack([returns, returns * (round_ - 1)])

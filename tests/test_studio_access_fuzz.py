"""Requests of all shapes at every endpoint, from the OpenAPI document: refused perhaps, never a crash."""

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from starlette.types import ASGIApp, Receive, Scope, Send

from plaudit.studio.roles import Permission, Role
from tests.access_examples import HOME, Studio, make_studio
from tests.studio_examples import render_all

schemathesis: Any = pytest.importorskip("schemathesis", reason="schemathesis is not installed")
HOST = HOME.removeprefix("http://").encode()


class Signed:
    """The application, for requests of an owner; each comes a second after the one before."""

    def __init__(self, app: ASGIApp, studio: Studio) -> None:
        self.app, self.studio = app, studio

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            self.studio.clock.now += 1
            session = self.studio.access.accounts.open_session("boss")
            own = {b"host": HOST, b"origin": HOME.encode(), b"cookie": f"plaudit_session={session}".encode()}
            left = [(name, value) for name, value in scope["headers"] if name not in {*own, b"authorization"}]
            scope = scope | {"headers": [*left, *own.items()]}
        await self.app(scope, receive, send)


@pytest.fixture(scope="module")
def contract(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    studio = make_studio(tmp_path_factory.mktemp("fuzz"))
    studio.access.accounts.ensure("boss", Role.OWNER)
    studio.access.accounts.ensure("spare", Role.OWNER)
    studio.key(Permission.WATCH)
    render_all(studio.store)
    yield schemathesis.openapi.from_asgi("/api/openapi.json", Signed(studio.app, studio))
    assert studio.store.verify().ok
    studio.store.close()


@pytest.mark.slow
def test_nothing_crashes(contract: Any) -> None:
    tried = 0
    for found in contract.exclude(path_regex="/stream$").get_all_operations():
        operation = found.ok()

        @given(case=operation.as_strategy())
        @settings(
            max_examples=12,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            phases=[Phase.generate],
            derandomize=True,
        )
        def check(case: Any) -> None:
            nonlocal tried
            tried += 1
            reply = case.call()
            assert reply.status_code < 500, (case.method, case.path, reply.status_code, reply.text)
            if reply.status_code >= 400:
                assert {"error", "code"} <= set(reply.json())

        check()
    assert tried > 100

"""Every endpoint declares one permission, and every role, key and stranger gets what that says: taken from the application."""

import asyncio
import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.routing import APIRoute, APIWebSocketRoute

from plaudit.studio.access import COOKIE
from plaudit.studio.keys import NEVER
from plaudit.studio.openapi import CONTRACT, contract
from plaudit.studio.roles import MAY, PUBLIC, Permission, Role, declared
from tests.access_examples import HOME, Studio, make_studio
from tests.studio_examples import make_store, render_all

HOST = HOME.removeprefix("http://")
METHODS = ("get", "post", "put", "patch", "delete", "head", "options", "trace")


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Studio]:
    made = make_studio(tmp_path_factory.mktemp("matrix"))
    for role in Role:
        made.access.accounts.ensure(role.value, role)
    yield made
    made.store.close()


def routes_of(router: Any) -> Iterator[Any]:
    """All routes, also those of routers that were included."""
    for route in router.routes:
        inner = getattr(route, "original_router", None)
        if inner is None:
            yield route
        else:
            yield from routes_of(inner)


def permission_of(studio: Studio, path: str, method: str) -> Permission:
    (found,) = {
        permission
        for route in routes_of(studio.app)
        if isinstance(route, APIRoute) and route.path == path and method.upper() in route.methods
        for permission in declared(route.dependant)
    }
    return found


def endpoints(studio: Studio) -> list[tuple[str, str, Permission]]:
    """Everything in the OpenAPI document that is not public."""
    return [
        (path, method, permission_of(studio, path, method))
        for path, operations in studio.app.openapi()["paths"].items()
        if path not in PUBLIC
        for method in operations
        if method in METHODS
    ]


def test_every_endpoint_declares_one_permission_or_is_public(studio: Studio) -> None:
    found = list(routes_of(studio.app))
    assert all(isinstance(route, APIRoute | APIWebSocketRoute) for route in found), found
    for route in found:
        count = len(declared(route.dependant))
        assert count == (0 if route.path in PUBLIC else 1), f"{route.path} declares {count} permissions"
    hidden = {route.path for route in found if isinstance(route, APIRoute) and not route.include_in_schema}
    assert hidden <= PUBLIC  # the document is complete


def test_the_contract_is_the_one_in_the_repository() -> None:
    assert CONTRACT.read_text(encoding="utf-8") == contract(), "run `python -m plaudit.studio.openapi`"


async def status_of(app: Any, kind: str, method: str, path: str, headers: dict[str, str]) -> int:
    """Status with which a reply begins; what follows, an endless stream for example, is not waited for."""
    begun: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    body = b"{}" if method not in ("get", "head") else b""
    all_headers = {"host": HOST, "origin": HOME, "content-type": "application/json", "content-length": str(len(body))}
    scope = {
        "type": kind,
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "scheme": "http" if kind == "http" else "ws",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": [(k.encode(), v.encode()) for k, v in (all_headers | headers).items()],
        "client": ("127.0.0.1", 50_000),
        "server": ("127.0.0.1", 8765),
        "extensions": {"websocket.http.response": {}},
    }
    first = {"type": "http.request", "body": body} if kind == "http" else {"type": "websocket.connect"}
    incoming = iter([first])

    async def receive() -> Any:
        message = next(incoming, None)
        return await asyncio.Future() if message is None else message

    async def send(message: Any) -> None:
        if not begun.done():
            begun.set_result(message.get("status", 101))

    if kind == "http":
        scope["method"] = method.upper()
    task = asyncio.create_task(app(scope, receive, send))
    await asyncio.wait([task, begun], return_when=asyncio.FIRST_COMPLETED)
    if begun.done():
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        return begun.result()
    return await task  # it raised


def filled(path: str) -> str:
    """A path with ids that nothing has."""
    return "/".join("0" * 16 if part.startswith("{") else part for part in path.split("/"))


async def tried(studio: Studio, makers: list[tuple[str, frozenset[Permission] | None, Any]]) -> list[str]:
    """What did not go as the permissions say, for everybody at every endpoint."""
    wrong: list[str] = []
    sockets = [
        ("websocket", "get", route.path, *declared(route.dependant))
        for route in routes_of(studio.app)
        if isinstance(route, APIWebSocketRoute)
    ]
    pages = [("http", method, path, permission) for path, method, permission in endpoints(studio)]
    for (name, may, headers), (kind, method, path, permission) in itertools.product(makers, pages + sockets):
        studio.clock.now += 1
        status = await status_of(studio.app, kind, method, filled(path), headers())
        refusal = 401 if may is None else 403 if permission not in may else None
        fine = status == refusal if refusal is not None else status not in (401, 403, 405) and status < 500
        if not fine:
            wrong.append(f"{name}: {method} {path} ({permission.value}) -> {status}")
    return wrong


def test_every_role_at_every_endpoint(studio: Studio) -> None:
    def cookie(role: Role) -> dict[str, str]:
        return {"cookie": f"{COOKIE}={studio.access.accounts.open_session(role.value)}"}  # one of them signs out

    roles = [(role.value, MAY[role], lambda role=role: cookie(role)) for role in Role]
    strangers = [
        ("nobody", None, dict),
        ("wrong cookie", None, lambda: {"cookie": f"{COOKIE}=guessed"}),
        ("wrong key", None, lambda: {"authorization": "Bearer plaudit_x_y"}),
        ("key beside a cookie", None, lambda: cookie(Role.OWNER) | {"authorization": "Bearer x"}),
    ]
    assert asyncio.run(tried(studio, [*roles, *strangers])) == []


def test_every_key_at_every_endpoint(studio: Studio) -> None:
    keys = {
        scope: {"authorization": f"Bearer {studio.key(scope, account='owner')}"}
        for scope in Permission
        if scope not in NEVER
    }
    makers = [(scope.value, MAY[Role.SERVICE] | {scope}, lambda scope=scope: keys[scope]) for scope in keys]
    assert asyncio.run(tried(studio, makers)) == []


# objects


def test_an_annotator_sees_only_what_is_theirs(tmp_path: Path) -> None:
    with make_store(tmp_path, questions=8) as store:
        studio = Studio(store)
        ann, bob = studio.enter("ann", Role.ANNOTATOR), studio.enter("bob", Role.ANNOTATOR)
        for _ in range(2):
            views = [browser.get("/api/next").json() for browser in (ann, bob)]
            render_all(store)
        asked = [{question["id"] for question in view["questions"]} for view in views]
        assert not asked[0] & asked[1]
        urls = [[item["clip"]["url"] for one in view["questions"] for item in one["items"]] for view in views]
        assert all(urls[0])
        clip = urls[0][0]
        assert ann.get(clip).status_code == 200
        assert ann.get("/media/" + "0" * 64).status_code == 404
        mine = set(urls[0])
        if not mine & set(urls[1]):
            assert bob.get(clip).status_code == 404
        for segment in store.segments([s for q in store.queries() for s in q.segments]).values():
            assert ann.get(f"/media/{segment.blob}").status_code == 404  # true rewards lie there
        others = views[1]["questions"][0]["id"]
        answer = {
            "id": "submission-1",
            "query": others,
            "answer": {"choice": "first"},
            "answered_at": "2026-05-04T12:00:00Z",
            "seconds": 1.0,
            "phases": {},
            "interface": "test",
            "arm": None,
        }
        assert ann.post("/api/feedback", json=answer).status_code == 409
        assert ann.post("/api/feedback", json=answer | {"query": "qry_" + "0" * 32}).status_code == 409
        assert bob.post("/api/feedback", json=answer).status_code == 200

"""The budgets of the studio's pages: every page is measured, and what is over a budget is found."""

from __future__ import annotations

import re
from types import SimpleNamespace
from typing import Any

import pytest

from plaudit.studio.client import STATIC
from plaudit.studio.limits import ADDRESS

page_speed = pytest.importorskip("benchmarks.page_speed", reason="only a checkout has benchmarks")
built = pytest.mark.skipif(not (STATIC / "index.html").is_file(), reason="the page is not built")
SOURCES = STATIC.parent / "web" / "src" / "pages.ts"


@built
@pytest.mark.parametrize("page", page_speed.PAGES)
def test_every_page_is_within_the_budget_of_size(page: str) -> None:
    assert 5.0 < page_speed.size_of(page) < page_speed.BUDGETS["size"]


@pytest.mark.skipif(not SOURCES.is_file(), reason="the installed package has no sources")
def test_every_page_is_measured() -> None:
    routes = set(re.findall(r'route: "(\w+)"', SOURCES.read_text(encoding="utf-8")))
    assert set(page_speed.PAGES) == routes - {"behaviour"}  # which is a part of `watch`


def test_what_is_over_its_budget_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def row(what: str, case: str, p50: float, p95: float) -> dict[str, Any]:
        return {"what": what, "case": case, "n": 9, "p50": p50, "p95": p95, "load": 0.1}

    kept = [
        row("size", "label", 200.0, 200.0),
        row("size", "label", 48.0, 48.0),  # the newest counts
        row("first paint", "watch", 400.0, 2000.0),
        row("key to next", "two clips", 40.0, 100.0),
    ]
    monkeypatch.setattr(page_speed, "read_raw", lambda name: kept)
    rows, over = page_speed.summary()
    assert over == ["key to next/two clips"]
    found = {(one.case, one.metric): one.value for one in rows}
    assert found["size/label", "gzip"] == 48.0
    assert found["key to next/two clips", "p95"] == 100.0
    assert found["key to next/budget", "limit"] == 100.0


class Doors:
    """Stands for a Chromium and a studio: counts who signs in, and what profiles begin with."""

    def __init__(self, status: int) -> None:
        self.status, self.links, self.states, self.seen = status, 0, list[Any](), list[str]()
        self.request = self

    def link(self) -> str:
        self.links += 1
        return f"http://127.0.0.1:9/enter?token={self.links}"

    def new_context(self, **settings: Any) -> Doors:
        self.states.append(settings.get("storage_state"))
        return self

    def get(self, link: str) -> Any:
        assert link == "http://127.0.0.1:9/enter?token=1"
        return SimpleNamespace(ok=self.status == 200, status=self.status)

    def storage_state(self) -> dict[str, Any]:
        return {"cookies": [{"name": "plaudit_session"}] if self.status == 200 else []}

    def new_page(self) -> Doors:
        return self

    def goto(self, address: str) -> None:
        self.seen.append(address)

    def wait_for_selector(self, wanted: str) -> None:
        assert "#signin" in wanted

    def wait_for_function(self, wanted: str) -> None:
        assert "paint" in wanted

    def evaluate(self, wanted: str) -> float:
        return 7.0

    def close(self) -> None:
        """Nothing to close."""


def test_however_many_loads_sign_in_once() -> None:
    """A studio lets nobody in as often as pages are loaded, and who is not let in would measure the page that says so."""
    doors = Doors(200)
    session = page_speed.sign_in(doors, doors)
    for page in page_speed.PAGES:
        assert page_speed.first_paints(doors, session, page, ADDRESS.burst) == [7.0] * ADDRESS.burst
    assert doors.links == 1
    assert doors.states[1:] == [session.state] * (ADDRESS.burst * len(page_speed.PAGES))
    assert doors.seen[0] == "http://127.0.0.1:9/#/label"


def test_who_is_not_let_in_measures_nothing() -> None:
    doors = Doors(429)
    with pytest.raises(RuntimeError, match="status 429"):
        page_speed.sign_in(doors, doors)

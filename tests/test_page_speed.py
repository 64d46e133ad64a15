"""The budgets of the studio's pages: every page is measured, and what is over a budget is found."""

from __future__ import annotations

import re
from typing import Any

import pytest

from plaudit.studio.client import STATIC

page_speed = pytest.importorskip("benchmarks.page_speed", reason="only a checkout has benchmarks")
pytestmark = pytest.mark.skipif(not (STATIC / "index.html").is_file(), reason="the page is not built")
SOURCES = STATIC.parent / "web" / "src" / "pages.ts"


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

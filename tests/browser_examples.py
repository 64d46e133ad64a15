"""A Chromium, and pages in it that must not complain or ask anybody else, for the tests of the studio's page."""

from __future__ import annotations

import shutil
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import plaudit

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
OPTIONS = [
    "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-component-update",
    "--disable-sync",
]  # fmt: skip
WEB = Path(plaudit.__file__).parent / "studio" / "web"
AXE = WEB / "node_modules" / "axe-core" / "axe.min.js"


class Pages:
    """Pages of one test, each in a profile of its own.

    Args:
        browser: what the fixture of that name gives.
        levels: kinds of console messages that are complaints.
    """

    def __init__(self, browser: Any, *, levels: tuple[str, ...] = ("error",)) -> None:
        self._browser, self._levels = browser, levels
        self._contexts: list[Any] = []
        self._complaints: list[str] = []

    def open(
        self, *, of: ExitStack | None = None, asks: tuple[str, ...] = ("http://127.0.0.1:", "blob:"), **settings: Any
    ) -> Any:
        """An empty page.

        Args:
            of: what its server closes before it ends, and this page with it: one that outlives its server complains.
            asks: beginnings of the addresses that it may ask.
            settings: of the profile, in Playwright's words.
        """
        context = self._browser.new_context(**{"locale": "en-GB", **settings})
        self._contexts.append(context)
        if of is not None:
            of.callback(context.close)
        page, complain = context.new_page(), self._complaints.append
        page.on("pageerror", lambda error: complain(str(error)))
        page.on("console", lambda said: complain(said.text) if said.type in self._levels else None)
        page.on("dialog", lambda dialog: (complain(f"dialog {dialog.message}"), dialog.dismiss()))
        page.on("request", lambda one: None if one.url.startswith(asks) else complain(f"asked {one.url}"))
        return page

    def close(self, *expected: str) -> None:
        """Close all; fails when a page complained of something that holds none of the expected words."""
        for context in self._contexts:
            context.close()
        left = [text for text in self._complaints if not any(part in text for part in expected)]
        assert not left, left

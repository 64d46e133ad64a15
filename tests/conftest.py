"""Both databases that a store can lie in, and a browser."""

from __future__ import annotations

import os
import sys

import pytest

from tests.browser_examples import CHROMIUM, OPTIONS
from tests.postgres_server import NoServerError, Server


@pytest.fixture(autouse=True)
def products():
    """Which library multiplies, on how many threads, is a setting of the process on which last bits depend: no test leaves it changed."""
    torch = sys.modules.get("torch")
    before = None if torch is None else (torch.backends.mkldnn.matmul.fp32_precision, torch.get_num_threads())
    yield
    if (torch := sys.modules.get("torch")) is not None:
        precision, threads = before or ("none", torch.get_num_threads())
        torch.backends.mkldnn.matmul.fp32_precision = precision
        torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def postgres():
    """A PostgreSQL server. Without one its tests are skipped; where CI is set they fail, so that they cannot go missing."""
    try:
        server = Server(durable=False)
    except NoServerError as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(error))
    yield server
    server.stop()


@pytest.fixture(params=["sqlite", "postgresql"])
def places(request, tmp_path):
    """Makes places for new stores in either database: `places()` -> what `Store.create` takes, and its blobs."""
    made = iter(range(1_000_000))
    if request.param == "sqlite":
        return lambda: {"place": tmp_path / f"{next(made)}" / "store.sqlite"}
    server = request.getfixturevalue("postgres")
    return lambda: {"place": server.new_database(), "blobs": tmp_path / f"{next(made)}" / "blobs"}


@pytest.fixture(scope="module")  # not longer: Playwright keeps an event loop running in this thread
def browser():
    """A Chromium. Without one, or without playwright, its tests are skipped; where CI is set they fail."""
    try:
        if CHROMIUM is None:
            raise ModuleNotFoundError("no Chromium on this machine")
        from playwright.sync_api import sync_playwright
    except ModuleNotFoundError as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(error))
    with sync_playwright() as driver:
        found = driver.chromium.launch(executable_path=CHROMIUM, args=OPTIONS)
        yield found
        found.close()

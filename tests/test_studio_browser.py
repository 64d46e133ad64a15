"""A real browser labels: keyboard, undo, lost connection, a studio that dies. Needs playwright and a Chromium."""

from __future__ import annotations

import shutil
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import uvicorn

from plaudit.ask.session import GRACE_SECONDS
from plaudit.records import Choice, Comparison, QueryKind, Rating
from plaudit.store.store import Store
from plaudit.studio.access import Access
from plaudit.studio.app import create_app
from tests.studio_examples import make_store, moving_webp, render_all

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
pytest.importorskip("PIL", reason="clips are made with Pillow")
BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
OPTIONS = [
    "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-component-update",
    "--disable-sync",
]  # fmt: skip
pytestmark = [pytest.mark.slow, pytest.mark.skipif(BROWSER is None, reason="no Chromium on this machine")]


class Studio:
    """The studio in a thread, with a media worker beside it; `die` loses all that it has not saved."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.access = Access(store)
        self.app: Any = create_app(store, access=self.access)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        self.server = uvicorn.Server(uvicorn.Config(self.answer, log_level="error", lifespan="off", interface="asgi3"))
        self.stopping = threading.Event()
        self.threads = [
            threading.Thread(target=self.server.run, kwargs={"sockets": [self.listener]}),
            threading.Thread(target=self.render),
        ]

    async def answer(self, scope: Any, receive: Any, send: Any) -> None:
        await self.app(scope, receive, send)

    def die(self) -> None:
        self.app = create_app(self.store, access=self.access)

    def render(self) -> None:
        clip = moving_webp()
        while not self.stopping.is_set():
            render_all(self.store, clip)
            time.sleep(0.05)

    @property
    def link(self) -> str:
        return f"{self.address}/enter?token={self.access.invite('ann')}"

    def __enter__(self) -> Studio:
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stopping.set()
        self.server.should_exit = True
        for thread in self.threads:
            thread.join()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=BROWSER, args=OPTIONS)
        yield browser
        browser.close()


@pytest.fixture
def open_page(browser: Any) -> Iterator[Callable[..., Any]]:
    """Opens a studio's page in a fresh browser profile; fails the test if the page reports an error."""
    complaints: list[str] = []
    requests: list[str] = []
    contexts: list[Any] = []

    def open_(studio: Studio, **settings: Any) -> Any:
        context = browser.new_context(**settings)
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
        page.on("request", lambda request: requests.append(request.url))
        page.goto(studio.link)
        wait_ready(page)
        return page

    yield open_
    for context in contexts:
        context.close()
    assert [text for text in complaints if "ERR_INTERNET_DISCONNECTED" not in text] == []
    assert all(url.startswith("http://127.0.0.1:") for url in requests)


def wait_ready(page: Any) -> None:
    page.wait_for_selector("#answers button:not([disabled])")


def press(page: Any, key: str) -> None:
    """Answer by a key, and wait until the next question (or none) is on the screen."""
    wait_ready(page)
    page.keyboard.press(key)
    page.wait_for_selector("#answers button[aria-pressed=true], #message:not([hidden])", state="attached")
    page.wait_for_selector("#answers button[aria-pressed=true]", state="detached")


def wait_for_answers(store: Store, count: int) -> list[Any]:
    until = time.monotonic() + GRACE_SECONDS + 15
    while len(found := [answer for _, answer in store.feedback()]) < count and time.monotonic() < until:
        time.sleep(0.1)
    return found


def on_screen(store: Store, answer: Comparison) -> str:
    """What was pressed, from the record and the order on the screen."""
    if answer.choice in {Choice.TIE, Choice.SKIP}:
        return answer.choice.value
    side = store.query(answer.query).shown.index(0 if answer.choice is Choice.FIRST else 1)
    return ("left", "right")[side]


def test_keys_answer_in_order_and_time_is_measured(tmp_path: Path, open_page: Callable[..., Any]) -> None:
    with make_store(tmp_path, questions=4) as store, Studio(store) as studio:
        page = open_page(studio)
        page.wait_for_timeout(600)
        for key in ("ArrowLeft", "ArrowRight", "ArrowDown"):
            press(page, key)
        wait_ready(page)
        page.keyboard.press("s")
        found = wait_for_answers(store, 4)
        assert [on_screen(store, answer) for answer in found] == ["left", "right", "tie", "skip"]
        assert [store.query(answer.query).index for answer in found] == [0, 1, 2, 3]
        assert 0.5 < found[0].response_seconds < 30
        page.wait_for_selector("#message:not([hidden])")
        assert "No question now" in page.inner_text("#message")
        assert "4 of 20 answered" in page.inner_text("#progress-text")


def test_undo_takes_the_last_answer_back(tmp_path: Path, open_page: Callable[..., Any]) -> None:
    with make_store(tmp_path, questions=2) as store, Studio(store) as studio:
        page = open_page(studio)
        press(page, "ArrowLeft")
        page.wait_for_selector("#undo:not([disabled])")
        page.keyboard.press("u")
        playwright.expect(page.locator("#progress-text")).to_contain_text("0 of")
        press(page, "ArrowRight")
        (answer,) = wait_for_answers(store, 1)
        assert (on_screen(store, answer), store.query(answer.query).index) == ("right", 0)


def test_lost_connection_loses_and_doubles_nothing(tmp_path: Path, open_page: Callable[..., Any]) -> None:
    with make_store(tmp_path, questions=5) as store, Studio(store) as studio:
        page = open_page(studio)
        page.wait_for_timeout(2000)  # the following questions are loaded
        page.context.set_offline(True)
        press(page, "ArrowLeft")
        press(page, "ArrowRight")
        page.wait_for_selector("#status.warn")
        assert "2 answers are kept in this browser" in page.inner_text("#status")
        page.context.set_offline(False)
        press(page, "ArrowDown")
        found = wait_for_answers(store, 3)
        assert [on_screen(store, answer) for answer in found] == ["left", "right", "tie"]
        assert len({answer.query for answer in found}) == 3


def test_studio_that_dies_with_an_answer_gets_it_again(tmp_path: Path, open_page: Callable[..., Any]) -> None:
    with make_store(tmp_path, questions=5) as store, Studio(store) as studio:
        page = open_page(studio)
        press(page, "ArrowLeft")
        page.wait_for_selector("#undo:not([disabled])")  # the studio holds the answer, and has not saved it
        studio.die()
        press(page, "ArrowRight")
        found = wait_for_answers(store, 2)
        assert sorted(on_screen(store, answer) for answer in found) == ["left", "right"]


def test_closed_tab_sends_later_what_it_kept(tmp_path: Path, open_page: Callable[..., Any]) -> None:
    with make_store(tmp_path, questions=5) as store, Studio(store) as studio:
        page = open_page(studio)
        page.wait_for_timeout(1500)
        page.context.set_offline(True)
        press(page, "ArrowLeft")
        again = page.context.new_page()
        page.close()
        again.context.set_offline(False)
        again.goto(studio.address)
        (answer,) = wait_for_answers(store, 1)
        assert on_screen(store, answer) == "left"


def test_digits_rate_one_clip(tmp_path: Path, open_page: Callable[..., Any]) -> None:
    with make_store(tmp_path, questions=2, kind=QueryKind.RATING) as store, Studio(store) as studio:
        page = open_page(studio)
        assert page.locator("#clips canvas").count() == 1
        page.keyboard.press("9")  # off the scale of five
        press(page, "4")
        page.get_by_role("button", name="very bad").click()
        found = wait_for_answers(store, 2)
        assert [answer.value for answer in found if isinstance(answer, Rating)] == [3, 0]


def test_clips_run_in_step_and_start_again_together(tmp_path: Path, open_page: Callable[..., Any]) -> None:
    with make_store(tmp_path, questions=1) as store, Studio(store) as studio:
        page = open_page(studio)
        same = (
            "[...document.querySelectorAll('#clips canvas')].map((c) => c.toDataURL()).every((d, _, a) => d === a[0])"
        )
        page.keyboard.press("p")
        seen = set()
        for key in (".", ".", ".", ",", ",", ",", ","):  # both ways, since it may have been stopped on the last frame
            page.keyboard.press(key)
            assert page.evaluate(same)
            seen.add(page.evaluate("document.querySelector('#clips canvas').toDataURL()"))
        assert len(seen) > 1
        page.keyboard.press("Space")
        page.keyboard.press("p")
        assert page.evaluate(same)


def test_page_fits_a_phone_and_keeps_still_on_request(tmp_path: Path, open_page: Callable[..., Any]) -> None:
    with make_store(tmp_path, questions=1) as store, Studio(store) as studio:
        phone = {"width": 390, "height": 844}
        page = open_page(studio, viewport=phone, is_mobile=True, has_touch=True, reduced_motion="reduce")
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        assert page.get_by_role("button", name="Play", exact=True).is_visible()
        for button in page.get_by_role("button").all():
            box = button.bounding_box()
            assert box is None or min(box["width"], box["height"]) >= 24
        page.get_by_role("button", name="B is better").tap()
        (answer,) = wait_for_answers(store, 1)
        assert on_screen(store, answer) == "right"


def test_shortcuts_can_be_switched_off(tmp_path: Path, open_page: Callable[..., Any]) -> None:
    with make_store(tmp_path, questions=1) as store, Studio(store) as studio:
        page = open_page(studio)
        page.keyboard.press("?")
        page.get_by_label("Use keyboard shortcuts").uncheck()
        page.keyboard.press("Escape")
        page.keyboard.press("ArrowLeft")
        page.wait_for_timeout(600)
        assert page.locator("#answers button[aria-pressed=true]").count() == 0
        assert page.locator("#ask").is_visible()

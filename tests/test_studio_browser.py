"""A real browser labels at a real studio: every kind, undo, lost connection, two tabs, a studio that dies.

Needs playwright and a Chromium.
"""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import uvicorn

from plaudit.ask.session import GRACE_SECONDS, Session
from plaudit.records import (
    Choice,
    Comparison,
    Correction,
    Critique,
    Demonstration,
    Feedback,
    Flag,
    Query,
    QueryKind,
    Ranking,
    Rating,
    StepFeedback,
    TextSegment,
    is_skip,
)
from plaudit.store.store import Store
from plaudit.studio.access import Access
from plaudit.studio.app import create_app
from plaudit.studio.limits import ADDRESS
from tests.browser_examples import Pages
from tests.studio_examples import ask, make_store, moving_webp, render_all, run_payload

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
pytest.importorskip("PIL", reason="clips are made with Pillow")
READY = ".ask[data-ready=true]"


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
        self.visitors = ExitStack()
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
        self.visitors.close()
        self.stopping.set()
        self.server.should_exit = True
        for thread in self.threads:
            thread.join()


@pytest.fixture
def open_page(browser: Any) -> Iterator[Callable[..., Any]]:
    """Opens a studio's page in a fresh browser profile; fails the test if the page reports an error."""
    pages = Pages(browser)

    def open_(studio: Studio, **settings: Any) -> Any:
        page = pages.open(of=studio.visitors, **settings)
        page.set_default_timeout(20_000)
        page.goto(studio.link)
        wait_ready(page)
        return page

    yield open_
    # where a server has none, the page asks in vain who is signed in; what is offline or signed out is meant to be so
    pages.close("ERR_INTERNET_DISCONNECTED", "ERR_CONNECTION_REFUSED", "status of 404", "status of 401")


@pytest.fixture
def short_grace(monkeypatch: pytest.MonkeyPatch) -> None:
    """Answers are saved soon, where nothing is taken back."""
    monkeypatch.setattr("plaudit.studio.desk.Session", partial(Session, grace=0.2))


def wait_ready(page: Any) -> None:
    page.wait_for_selector(READY)


def press(page: Any, *keys: str) -> None:
    """Answer by keys, and wait until the next question (or none) is on the screen."""
    wait_ready(page)
    question = page.get_attribute(".ask", "data-query")
    for key in keys:
        page.keyboard.press(key)
    page.wait_for_selector(f".ask:not([data-query='{question}']), #message", state="attached")


def wait_for_answers(store: Store, count: int) -> list[Any]:
    until = time.monotonic() + GRACE_SECONDS + 20
    while len(found := [answer for _, answer in store.feedback()]) < count and time.monotonic() < until:
        time.sleep(0.1)
    return found


def on_screen(store: Store, answer: Feedback) -> str:
    """What was pressed, from the record and the order on the screen."""
    assert isinstance(answer, Comparison)
    if answer.choice not in {Choice.FIRST, Choice.SECOND}:
        return answer.choice.value
    side = store.query(answer.query).shown.index(0 if answer.choice is Choice.FIRST else 1)
    return ("left", "right")[side]


@pytest.mark.usefixtures("short_grace")
def test_keys_answer_in_order_and_time_is_measured(tmp_path: Path, open_page: Callable[..., Any]) -> None:
    with make_store(tmp_path, questions=5) as store, Studio(store) as studio:
        page = open_page(studio)
        page.wait_for_timeout(600)
        for keys in (["ArrowLeft"], ["ArrowRight"], ["ArrowDown"], ["ArrowUp"]):
            press(page, *keys)
        press(page, "s", "Enter")
        found = wait_for_answers(store, 5)
        assert [on_screen(store, answer) for answer in found] == ["left", "right", "tie", "incomparable", "skip"]
        assert [store.query(answer.query).index for answer in found] == [0, 1, 2, 3, 4]
        assert 0.5 < found[0].response_seconds < 30
        assert sum(found[0].phase_seconds.values()) == pytest.approx(found[0].response_seconds, abs=0.002)
        assert (found[4].reason, found[0].interface) == ("cannot-tell", "studio-1")
        page.wait_for_selector("#message")
        assert "No question now" in page.inner_text("#message")
        assert "5 of 20 answered" in page.inner_text("#progress-text")


def ask_texts(store: Store) -> None:
    """A question of every kind about texts."""
    texts = [TextSegment("Why are there tides?", f"Answer {at}: the moon pulls at the sea.") for at in range(3)]
    store.add_segments(texts)
    kinds = {kind: 3 if kind is QueryKind.RANKING else kind.segments for kind in QueryKind}
    store.add_queries(
        [
            Query(
                kind=kind,
                segments=tuple(text.id for text in texts[:several]),
                shown=tuple(reversed(range(several))),
                round=0,
                index=at,
                strategy="uniform",
                levels=7 if kind is QueryKind.RATING else None,
                constraint="facts" if kind is QueryKind.FLAG else None,
            )
            for at, (kind, several) in enumerate(kinds.items())
            if kind is not QueryKind.STEPS
        ]
    )


@pytest.mark.usefixtures("short_grace")
def test_every_kind_about_texts(tmp_path: Path, open_page: Callable[..., Any]) -> None:
    with Store.create(tmp_path / "store.sqlite", run_payload()) as store, Studio(store) as studio:
        ask_texts(store)
        page = open_page(studio)
        press(page, "ArrowLeft")
        press(page, "6")
        press(page, "2", "1", "=", "3", "Enter")
        wait_ready(page)
        page.keyboard.press("n")
        page.keyboard.type("It does not say how.")
        press(page, "Control+Enter")
        for text in ("Because of the moon and the sun.", "Answer 0: the moon pulls at the sea, and the sun too."):
            wait_ready(page)
            page.get_by_role("textbox").fill(text)
            press(page, "Control+Enter")
        press(page, "1", "Enter")
        choice, grade, order, critique, shown, better, flag = wait_for_answers(store, 7)
        assert isinstance(choice, Comparison)
        assert choice.choice is Choice.SECOND
        assert isinstance(grade, Rating)
        assert (grade.value, grade.levels) == (5, 7)
        assert isinstance(order, Ranking)
        assert order.ranks == (1, 0, 0)  # on the screen they stand the other way round
        assert isinstance(critique, Critique)
        assert critique.notes[0].text == "It does not say how."
        assert isinstance(shown, Demonstration)
        assert isinstance(better, Correction)
        written = store.any_segments([str(shown.segment), str(better.segment)])
        assert [one.completion for one in written.values() if isinstance(one, TextSegment)] == [
            "Because of the moon and the sun.",
            "Answer 0: the moon pulls at the sea, and the sun too.",
        ]
        assert isinstance(flag, Flag)
        assert (flag.constraint, flag.severity) == ("facts", 0.25)


CONTROL = {
    QueryKind.RATING: ["4"],
    QueryKind.STEPS: ["g", ".", "Enter"],
    QueryKind.RANKING: ["2", "1", "Enter"],
    QueryKind.CRITIQUE: ["]", "n", "x", "Control+Enter"],
    QueryKind.DEMONSTRATION: ["s", "Enter"],
    QueryKind.CORRECTION: ["x", "Enter"],
    QueryKind.FLAG: ["4", "[", "]", "Enter"],
}


@pytest.mark.usefixtures("short_grace")
def test_every_kind_about_clips(tmp_path: Path, open_page: Callable[..., Any]) -> None:
    with Store.create(tmp_path / "store.sqlite", run_payload()) as store, Studio(store) as studio:
        for round_, kind in enumerate(CONTROL):
            ask(store, questions=1, kind=kind, round_=round_)
        page = open_page(studio, reduced_motion="reduce")
        for kind, keys in CONTROL.items():
            page.wait_for_selector(f"{READY}[data-kind={kind.value}]")
            press(page, *keys)
        grade, steps, order, critique, shown, better, flag = wait_for_answers(store, 7)
        assert isinstance(grade, Rating)
        assert grade.value == 3
        assert isinstance(steps, StepFeedback)
        assert (steps.steps, steps.scores) == ((0,), (1.0,))
        assert isinstance(order, Ranking)
        assert order.ranks == (1, 0)
        assert isinstance(critique, Critique)
        assert (critique.notes[0].text, critique.notes[0].start, critique.notes[0].end) == ("x", 0, 1)
        assert [is_skip(shown), is_skip(better), better.reason] == [True, True, "unsafe"]
        assert isinstance(flag, Flag)
        assert (flag.severity, flag.start, flag.end) == (1.0, 0, 1)


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


@pytest.mark.usefixtures("short_grace")
@pytest.mark.parametrize("seconds", [1, pytest.param(30, marks=pytest.mark.slow)])
def test_lost_connection_loses_and_doubles_nothing(tmp_path: Path, open_page: Callable[..., Any], seconds: int) -> None:
    with make_store(tmp_path, questions=5) as store, Studio(store) as studio:
        page = open_page(studio)
        page.wait_for_timeout(1500)  # the following questions are loaded
        page.context.set_offline(True)
        press(page, "ArrowLeft")
        press(page, "ArrowRight")
        page.wait_for_selector("#status.warn")
        assert "2 answers are kept in this browser" in page.inner_text("#status")
        page.wait_for_timeout(1000 * seconds)
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


def test_two_tabs_share_what_is_unsent(tmp_path: Path, open_page: Callable[..., Any]) -> None:
    with make_store(tmp_path, questions=5) as store, Studio(store) as studio:
        page = open_page(studio)
        other = page.context.new_page()
        other.goto(studio.address)
        wait_ready(other)
        first = page.get_attribute(".ask", "data-query")
        page.context.set_offline(True)
        page.bring_to_front()
        press(page, "ArrowLeft")
        other.wait_for_selector(f".ask:not([data-query='{first}'])")  # before the studio knows
        page.keyboard.press("u")
        other.wait_for_selector(f".ask[data-query='{first}']")
        press(page, "ArrowRight")
        other.bring_to_front()
        press(other, "ArrowDown")
        page.close()
        other.context.set_offline(False)
        press(other, "ArrowLeft")
        found = wait_for_answers(store, 3)
        assert [on_screen(store, answer) for answer in found] == ["right", "tie", "left"]
        assert [store.query(answer.query).index for answer in found] == [0, 1, 2]


@pytest.mark.usefixtures("short_grace")
def test_closed_tab_sends_later_what_it_kept(tmp_path: Path, open_page: Callable[..., Any]) -> None:
    with make_store(tmp_path, questions=5) as store, Studio(store) as studio:
        page = open_page(studio)
        page.wait_for_timeout(1000)
        page.context.set_offline(True)
        press(page, "ArrowLeft")
        again = page.context.new_page()
        page.close()
        again.context.set_offline(False)
        again.goto(studio.address)
        (answer,) = wait_for_answers(store, 1)
        assert on_screen(store, answer) == "left"


@pytest.mark.usefixtures("short_grace")
def test_reload_in_mid_answer_keeps_what_was_written(tmp_path: Path, open_page: Callable[..., Any]) -> None:
    with Store.create(tmp_path / "store.sqlite", run_payload()) as store, Studio(store) as studio:
        ask(store, questions=1, kind=QueryKind.CRITIQUE)
        page = open_page(studio)
        page.keyboard.press("n")
        page.keyboard.type("It stumbles")
        page.reload()
        wait_ready(page)
        page.keyboard.press("n")
        page.keyboard.press("End")
        page.keyboard.type(" twice.")
        page.keyboard.press("Control+Enter")
        (answer,) = wait_for_answers(store, 1)
        assert isinstance(answer, Critique)
        assert answer.notes[0].text == "It stumbles twice."


SERVE = """
import sys
from pathlib import Path
from plaudit.studio.serve import serve
serve(Path(sys.argv[1]), port=int(sys.argv[2]), open_browser=False, announce=lambda link: print(link, flush=True))
"""


def test_where_many_sign_in_the_label_page_opens_by_itself_a_little_later(tmp_path: Path, browser: Any) -> None:
    pages = Pages(browser)
    with make_store(tmp_path) as store, Studio(store) as studio:
        for _ in range(ADDRESS.burst):
            studio.access.limits.take(("enter", "127.0.0.1"), ADDRESS)
        page = pages.open(of=studio.visitors)
        page.goto(studio.link)
        page.wait_for_selector("h1:has-text('Too many people sign in now')")
        wait_ready(page)  # the next sign-in is allowed two seconds later
        assert page.url == f"{studio.address}/"
    pages.close("status of 429")


@pytest.mark.slow
def test_killed_server_gets_the_answer_again(tmp_path: Path, browser: Any) -> None:
    clip = moving_webp()
    with make_store(tmp_path, questions=3) as store:
        for query in store.unanswered():
            for segment in query.segments:
                store.add_job("render", {"segment": segment}, f"render/{segment}")
        render_all(store, clip)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]

    def start() -> tuple[Any, str]:
        command = [sys.executable, "-c", SERVE, str(tmp_path / "store.sqlite"), str(port)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        return process, process.stdout.readline().strip()

    server, link = start()
    page = browser.new_context(locale="en-GB").new_page()
    try:
        page.goto(link)
        press(page, "ArrowLeft")
        page.wait_for_selector("#undo:not([disabled])")  # the studio has it, and has not saved it
        server.send_signal(signal.SIGKILL)
        server.communicate()
        press(page, "ArrowRight")
        page.wait_for_selector("#status.warn")
        server, link = start()
        page.goto(link)
        press(page, "ArrowDown")
        with Store.open(tmp_path / "store.sqlite") as store:
            found = wait_for_answers(store, 3)
            assert [on_screen(store, answer) for answer in found] == ["left", "right", "tie"]
    finally:
        page.context.close()
        server.kill()
        server.communicate()


def test_clips_run_in_step_and_start_again_together(tmp_path: Path, open_page: Callable[..., Any]) -> None:
    with make_store(tmp_path, questions=1) as store, Studio(store) as studio:
        page = open_page(studio)
        wait_ready(page)
        same = "[...document.querySelectorAll('.clip canvas')].map((c) => c.toDataURL()).every((d, _, a) => d === a[0])"
        page.keyboard.press("p")
        seen = set()
        for key in (".", ".", ".", ",", ",", ",", ","):  # both ways, since it may have been stopped on the last frame
            page.keyboard.press(key)
            assert page.evaluate(same)
            seen.add(page.evaluate("document.querySelector('.clip canvas').toDataURL()"))
        assert len(seen) > 1
        page.keyboard.press("Space")
        page.keyboard.press("p")
        assert page.evaluate(same)


@pytest.mark.usefixtures("short_grace")
def test_labelling_by_touch(tmp_path: Path, open_page: Callable[..., Any]) -> None:
    with make_store(tmp_path, questions=1) as store, Studio(store) as studio:
        phone = {"width": 390, "height": 844}
        page = open_page(studio, viewport=phone, is_mobile=True, has_touch=True, reduced_motion="reduce")
        wait_ready(page)
        assert page.get_by_role("button", name="Play", exact=True).is_visible()
        page.get_by_role("button", name="B is better").tap()
        (answer,) = wait_for_answers(store, 1)
        assert on_screen(store, answer) == "right"

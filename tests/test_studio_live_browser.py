"""A real browser acts in a real environment: by keys, by pointer, by touch. Needs playwright, a Chromium, the built page."""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
import uvicorn
from gymnasium import spaces

from plaudit.ask.session import GRACE_SECONDS
from plaudit.ask.teacher_remarks import changed
from plaudit.records import Correction, Query, QueryKind, Segment
from plaudit.store.store import Store
from plaudit.studio.access import Access
from plaudit.studio.app import create_app
from plaudit.studio.client import STATIC
from plaudit.worlds.config import WorldConfig
from tests.browser_examples import AXE, Pages
from tests.studio_examples import moving_webp, render_all, run_payload
from tests.test_worlds_live import behaviour_segment

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not (STATIC / "index.html").is_file(), reason="the page is not built"),
]
LENGTH = 20
PICTURES = os.environ.get("PLAUDIT_PICTURES")


class Lamp(gymnasium.Env):
    """Shines while action 1 is done: how long a press takes to be seen can be measured on it."""

    metadata = {"render_modes": ["rgb_array"], "render_fps": 30}  # noqa: RUF012 - as Gymnasium's own

    def __init__(self, render_mode=None):
        self.render_mode = render_mode
        self.observation_space = spaces.Box(0, 1, (1,), dtype=np.float64)
        self.action_space = spaces.Discrete(2)
        self.on = 0

    def reset(self, *, seed=None, options=None):
        self.on = 0
        return np.zeros(1), {}

    def step(self, action):
        self.on = int(action)
        return np.full(1, self.on, float), 0.0, False, False, {}

    def render(self):
        return np.full((200, 300, 3), 255 * self.on, np.uint8)


class Studio:
    """The page, one question, and the real world behind it."""

    def __init__(self, path: Path, world: dict[str, Any], kind: QueryKind, *, length: int = LENGTH) -> None:
        payload = run_payload()
        payload["config"] |= {"world": world, "seed": 3}
        self.store = Store.create(path / "store.sqlite", payload)
        data = behaviour_segment(WorldConfig(**world), time=0, length=length)
        blob = self.store.blobs.put_arrays(data.arrays())
        segment = Segment(world["id"], "p0", "e0/k0", 0, length, blob)
        self.store.add_segments([segment])
        self.query = Query(kind, (segment.id,), (0,), 0, 0, "uniform")
        self.store.add_queries([self.query])
        self.access = Access(self.store)
        self.app: Any = create_app(self.store, access=self.access)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        self.server = uvicorn.Server(uvicorn.Config(self.app, log_level="error", ws_per_message_deflate=False))
        self.stopping = threading.Event()
        self.visitors = ExitStack()
        self.threads = [
            threading.Thread(target=self.server.run, kwargs={"sockets": [self.listener]}),
            threading.Thread(target=self.render),
        ]

    def render(self) -> None:
        clip = moving_webp()
        while not self.stopping.wait(0.05):
            render_all(self.store, clip)

    @property
    def pid(self) -> int:
        return next(iter(self.app.state.lives.found.values())).pid

    @property
    def link(self) -> str:
        return f"{self.address}/enter?token={self.access.invite('ann')}"

    def answer(self) -> Any:
        """The answer, once its grace is over."""
        until = time.monotonic() + GRACE_SECONDS + 15
        while not (found := self.store.feedback()) and time.monotonic() < until:
            time.sleep(0.1)
        return found[0][1]

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
        self.store.close()


@pytest.fixture
def open_page(browser: Any) -> Iterator[Callable[..., Any]]:
    """Opens the page in a fresh profile and begins to play; fails the test if the page reports an error."""
    pages = Pages(browser)

    def open_(studio: Studio, **settings: Any) -> Any:
        page = pages.open(of=studio.visitors, reduced_motion="reduce", **settings)
        page.goto(studio.link)
        page.click("#begin-live:not([disabled]), #take-over:not([disabled])")
        page.wait_for_selector(".live button.main:not([disabled])", timeout=25_000)
        return page

    yield open_
    pages.close("WebSocket", "ERR_CONNECTION_REFUSED")  # some tests end the studio before its page


def picture(page: Any, name: str) -> None:
    if PICTURES:
        page.screenshot(path=f"{PICTURES}/{name}.png", full_page=True)


def begin(page: Any) -> None:
    page.get_by_role("button", name="Begin", exact=True).click()
    page.wait_for_selector(".live-stage.running")


def wait_for_step(page: Any, step: int) -> None:
    for _ in range(400):
        if page.locator(".live progress").evaluate("bar => bar.value") >= step:
            return
        page.wait_for_timeout(50)
    raise AssertionError(f"step {step} was never reached")


def hand_in(page: Any, studio: Studio) -> Any:
    page.get_by_role("button", name="Hand in").click(timeout=15_000)
    page.wait_for_selector(".live", state="detached")
    return studio.store.segment_data(studio.store.segment(studio.answer().segment))


def test_a_pendulum_is_swung_by_held_keys_and_handed_in(tmp_path: Path, open_page: Callable[..., Any]) -> None:
    world = {"id": "Pendulum-v1", "envs": 1}
    with Studio(tmp_path, world, QueryKind.DEMONSTRATION, length=60) as studio:
        page = open_page(studio)
        picture(page, "live-ready")
        begin(page)
        for key in ("ArrowLeft", "ArrowRight", "ArrowLeft", "ArrowRight"):
            page.keyboard.down(key)
            page.wait_for_timeout(600)
            page.keyboard.up(key)
        picture(page, "live-running")
        wait_for_step(page, 60)
        page.keyboard.press("Escape")
        page.get_by_role("button", name="Hand in").wait_for()
        picture(page, "live-stopped")
        page.get_by_label("Which 60 steps count?").fill("2")
        page.get_by_text("Steps 3 to 62").wait_for()
        data = hand_in(page, studio)
        assert data.actions.shape == (60, 1)
        assert {-2.0, 2.0} <= {round(float(one), 3) for one in np.unique(data.actions)}
        assert np.ptp(np.arctan2(data.observations[:, 1], data.observations[:, 0])) > 0.2  # it swung
        segment = studio.store.segment(studio.answer().segment)
        assert (segment.policy, segment.start) == ("person", 2)


def test_a_correction_by_pointer_alone(tmp_path: Path, open_page: Callable[..., Any]) -> None:
    with Studio(tmp_path, {"id": "CartPole-v1", "envs": 1}, QueryKind.CORRECTION, length=9) as studio:
        page = open_page(studio)
        page.get_by_label("Speed").select_option("0.25")
        begin(page)
        right = page.locator(".live-key", has_text="right")
        box = right.bounding_box()
        page.mouse.move(box["x"] + 20, box["y"] + 20)
        page.mouse.down()
        page.get_by_role("button", name="Hand in").wait_for(timeout=15_000)  # the end of what is corrected stops it
        page.mouse.up()
        picture(page, "live-correction")
        data = hand_in(page, studio)
        before = studio.store.segment_data(studio.store.segment(studio.query.segments[0]))
        assert len(data) == len(before)
        np.testing.assert_array_equal(data.observations[0], before.observations[0])
        assert data.actions[-1] == 1
        answer = studio.answer()
        assert isinstance(answer, Correction)
        assert changed(before, data) == (answer.start, answer.end)


def test_a_pad_is_pulled_by_touch_on_a_phone(tmp_path: Path, open_page: Callable[..., Any]) -> None:
    pytest.importorskip("mujoco")
    with Studio(tmp_path, {"id": "Reacher-v5", "envs": 1}, QueryKind.DEMONSTRATION) as studio:
        page = open_page(studio, viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
        picture(page, "live-phone")
        page.get_by_label("Speed").select_option("0.25")
        page.get_by_role("button", name="Begin", exact=True).tap()
        page.wait_for_selector(".live-stage.running")
        box = page.locator(".live-pad").bounding_box()
        middle = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
        touch = page.context.new_cdp_session(page)
        point = {"x": middle[0] + 30, "y": middle[1] - 40}
        touch.send(
            "Input.dispatchTouchEvent", {"type": "touchStart", "touchPoints": [{"x": middle[0], "y": middle[1]}]}
        )
        touch.send("Input.dispatchTouchEvent", {"type": "touchMove", "touchPoints": [point]})
        wait_for_step(page, LENGTH)
        page.wait_for_timeout(500)
        page.keyboard.press("Escape")
        touch.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
        page.get_by_role("button", name="Hand in").wait_for(timeout=15_000)
        data = hand_in(page, studio)
        assert (data.actions[-5:, 0] < 0).all()  # to the right is a negative torque
        assert (data.actions[-5:, 1] > 0).all()
        assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_a_world_that_takes_turns_waits_for_keys_in_chinese(tmp_path: Path, open_page: Callable[..., Any]) -> None:
    world = {"id": "plaudit.worlds.toy:GridWorld", "envs": 1}
    with Studio(tmp_path, world, QueryKind.DEMONSTRATION, length=4) as studio:
        page = open_page(studio, color_scheme="dark")
        page.evaluate("localStorage.setItem('plaudit:language', '\"zh\"')")
        page.reload()
        page.click("#begin-live:not([disabled])")
        page.get_by_role("button", name="开始", exact=True).click(timeout=25_000)
        page.wait_for_selector(".live-stage.running")
        page.wait_for_timeout(700)
        assert page.locator(".live progress").evaluate("bar => bar.value") == 0
        for step, key in enumerate(("ArrowRight", "ArrowDown", "s", "ArrowRight", "ArrowDown")):  # s does nothing now
            page.keyboard.press(key)
            wait_for_step(page, step + 1 - (step > 1))
        picture(page, "live-zh-dark")
        page.keyboard.press("Escape")
        page.get_by_role("button", name="提交").click()
        page.wait_for_selector(".live", state="detached")
        segment = studio.store.segment(studio.answer().segment)
        assert studio.store.segment_data(segment).actions.tolist() == [0, 1, 0, 1]


def test_a_world_that_dies_says_so_and_another_can_be_begun(tmp_path: Path, open_page: Callable[..., Any]) -> None:
    with Studio(tmp_path, {"id": "Pendulum-v1", "envs": 1}, QueryKind.DEMONSTRATION) as studio:
        page = open_page(studio)
        begin(page)
        head = studio.store.head()
        os.kill(studio.pid, signal.SIGKILL)
        page.get_by_text("Nothing of this attempt was kept").wait_for()
        picture(page, "live-died")
        assert studio.store.head() == head
        page.get_by_role("button", name="Start a new one").click()
        page.get_by_role("button", name="Begin", exact=True).wait_for(timeout=25_000)


def test_a_lost_connection_is_taken_up_again(tmp_path: Path, browser: Any) -> None:
    with Studio(tmp_path, {"id": "Pendulum-v1", "envs": 1}, QueryKind.DEMONSTRATION, length=80) as studio:
        context = browser.new_context(locale="en-GB", reduced_motion="reduce")
        page = context.new_page()
        lines: list[Any] = []

        def through(line: Any) -> None:
            lines.append(line)
            line.connect_to_server()

        page.route_web_socket("**/api/live/*", through)
        page.goto(studio.link)
        page.click("#begin-live:not([disabled])")
        page.get_by_role("button", name="Begin", exact=True).wait_for(timeout=25_000)
        begin(page)
        wait_for_step(page, 5)
        lines[0].close(code=1001)
        page.get_by_text("The connection is lost").wait_for()
        page.get_by_role("button", name="Go on").wait_for()
        reached = page.locator(".live progress").evaluate("bar => bar.value")
        assert 5 <= reached < 80
        page.get_by_role("button", name="Go on").click(timeout=5_000)
        wait_for_step(page, 80)
        page.get_by_role("button", name="Stop").click()
        assert len(hand_in(page, studio)) == 80
        context.close()


def test_a_hand_in_that_is_lost_on_the_way_is_said_again(tmp_path: Path, browser: Any) -> None:
    with Studio(tmp_path, {"id": "Pendulum-v1", "envs": 1}, QueryKind.DEMONSTRATION) as studio:
        context = browser.new_context(locale="en-GB", reduced_motion="reduce")
        page = context.new_page()
        lost: list[Any] = []

        def through(line: Any) -> None:
            server = line.connect_to_server()

            def pass_on(message: Any) -> None:
                if not lost and '"end"' in str(message):  # the line is cut instead of passing it on
                    lost.append(message)
                    line.close(code=1001)
                else:
                    server.send(message)

            line.on_message(pass_on)

        page.route_web_socket("**/api/live/*", through)
        page.goto(studio.link)
        page.click("#begin-live:not([disabled])")
        page.get_by_role("button", name="Begin", exact=True).wait_for(timeout=25_000)
        begin(page)
        wait_for_step(page, LENGTH)
        page.get_by_role("button", name="Stop").click()
        assert len(hand_in(page, studio)) == LENGTH
        assert lost
        context.close()


def test_what_was_shown_is_offered_again_after_a_reload(tmp_path: Path, open_page: Callable[..., Any]) -> None:
    with Studio(tmp_path, {"id": "Pendulum-v1", "envs": 1}, QueryKind.DEMONSTRATION) as studio:
        page = open_page(studio)
        begin(page)
        page.keyboard.down("ArrowLeft")
        wait_for_step(page, LENGTH)
        page.keyboard.press("Escape")
        page.get_by_role("button", name="Hand in").wait_for()
        page.reload()
        page.click("#begin-live:not([disabled])")
        page.get_by_text(f"You showed this already: {LENGTH} steps").wait_for(timeout=25_000)
        picture(page, "live-offer")
        page.get_by_role("button", name="Show it anew").click()
        page.get_by_role("button", name="Begin", exact=True).wait_for(timeout=25_000)
        page.get_by_role("button", name="Back").click()
        page.click("#begin-live:not([disabled])")
        page.get_by_role("button", name="Hand it in").press("Enter")
        page.wait_for_selector(".live", state="detached")
        data = studio.store.segment_data(studio.store.segment(studio.answer().segment))
        assert len(data) == LENGTH
        assert (abs(data.actions) > 1.9).any()  # the key that was held


def test_no_barrier_is_found_while_playing(tmp_path: Path, browser: Any) -> None:
    if not AXE.is_file():
        pytest.skip("axe is not installed: npm ci")
    with Studio(tmp_path, {"id": "Pendulum-v1", "envs": 1}, QueryKind.DEMONSTRATION) as studio:
        for scheme in ("light", "dark"):
            context = browser.new_context(locale="zh-CN", reduced_motion="reduce", color_scheme=scheme, bypass_csp=True)
            page = context.new_page()
            page.goto(studio.link)
            page.click("#begin-live:not([disabled])")
            page.get_by_role("button", name="开始", exact=True).click(timeout=25_000)
            page.wait_for_selector(".live-stage.running")
            wait_for_step(page, LENGTH)
            page.get_by_role("button", name="停下").click()
            page.get_by_role("button", name="提交").wait_for()
            page.add_script_tag(path=AXE)
            found = page.evaluate("axe.run(document, { resultTypes: ['violations'] })")
            serious = [one["id"] for one in found["violations"] if one["impact"] in ("serious", "critical")]
            assert serious == []
            page.get_by_role("button", name="返回").click()  # or it would be offered again
            context.close()


WATCH = """() => {
  const canvas = document.querySelector('.live canvas'), pen = canvas.getContext('2d', {willReadFrequently: true});
  window.found = []; let since = null, lit = false;
  addEventListener('keydown', () => { since ??= performance.now(); }, true);
  addEventListener('keyup', () => { since ??= performance.now(); }, true);
  const look = () => {
    const now = pen.getImageData(5, 5, 1, 1).data[0] > 127;
    if (now !== lit) { lit = now; if (since !== null) window.found.push(performance.now() - since); since = null; }
    requestAnimationFrame(look);
  };
  look();
}"""


def test_how_long_a_press_takes_to_be_seen(tmp_path: Path, open_page: Callable[..., Any]) -> None:
    keys = {"ArrowRight": 1, "idle": 0}
    world = {"id": "tests.test_studio_live_browser:Lamp", "envs": 1, "keys": keys}
    with Studio(tmp_path, world | {"horizon": 5000}, QueryKind.DEMONSTRATION) as studio:
        page = open_page(studio)
        begin(page)
        page.evaluate(WATCH)
        rng = np.random.default_rng(0)
        for _ in range(20):
            page.keyboard.down("ArrowRight")
            page.wait_for_timeout(float(rng.uniform(150, 250)))
            page.keyboard.up("ArrowRight")
            page.wait_for_timeout(float(rng.uniform(150, 250)))
        found = page.evaluate("window.found")
        assert len(found) >= 30  # most presses were seen, each way
        quarter, median, ninety = np.quantile(found, (0.25, 0.5, 0.9))
        print(f"\npress to picture: median {median:.0f} ms, quartile {quarter:.0f}, p90 {ninety:.0f}, of {len(found)}")

"""Every form of the labelling page in a real browser, beside a studio that knows nothing but questions."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.browser_examples import AXE, Pages
from tests.studio_examples import moving_webp
from tests.studio_fake import LONG, OTHER, FakeStudio, clip_item, gallery, question, text_item

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
pytest.importorskip("PIL", reason="clips are made with Pillow")
READY = ".ask[data-ready=true]"


@pytest.fixture(scope="module")
def webp() -> bytes:
    return moving_webp()


@pytest.fixture
def open_page(browser: Any) -> Iterator[Callable[..., Any]]:
    """Opens the page in a fresh browser profile; fails the test if the page complains or asks anybody else."""
    pages = Pages(browser)

    def open_(studio: FakeStudio, **settings: Any) -> Any:
        page = pages.open(of=studio.visitors, **settings)
        page.set_default_timeout(15_000)
        page.goto(studio.address)
        page.wait_for_selector("[data-ready], #message")
        return page

    yield open_
    pages.close("ERR_INTERNET_DISCONNECTED", "status of 503", "status of 401")


def given(page: Any, studio: FakeStudio) -> dict[str, Any]:
    """The answer to the only question, once the page has nothing left to show."""
    page.wait_for_selector("#message")
    page.wait_for_selector("#undo:not([disabled])")  # the page is ahead of the studio
    (answer,) = wait_for(studio, 1)
    assert sum(answer["phases"].values()) == pytest.approx(answer["seconds"], abs=0.002)
    return answer["answer"]


def wait_for(studio: FakeStudio, count: int) -> list[dict[str, Any]]:
    until = time.monotonic() + 15
    while len(studio.answers) < count and time.monotonic() < until:
        time.sleep(0.02)
    return studio.answers


def keys(page: Any, *pressed: str) -> None:
    for key in pressed:
        page.keyboard.press(key)


CLIPS = [clip_item(1), clip_item(0)]
BY_KEYS = [
    ("left is the query's second", question("comparison", CLIPS), ["ArrowLeft"], {"choice": "second"}),
    ("right is the query's first", question("comparison", CLIPS), ["ArrowRight"], {"choice": "first"}),
    ("tie", question("comparison", CLIPS), ["ArrowDown"], {"choice": "tie"}),
    ("incomparable", question("comparison", CLIPS), ["ArrowUp"], {"choice": "incomparable"}),
    ("rating", question("rating", [clip_item(0)], levels=5), ["9", "4"], {"value": 3}),
    ("rating of ten", question("rating", [clip_item(0)], levels=10), ["0"], {"value": 9}),
    ("ranking", question("ranking", [clip_item(2), clip_item(0), clip_item(1)]), ["3", "1", "=", "2", "Enter"],
     {"ranks": [1, 0, 0]}),
    ("flag", question("flag", [clip_item(0)], constraint="speed"), ["3", "Enter"], {"severity": 0.75}),
    ("no flag", question("flag", [text_item(0, OTHER)], constraint="facts"), ["0", "Enter"], {"severity": 0.0}),
    ("skip", question("comparison", CLIPS), ["s", "Enter"], {"skip": True, "reason": "cannot-tell"}),
    ("broken", question("comparison", CLIPS), ["s", "2", "Enter"], {"skip": True, "reason": "broken"}),
    ("unsafe", question("steps", [clip_item(0)]), ["x", "Enter"], {"skip": True, "reason": "unsafe"}),
]  # fmt: skip


def test_answered_by_keys_in_the_querys_own_order(webp: bytes, open_page: Callable[..., Any]) -> None:
    asked = [{**row[1], "id": f"q{at}"} for at, row in enumerate(BY_KEYS)]
    with FakeStudio(asked, webp) as studio:
        page = open_page(studio)
        for at, (_, _, pressed, _) in enumerate(BY_KEYS):
            page.wait_for_selector(f"{READY}[data-query=q{at}]")
            keys(page, *pressed)
        found = wait_for(studio, len(BY_KEYS))
        assert {row[0]: answer["answer"] for row, answer in zip(BY_KEYS, found, strict=True)} == {
            row[0]: row[3] for row in BY_KEYS
        }
        assert all(sum(one["phases"].values()) == pytest.approx(one["seconds"], abs=0.002) for one in found)


def test_strength_is_a_second_key(webp: bytes, open_page: Callable[..., Any]) -> None:
    with FakeStudio([question("comparison", CLIPS, arm="plain")], webp) as studio:
        page = open_page(studio)
        page.wait_for_selector(READY)
        page.get_by_label("Also say how much better").check()
        page.locator("h1").focus()
        keys(page, "ArrowRight", "3")
        assert given(page, studio) == {"choice": "first", "strength": 0.75}
        assert studio.answers[0]["arm"] == "plain"


def test_long_scale_is_a_slider(webp: bytes, open_page: Callable[..., Any]) -> None:
    with FakeStudio([question("rating", [clip_item(0)], levels=100)], webp) as studio:
        page = open_page(studio)
        page.wait_for_selector(READY)
        page.locator(".slider input").focus()
        keys(page, "ArrowRight", "ArrowRight", "Enter")
        assert given(page, studio) == {"value": 51}


def test_steps_are_painted_as_they_go_by(webp: bytes, open_page: Callable[..., Any]) -> None:
    with FakeStudio(
        [question("steps", [{**clip_item(0), "clip": {**clip_item(0)["clip"], "steps": 12}}])], webp
    ) as studio:
        page = open_page(studio, reduced_motion="reduce")
        page.wait_for_selector(READY)
        keys(page, "g", ".", ".", "g", ".", "b", ".", "Enter")
        assert given(page, studio) == {"steps": [0, 1, 2, 3, 4], "scores": [1, 1, 1, 0, 0]}


def test_ranking_by_dragging_and_by_moving_rows(webp: bytes, open_page: Callable[..., Any]) -> None:
    with FakeStudio([question("ranking", [text_item(at, f"Text {at}") for at in range(3)])], webp) as studio:
        page = open_page(studio)
        page.wait_for_selector(READY)
        keys(page, "1", "2", "3")
        first, last = page.locator("[data-at='0']").bounding_box(), page.locator("[data-at='2']").bounding_box()
        page.mouse.move(last["x"] + 9, last["y"] + 9)
        page.mouse.down()
        page.mouse.move(first["x"] + 9, first["y"] - 9, steps=5)
        page.mouse.up()
        page.locator("[data-at='1']").focus()
        keys(page, "ArrowUp")
        playwright.expect(page.locator("[data-at='1']")).to_be_focused()
        page.get_by_role("button", name="Give the answer").click()
        assert given(page, studio) == {"ranks": [2, 1, 0]}


def test_critique_of_a_passage_counts_characters_as_python_does(webp: bytes, open_page: Callable[..., Any]) -> None:
    text = "Tides 🌊 come from the wind."
    with FakeStudio([question("critique", [text_item(0, text)])], webp) as studio:
        page = open_page(studio)
        page.wait_for_selector(READY)
        page.evaluate("(at) => document.querySelector('[data-span]').setSelectionRange(at, at + 8)", 18 + 1)
        page.locator("[data-span]").dispatch_event("select")
        playwright.expect(page.locator(".where")).to_contain_text("the wind")
        page.keyboard.press("n")
        page.keyboard.type("It is the moon. sux?")  # letters that are shortcuts elsewhere
        page.get_by_label("About").fill("facts")
        page.get_by_role("button", name="Add the note").click()
        page.keyboard.type("Too short.")
        page.keyboard.press("Control+Enter")
        start = text.index("the wind")
        assert given(page, studio) == {
            "notes": [
                {"text": "It is the moon. sux?", "start": start, "end": start + 8, "aspect": "facts"},
                {"text": "Too short.", "start": None, "end": None, "aspect": "facts"},
            ]
        }
        assert studio.answers[0]["phases"]["write"] > 0


def test_stretch_of_a_clip_is_flagged(webp: bytes, open_page: Callable[..., Any]) -> None:
    with FakeStudio([question("flag", [clip_item(0)], constraint="speed")], webp) as studio:
        page = open_page(studio, reduced_motion="reduce")
        page.wait_for_selector(READY)
        keys(page, "4", ".", "[", ".", ".", "]", "Enter")
        # 24 steps in 12 frames: from the second frame's first step to the fourth's
        assert given(page, studio) == {"severity": 1.0, "start": 2, "end": 7}


def test_correction_shows_what_was_changed(webp: bytes, open_page: Callable[..., Any]) -> None:
    asked = question("correction", [text_item(0, "The wind makes tides.")], arm="edit")
    with FakeStudio([asked], webp) as studio:
        page = open_page(studio)
        page.wait_for_selector(READY)
        assert page.locator("#submit").is_disabled()
        page.get_by_role("textbox").fill("The moon makes tides.")
        assert (page.inner_text("ins"), page.inner_text("del")) == ("moon", "wind")
        page.keyboard.press("Control+Enter")
        assert given(page, studio) == {"text": "The moon makes tides."}
        assert studio.answers[0]["arm"] == "edit"


@pytest.mark.parametrize("kind", ["demonstration", "correction"])
def test_written_from_scratch(webp: bytes, open_page: Callable[..., Any], kind: str) -> None:
    with FakeStudio([question(kind, [text_item(0, OTHER)], arm="scratch")], webp) as studio:
        page = open_page(studio)
        page.wait_for_selector(READY)
        assert page.get_by_role("textbox").input_value() == ""
        page.get_by_role("textbox").fill("The moon pulls.")
        page.get_by_role("button", name="Give the answer").click()
        assert given(page, studio) == {"text": "The moon pulls."}


def test_long_text_is_unfolded_before_it_is_judged(webp: bytes, open_page: Callable[..., Any]) -> None:
    with FakeStudio([question("comparison", [text_item(0, LONG), text_item(1, OTHER)])], webp) as studio:
        page = open_page(studio)
        page.wait_for_selector(".ask[data-ready=false]")
        keys(page, "ArrowLeft")
        playwright.expect(page.locator("#status")).to_contain_text("Unfold")
        assert not studio.answers
        keys(page, "e")
        page.wait_for_selector(READY)
        keys(page, "ArrowLeft")
        assert given(page, studio) == {"choice": "first"}


def test_draft_and_time_survive_a_reload(webp: bytes, open_page: Callable[..., Any]) -> None:
    with FakeStudio([question("critique", [text_item(0, OTHER)])], webp) as studio:
        page = open_page(studio)
        page.wait_for_selector(READY)
        page.keyboard.press("n")
        page.keyboard.type("Half a note")
        page.wait_for_timeout(1200)
        page.reload()
        page.wait_for_selector(READY)
        assert page.get_by_role("textbox", name="Note").input_value() == "Half a note"
        page.get_by_role("button", name="Give the answer").click()
        assert given(page, studio)["notes"][0]["text"] == "Half a note"
        assert studio.answers[0]["seconds"] > 1.2


def test_undo_brings_the_half_made_answer_back(webp: bytes, open_page: Callable[..., Any]) -> None:
    with FakeStudio([question("demonstration", [text_item(0, OTHER)])], webp) as studio:
        page = open_page(studio)
        page.wait_for_selector(READY)
        page.get_by_role("textbox").fill("The moon")
        page.get_by_role("button", name="Give the answer").click()
        page.wait_for_selector("#undo:not([disabled])")
        page.click("#undo")
        page.wait_for_selector(READY)
        assert page.get_by_role("textbox").input_value() == "The moon"
        page.get_by_role("textbox").fill("The moon pulls.")
        page.get_by_role("button", name="Give the answer").click()
        page.wait_for_selector("#message")
        assert [answer["answer"] for answer in wait_for(studio, 1)] == [{"text": "The moon pulls."}]


def test_keys_are_changed_and_remembered(webp: bytes, open_page: Callable[..., Any]) -> None:
    with FakeStudio([question("comparison", CLIPS), question("comparison", CLIPS, id="second")], webp) as studio:
        page = open_page(studio)
        page.wait_for_selector(READY)
        keys(page, "?")
        page.locator("[data-action=left]").click()
        keys(page, "a", "Escape")
        page.reload()
        page.wait_for_selector(READY)
        keys(page, "ArrowLeft", "a")
        page.wait_for_selector("[data-query=second]")
        assert [answer["answer"] for answer in wait_for(studio, 1)] == [{"choice": "second"}]


def test_keys_switched_off_and_keys_while_composing_do_nothing(webp: bytes, open_page: Callable[..., Any]) -> None:
    with FakeStudio([question("comparison", CLIPS)], webp) as studio:
        page = open_page(studio)
        page.wait_for_selector(READY)
        page.evaluate(
            "document.dispatchEvent(new KeyboardEvent('keydown', {key: 'ArrowLeft', isComposing: true, bubbles: true}))"
        )
        keys(page, "Control+ArrowLeft", "?")
        page.get_by_label("Use keyboard shortcuts").uncheck()
        keys(page, "Escape", "ArrowLeft")
        page.wait_for_timeout(300)
        assert page.locator(READY).is_visible()
        keys(page, "?")  # the way back on
        page.wait_for_selector("dialog[open]")
        assert not studio.answers


HOSTILE = """<script>alert(1)</script><img src=x onerror=alert(2)><svg onload=alert(3)>
[a](javascript:alert(4)) ![p](https://evil.example/pixel.png) [b](data:text/html,<script>alert(5)</script>)
<style>body{display:none}</style> **bold** [c](https://fine.example/x "title") https://fine.example/y.
```
</code></pre><script>alert(6)</script>
```
| a | b |
|---|---|
| <iframe src="javascript:alert(7)"> | `<b>` |
"""


def test_hostile_text_never_runs(webp: bytes, open_page: Callable[..., Any]) -> None:
    assist = {"suggestion": HOSTILE, "critiques": [{"text": HOSTILE, "start": None, "end": None}], "by": HOSTILE}
    items = [text_item(0, HOSTILE, prompt=HOSTILE), text_item(1, HOSTILE + "x", prompt=HOSTILE)]
    asked = [
        question("comparison", items, assist=assist, aspect=HOSTILE),
        question("flag", items[:1], constraint=HOSTILE),
        question("correction", items[:1]),
        question("critique", [{"index": 0, "clip": {"url": None, "error": HOSTILE, "steps": None}, "text": None}]),
    ]
    with FakeStudio(asked, webp, instruction=HOSTILE) as studio:
        page = open_page(studio)
        for one in asked:
            page.wait_for_selector(f"[data-query={one['id']}]")
            keys(page, "e", "d", "r")
            page.wait_for_timeout(100)
            inside = page.locator(".ask :is(script, iframe, style, img, object, embed)")
            assert inside.count() == 0
            for link in page.locator(".ask a").all():
                assert link.get_attribute("href").startswith("https://fine.example/")
                assert set(link.get_attribute("rel").split()) >= {"noopener", "nofollow"}
            keys(page, "s", "Enter")
        page.wait_for_selector("#message")
        assert page.locator("#message").is_visible()


def test_page_goes_on_while_the_store_does_not_answer(webp: bytes, open_page: Callable[..., Any]) -> None:
    several = [question("comparison", CLIPS, id=f"q{at}") for at in range(4)]
    with FakeStudio(several, webp) as studio:
        page = open_page(studio)
        page.wait_for_selector(READY)
        studio.broken = True
        keys(page, "ArrowLeft")
        page.wait_for_selector("[data-query=q1]")
        page.wait_for_selector("#status.warn")
        assert "locked" in page.inner_text("#status")
        studio.broken = False
        page.wait_for_selector("#undo:not([disabled])")
        page.wait_for_selector("#status:not(.warn)", state="attached")
        assert [answer["query"] for answer in studio.answers] == ["q0"]


def test_signed_out_page_keeps_what_is_unsent(webp: bytes, open_page: Callable[..., Any]) -> None:
    with FakeStudio([question("comparison", CLIPS), question("comparison", CLIPS, id="q1")], webp) as studio:
        page = open_page(studio)
        page.wait_for_selector(READY)
        studio.signed_out = True
        keys(page, "ArrowLeft")
        page.wait_for_selector("#message")
        assert "1 answer is kept" in page.inner_text("#message")
        studio.signed_out = False
        page.reload()
        page.wait_for_selector("[data-query=q1]")
        page.wait_for_selector("#undo:not([disabled])")
        assert [answer["answer"] for answer in wait_for(studio, 1)] == [{"choice": "second"}]


def test_live_component_is_asked_for_a_segment(webp: bytes, open_page: Callable[..., Any]) -> None:
    with FakeStudio([question("demonstration", [clip_item(0)], live=False)], webp) as studio:
        page = open_page(studio)
        page.wait_for_selector(READY)
        assert page.get_by_role("alert").is_visible()  # no environment here: it says so, and can be skipped
        keys(page, "s", "Enter")
        assert given(page, studio)["skip"] is True


@pytest.mark.skipif(not AXE.is_file(), reason="the page's npm packages are not installed")
@pytest.mark.parametrize(("locale", "theme"), [("en-GB", "light"), ("zh-CN", "dark")])
def test_no_serious_fault_of_accessibility(webp: bytes, open_page: Callable[..., Any], locale: str, theme: str) -> None:
    asked = gallery()
    with FakeStudio(asked, webp) as studio:
        page = open_page(studio, locale=locale, color_scheme=theme, reduced_motion="reduce")
        page.evaluate(AXE.read_text(encoding="utf-8"))
        for one in asked:
            page.wait_for_selector(f"[data-query={one['id']}]")
            keys(page, "e")
            page.wait_for_selector(READY)
            keys(page, *{"flag": ["3"], "ranking": ["1", "2"]}.get(one["kind"], []))
            assert faults(page) == [], one["id"]
            keys(page, "s")
            page.wait_for_selector("dialog[open]")
            if one is asked[0]:
                assert faults(page) == [], "skip"
            keys(page, "Enter")
        page.wait_for_selector("#message")
        assert faults(page) == [], "end"
        keys(page, "?")
        assert faults(page) == [], "keys"
        keys(page, "Escape")
        page.evaluate("location.hash = '#/help'")
        page.wait_for_selector("main.prose")
        assert faults(page) == [], "help"


def test_invitation_leads_to_an_account(webp: bytes, open_page: Callable[..., Any]) -> None:
    with FakeStudio([question("comparison", CLIPS)], webp) as studio:
        page = open_page(studio)
        asked = {"role": "annotator", "traits": {"first language": ["English", HOSTILE]}, "purpose": HOSTILE}
        page.route("**/api/me", lambda route: route.fulfill(status=401, json={"error": "nobody"}))
        page.route(
            "**/api/join",
            lambda route: (
                route.fulfill(json={**asked, "consent": "v1", "text": HOSTILE})
                if route.request.method == "GET"
                else route.fulfill(
                    json={
                        "account": "a",
                        "role": "annotator",
                        "annotator": "ann",
                        "name": "Ann",
                        "may": ["self", "label"],
                    }
                )
            ),
        )
        page.goto(f"{studio.address}/#/join/secret")
        page.reload()
        page.wait_for_selector("main form")
        assert page.locator("main :is(script, iframe, style, img)").count() == 0
        if AXE.is_file():
            page.evaluate(AXE.read_text(encoding="utf-8"))
            assert faults(page) == []
        page.get_by_label("Name").fill("Ann")
        page.get_by_label("Password").fill("correct horse battery")
        page.get_by_label("I have read this").check()
        with page.expect_request(lambda request: request.method == "POST" and "join" in request.url) as sent:
            page.get_by_role("button", name="Begin").click()
        told = sent.value.post_data_json
        assert (told["token"], told["name"], told["traits"], told["consent"]) == ("secret", "Ann", {}, "v1")
        page.wait_for_selector(READY)


def test_nobody_signed_in_is_told_how(webp: bytes, open_page: Callable[..., Any]) -> None:
    with FakeStudio([question("comparison", CLIPS)], webp) as studio:
        page = open_page(studio)
        page.route("**/api/me", lambda route: route.fulfill(status=401, json={"error": "nobody"}))
        page.route(
            "**/api/login",
            lambda route: (
                route.fulfill(json={"password": True, "provider": "Example"})
                if route.request.method == "GET"
                else route.fulfill(status=401, json={"error": "no"})
            ),
        )
        page.reload()
        page.get_by_label("Name").fill("Ann")
        page.get_by_label("Password").fill("wrong")
        page.get_by_role("button", name="Sign in").click()
        playwright.expect(page.get_by_role("alert")).to_have_text("Name or password is wrong.")
        assert page.get_by_role("link", name="Sign in with Example").get_attribute("href") == "/api/oidc"


def faults(page: Any) -> list[str]:
    found = page.evaluate("axe.run(document, { resultTypes: ['violations'] })")
    return [
        f"{one['id']}: {json.dumps([node['html'][:200] for node in one['nodes'][:3]])} {one['nodes'][0].get('failureSummary', '')[:300]}"
        for one in found["violations"]
        if one["impact"] in ("serious", "critical")
    ]


def test_page_fits_a_phone(webp: bytes, open_page: Callable[..., Any]) -> None:
    with FakeStudio(gallery(), webp) as studio:
        phone = {"width": 320, "height": 700}
        page = open_page(studio, viewport=phone, is_mobile=True, has_touch=True, reduced_motion="reduce")
        for one in gallery():
            page.wait_for_selector(f"[data-query={one['id']}]")
            keys(page, "e")
            page.wait_for_selector(READY)
            assert page.evaluate("document.documentElement.scrollWidth") <= 320, one["id"]
            small = [
                button.inner_text()
                for button in page.locator(".ask button, footer button").all()
                if (box := button.bounding_box()) and min(box["width"], box["height"]) < 24
            ]
            assert small == [], one["id"]
            keys(page, "s", "Enter")
        page.wait_for_selector("#message")

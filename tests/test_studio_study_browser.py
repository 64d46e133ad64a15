"""A lead at work in a real browser: looks at answers, retracts one, asks again; the question comes to somebody else. Needs a Chromium."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from plaudit.ask.service import RE_ASKED
from plaudit.records import Comparison
from plaudit.studio.keys import Wish
from plaudit.studio.roles import MAY, Caller, Permission, Role
from tests.browser_examples import AXE, Pages
from tests.studio_examples import make_store
from tests.study_examples import study_store

browsers = pytest.importorskip("tests.test_studio_browser")


@pytest.fixture
def enter(browser: Any) -> Iterator[Callable[..., Any]]:
    """Lets somebody in with a browser of their own; fails the test when a page reports an error."""
    pages = Pages(browser)

    def open_(studio: Any, who: str, role: Role, at: str = "", **settings: Any) -> Any:
        page = pages.open(of=studio.visitors, **{"bypass_csp": False, **settings})
        page.goto(f"{studio.address}/enter?token={studio.access.invite(who, role)}")
        page.wait_for_selector("main h1")
        if at:
            page.goto(f"{studio.address}/#/{at}")
        return page

    yield open_
    pages.close("409 (Conflict)")  # what the studio refuses is in the browser's log


def test_a_lead_retracts_and_asks_again_and_the_question_comes_to_another_annotator(
    tmp_path: Path, enter: Callable[..., Any]
) -> None:
    with make_store(tmp_path, questions=1) as store:
        query = store.queries()[0].id
        store.add_feedback([Comparison(id="fb/ann", query=query, annotator="ann", choice=browsers.Choice.FIRST)])
        with browsers.Studio(store) as studio:
            ann = enter(studio, "ann", Role.ANNOTATOR, "label")
            lead = enter(studio, "boss", Role.LEAD, "study/answers")
            card = lead.locator('[data-feedback="fb/ann"]')
            card.get_by_role("button", name="Retract", exact=True).press("Enter")
            reason = card.get_by_label("Why it is not to count")
            assert reason.evaluate("one => one === document.activeElement")  # by keyboard, nothing else is needed
            reason.press("Escape")
            assert card.get_by_role("button", name="Retract", exact=True).evaluate(
                "one => one === document.activeElement"
            )
            assert store.retracted() == frozenset()  # nothing is done before the form is sent
            card.get_by_role("button", name="Retract", exact=True).press("Enter")
            reason.fill("asleep <img src=x onerror=alert(1)>")
            reason.press("Enter")
            card.get_by_text("No model has learned from it").wait_for()
            card.get_by_text("Retracted: asleep <img").wait_for()
            assert store.retracted() == {"fb/ann"}
            card.get_by_text("The question").click()
            card.get_by_role("button", name="Ask again").click()
            card.get_by_role("button", name="Ask others").click()
            card.get_by_text("It will be put to 1 other person").wait_for()
            again = next(one for one in store.queries() if one.strategy == RE_ASKED)
            bob = enter(studio, "bob", Role.ANNOTATOR, "label")
            bob.get_by_role("button", name=re.compile("skip", re.I)).first.wait_for()
            leased = bob.evaluate("fetch('/api/next').then(r => r.json()).then(v => v.questions.map(q => q.id))")
            assert leased == [again.id]
            ann.reload()
            ann.wait_for_timeout(500)
            assert ann.evaluate("fetch('/api/next').then(r => r.json()).then(v => v.questions.length)") == 0


def test_a_reviewer_signs_and_the_card_says_what_is_open(tmp_path: Path, enter: Callable[..., Any]) -> None:
    with study_store(tmp_path) as store, browsers.Studio(store) as studio:
        reviewer = enter(studio, "rev", Role.REVIEWER, "signoff")
        check = reviewer.locator('[data-check="safety"]')
        check.get_by_role("button", name="Sign").click()
        check.get_by_label("Reject").check()
        check.get_by_label("Comment").fill("it hits *the* wall")
        check.get_by_role("button", name="Sign").click()
        reviewer.locator('[data-check="safety"][data-state="rejected"]').wait_for()
        assert "Privacy, Safety, Domain" in reviewer.locator(".st-banner").inner_text()
        reviewer.get_by_role("button", name="Show").click()
        card = reviewer.locator(".model-card")
        card.wait_for()
        assert "safety, REJECTED: it hits *the* wall" in card.inner_text()
        assert reviewer.get_by_role("button", name="Add a check").count() == 0  # that is for leads


def test_an_invitation_is_made_used_and_taken_back(tmp_path: Path, enter: Callable[..., Any]) -> None:
    with make_store(tmp_path, questions=1) as store, browsers.Studio(store) as studio:
        lead = enter(studio, "boss", Role.OWNER, "study/people")
        links: list[str] = []
        for _ in range(2):
            lead.get_by_role("button", name="Make a link", exact=True).first.click()
            lead.locator("[data-invitation]").nth(len(links)).wait_for()
            links.append(lead.get_by_label("The link", exact=True).input_value())
        assert links[0] != links[1]
        row = lead.locator("[data-invitation]").first
        row.get_by_role("button", name="Take back").click()
        row.get_by_role("button", name="Take it back").click()
        lead.locator("[data-invitation]").nth(1).wait_for(state="detached")
        assert len(studio.access.invitations.all()) == 1
        assert "#/join/" in links[0]


def test_an_owner_makes_a_key_and_a_webhook_by_keyboard_tries_and_ends_them(
    tmp_path: Path, enter: Callable[..., Any]
) -> None:
    with make_store(tmp_path, questions=1) as store, browsers.Studio(store) as studio:
        page = enter(studio, "boss", Role.OWNER, "access")
        form = page.locator('[data-form="key"]')
        form.get_by_label("What it is for").focus()
        page.keyboard.type("nightly <img src=x onerror=alert(1)>")
        page.keyboard.press("Enter")
        form.get_by_role("alert").get_by_text("at least one").wait_for()
        assert studio.access.keys.all() == []
        form.get_by_label("take answers out").press("Space")
        form.get_by_label("What it is for").press("Enter")
        row = page.locator("[data-key]")
        row.wait_for()
        secret = form.get_by_label("The secret", exact=True).input_value()
        caller = studio.access.keys.caller(secret)
        assert caller is not None
        assert {one.value for one in caller.may} == {"self", "export"}
        page.reload()
        assert "just now" in row.inner_text()  # last used
        assert secret not in page.content()  # shown once
        row.get_by_role("button", name="End", exact=True).press("Enter")
        row.get_by_role("button", name="End this key").press("Enter")
        row.wait_for(state="detached")
        assert studio.access.keys.caller(secret) is None

        hook = page.locator('[data-form="hook"]')
        hook.get_by_label("Address of the receiver").fill("https://127.0.0.1:1/told")
        hook.get_by_label("answers").press("Space")
        hook.get_by_label("Address of the receiver").press("Enter")
        card = page.locator("[data-hook]")
        assert hook.get_by_label("The secret", exact=True).input_value().startswith("whsec_")
        card.get_by_role("button", name="Send a test").press("Enter")
        card.get_by_text("not public").first.wait_for()  # it was not told, and it says why
        card.get_by_text("Last deliveries (1)").click()
        card.get_by_text("Failed", exact=True).wait_for()
        card.get_by_role("button", name="End", exact=True).press("Enter")
        card.get_by_role("button", name="End this webhook").press("Enter")
        card.wait_for(state="detached")
        lead = enter(studio, "lead", Role.LEAD, "access")
        assert lead.get_by_label("The address may be").count() == 0  # that is for owners
        annotator = enter(studio, "ann", Role.ANNOTATOR)
        assert annotator.get_by_role("link", name="Programs").count() == 0


def test_what_is_refused_is_said_in_the_language_of_the_page(tmp_path: Path, enter: Callable[..., Any]) -> None:
    with make_store(tmp_path, questions=1) as store, browsers.Studio(store) as studio:
        page = enter(studio, "boss", Role.OWNER, "access", locale="zh-CN")
        hook = page.locator('[data-form="hook"]')
        hook.get_by_label("接收地址").fill("http://example.org/told")
        hook.get_by_label("新的回答").check()
        hook.get_by_label("接收地址").press("Enter")
        told = hook.get_by_role("alert")
        told.wait_for()
        assert (
            told.inner_text()
            == "这个地址不能用来接收通知。请使用 https:// 开头、不含密码的地址。（http://example.org/told）"
        )
        page.evaluate("localStorage.setItem('plaudit:language', '\"en\"')")
        page.reload()
        hook.get_by_label("Address of the receiver").fill("http://example.org/told")
        hook.get_by_label("answers").check()
        hook.get_by_label("Address of the receiver").press("Enter")
        told.get_by_text("Next").or_(told.get_by_text("Expected: https://HOST/")).wait_for()  # the studio's own words


@pytest.mark.parametrize("locale", ["en-GB", "zh-CN"])
def test_no_page_has_a_serious_violation(tmp_path: Path, enter: Callable[..., Any], locale: str) -> None:
    if not AXE.is_file():
        pytest.skip("the sources of the page are not installed")
    with study_store(tmp_path) as store, browsers.Studio(store) as studio:
        boss = Caller("boss", Role.OWNER, "boss", MAY[Role.OWNER])
        studio.access.invite("boss", Role.OWNER)
        studio.access.keys.make(boss, Wish("robot", frozenset({Permission.LABEL, Permission.WATCH})))
        studio.app.state.hooks.make("boss", "https://example.org/told", ("query.asked",), private=False)
        page = enter(studio, "boss", Role.OWNER, locale=locale, bypass_csp=True)
        pages = ("study/annotators", "study/agreement", "study/answers", "study/people", "access", "signoff")
        for at, theme in itertools.product(pages, ("light", "dark")):
            page.emulate_media(color_scheme=theme, reduced_motion="reduce")  # colours that fade are measured halfway
            page.goto(f"{studio.address}/#/{at}")
            page.wait_for_selector("main table, main article")
            page.wait_for_load_state("networkidle")
            page.add_script_tag(path=str(AXE))
            found = page.evaluate("axe.run(document).then(r => r.violations)")
            serious = [
                (one["id"], one["nodes"][0]["html"]) for one in found if one["impact"] in ("serious", "critical")
            ]
            assert serious == [], (at, theme)
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
            # styles of the labelling page, which was open before, must not reach these
            assert page.evaluate("[...document.querySelectorAll('main article')].every(one => one.clientWidth > 250)")

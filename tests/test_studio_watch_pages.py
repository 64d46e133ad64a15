"""The pages that watch a run, in a real browser: every number is the report's, live, in both languages, for everybody.

Needs playwright, a Chromium, and the built page (`python hatch_build.py`).
"""

from __future__ import annotations

import ast
import csv
import json
import math
import random
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

import plaudit
from plaudit.records import Query, QueryKind, TextSegment
from plaudit.report.markup import Style, format_number
from plaudit.run.metrics import METRICS
from plaudit.store.store import Store
from plaudit.studio.client import STATIC
from tests.browser_examples import AXE, WEB, Pages
from tests.report_runs import FakeRun
from tests.studio_examples import make_store, moving_webp, render_all
from tests.watch_examples import Serving, scored_run, watching

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
pytest.importorskip("PIL", reason="clips are made with Pillow")
TABS = ("act", "ask", "learn", "improve", "check")
LOCALES = {"en": "en-GB", "zh": "zh-CN"}
LEVELS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]

needs_browser = [
    pytest.mark.slow,
    pytest.mark.skipif(not (STATIC / "index.html").is_file(), reason="the page is not built"),
]


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Store, str]]:
    """A finished run with clips and scores, and the address at which it is watched."""
    with scored_run(tmp_path_factory.mktemp("pages")) as store:
        for query in store.queries():
            for segment in query.segments:
                store.add_job("render", {"segment": segment}, f"render/{segment}")
        render_all(store, moving_webp())
        with Serving(watching(store)) as serving:
            yield store, serving.address


@pytest.fixture
def open_page(browser: Any) -> Iterator[Callable[..., Any]]:
    """Opens a page in a fresh profile; fails the test if it reports an error, or asks anybody else for anything."""
    pages = Pages(browser, levels=("error", "warning"))

    def open_(address: str, route: str, *, language: str = "en", **settings: Any) -> Any:
        page = pages.open(asks=(address, "blob:"), locale=LOCALES[language], **settings)
        page.goto(f"{address}/#/{route}")
        page.wait_for_selector("main.watch h2")
        return page

    yield open_
    pages.close("net::ERR_")  # a page may outlive its studio by a moment, and then cannot connect again


def look_up(root: Any, path: str) -> Any:
    for step in path.split("."):
        root = root[int(step)] if isinstance(root, list) else root[step]
    return root


NUMBERS = """() => {
  document.querySelectorAll("details").forEach((one) => { one.open = true; });
  return new Promise((done) => setTimeout(() => done([...document.querySelectorAll("main data[data-path]")].map((one) =>
    ({ path: one.dataset.path, style: one.dataset.style, value: one.value, text: one.textContent }))), 300));
}"""


@pytest.mark.parametrize("language", ["en", "zh"])
class TestEveryTab:
    pytestmark = needs_browser

    def test_every_number_is_the_reports(self, watched, open_page, language):
        _, address = watched
        page = open_page(address, "watch/act", language=language)
        summary = json.loads(page.evaluate("fetch('/api/watch/summary').then((reply) => reply.text())"))
        seen: dict[str, int] = {}
        for tab in TABS:
            page.goto(f"{address}/#/watch/{tab}")
            page.wait_for_selector(f"main[data-tab={tab}]")
            numbers = page.evaluate(NUMBERS)
            for one in numbers:
                value = look_up(summary, one["path"])
                assert float(one["value"]) == value, one
                assert one["text"] == format_number(value, Style(one["style"])), one
            seen[tab] = len(numbers)
        # of every round and of every sampled step, behind the charts; 3 rounds, 60 steps
        assert seen["learn"] > 2 * 60
        assert all(count >= least for count, least in zip(seen.values(), (2, 20, 100, 4, 60), strict=True)), seen

    def test_no_word_is_missing_and_the_language_is_named(self, watched, open_page, language):
        _, address = watched
        page = open_page(address, "watch/check", language=language)
        assert page.get_attribute("html", "lang") == {"en": "en", "zh": "zh-CN"}[language]
        for tab in TABS:
            page.goto(f"{address}/#/watch/{tab}")
            page.wait_for_selector(f"main[data-tab={tab}]")
            text = page.inner_text("main")
            assert "undefined" not in text
            assert not re.search(r"\{\w+\}", text)
            if language == "zh":
                mine = page.evaluate(
                    "() => [...document.querySelectorAll('main h2, main h3, main dt')].map((one) => one.textContent)"
                )
                names = {one for one in mine if not re.search(r"[\u4e00-\u9fff]", one)}
                assert names <= {"train/actor_loss"}, names

    @pytest.mark.parametrize("theme", ["light", "dark"])
    @pytest.mark.skipif(not AXE.is_file(), reason="axe-core is not installed")
    def test_nobody_is_shut_out(self, watched, open_page, language, theme):
        store, address = watched
        page = open_page(
            address, "watch/check", language=language, color_scheme=theme, viewport={"width": 390, "height": 844}
        )
        segment = store.queries()[9].segments[0]
        for route in [*(f"watch/{tab}" for tab in TABS), f"behaviour/{segment}"]:
            page.goto(f"{address}/#/{route}")
            page.wait_for_selector("main.watch h2")
            page.evaluate(NUMBERS)
            page.evaluate(AXE.read_text())
            found = page.evaluate("(levels) => axe.run(document, { runOnly: levels })", LEVELS)
            assert [(one["id"], one["nodes"][0]["html"]) for one in found["violations"]] == [], route
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), route


class TestPages:
    pytestmark = needs_browser

    def test_the_page_follows_a_run_that_goes_on(self, tmp_path, open_page):
        run = FakeRun(tmp_path, rounds=1, clips=False)
        with run.write() as store, Serving(watching(store)) as serving:
            page = open_page(serving.address, "watch/check")
            page.wait_for_selector("[data-live=live]")
            assert page.inner_text(".stages h2") == "Round 2 of 3"
            assert page.inner_text(".stages li.running a") == "Act"
            assert page.text_content("[data-path='check.returns.value']") == format_number(-800.0, Style.RETURN)
            for stage in TABS:
                run._stage(store, 1, stage)
            expect = playwright.expect
            expect(page.locator(".stages h2")).to_have_text("Round 3 of 3", timeout=15_000)
            value = format_number(-300.0, Style.RETURN)
            expect(page.locator("[data-path='check.returns.value']")).to_have_text(value, timeout=15_000)
            page.wait_for_selector(".mark.fresh", timeout=15_000)

    def test_behaviour_can_be_browsed_and_played(self, watched, open_page):
        store, address = watched
        page = open_page(address, "watch/act")
        page.wait_for_selector(".piece")
        total = len(list(store.events(kinds={"segment.added"})))
        while page.locator(".piece").count() < total:
            before = page.locator(".piece").count()
            page.click("main > section:last-of-type > button")
            page.locator(".piece").nth(before).wait_for()
        segment = store.queries()[0].segments[0]
        piece = page.locator(f".piece[data-segment={segment}]")
        button = piece.get_by_role("button")
        assert button.get_attribute("aria-pressed") == "false"
        button.press("Enter")
        assert button.get_attribute("aria-pressed") == "true"
        piece.get_by_role("link").click()
        page.wait_for_selector(".question")
        assert store.queries()[0].id == page.get_attribute(".question", "data-query")

    def test_a_clip_is_drawn_when_somebody_wants_to_see_it(self, tmp_path, open_page):
        with make_store(tmp_path, questions=1) as store, Serving(watching(store)) as serving:
            page = open_page(serving.address, "watch/ask")
            button = page.get_by_role("button", name="Draw this clip: First")
            button.click()
            page.get_by_role("status").wait_for()
            while not render_all(store, moving_webp()):
                page.wait_for_timeout(50)
            page.get_by_role("button", name="Play: First").wait_for()

    def test_a_question_says_why_and_what_changed(self, watched, open_page):
        store, address = watched
        page = open_page(address, "watch/ask")
        query = store.queries()[-1]
        card = page.locator(f".question[data-query={query.id}]")
        card.wait_for()
        asked = page.evaluate(f"fetch('/api/watch/questions/{query.id}').then((reply) => reply.json())")["asked"]
        text = card.inner_text()
        assert "disagreed most" in text
        assert format_number(asked["score"], Style.DECIMAL) in text
        learned = asked["given"][0]["learned"]
        for odds in (learned["odds_before"], learned["odds_after"]):
            assert format_number(odds["mean"], Style.PERCENT) in text
        assert format_number(learned["after"]["accuracy_heldout"], Style.PERCENT) in text

    def test_charts_are_saved_as_svg_and_csv(self, watched, open_page):
        _, address = watched
        page = open_page(address, "watch/check")
        chart = page.locator("[data-chart=returns]")
        summary = page.evaluate("fetch('/api/watch/summary').then((reply) => reply.json())")
        with page.expect_download() as saved:
            chart.get_by_role("button", name="CSV").click()
        rows = list(csv.DictReader(saved.value.path().read_text().splitlines()))
        assert [float(row["policy"]) for row in rows] == [one["return_mean"]["value"] for one in summary["rounds"]]
        assert [float(row["policy, high"]) for row in rows] == [one["return_mean"]["high"] for one in summary["rounds"]]
        with page.expect_download() as saved:
            chart.get_by_role("button", name="SVG").click()
        drawn = ElementTree.fromstring(saved.value.path().read_text())
        assert drawn.tag == "{http://www.w3.org/2000/svg}svg"
        lines = [one for one in drawn.iter("{http://www.w3.org/2000/svg}path") if one.get("fill") == "none"]
        assert lines[0].get("stroke").startswith("rgb(")
        assert "random" in {one.text for one in drawn.iter("{http://www.w3.org/2000/svg}text")}

    def test_a_chart_reads_out_what_is_pointed_at(self, watched, open_page):
        _, address = watched
        page = open_page(address, "watch/check")
        chart = page.locator("[data-chart=returns]")
        frame = chart.locator("svg[role=img]").bounding_box()
        page.mouse.move(frame["x"] + frame["width"] * 0.1, frame["y"] + frame["height"] / 2)
        playwright.expect(chart.locator(".readout")).to_contain_text("Round 1")
        assert format_number(-800.0, Style.RETURN) in chart.locator(".readout").inner_text()

    def test_the_numbers_behind_a_chart_are_reached_by_keyboard(self, watched, open_page):
        _, address = watched
        page = open_page(address, "watch/check")
        page.locator("[data-chart=returns] summary").focus()
        page.keyboard.press("Enter")
        page.wait_for_selector("[data-chart=returns] .numbers table")
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.className") == "numbers"

    def test_texts_are_shown_as_text(self, tmp_path, open_page):
        hostile = "<img src=x onerror=\"document.title='hurt'\"><script>document.title='hurt'</script>"
        with Store.create(
            tmp_path / "store.sqlite", {"format": 1, "config": {"name": hostile}, "versions": {}}
        ) as store:
            texts = [TextSegment(hostile, f"{n} {hostile}", policy=hostile) for n in (1, 2)]
            store.add_segments(texts)
            names = tuple(one.id for one in texts)
            kind = QueryKind.COMPARISON
            store.add_queries([Query(kind=kind, segments=names, shown=(0, 1), round=0, index=0, strategy=hostile)])
            with Serving(watching(store)) as serving:
                for route in ("watch/act", "watch/ask", f"behaviour/{names[0]}"):
                    page = open_page(serving.address, route)
                    page.wait_for_selector(".text-seen")
                    assert hostile in page.inner_text("main")
                    assert page.title() != "hurt"


def said_by_the_doctor() -> set[str]:
    """Sentences and names of numbers in the checks; f-strings stand in the test."""
    found: set[str] = set()
    for name in ("diagnose", "learned", "texts"):
        tree = ast.parse((Path(plaudit.__file__).parent / "check" / f"{name}.py").read_text())
        notes = {
            ast.get_docstring(one, clean=False)
            for one in ast.walk(tree)
            if isinstance(one, ast.FunctionDef | ast.ClassDef | ast.Module)
        }
        for one in ast.walk(tree):
            if isinstance(one, ast.Call) and isinstance(one.func, ast.Name) and one.func.id == "Evidence":
                found.add(ast.literal_eval(one.args[0]))
            if (
                isinstance(one, ast.Constant)
                and isinstance(one.value, str)
                and re.fullmatch(r"[A-Z].*\w.*[.)]\.?", one.value)
            ):
                found |= {one.value} - notes
    return {one for one in found if not one.endswith(" has.")}


def test_the_doctor_speaks_chinese_too():
    table = (WEB / "src" / "watch" / "findings.ts").read_text()
    said = said_by_the_doctor()
    assert len(said) > 60
    assert [one for one in said if f'"{one}":' not in table and f"  {one}:" not in table] == []
    for side in ("first", "second"):
        assert f"Annotators favour the clip that stands {side} on the screen, more than chance would." in table


def test_metrics_of_fitting_and_training_have_a_meaning_in_both_languages():
    table = (WEB / "src" / "watch" / "metrics.ts").read_text()
    drawn = [
        name for name in METRICS if name.startswith(("train/", "rollout/", "clone/", "reward/", "demonstrations/"))
    ]
    elsewhere = {
        f"reward/{name}" for name in ("accuracy_train", "accuracy_heldout", "ece", "spread", "correlation_true")
    }
    assert [name for name in drawn if table.count(f'"{name}": ') != 2 and name not in elsewhere] == []


NODE = shutil.which("node")


TYPESCRIPT = WEB / "node_modules" / "typescript"


@pytest.mark.skipif(NODE is None or not TYPESCRIPT.is_dir(), reason="no Node or no TypeScript on this machine")
def test_numbers_are_written_as_the_report_writes_them():
    draw = random.Random(0)
    values = [
        0.0,
        -0.0,
        0.5,
        1.5,
        2.5,
        -0.04,
        0.125,
        0.375,
        0.005,
        999.6,
        1000.0,
        -1234.5,
        1e-5,
        3.2e-7,
        89.96,
        90.0,
        5400.0,
    ]
    values += [draw.choice([-1, 1]) * draw.random() * 10 ** draw.uniform(-6, 6) for _ in range(2000)]
    values += [draw.randrange(-4000, 4000) / 8 for _ in range(500)]
    cases = [(value, style) for value in values for style in Style if style is not Style.SECONDS or value >= 0]
    script = (
        "const ts = require(process.argv[1]); const fs = require('fs'); "
        "const code = ts.transpileModule(fs.readFileSync('format.ts', 'utf8'), { compilerOptions: { module: 'commonjs' } }); "
        "const format = {}; new Function('exports', code.outputText)(format); "
        "const cases = JSON.parse(fs.readFileSync(0, 'utf8')); "
        "console.log(JSON.stringify(cases.map(([value, style]) => format.written(value, style))));"
    )
    done = subprocess.run(
        [str(NODE), "-e", script, str(TYPESCRIPT)],
        input=json.dumps([(value, style.value) for value, style in cases]),
        capture_output=True,
        text=True,
        cwd=WEB / "src" / "charts",
        check=False,
    )
    assert done.returncode == 0, done.stderr
    wrong = [
        (value, style, text, format_number(value, style))
        for (value, style), text in zip(cases, json.loads(done.stdout), strict=True)
        if text != format_number(value, style) and math.isfinite(value)
    ]
    assert wrong == []

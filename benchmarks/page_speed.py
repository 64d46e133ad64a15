"""How big are the studio's pages, how soon is something to be seen, and how long after a key does the next question stand there?

    python -m benchmarks.page_speed run [--keys 100] [--loads 10]     appends; needs playwright and a Chromium
    python -m benchmarks.page_speed summary                           results/page_speed.json; fails over a budget

`size`: scripts and styles that a page loads, packed by gzip as they are served. `first paint`: from the navigation to the first
content, each time in a fresh profile, so that nothing is cached; the browser's own figure (First Contentful Paint). `key to
next`: from the moment at which the browser got the key that answers a comparison to the end of the frame in which the next
question, with its clips, was painted; a key comes half a second after a question is ready. The studio is a process of its own
on this machine, its clips are drawn before.
"""

from __future__ import annotations

import argparse
import gzip
import io
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from tests.studio_examples import make_store

from benchmarks.common import HERE, Row, append_raw, read_raw, write
from benchmarks.studio_load import fill
from plaudit.store.store import Store
from plaudit.store.work import RENDER, render_key
from plaudit.studio.client import STATIC

RAW = "page_speed"
PAGES = {
    "label": "src/label/page.tsx",
    "watch": "src/watch/page.tsx",
    "study": "src/study/page.tsx",
    "signoff": "src/study/signoff.tsx",
    "access": "src/access/page.tsx",
    "help": "src/help/page.tsx",
    "join": "src/join/page.tsx",
}
"""page -> what its chunk is made from"""
BUDGETS = {"size": 150.0, "first paint": 1000.0, "key to next": 100.0}
"""KiB of any page; ms at the median; ms at p95"""
THINK = 500
"""ms between a question that is ready and the key"""
FRAMES, SIDE = 40, 240
"""of a clip; pixels"""
PROBE = """() => {
  window.took = []; let pressed = null, before = null;
  addEventListener('keydown', (event) => { pressed = event.timeStamp; }, true);
  const painted = (then) => requestAnimationFrame(() => {
    const line = new MessageChannel();
    line.port1.onmessage = then;
    line.port2.postMessage(null); // comes after the frame
  });
  const look = () => {
    const asked = document.querySelector('.ask[data-ready=true]')?.dataset.query;
    if (!asked || asked === before) return;
    const since = pressed;
    before = asked;
    painted(() => { if (since !== null) window.took.push(performance.now() - since); });
  };
  new MutationObserver(look).observe(document.body, { subtree: true, childList: true, attributes: true });
  look();
}"""
FIRST_PAINT = "performance.getEntriesByName('first-contentful-paint')[0]?.startTime"


# sizes


def size_of(page: str) -> float:
    """KiB of script and style that a page loads, packed."""
    manifest = json.loads((STATIC / "manifest.json").read_text(encoding="utf-8"))
    files: set[str] = set()
    chunks = ["index.html", PAGES[page]]
    while chunks:
        entry = manifest[chunks.pop()]
        if entry["file"] not in files:
            files |= {entry["file"], *entry.get("css", [])}
            chunks += entry.get("imports", [])
    return sum(len(gzip.compress((STATIC / one).read_bytes(), 9)) for one in files) / 1024


# the studio


def clip(number: int) -> bytes:
    """A square that travels over noise, unlike every other clip."""
    from PIL import Image

    rng, pictures = np.random.default_rng(number), []
    ground = rng.integers(200, 255, (SIDE, SIDE, 3), dtype=np.uint8)
    for frame in range(FRAMES):
        pixels = ground.copy()
        pixels[90:130, 4 * frame : 4 * frame + 40] = (200, 60, 60)
        pictures.append(Image.fromarray(pixels))
    out = io.BytesIO()
    pictures[0].save(out, "WEBP", save_all=True, append_images=pictures[1:], duration=40, loop=0, quality=60, method=2)
    return out.getvalue()


def drawn(folder: Path, questions: int) -> None:
    """A store of comparisons whose clips are there."""
    with make_store(folder, questions=questions) as store:
        names = [name for query in store.queries() for name in query.segments]
        for number, name in enumerate(names):
            store.add_job(RENDER, {"segment": name}, render_key(name))
            job = store.claim_job(RENDER, "benchmark", 60.0)
            assert job is not None
            store.finish_job(job.id, {"blob": store.blobs.put(clip(number)), "mime": "image/webp"})


def serve(store_path: str) -> None:
    """Serve, and print a link for each line that is read."""
    import threading

    import uvicorn

    from plaudit.studio.access import Access
    from plaudit.studio.app import create_app
    from plaudit.studio.network import listen

    listener = listen("127.0.0.1", 0)
    with Store.open(Path(store_path)) as store:
        access = Access(store)

        def links() -> None:
            for _ in sys.stdin:
                token = access.invite("person-1")
                print(f"http://127.0.0.1:{listener.getsockname()[1]}/enter?token={token}", flush=True)

        threading.Thread(target=links, daemon=True).start()
        app = create_app(store, access=access)
        uvicorn.Server(uvicorn.Config(app, log_level="warning", access_log=False)).run(sockets=[listener])


class Studio:
    """A studio in a process of its own."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def link(self) -> str:
        """A link that lets one browser in."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        return self._process.stdout.readline().strip()


@contextmanager
def studio(store_path: Path) -> Generator[Studio]:
    """Serve while the block runs."""
    command = [sys.executable, "-m", "benchmarks.page_speed", "serve", str(store_path)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=HERE.parent
    ) as process:
        try:
            yield Studio(process)
        finally:
            process.kill()


@contextmanager
def browser() -> Generator[Any]:
    """A Chromium."""
    from playwright.sync_api import sync_playwright

    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))))
    with sync_playwright() as driver:
        found = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        try:
            yield found
        finally:
            found.close()


# what is measured


@dataclass(frozen=True)
class Session:
    """A studio's address, and what a profile must hold to be signed in there: the cookie, and none of the page's files."""

    address: str
    state: dict[str, Any]


def sign_in(chromium: Any, served: Studio) -> Session:
    """Once for all loads: a studio lets nobody sign in as often as pages are loaded here (`studio/limits.py`)."""
    link, context = served.link(), chromium.new_context()
    reply = context.request.get(link)
    state = context.storage_state()
    context.close()
    if not reply.ok or not state["cookies"]:
        raise RuntimeError(f"the studio let nobody in: status {reply.status}")
    return Session(link.partition("/enter")[0], state)


def first_paints(chromium: Any, session: Session, page_name: str, loads: int) -> list[float]:
    """ms to the first content of a page, each in a profile of its own that is signed in and has kept nothing else."""
    found: list[float] = []
    for _ in range(loads):
        context = chromium.new_context(locale="en-GB", storage_state=session.state)
        page = context.new_page()
        page.goto(f"{session.address}/#/{page_name}")
        page.wait_for_selector("main:not(:has(#signin)) h1, .ask")  # the page itself, not the one to sign in
        page.wait_for_function(FIRST_PAINT)
        found.append(float(page.evaluate(FIRST_PAINT)))
        context.close()
    return found


def keys_to_next(chromium: Any, served: Studio, keys: int) -> list[float]:
    """ms from each key to the next question, painted."""
    context = chromium.new_context(locale="en-GB")
    page = context.new_page()
    page.goto(served.link())
    page.wait_for_selector(".ask[data-ready=true]", timeout=60_000)
    page.evaluate(PROBE)
    for number in range(keys):
        page.wait_for_timeout(THINK)
        page.keyboard.press("ArrowLeft" if number % 2 else "ArrowRight")
        page.wait_for_function("(number) => window.took.length > number", arg=number)
    took = page.evaluate("window.took")
    context.close()
    return [float(one) for one in took]


def run(keys: int, loads: int) -> None:
    """Measure all."""
    for page in PAGES:
        _add("size", page, [size_of(page)])
    with tempfile.TemporaryDirectory() as name, browser() as chromium:
        clips, texts = Path(name) / "clips", Path(name) / "texts"
        for folder in (clips, texts):
            folder.mkdir()
        drawn(clips, keys + 5)
        fill(texts / "store.sqlite", texts / "blobs")
        with studio(clips / "store.sqlite") as served:
            session = sign_in(chromium, served)
            for page in PAGES:
                _add("first paint", page, first_paints(chromium, session, page, loads))
            _add("key to next", "two clips", keys_to_next(chromium, served, keys))
        with studio(texts / "store.sqlite") as served:
            _add("key to next", "two short texts", keys_to_next(chromium, served, keys))


def _add(what: str, case: str, values: list[float]) -> None:
    row = {
        "what": what, "case": case, "n": len(values), "p50": round(float(np.percentile(values, 50)), 1),
        "p95": round(float(np.percentile(values, 95)), 1), "load": round(os.getloadavg()[0], 2),
    }  # fmt: skip
    append_raw(RAW, row)
    print(row, flush=True)


def summary() -> tuple[list[Row], list[str]]:
    """The newest row of each case, and what is over its budget."""
    rows: list[Row] = []
    over: list[str] = []
    for row in {(row["what"], row["case"]): row for row in read_raw(RAW)}.values():
        what, case, budget = row["what"], f"{row['what']}/{row['case']}", BUDGETS[row["what"]]
        if what == "size":
            rows.append(Row(case, "gzip", row["p50"], n=row["n"], unit="KiB"))
        else:
            rows += [Row(case, one, row[one], n=row["n"], unit="ms") for one in ("p50", "p95")]
        if row["p95" if what == "key to next" else "p50"] >= budget:
            over.append(case)
    rows += [Row(f"{what}/budget", "limit", value, n=0) for what, value in BUDGETS.items()]
    return rows, over


def main() -> int:
    """Command line; see the module's text."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("verb", choices=("run", "serve", "summary"))
    parser.add_argument("place", nargs="?")
    parser.add_argument("--keys", type=int, default=100)
    parser.add_argument("--loads", type=int, default=10)
    given = parser.parse_args()
    if given.verb == "serve":
        with suppress(KeyboardInterrupt):
            serve(given.place)
        return 0
    if given.verb == "run":
        run(given.keys, given.loads)
        return 0
    rows, over = summary()
    loads = sorted(row["load"] for row in read_raw(RAW))
    asked = "How big are the studio's pages, how soon are they to be seen, and how soon comes the next question?"
    note = f"browser and studio share the machine; load while measuring {loads[0]:g} to {loads[-1]:g}; over budget: "
    write("page_speed", asked=asked, rows=rows, note=note + (", ".join(over) or "nothing"))
    print("over budget:", ", ".join(over) or "nothing")
    return 1 if over else 0


if __name__ == "__main__":
    sys.exit(main())

"""Can somebody who only looks at the page teach Pendulum to swing up, in less than fifteen minutes?

    python -m benchmarks.by_hand run [--seeds 3]      appends and resumes; needs playwright and a Chromium
    python -m benchmarks.by_hand summary              results/by_hand.json

`plaudit run --studio` starts as a person would start it, and a browser opens its link. The rubric is a sentence: "The rod
should stand up and stay up; of two clips, take the one in which it is higher; when you cannot tell, say so". What stands for
the person looks at the pictures in the page's two canvases while they play, and at nothing else: no state, no reward, no
request. How high the rod is, it takes from the red pixels, above or below their pivot. It presses a key no sooner than four
seconds after a question came, as people do (3 to 5 s a comparison, Christiano et al. 2017). The return of the policy is
measured afterwards, as in `benchmarks.efficiency`.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common import Row, append_raw, interval_row, read_raw, write
from benchmarks.efficiency import RANDOM_RETURN, play
from plaudit.check.compare import fraction

RAW = "by_hand"
LABELS = 25
HUMAN_SECONDS = 4.0
RUN = f"""
name = "by-hand"
seed = {{seed}}
[world]
id = "Pendulum-v1"
[ask]
people = true
labels = {LABELS}
segment_length = 50
instruction = "The rod should stand up and stay up. Take the clip in which it is higher."
[loop]
steps = 6000
warmup = 800
[check]
videos = false
"""
LOOK = """() => [...document.querySelectorAll('.ask canvas')].map((canvas) => {
  const { width, height } = canvas;
  const pixels = canvas.getContext('2d').getImageData(0, 0, width, height).data;
  let sum = 0, count = 0;
  for (let y = 0; y < height; y += 2) for (let x = 0; x < width; x += 2) {
    const at = 4 * (y * width + x);
    if (pixels[at] > 150 && pixels[at + 1] < 120 && pixels[at + 2] < 120) { sum += y; count += 1; }
  }
  return count ? 0.5 - sum / count / height : 0;
})"""
"""height of the red rod's middle above that of the picture, of each canvas, in picture heights"""
CLOSE = 0.02
"""difference in mean height below which the two are called the same"""


def trial(seed: int) -> dict[str, Any]:
    """Teach once; needs a screenless Chromium."""
    from playwright.sync_api import sync_playwright

    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "run.toml").write_text(RUN.format(seed=seed))
        words = ["run", str(folder / "run.toml"), "--directory", str(folder / "run"), "--studio"]
        began = time.monotonic()
        environment = os.environ | {"BROWSER": "true", "COLUMNS": "300"}
        with (folder / "said").open("w") as said:
            run = subprocess.Popen(
                [sys.executable, "-m", "plaudit.cli.main", *words], stdout=said, stderr=said, env=environment
            )
        try:
            link = _link(folder / "said", run)
            with sync_playwright() as driver:
                browser = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
                page = browser.new_page(locale="en-GB")
                page.goto(link)
                page.wait_for_selector(".ask", timeout=120_000)
                given = _answer(page, run)
                browser.close()
            run.wait(timeout=120)
        finally:
            run.terminate()
            run.wait(timeout=30)
        minutes = (time.monotonic() - began) / 60
        from plaudit.loop import Run

        with Run.open(folder / "run") as done:
            returns = play(done)
            right = _agreement(done)
    return {
        "seed": seed, "true_return": float(np.mean(returns)), "minutes": round(minutes, 2), "answers": given,
        "right": right, "load": round(os.getloadavg()[0], 2),
    }  # fmt: skip


def _link(said: Path, run: subprocess.Popen[bytes]) -> str:
    until = time.monotonic() + 120
    while time.monotonic() < until and run.poll() is None:
        found = re.search(r"http://\S+/enter\?token=\S+", said.read_text())
        if found:
            return found.group()
        time.sleep(0.5)
    raise SystemExit(f"the studio did not start:\n{said.read_text()}")


def _answer(page: Any, run: subprocess.Popen[bytes]) -> int:
    """Answer what is asked until the run ends. Returns the number of answers."""
    given = 0
    while run.poll() is None:
        if page.query_selector(".ask[data-ready=true]") is None:
            page.wait_for_timeout(300)
            continue
        question, began, heights = page.get_attribute(".ask", "data-query"), time.monotonic(), []
        while time.monotonic() - began < HUMAN_SECONDS:
            heights.append(page.evaluate(LOOK))
            page.wait_for_timeout(100)
        first, second = np.mean([pair for pair in heights if len(pair) == 2], axis=0)
        key = "ArrowDown" if abs(first - second) < CLOSE else "ArrowLeft" if first > second else "ArrowRight"
        page.keyboard.press(key)
        given += 1
        with_other = f"document.querySelector('.ask')?.dataset.query !== {question!r}"
        page.wait_for_function(with_other, timeout=30_000)
    return given


def _agreement(run: Any) -> float | None:
    """Share of the decided answers that the true reward agrees with; nobody who taught saw it."""
    from plaudit.records import Choice, Comparison

    right: list[bool] = []
    for _, answer in run.store.feedback():
        if isinstance(answer, Comparison) and answer.choice in (Choice.FIRST, Choice.SECOND):
            asked = run.store.query(answer.query).segments
            segments = run.store.segments(asked)
            rewards = [run.store.segment_data(segments[one]).true_rewards for one in asked]
            if all(one is not None for one in rewards):
                right.append((rewards[0].sum() > rewards[1].sum()) == (answer.choice is Choice.FIRST))
    return round(float(np.mean(right)), 3) if right else None


def summary() -> list[Row]:
    """Returns, fractions of the oracle of `benchmarks.efficiency`, minutes."""
    rows = read_raw(RAW)
    oracle = [
        row["true_return"]
        for row in read_raw("efficiency")
        if (row["env"], row["teacher"]) == ("pendulum", "oracle") and not row["labels"]
    ]
    returns = np.array([row["true_return"] for row in rows])
    case = f"pendulum/{LABELS} answers"
    return [
        interval_row(case, "return", returns),
        interval_row(
            case, "fraction", fraction(returns, RANDOM_RETURN["pendulum"], float(np.mean(oracle))), "of oracle"
        ),
        Row(case, "most_minutes", max(row["minutes"] for row in rows), n=len(rows), unit="min"),
        interval_row(case, "answers_that_the_true_reward_agrees_with", [row["right"] for row in rows]),
    ]


def main() -> int:
    """Command line; see the module's text."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("verb", choices=("run", "summary"))
    parser.add_argument("--seeds", type=int, default=3)
    given = parser.parse_args()
    if given.verb == "run":
        done = {row["seed"] for row in read_raw(RAW)}
        for seed in range(given.seeds):
            if seed not in done:
                row = trial(seed)
                append_raw(RAW, row)
                print(row, flush=True)
    else:
        write(
            "by_hand",
            asked="Can somebody who only looks at the page teach Pendulum to swing up, in less than fifteen minutes?",
            rows=summary(),
            note="a scripted browser that sees the pictures only, four seconds or more for each answer",
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())

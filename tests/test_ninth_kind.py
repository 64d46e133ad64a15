"""A made-up kind of feedback takes a record, a likelihood and a form, and goes from the browser to a fitted reward.

The edits are made in a copy of the package: what is asserted is that they are enough.
"""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from hatch_build import find_node

import plaudit
from tests.browser_examples import Pages
from tests.studio_examples import still_png

PACKAGE = Path(plaudit.__file__).parent
RECORD = """

@dataclass(frozen=True, slots=True, kw_only=True)
class BestWorst(Answer):
    \"\"\"The best and the worst of several segments (Finn & Louviere 1992); None where the annotator skipped.\"\"\"

    best: int | None = None
    worst: int | None = None


"""
LIKELIHOOD = '''

@dataclass(frozen=True, slots=True)
class BestWorsts(Returns):
    """Best-worst scaling: the best is a choice by value, the worst one by minus value."""

    picks: IndexArray
    """[answer, 2] best and worst"""

    def log_prob(self, values: Any, rows: IndexArray, annotators: Any, densities: Any) -> Any:
        """See `Evidence`."""
        values, lapse = heard(self.asked, values, rows, annotators)
        others = np.arange(values.shape[-1]) != self.picks[rows][..., None]
        once = np.ones(len(rows), dtype=np.int64)
        best = densities.ranking(values, others[:, 0].astype(np.int64), once, [], lapse=lapse)
        return best + densities.ranking(-values, others[:, 1].astype(np.int64), once, [], lapse=lapse)


def _best_worst(given: Sequence[Given], names: tuple[str, ...]) -> BestWorsts:
    return BestWorsts(
        segments=column(given, "segments"),
        question=column(given, "question"),
        lengths=column(given, "lengths"),
        asked=asked(given, names),
        picks=np.array([(one.answer.best, one.answer.worst) for one in given]),
    )


'''
EDITS = {
    "records/feedback.py": [
        ('    FLAG = "flag"\n', '    FLAG = "flag"\n    BEST_WORST = "best_worst"\n'),
        ("QueryKind.DEMONSTRATION)", "QueryKind.DEMONSTRATION, QueryKind.BEST_WORST)"),
        ("\n\nFeedback = Comparison", f"{RECORD}Feedback = BestWorst | Comparison"),
        ('    "flag": Flag,\n', '    "flag": Flag,\n    "best_worst": BestWorst,\n'),
        (
            "        case Flag():\n",
            "        case BestWorst():\n            return feedback.best is None\n        case Flag():\n",
        ),
    ],
    "reward/dispatch.py": [
        (
            "from plaudit.records import (",
            "from plaudit.records.feedback import BestWorst\nfrom plaudit.records import (",
        ),
        ("import Choices, Flags", "import Choices, Flags, Returns"),
        ("import Asked,", "import Asked, heard,"),
        ("\n\ndef _flags", f"{LIKELIHOOD}def _flags"),
        (
            "        case Flag():\n",
            "        case BestWorst():\n            return (7, count), _best_worst\n        case Flag():\n",
        ),
    ],
}
"""what is inserted where, by file"""
FORM = """
// Which is the best, and which the worst.
import { define, translate } from "../i18n";
import { Items } from "../label/items";
import { SubmitRow } from "../parts/submit";
import { type FormProps, LETTERS, useDraft } from "./form";

export const words = define({
  en: { title: "Which is the best, and which the worst?", best: "Best: {letter}", worst: "Worst: {letter}" },
  zh: { title: "哪个最好，哪个最差？", best: "最好：{letter}", worst: "最差：{letter}" },
});
const t = translate(words);

export default function BestWorstForm(props: FormProps) {
  const [said, say] = useDraft<{ best: number | null; worst: number | null }>(props, { best: null, worst: null });
  const complete = said.best !== null && said.worst !== null && said.best !== said.worst;
  const button = (name: "best" | "worst", index: number, place: number) => (
    <button
      type="button"
      data-name={name}
      data-index={index}
      aria-pressed={said[name] === index}
      onClick={() => say({ ...said, [name]: index })}
    >
      {t(name, { letter: LETTERS[place] ?? "" })}
    </button>
  );
  return (
    <>
      <Items {...props} below={(item, place) => <p>{button("best", item.index, place)}{button("worst", item.index, place)}</p>} />
      <SubmitRow ready={props.ready && complete} submit={() => complete && props.submit(said)} />
    </>
  );
}
"""
WORLD = """
import json
import sys
from pathlib import Path
import numpy as np
from plaudit.records import AnnotatorKind, AnnotatorProfile, Query, QueryKind, Segment, SegmentData, StepBatch
from plaudit.records.feedback import BestWorst
from plaudit.store.store import Store

FOLDER, COUNT = Path(sys.argv[1]), int(sys.argv[2])
rng = np.random.default_rng(0)


def ask(store):
    \"\"\"Questions about four segments each; yields each with what its annotator thinks is best and worst.\"\"\"
    for number in range(COUNT):
        seen = (rng.normal(size=(4, 1, 2)) + 0.5 * rng.normal(size=(4, 8, 2))).astype(np.float32)
        worth = seen[..., 0].sum(axis=1) - seen[..., 1].sum(axis=1) + rng.gumbel(size=4)
        made = [
            Segment("w", "p", f"e{number}-{k}", 0, 8,
                    store.blobs.put_arrays(SegmentData(one, np.zeros((8, 1), np.float32)).arrays()))
            for k, one in enumerate(seen)
        ]
        store.add_segments(made)
        asked = Query(QueryKind.BEST_WORST, tuple(one.id for one in made), (2, 0, 3, 1), 0, number, "uniform")
        store.add_queries([asked])
        yield asked, int(worth.argmax()), int(worth.argmin())
"""
FIT = """
from plaudit.ops.aggregate import mean
from plaudit.report.answers import _in_words
from plaudit.reward.collate import collate
from plaudit.reward.config import RewardConfig
from plaudit.reward.fit import fit


def fitted(store):
    \"\"\"Prints the number of answers that were learned from, and how the reward correlates with the true one.\"\"\"
    assert store.verify().ok
    answers = [one for _, one in store.feedback()]
    data = collate(answers, store)
    assert {_in_words(one) for one in answers} == {"best_worst", "skip"}
    shown = np.random.default_rng(1).normal(size=(300, 1, 2)).astype(np.float32)
    reference = StepBatch(shown, np.zeros((300, 1, 1), np.float32), np.ones((300, 1), bool))
    model = fit(data, config=RewardConfig(), seed=0, reference=reference).model
    true = reference.observations[..., 0] - reference.observations[..., 1]
    print(data.answers, np.corrcoef(mean(model.per_step(reference)).ravel(), true.ravel())[0, 1])
"""
SIMULATED = f"""{WORLD}{FIT}
with Store.create(FOLDER / "store.sqlite", {{"format": 1, "config": {{}}}}) as store:
    store.add_annotator(AnnotatorProfile("teacher", AnnotatorKind.SIMULATED))
    for number, (asked, best, worst) in enumerate(list(ask(store))):
        said = {{}} if number == 7 else {{"best": best, "worst": worst}}
        store.add_feedback([BestWorst(id=f"f{{number}}", query=asked.id, annotator="teacher", **said)])
    fitted(store)
"""
SERVED = f"""{WORLD}
import uvicorn
from plaudit.studio.access import Access
from plaudit.studio.app import create_app
from plaudit.studio.network import listen

with Store.create(FOLDER / "store.sqlite", {{"format": 1, "config": {{}}}}) as store:
    picks = {{asked.id: [best, worst] for asked, best, worst in ask(store)}}
    clip = store.blobs.put(bytes.fromhex(sys.argv[3]))
    for segment in [one.payload["id"] for one in store.events(kinds={{"segment.added"}})]:
        store.add_job("render", {{"segment": segment}}, f"render/{{segment}}")
        store.finish_job(store.claim_job("render", "test", 60).id, {{"blob": clip, "mime": "image/png"}})
    access, listener = Access(store), listen("127.0.0.1", 0)
    link = f"http://127.0.0.1:{{listener.getsockname()[1]}}/enter?token={{access.invite('ann')}}"
    print(json.dumps({{"link": link, "picks": picks}}), flush=True)
    app = create_app(store, access=access)
    uvicorn.Server(uvicorn.Config(app, log_level="error", access_log=False)).run(sockets=[listener])
"""
ONLY_FIT = f"""{WORLD}{FIT}
with Store.open(FOLDER / "store.sqlite") as store:
    fitted(store)
"""


@pytest.fixture
def copied(tmp_path):
    """A copy of the package that knows the ninth kind."""
    skipped = shutil.ignore_patterns("__pycache__", "static", "node_modules")
    shutil.copytree(PACKAGE, tmp_path / "plaudit", ignore=skipped)
    for name, edits in EDITS.items():
        text = (tmp_path / "plaudit" / name).read_text()
        for before, after in edits:
            assert text.count(before) == 1, (name, before)
            text = text.replace(before, after)
        (tmp_path / "plaudit" / name).write_text(text)
    return tmp_path


def python(folder, script, *words):
    """A Python that imports the copy."""
    environment = {"PYTHONPATH": str(folder), "OMP_NUM_THREADS": "1", "PATH": ""}
    return subprocess.Popen(
        [sys.executable, "-c", script, str(folder), *words],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def require_learned(done, count):
    out, problems = done.communicate(timeout=200)
    assert done.returncode == 0, problems
    answers, correlation = out.split()
    assert int(answers) == count
    assert float(correlation) >= 0.95


def test_a_ninth_kind_needs_a_record_and_a_likelihood(copied):
    require_learned(python(copied, SIMULATED, "80"), 79)


@pytest.mark.slow
def test_a_ninth_kind_goes_from_the_browser_to_a_fitted_reward(copied, browser):
    """The third place is one file, the form; the page is built with it."""
    modules = PACKAGE / "studio" / "web" / "node_modules"
    if not modules.is_dir():
        pytest.skip("the page was not built here")
    web = copied / "plaudit" / "studio" / "web"
    (web / "node_modules").symlink_to(modules)
    (web / "src" / "forms" / "best_worst.tsx").write_text(FORM)
    node, _ = find_node()
    subprocess.run([*node, "node_modules/vite/bin/vite.js", "build", "--logLevel", "warn"], cwd=web, check=True)
    server = python(copied, SERVED, "60", still_png().hex())
    try:
        assert server.stdout is not None
        told = json.loads(server.stdout.readline())
        pages = Pages(browser)
        _label(pages.open(), told)
        pages.close()
    finally:
        server.terminate()
        server.wait(timeout=30)
    require_learned(python(copied, ONLY_FIT, "0"), 59)


def _label(page, told):
    """Answer everything as its annotator thinks, and skip one."""
    page.goto(told["link"])
    for number in range(len(told["picks"])):
        page.wait_for_selector(".ask[data-ready=true]")
        question = page.get_attribute(".ask", "data-query")
        if number == 7:
            page.keyboard.press("s")
            page.keyboard.press("Enter")
        else:
            best, worst = told["picks"][question]
            page.click(f"button[data-name=best][data-index='{best}']")
            page.click(f"button[data-name=worst][data-index='{worst}']")
            page.click("#submit")
        page.wait_for_function("id => document.querySelector('.ask')?.dataset.query !== id", arg=question)
    page.wait_for_timeout(7000)  # the last answer can be undone for five seconds

"""A made-up kind of feedback takes a record and a likelihood, and goes from a simulated annotator to a fitted reward.

The edits are made in a copy of the package: what is asserted is that they are enough. The form of the studio, the third
place, has a test of its own where forms are tested.
"""

import shutil
import subprocess
import sys
from pathlib import Path

import plaudit

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
SCRIPT = """
import sys
from pathlib import Path
import numpy as np
from plaudit.report.answers import _in_words
from plaudit.ops.aggregate import mean
from plaudit.records import AnnotatorKind, AnnotatorProfile, Query, QueryKind, Segment, SegmentData, StepBatch
from plaudit.records.feedback import BestWorst
from plaudit.reward.collate import collate
from plaudit.reward.config import RewardConfig
from plaudit.reward.fit import fit
from plaudit.store.store import Store

rng = np.random.default_rng(0)
with Store.create(Path(sys.argv[1]) / "store.sqlite", {"format": 1, "config": {}}) as store:
    store.add_annotator(AnnotatorProfile("teacher", AnnotatorKind.SIMULATED))
    for number in range(80):
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
        picks = (None, None) if number == 7 else (int(worth.argmax()), int(worth.argmin()))
        store.add_feedback([BestWorst(id=f"f{number}", query=asked.id, annotator="teacher", best=picks[0], worst=picks[1])])
    assert store.verify().ok
    answers = [one for _, one in store.feedback()]
    data = collate(answers, store)
    assert (_in_words(answers[0]), _in_words(answers[7])) == ("best_worst", "skip")
    reference = StepBatch(
        rng.normal(size=(300, 1, 2)).astype(np.float32), np.zeros((300, 1, 1), np.float32), np.ones((300, 1), bool)
    )
    model = fit(data, config=RewardConfig(), seed=0, reference=reference).model
    true = reference.observations[..., 0] - reference.observations[..., 1]
    print(data.answers, np.corrcoef(mean(model.per_step(reference)).ravel(), true.ravel())[0, 1])
"""


def test_a_ninth_kind_needs_a_record_and_a_likelihood(tmp_path):
    shutil.copytree(PACKAGE, tmp_path / "plaudit", ignore=shutil.ignore_patterns("__pycache__", "static"))
    for name, edits in EDITS.items():
        text = (tmp_path / "plaudit" / name).read_text()
        for before, after in edits:
            assert text.count(before) == 1, (name, before)
            text = text.replace(before, after)
        (tmp_path / "plaudit" / name).write_text(text)
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(tmp_path)],
        env={"PYTHONPATH": str(tmp_path), "OMP_NUM_THREADS": "1", "PATH": ""},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    answers, correlation = done.stdout.split()
    assert int(answers) == 79
    assert float(correlation) >= 0.95

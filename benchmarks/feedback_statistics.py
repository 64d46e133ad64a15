"""Can the statistics of annotators be trusted? Recovery, coverage, error rates, other libraries, and published labels.

    python -m benchmarks.feedback_statistics --peer PEER_VENV/bin/python                 all parts
    python -m benchmarks.feedback_statistics real peers --peer PEER_VENV/bin/python      some; the others' newest rows stay

The peer's environment needs choix, evalica, crowd-kit and statsmodels; both sides get the same answers. Published data are read
from shared/data beside the checkout, or from PLAUDIT_DATA.
"""

from __future__ import annotations

import argparse
import csv
import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict

import numpy as np
from scipy.special import expit
from scipy.stats import spearmanr
from tests.real_data import adult_content, bluebirds, ukp_table
from tests.stats_examples import TEXTBOOK, biased, crowd, draw, golden, three_classes

from benchmarks import data
from benchmarks.common import Row, append_raw, read_raw, write
from plaudit.quality.gold import SequentialConfig, Verdict, sequential_test
from plaudit.stats.agreement import Metric, krippendorff_alpha
from plaudit.stats.crowd import Labels, dawid_skene, majority_vote, one_coin
from plaudit.stats.intervals import wilson
from plaudit.stats.ranking import Comparisons, bradley_terry
from plaudit.stats.reliability import crowd_bradley_terry, reliability_given
from plaudit.stats.side import side_bias, swapped_bias

SIMULATIONS, COVERAGE = 50, 2000
PUBLISHED = {"Comm Statist": -2.9491, "JASA": -0.4796, "JRSS-B": 0.2690}
"""values of journals above Biometrika's: the maximum likelihood of the published table, found by Newton's method elsewhere"""
PEER = """
import json, sys
import choix, evalica, numpy as np, pandas as pd
from crowdkit.aggregation import DawidSkene, MajorityVote, OneCoinDawidSkene
from statsmodels.stats.inter_rater import aggregate_raters, fleiss_kappa
given = json.load(sys.stdin)
pairs, items = given["pairs"], given["items"]
centred = lambda v: (np.asarray(v) - np.mean(v)).tolist()
out = {"choix": centred(choix.ilsr_pairwise(items, pairs, alpha=0, max_iter=10000, tol=1e-13))}
cited = np.array(given["citations"])
out["choix citations"] = centred(choix.lsr.ilsr_pairwise_dense(cited, alpha=0, max_iter=10000, tol=1e-13))
names = [f"{i:04d}" for i in range(items)]
found = evalica.bradley_terry([names[a] for a, _ in pairs], [names[b] for _, b in pairs], [evalica.Winner.X] * len(pairs),
                              tolerance=1e-14, limit=100000)
out["evalica"] = centred(np.log(found.scores.sort_index().to_numpy()))
table = np.array(given["table"], dtype=float)
out["alpha"] = {m: float(evalica.alpha(pd.DataFrame(table.T), distance=m).alpha) for m in ("nominal", "ordinal", "interval", "ratio")}
for name, (item, who, label) in given["labels"].items():
    frame = pd.DataFrame({"task": item, "worker": who, "label": label})
    for model in (DawidSkene(n_iter=1000, tol=1e-10), OneCoinDawidSkene(n_iter=1000, tol=1e-10), MajorityVote()):
        out[f"{name}/{type(model).__name__}"] = model.fit_predict(frame).sort_index().astype(int).tolist()
full = pd.DataFrame(given["labels"]["three"], index=["task", "worker", "label"]).T.groupby("task").label.apply(list)
out["fleiss"] = float(fleiss_kappa(aggregate_raters(np.array(full.tolist()))[0]))
json.dump(out, sys.stdout)
"""


def recovery() -> list[Row]:
    """Skill of 20 annotators with 200 labels each, beside the estimator that knows the items' values."""
    found, best = np.zeros(SIMULATIONS), np.zeros(SIMULATIONS)
    for seed in range(SIMULATIONS):
        drawn, who, eta, value = crowd(seed)
        fit = crowd_bradley_terry(drawn, who, len(eta))
        known = reliability_given(value[drawn.first] - value[drawn.second], drawn.side, who, len(eta))
        found[seed], best[seed] = spearmanr(fit.eta, eta)[0], spearmanr(known, eta)[0]
    share = float(np.median(found) / np.median(best))
    return [
        Row(
            "skill/200 labels each",
            "spearman_median",
            float(np.median(found)),
            *np.quantile(found, [0.1, 0.9]),
            SIMULATIONS,
        ),
        Row(
            "skill/values known", "spearman_median", float(np.median(best)), *np.quantile(best, [0.1, 0.9]), SIMULATIONS
        ),
        Row("skill/200 labels each", "share_of_values_known", share, n=SIMULATIONS),
    ]


def coverage() -> list[Row]:
    """How often 95 % intervals of the side bias hold the bias that the answers were drawn with."""
    hits = {"bradley-terry, all annotators": 0, "one annotator, 200 labels, values known": 0, "one annotator, 200 labels, values fitted": 0,
            "swapped questions": 0}  # fmt: skip
    for seed in range(COVERAGE):
        rng = np.random.default_rng(seed)
        bias = rng.uniform(-1.0, 1.0)
        drawn, _ = draw(rng, 12, 400, order=bias)
        order = bradley_terry(drawn, order=True, scale=3.0).order
        hits["bradley-terry, all annotators"] += order.low <= bias <= order.high
        took, advantage, fitted, bias = biased(seed)
        for name, known in (("known", advantage), ("fitted", fitted)):
            odds = side_bias(took, known).log_odds
            hits[f"one annotator, 200 labels, values {name}"] += odds.low <= bias <= odds.high
        gap = rng.normal(size=100)
        first, again = (rng.random(100) < expit(sign * gap + bias) for sign in (1, -1))
        odds = swapped_bias(int(np.sum(first & again)), int(np.sum(~first & ~again)))
        hits["swapped questions"] += odds.low <= bias <= odds.high
    rows = []
    for name, count in hits.items():
        share = wilson(count, COVERAGE)
        rows.append(Row(f"side bias/{name}", "coverage", share.value, share.low, share.high, COVERAGE))
    return rows


def gold() -> list[Row]:
    """Error rates of the sequential test, and how many gold answers it takes."""
    config, rows = SequentialConfig(), []
    for name, accuracy, wrong in (("good", config.good, Verdict.STOPPED), ("bad", config.bad, Verdict.PASSED)):
        rng = np.random.default_rng(0)
        tests = [sequential_test((rng.random(400) < accuracy).tolist(), config) for _ in range(COVERAGE)]
        share = wilson(sum(one.verdict is wrong for one in tests), COVERAGE)
        rows.append(Row(f"gold/{name}", "error_rate", share.value, share.low, share.high, COVERAGE))
        rows.append(
            Row(f"gold/{name}", "answers_mean", float(np.mean([one.decided_after or 400 for one in tests])), n=COVERAGE)
        )
    return rows


def real() -> list[Row]:
    """Published labels with a truth, and one where Dawid-Skene is worse than the majority."""
    rows: list[Row] = []
    labels, truth = bluebirds()
    adult, items, known = adult_content()
    for case, given, at, right in (
        ("bluebirds", labels, np.arange(labels.items), truth),
        ("adult content", adult, items, known),
    ):
        for name, posterior in (
            ("majority", majority_vote(given)),
            ("dawid-skene", dawid_skene(given).posterior),
            ("one-coin", one_coin(given).posterior),
        ):
            share = float(np.mean(posterior.argmax(axis=1)[at] == right))
            rows.append(Row(f"{case}/{name}", "accuracy", share, n=len(at)))
    names, found = citations()
    away = max(abs(float(found[names.index(name)] - found[0]) - known) for name, known in PUBLISHED.items())
    rows.append(Row("citations/published", "largest_difference", away, n=len(names)))
    table = ukp_table()
    return [*rows, Row("ukpconvarg1/nominal", "alpha", krippendorff_alpha(table), n=len(table))]


def counts() -> tuple[list[str], np.ndarray]:
    """Journals, and [cited, citing] citations (Stigler 1994, Statistical Science 9)."""
    with data.find("bt_classics/citations.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    names = list(dict.fromkeys(row["cited"] for row in rows))
    table = np.zeros((len(names), len(names)))
    for row in rows:
        table[names.index(row["cited"]), names.index(row["citing"])] = float(row["count"])
    return names, table


def citations() -> tuple[list[str], np.ndarray]:
    """Journals, and their values by maximum likelihood; who is cited has won."""
    names, table = counts()
    first, second = np.nonzero(table)
    sides = np.ones(len(first), dtype=np.int64)
    return names, bradley_terry(Comparisons(first, second, sides, len(names), table[first, second])).value


def peers(python: str) -> list[Row]:
    """The largest difference from each peer on the same answers."""
    drawn, (three, truth, _), (birds, birds_truth) = golden(), three_classes(), bluebirds()
    pairs = np.where(
        (drawn.side == 1)[:, None], np.stack([drawn.first, drawn.second], 1), np.stack([drawn.second, drawn.first], 1)
    )
    given = {
        "pairs": pairs.tolist(),
        "items": drawn.items,
        "citations": counts()[1].tolist(),
        "table": TEXTBOOK.tolist(),
        "labels": {"three": _long(three), "bluebirds": _long(birds)},
    }
    done = subprocess.run(
        [python, "-W", "ignore", "-c", PEER], input=json.dumps(given), capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(f"the peers failed:\n{done.stderr[-2000:]}")
    theirs = json.loads(done.stdout)
    print(json.dumps({name: theirs[name] for name in ("choix", "evalica", "alpha", "fleiss")}))
    value = bradley_terry(drawn).value
    rows = [
        Row(f"bradley-terry/{name}", "largest_difference", float(np.max(np.abs(value - theirs[name]))), n=drawn.items)
        for name in ("choix", "evalica")
    ]
    found = citations()[1]
    away = float(np.max(np.abs(found - found.mean() - theirs["choix citations"])))
    rows.append(Row("citations/choix", "largest_difference", away, n=len(found)))
    rows += [
        Row(
            f"alpha {m.value}/evalica",
            "largest_difference",
            abs(krippendorff_alpha(TEXTBOOK, m) - theirs["alpha"][m.value]),
        )
        for m in Metric
    ]
    for case, labels, right in (("three", three, truth), ("bluebirds", birds, birds_truth)):
        for peer, posterior in (
            ("DawidSkene", dawid_skene(labels).posterior),
            ("OneCoinDawidSkene", one_coin(labels).posterior),
            ("MajorityVote", majority_vote(labels)),
        ):
            ours, other = posterior.argmax(axis=1), np.array(theirs[f"{case}/{peer}"])
            n = labels.items
            rows.append(Row(f"{case}/{peer}/plaudit", "accuracy", float(np.mean(ours == right)), n=n))
            rows.append(Row(f"{case}/{peer}/crowd-kit", "accuracy", float(np.mean(other == right)), n=n))
            rows.append(Row(f"{case}/{peer}", "same_answers", float(np.mean(ours == other)), n=n))
    # Fleiss' kappa is alpha without its correction for small samples: 1 - alpha = (1 - kappa) (1 - 1 / answers)
    table = np.full((three.items, three.annotators), np.nan)
    table[three.item, three.annotator] = three.label
    answers = len(three.item)
    kappa = 1 - (1 - krippendorff_alpha(table)) * answers / (answers - 1)
    return [*rows, Row("fleiss kappa/statsmodels", "largest_difference", abs(kappa - theirs["fleiss"]), n=three.items)]


def _long(labels: Labels) -> list[list[int]]:
    return [labels.item.tolist(), labels.annotator.tolist(), labels.label.tolist()]


PARTS: dict[str, Callable[[str], list[Row]]] = {
    "peers": peers,
    "real": lambda _: real(),
    "recovery": lambda _: recovery(),
    "gold": lambda _: gold(),
    "coverage": lambda _: coverage(),
}


def main() -> int:
    """Run parts, append them to results/raw/feedback_statistics.jsonl, and join the newest of all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", default=list(PARTS), help=", ".join(PARTS))
    parser.add_argument("--peer", required=True)
    given = parser.parse_args()
    if set(given.parts) - set(PARTS):
        parser.error(f"unknown part in {given.parts}")
    for part in given.parts:
        rows = PARTS[part](given.peer)
        append_raw("feedback_statistics", {"part": part, "rows": [asdict(row) for row in rows]})
        for row in rows:
            print(row.case, row.metric, round(row.value, 12))
    newest = {line["part"]: line["rows"] for line in read_raw("feedback_statistics")}
    write(
        "feedback_statistics",
        asked="Do the statistics of annotators find what is there, at their stated rates, and do they agree with other libraries?",
        rows=[Row(**row) for part in PARTS for row in newest.get(part, [])],
        note="first seed 0; peers: choix 0.4.1, evalica 0.4.2, crowd-kit 1.4.2, statsmodels 0.15.0",
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())

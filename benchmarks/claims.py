"""Check committed results against every claim that README, docs or an issue makes.

    python -m benchmarks.claims             compare, print one table, fail when a claim has no result
    python -m benchmarks.claims --spot      rerun one cheap row of each benchmark and compare
    python -m benchmarks.claims --readme    write the table into README.md

A claim that is not met stays in the list, marked as missed with its figure.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path

from benchmarks.common import HERE, RESULTS

COMPARISONS = {">=": lambda value, bound: value >= bound, "<=": lambda value, bound: value <= bound}
BEGIN, END = "<!-- claims:begin -->", "<!-- claims:end -->"


@dataclass(frozen=True)
class Claim:
    """One claim: the row that it rests on, the comparison and the bound."""

    text: str
    result: str
    case: str
    metric: str
    comparison: str
    bound: float
    missed: bool = False
    """known to be missed; stays in the list, with its figure"""
    why: str = ""
    readme: bool = False
    """shown in README"""
    use: str = "value"
    """which figure of the row counts: value, low or high"""


@dataclass(frozen=True)
class Verdict:
    """What became of a claim."""

    claim: Claim
    figure: float | None
    met: bool
    problem: str = ""


def judge(claim: Claim) -> Verdict:
    """Compare a claim with its committed row."""
    path = RESULTS / f"{claim.result}.json"
    if not path.exists():
        return Verdict(claim, None, False, f"no result file {path.name}")
    body = json.loads(path.read_text())
    if not _is_ancestor(body["commit"]):
        return Verdict(claim, None, False, f"{path.name} was made at a commit that is no ancestor")
    rows = [row for row in body["rows"] if row["case"] == claim.case and row["metric"] == claim.metric]
    if not rows or rows[0][claim.use] is None:
        return Verdict(claim, None, False, f"no row {claim.case} / {claim.metric} in {path.name}")
    figure = float(rows[0][claim.use])
    return Verdict(claim, figure, COMPARISONS[claim.comparison](figure, claim.bound))


def _is_ancestor(commit: str) -> bool:
    done = subprocess.run(
        ["git", "merge-base", "--is-ancestor", commit, "HEAD"], cwd=HERE, capture_output=True, check=False
    )
    return done.returncode == 0


def load(path: Path = HERE / "claims.toml") -> tuple[list[Claim], dict[str, str]]:
    """All claims, and the command that reruns one cheap row of each benchmark."""
    table = tomllib.loads(path.read_text())
    return [Claim(**entry) for entry in table["claim"]], table.get("spot", {})


def spot(commands: dict[str, str]) -> int:
    """Rerun one cheap row of each benchmark; each command compares with its committed result and fails when it is off."""
    failed = [
        name
        for name, command in commands.items()
        if subprocess.run([sys.executable, "-m", *command.split()], check=False).returncode
    ]
    for name in failed:
        print(f"spot check failed: {name}")
    return len(failed)


def main() -> int:
    """Print the table; exit status 1 when a claim has no result, or misses without being marked as missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--spot", action="store_true")
    parser.add_argument("--readme", action="store_true")
    given = parser.parse_args()
    claims, commands = load()
    verdicts = [judge(claim) for claim in claims]
    wrong = 0
    for verdict in verdicts:
        claim = verdict.claim
        state = (
            "met" if verdict.met else ("MISSED (known)" if claim.missed and verdict.figure is not None else "MISSED")
        )
        wrong += state == "MISSED"
        figure = "-" if verdict.figure is None else f"{verdict.figure:.4g}"
        print(
            f"{state:<15} {figure:>10} {claim.comparison} {claim.bound:<8g} {claim.text}  {verdict.problem or claim.why}"
        )
    print(f"{len(claims)} claims, {sum(v.met for v in verdicts)} met, {sum(not v.met for v in verdicts)} missed")
    if given.readme:
        write_readme(verdicts)
    return int(bool(wrong or (given.spot and spot(commands))))


def write_readme(verdicts: list[Verdict]) -> None:
    """Put the claims that README makes between its markers."""
    lines = ["| claim | asked | measured |", "|---|---|---|"]
    for verdict in verdicts:
        if verdict.claim.readme and verdict.figure is not None:
            mark = "" if verdict.met else " (missed)"
            lines.append(
                f"| {verdict.claim.text} | {verdict.claim.comparison} {verdict.claim.bound:g} | {verdict.figure:.3g}{mark} |"
            )
    path = HERE.parent / "README.md"
    text = path.read_text()
    head, rest = text.split(BEGIN)
    path.write_text(head + BEGIN + "\n" + "\n".join(lines) + "\n" + END + rest.split(END)[1])


if __name__ == "__main__":
    sys.exit(main())

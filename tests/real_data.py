"""Published data sets as tests read them (`benchmarks.data` finds them). Tests skip, with the reason, where they are not."""

import gzip
import json
import os
import re
from pathlib import Path

import numpy as np
import pytest
from benchmarks import data

from plaudit.stats.crowd import Labels


def real(name: str) -> Path:
    """Path of a file of a published set, as "SET/FILE"; with CI=true it must be there."""
    try:
        return data.find(name)
    except data.DataMissingError as missing:
        if os.environ.get("CI") == "true":
            pytest.fail(str(missing))
        pytest.skip(str(missing))


def numbered(rows: list[tuple[str, str, str]]) -> tuple[Labels, list[str], list[str]]:
    """Labels from (annotator, item, class) rows, and the names of items and classes."""
    names = [sorted({row[i] for row in rows}) for i in range(3)]
    at = [{name: number for number, name in enumerate(column)} for column in names]
    who, item, label = (np.array([at[i][row[i]] for row in rows]) for i in range(3))
    return Labels(item, who, label, len(names[1]), len(names[0]), len(names[2])), names[1], names[2]


def bluebirds() -> tuple[Labels, np.ndarray]:
    """Labels, and the true class of each item."""
    truth = dict(re.findall(r"(\d+): (true|false)", real("bluebirds/gt.yaml").read_text()))
    rows = [
        (worker, item, value)
        for worker, body in re.findall(r"(\d+): \{(.*?)\}", real("bluebirds/labels.yaml").read_text(), re.DOTALL)
        for item, value in re.findall(r"(\d+): (true|false)", body)
    ]
    labels, items, classes = numbered(rows)
    return labels, np.array([classes.index(truth[item]) for item in items])


def adult_content() -> tuple[Labels, np.ndarray, np.ndarray]:
    """Labels, items with gold, and their classes."""
    rows = [tuple(line.rstrip("\n").split("\t")) for line in _lines("gal_adultcontent2/labels.txt.gz")]
    labels, items, classes = numbered(rows)  # type: ignore[arg-type]
    at = {name: number for number, name in enumerate(items)}
    gold = [line.rstrip("\n").split("\t") for line in _lines("gal_adultcontent2/gold.txt.gz")]
    known = [(at[item], classes.index(value)) for item, value in gold if item in at and value in classes]
    return labels, np.array([item for item, _ in known]), np.array([value for _, value in known])


def ukp_table() -> np.ndarray:
    """Answers [pair of arguments, answer] of UKPConvArg1: 0 the first, 1 the second, 2 equal; NaN where there is no fifth."""
    pairs = [json.loads(line)["ann"] for line in _lines("ukpconvarg1/pairs_with_reasons.jsonl.gz")]
    codes = {"a1": 0, "a2": 1, "equal": 2}
    table = np.full((len(pairs), max(map(len, pairs))), np.nan)
    for row, answers in zip(table, pairs, strict=True):
        row[: len(answers)] = [codes[one["v"]] for one in answers]
    return table


def _lines(name: str) -> list[str]:
    with gzip.open(real(name), "rt", encoding="utf-8") as stream:
        return stream.readlines()

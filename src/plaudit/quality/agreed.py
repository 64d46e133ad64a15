"""Right answers that annotators agree on with high certainty: where gold comes from when nobody sets it by hand."""

from __future__ import annotations

from collections.abc import Sequence

from plaudit.quality import table as tables
from plaudit.quality.gold import certain
from plaudit.records import Choice, Feedback, Query

SIDES = {tables.FIRST: 0, tables.SECOND: 1}


def agreed(queries: Sequence[Query], answers: Sequence[Feedback]) -> dict[str, Choice]:
    """What at least three annotators together are sure of, by id of the first question about two segments.

    Args:
        queries: all questions, in the order of the log.
        answers: answers to some of them.
    """
    by_id = {query.id: query for query in queries}
    table = tables.comparisons(tables.Material(by_id, tuple(answers), {}, {}))
    if not len(table.labels.item):
        return {}
    first: dict[tuple[str, ...], Query] = {}
    for query in queries:
        first.setdefault(query.segments, query)
    example = {int(item): by_id[id_] for item, id_ in zip(table.labels.item, table.query, strict=True)}
    found: dict[str, Choice] = {}
    for item, class_ in certain(table.labels).items():
        asked = first[example[item].segments]
        if class_ in SIDES:
            winner = sorted(asked.segments)[SIDES[class_]]
            found[asked.id] = Choice.FIRST if asked.segments[0] == winner else Choice.SECOND
    return found

"""Questions of several kinds in one run: in which shares, which kind each question is, and how many segments it shows."""

from __future__ import annotations

import math
from collections.abc import Mapping

from plaudit.errors import ConfigError
from plaudit.records import QueryKind
from plaudit.run.seeds import generator

ASKED = (
    QueryKind.COMPARISON,
    QueryKind.RATING,
    QueryKind.STEPS,
    QueryKind.RANKING,
    QueryKind.DEMONSTRATION,
    QueryKind.CORRECTION,
)
"""kinds that a run can ask simulated annotators"""
PEOPLE_TOO = (QueryKind.CRITIQUE, QueryKind.FLAG)
"""kinds that only people can be asked"""
SHOWING = (QueryKind.DEMONSTRATION, QueryKind.CORRECTION)
"""kinds whose answer is behaviour: their questions are drawn at random, since no strategy knows what will be shown"""
RANKED = (2, 6)
"""fewest and most segments of a ranking; people cannot keep more apart, and k-centre goes through all their orders"""


def shares_of(mix: Mapping[str, float], *, people: bool) -> dict[QueryKind, float]:
    """Shares of the questions that sum to one, by kind in the order of `ASKED`, whatever the order of the table.

    Args:
        mix: weights above 0 by name of the kind.
        people: whether people answer.

    Raises:
        ConfigError: a kind is unknown, cannot be asked or has no weight.
    """
    known = {kind.value: kind for kind in (*ASKED, *(PEOPLE_TOO if people else ()))}
    if not mix or set(mix) - set(known):
        raise ConfigError(
            "This mix of questions cannot be asked",
            got=f"mix = {dict(mix)}",
            expected=", ".join(known),
            next_step="critique and flag are for people: ask.people = true" if not people else "",
        )
    if not all(_is_weight(weight) for weight in mix.values()):
        raise ConfigError("The shares of a mix are out of range", got=dict(mix), expected="finite numbers above 0")
    total = math.fsum(mix.values())
    return {kind: mix[name] / total for name, kind in known.items() if name in mix}


def _is_weight(value: object) -> bool:
    """Whether a value of a run file, where a table may hold anything, is a share."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value) and value > 0


def draw_kind(shares: Mapping[QueryKind, float], seed: int, index: int) -> QueryKind:
    """The kind of question number `index` of a round; `seed` is that of the round's `ask`.

    Each question draws by itself, so what is asked before or beside it does not matter, and shares hold on average.
    """
    if len(shares) == 1:
        return next(iter(shares))
    left = generator(seed, "kind", index).random()
    for kind, share in shares.items():
        left -= share
        if left < 0:
            return kind
    return list(shares)[-1]  # shares that sum to one but for a rounding error


def segments_of(kind: QueryKind, ranking_size: int) -> int:
    """Segments that a question shows: of a ranking, and of the policy's samples that a demonstration is better than, `ranking_size`."""
    return ranking_size if kind in (QueryKind.RANKING, QueryKind.DEMONSTRATION) else kind.segments

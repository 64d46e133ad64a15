"""What the reward models of a run thought of behaviour, kept so that nobody needs the models to read it.

Scores stand beside the log, as ended jobs of the store that name blobs: they follow from the log, and losing them costs
nothing but the look at them. A fit leaves two tables: what the model before it, which had chosen the round's questions,
thought of these; and what the fitted model thinks of all behaviour that answers are about, and of the newest that is listed beside it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from plaudit.store.store import Store

KIND = "scores"
PREFIXES = ("seg_", "txt_")
WIDTH = 16
"""bytes of an id, without its prefix"""


class When(Enum):
    """Which of the two models of a round."""

    BEFORE = "before"
    """the one that chose its questions, if there was one"""
    AFTER = "after"
    """the one that its answers helped to fit"""


@dataclass(frozen=True, slots=True)
class Scores:
    """A reward model's opinion of some behaviour."""

    round: int
    """from 0"""
    reward: str
    """version of the model"""
    members: NDArray[np.float64]
    """[member, segment] return of the segment in log-odds units: the sigmoid of the difference of two of them is the
    probability that a careful annotator prefers the first"""
    places: dict[str, int]
    """column of every segment"""

    def of(self, segment: str) -> NDArray[np.float64] | None:
        """[member] of one segment; None where it was not scored."""
        place = self.places.get(segment)
        return None if place is None else self.members[:, place]


def keep(
    store: Store, round_: int, when: When, *, reward: str, segments: Sequence[str], members: NDArray[np.float64]
) -> None:
    """Keep a table; one that is there stays as it is. `members` is [member, segment]; all segments are of control, or all texts."""
    key = _key(round_, when)
    prefix = next((one for one in PREFIXES if segments and segments[0].startswith(one)), PREFIXES[0])
    ids = np.frombuffer(bytes.fromhex("".join(one.removeprefix(prefix) for one in segments)), dtype=np.uint8)
    # tables of control segments were there before those of texts, and have no name of their own
    name = "segments" if prefix == PREFIXES[0] else "texts"
    blob = store.blobs.put_arrays({name: ids.reshape(-1, WIDTH), "members": members})
    store.add_job(KIND, {"round": round_, "reward": reward}, key)
    job = store.job(key)
    assert job is not None
    store.finish_job(job.id, {"blob": blob})


def load(store: Store, round_: int, when: When) -> Scores | None:
    """A table; None where there is none. Raises IntegrityError when it was changed."""
    job = store.job(_key(round_, when))
    if job is None or job.result is None or not store.blobs.has(job.result["blob"]):
        return None
    found = store.blobs.get_arrays(job.result["blob"])
    prefix, ids = (PREFIXES[0], found["segments"]) if "segments" in found else (PREFIXES[1], found["texts"])
    places = {prefix + row.tobytes().hex(): place for place, row in enumerate(ids)}
    return Scores(round_, job.payload["reward"], np.asarray(found["members"], dtype=np.float64), places)


def _key(round_: int, when: When) -> str:
    return f"{KIND}/{round_}/{when.value}"

"""Which models learned from an answer."""

from __future__ import annotations

from dataclasses import dataclass

from plaudit.records import is_skip
from plaudit.store import log
from plaudit.store.reading import Reading


@dataclass(frozen=True, slots=True)
class Use:
    """A stage whose result rests on an answer."""

    seq: int
    """log position of the end of the stage"""
    round: int
    """from 0"""
    stage: str
    """`learn`: the reward model was fitted to the answer; `improve`: the policy was trained on such a reward model"""
    checkpoint: str


def uses_of(store: Reading, answer: str) -> list[Use]:
    """The reward models that an answer helped to fit, and the policies that were trained on them, in log order.

    A fit read the log up to the position that its stage noted; an answer that was retracted before that place is no part of it.

    Raises StoreError when there is no such answer.
    """
    given, record = store.answer(answer)
    if is_skip(record):
        return []
    gone = (event.seq for event in store.events(kinds={log.RETRACTED}) if event.payload["feedback"] == answer)
    retracted = next(gone, None)
    found: list[Use] = []
    rests = False
    for event in store.events(kinds={"stage.completed"}):
        stage, checkpoint, position = (event.payload[name] for name in ("stage", "checkpoint", "log_position"))
        if stage == "learn" and checkpoint:  # without one the reward model stayed as it was
            rests = given <= position and not (retracted is not None and retracted <= position)
        if rests and checkpoint and stage in ("learn", "improve"):
            found.append(Use(event.seq, event.payload["round"], stage, checkpoint))
    return found

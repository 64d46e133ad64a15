"""What the studio and the process of a played world say to each other. Needs no Gymnasium.

Messages on both pipes are one letter, a length of four bytes and so many bytes: J is JSON, A named arrays (safetensors), F
a picture (JPEG).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np
from safetensors.numpy import load, save

from plaudit.records import SegmentData, to_json
from plaudit.worlds.config import WorldConfig

JSON, ARRAYS, FRAME = b"J", b"A", b"F"


@dataclass(frozen=True, slots=True)
class Start:
    """Where a play begins, and what it is to become."""

    seed: int
    """of the reset, where no segment is given"""
    length: int
    """steps that count in the end; fewer only where the episode ends before"""
    task: int = 0
    """which of the world's tasks, where no segment is given"""
    step: int = 0
    """of the segment, where the person takes over"""
    origin: int = 0
    """step of its episode at which the segment begins"""
    keep: bool = False
    """what counts begins as the segment does (a correction), not where the person took over"""


def pack(kind: bytes, payload: bytes) -> bytes:
    """One message."""
    return kind + len(payload).to_bytes(4, "big") + payload


def said(message: Mapping[str, Any]) -> bytes:
    """One message of JSON."""
    return pack(JSON, json.dumps(message, allow_nan=False).encode())


def setup(
    world: WorldConfig, start: Start, data: SegmentData | None = None, *, keep: Mapping[str, Any] | None = None
) -> bytes:
    """What the process is told first: the world, where to begin, the segment to begin in, and where to keep what is shown."""
    first = said({"world": to_json(world), "start": to_json(start), "branch": data is not None, "keep": keep})
    return first if data is None else first + pack(ARRAYS, arrays_of(data))


def segment_data(payload: bytes) -> SegmentData:
    """A segment, from what a message of kind A holds."""
    return SegmentData.from_arrays(load(payload))


def read(source: BinaryIO) -> tuple[bytes, bytes] | None:
    """The next message's kind and bytes; None at the end."""
    head = source.read(5)
    if len(head) < 5:
        return None
    payload = source.read(int.from_bytes(head[1:], "big"))
    return head[:1], payload


def arrays_of(data: SegmentData) -> bytes:
    """What a message of kind A holds, from a segment."""
    return save({name: np.ascontiguousarray(array) for name, array in data.arrays().items()})

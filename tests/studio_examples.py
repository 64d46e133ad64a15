"""A store with questions, and clips for them, for the tests of the studio."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from plaudit.records import Query, QueryKind, Segment, SegmentData
from plaudit.store.store import Store

LABELS = 20


class Clock:
    """Seconds that pass when told."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def run_payload(labels: int = LABELS, rounds: int = 2) -> dict[str, Any]:
    return {"format": 1, "config": {"ask": {"labels": labels}, "loop": {"rounds": rounds}}, "versions": {}}


def make_store(path: Path, *, questions: int = 5, kind: QueryKind = QueryKind.COMPARISON) -> Store:
    store = Store.create(path / "store.sqlite", run_payload())
    ask(store, questions=questions, kind=kind)
    return store


def ask(store: Store, *, questions: int, kind: QueryKind = QueryKind.COMPARISON, round_: int = 0) -> list[Query]:
    """Put questions about fresh segments to the store; every second pair is shown the other way round."""
    queries: list[Query] = []
    for index in range(questions):
        segments = [_segment(store, f"r{round_}/q{index}/{side}") for side in range(kind.segments)]
        store.add_segments(segments)
        order = tuple(range(kind.segments))
        queries.append(
            Query(
                kind=kind,
                segments=tuple(segment.id for segment in segments),
                shown=order[::-1] if index % 2 else order,
                round=round_,
                index=index,
                strategy="uniform",
                levels=5 if kind is QueryKind.RATING else None,
                constraint="speed" if kind is QueryKind.FLAG else None,
            )
        )
    store.add_queries(queries)
    return queries


def _segment(store: Store, episode: str) -> Segment:
    data = SegmentData(observations=np.zeros((4, 2), np.float32), actions=np.zeros((4, 1), np.float32))
    blob = store.blobs.put_arrays(data.arrays())
    return Segment(world="toy", policy="p0", episode=episode, start=0, length=4, blob=blob)


def render_all(store: Store, clip: bytes | None = None, *, error: str | None = None) -> int:
    """Do the media worker's jobs. Returns how many there were."""
    done = 0
    while (job := store.claim_job("render", "tests", 30.0)) is not None:
        if error is None:
            digest = store.blobs.put(clip or still_png())
            store.finish_job(job.id, result={"blob": digest, "mime": "image/webp" if clip else "image/png"})
        else:
            store.finish_job(job.id, error=error)
        done += 1
    return done


def still_png() -> bytes:
    """The smallest picture: one grey pixel."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0)
    pixels = zlib.compress(b"\0\x80")
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def moving_webp(frames: int = 12) -> bytes:
    """A square that travels; needs Pillow."""
    from PIL import Image

    pictures = []
    for at in range(frames):
        pixels = np.full((80, 120, 3), 245, np.uint8)
        pixels[30:50, 6 * at : 6 * at + 20] = (200, 60, 60)
        pictures.append(Image.fromarray(pixels))
    out = io.BytesIO()
    pictures[0].save(out, "WEBP", save_all=True, append_images=pictures[1:], duration=40, loop=0)
    return out.getvalue()

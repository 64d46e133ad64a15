"""Completions as blobs, so that every one can be looked at: what was asked, what was said, and what was thought of it."""

from __future__ import annotations

import json
from collections.abc import Sequence

from plaudit.records import Sample, canonical_json, from_json
from plaudit.store.blobs import BlobStore


def keep(blobs: BlobStore, samples: Sequence[Sample]) -> str:
    """Store samples; returns the digest. Equal samples have equal digests."""
    return blobs.put(canonical_json([one.row() for one in samples]))


def load(blobs: BlobStore, digest: str) -> list[Sample]:
    """Inverse of `keep`. Raises IntegrityError when they were changed."""
    return [from_json(Sample, row) for row in json.loads(blobs.get(digest))]

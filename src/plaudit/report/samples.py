"""Completions as blobs, so that every one can be looked at: what was asked, what was said, and what was thought of it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from plaudit.records import Text, canonical_json, from_json, to_json
from plaudit.store.blobs import BlobStore


@dataclass(frozen=True, slots=True)
class Sample:
    """One completion. What is not known is None."""

    prompt: Text
    completion: Text
    where: str
    """which prompt of the run it was, for example file and row"""
    tokens: int
    """of the completion, its end included"""
    finished: bool
    """it ended by itself"""
    gold: float | None = None
    """the true reward, which no learner sees"""
    reward: float | None = None
    """the learned reward, of mean 0 and deviation 1 on the texts that answers were about"""
    spread: float | None = None
    """standard deviation of its members' opinions"""
    advantage: float | None = None
    """what the policy learned from: above 0 it became more likely"""
    kl: float | None = None
    """log-probability of the whole completion under the policy less that under the reference, in nats"""


def keep(blobs: BlobStore, samples: Sequence[Sample]) -> str:
    """Store samples; returns the digest. Equal samples have equal digests."""
    return blobs.put(canonical_json([_spare(one) for one in samples]))


def load(blobs: BlobStore, digest: str) -> list[Sample]:
    """Inverse of `keep`. Raises IntegrityError when they were changed."""
    return [from_json(Sample, row) for row in json.loads(blobs.get(digest))]


def _spare(sample: Sample) -> dict[str, object]:
    return {name: value for name, value in to_json(sample).items() if value is not None}


def plain(text: Text) -> str:
    """A text as it is read; the turns of a conversation one below the other, with who speaks where there are several."""
    if isinstance(text, str):
        return text
    if len(text) == 1:
        return text[0].content
    return "\n".join(f"{message.role}: {message.content}" for message in text)

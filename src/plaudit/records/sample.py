"""One completion of a rollout, as people look at it: what was asked, what was said, and what was thought of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from plaudit.records.codec import to_json
from plaudit.records.text import Text


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

    def row(self) -> dict[str, Any]:
        """As JSON, without what is not known."""
        return {name: value for name, value in to_json(self).items() if value is not None}


def plain(text: Text) -> str:
    """A text as it is read; the turns of a conversation one below the other, with who speaks where there are several."""
    if isinstance(text, str):
        return text
    if len(text) == 1:
        return text[0].content
    return "\n".join(f"{message.role}: {message.content}" for message in text)

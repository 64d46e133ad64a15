"""Text that people can judge: a prompt and what was answered to it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from plaudit.errors import RecordError
from plaudit.records.behaviour import Segment
from plaudit.records.codec import content_id, from_json


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a conversation."""

    role: str
    """who speaks: system, user, assistant, tool"""
    content: str
    """what is said"""
    extra: dict[str, Any] | None = None
    """whatever else the turn carries as JSON, for example `tool_calls`"""


Text = str | tuple[Message, ...]
"""plain text, or the turns of a conversation"""


@dataclass(frozen=True, slots=True)
class TextSegment:
    """A prompt with its completion; its id is a hash of everything else, so equal texts are one segment.

    The text stands in the record itself: a store needs no blob for it.
    """

    prompt: str | tuple[Message, ...]
    """what came before; may be empty"""
    completion: str | tuple[Message, ...]
    """what is judged; spans count its characters"""
    policy: str = ""
    """version of the policy, or the name of the person or system, that wrote the completion; empty where unknown"""
    id: str = field(default="")

    def __post_init__(self) -> None:
        if self.completion == ():
            raise RecordError("A completion holds no message", expected="text, or at least one message")
        if not self.id:
            object.__setattr__(self, "id", content_id("txt", self))

    @property
    def characters(self) -> int:
        """Length of the completion; of a conversation, of what is said in all turns."""
        if isinstance(self.completion, str):
            return len(self.completion)
        return sum(len(message.content) for message in self.completion)


def segment_from_json(data: Any) -> Segment | TextSegment:
    """A segment of either sort from its JSON form. Raises RecordError naming the field that does not fit."""
    return from_json(TextSegment if isinstance(data, dict) and "completion" in data else Segment, data)

"""Text that people can judge: a prompt and what was answered to it."""

from __future__ import annotations

import re
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


BETWEEN = re.compile(
    r"(?:(?<=[.!?])|(?<=[.!?][\"')\]\u201d]))\s+(?=[\"'(\[\u201c]?[^\Wa-z_])|(?<=[\u3002\uff01\uff1f])\s*|\s*\n\s*"
)
"""where a sentence ends: a mark, then space and no small letter; a Chinese mark; a line"""
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


def sentences(text: str) -> tuple[tuple[int, int], ...]:
    """First and one past the last character of each sentence, in order; only space is left out between two. A text without
    marks is one. By marks alone, so that the same text always comes apart alike: `Dr. Who` is two.
    """
    cuts = [0, *(at for gap in BETWEEN.finditer(text) for at in gap.span()), len(text)]
    found = tuple((start, end) for start, end in zip(cuts[::2], cuts[1::2], strict=True) if text[start:end].strip())
    return found or ((0, len(text)),)

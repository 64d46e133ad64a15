"""Prompts: the world of a language model. Split once, by what they say, into parts that must not see each other. No torch.

Which part a prompt belongs to depends on its own text only: neither on the order of rows, nor on which others there are. So a set
that grows, or a run that is resumed, never moves a prompt from one part to another. Prompts that differ only in case, blanks or
forms of a character count as the same.
"""

from __future__ import annotations

import enum
import unicodedata
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from plaudit.errors import ConfigError, WorldError
from plaudit.records import Text, digest

SHOWN = 5
"""rows that an error names"""


class Part(enum.Enum):
    """What prompts are for."""

    SFT = "sft"
    REWARD = "reward"
    POLICY = "policy"
    HELD_OUT = "held_out"


@dataclass(frozen=True, slots=True)
class PromptsConfig:
    """Where prompts come from, and which part of them each stage sees. A prompt in two parts is an error."""

    files: tuple[str, ...] = ()
    """files that are split into all four parts: .jsonl, .json, .csv, .parquet, folders of Hugging Face datasets"""
    sft_files: tuple[str, ...] = ()
    """files whose prompts all go to imitation (SFT)"""
    reward_files: tuple[str, ...] = ()
    """files whose prompts all go to questions that a reward model learns from"""
    policy_files: tuple[str, ...] = ()
    """files whose prompts all go to training the policy against the reward"""
    held_out_files: tuple[str, ...] = ()
    """files whose prompts are all kept for the check"""
    sft: float = 0.2
    """share of `files` for imitation (SFT)"""
    reward: float = 0.3
    """share of `files` for questions"""
    policy: float = 0.4
    """share of `files` for training the policy"""
    held_out: float = 0.1
    """share of `files` for the check"""
    longest: int = 1024
    """most tokens of a prompt; longer ones are skipped and named"""

    def __post_init__(self) -> None:
        shares = self.shares
        if min(shares) < 0 or abs(sum(shares) - 1) > 1e-6:
            raise ConfigError(
                "The shares of the four parts do not fit", got=shares, expected="none below 0, together 1"
            )
        if self.longest < 1:
            raise ConfigError("No prompt could be so short", got=self.longest, expected="`longest` of at least 1")

    @property
    def shares(self) -> tuple[float, ...]:
        """Of sft, reward, policy, held_out."""
        return (self.sft, self.reward, self.policy, self.held_out)


@dataclass(frozen=True, slots=True)
class Prompt:
    """What a language model is asked."""

    text: Text
    """plain, or the turns of a conversation"""
    where: str
    """file and row that it came from"""
    columns: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """what else the row holds, for rewards that are programs"""
    part: Part | None = None
    """where somebody put it; none: its text decides"""

    @property
    def key(self) -> str:
        """Hash of the text as it is compared: Unicode's compatibility form, small letters, one blank for any."""
        return digest("\x1e".join(map(_plain, _pieces(self.text))).encode())


@dataclass(frozen=True, slots=True)
class PromptSet:
    """Prompts by part, each in the order of its rows, and what was left out."""

    parts: Mapping[Part, tuple[Prompt, ...]]
    skipped: tuple[tuple[str, str], ...]
    """(where, why) of rows that were left out"""

    def __getitem__(self, part: Part) -> tuple[Prompt, ...]:
        """The prompts of a part. Raises WorldError when it has none."""
        if not self.parts[part]:
            raise WorldError(
                f"There are no prompts for `{part.value}`",
                got=self.sizes,
                next_step=f"bring more prompts, raise the share `{part.value}`, or give `{part.value}_files`",
            )
        return self.parts[part]

    @property
    def sizes(self) -> dict[str, int]:
        """Number of prompts by part."""
        return {part.value: len(prompts) for part, prompts in self.parts.items()}


def split(prompts: Iterable[Prompt], config: PromptsConfig, *, count: Callable[[Text], int] | None = None) -> PromptSet:
    """Prompts into the four parts. Of prompts that are the same within a part, the first stays.

    Args:
        prompts: as rows gave them.
        config: shares and the longest that is allowed.
        count: tokens of a prompt; none: any length will do.

    Raises WorldError when the same prompt is in two parts, with the rows of both.
    """
    parts: dict[Part, list[Prompt]] = {part: [] for part in Part}
    seen: dict[str, tuple[Part, Prompt]] = {}
    skipped: list[tuple[str, str]] = []
    leaks: list[str] = []
    for prompt in prompts:
        key = prompt.key
        part = part_of(key, config) if prompt.part is None else prompt.part
        before = seen.setdefault(key, (part, prompt))
        tokens = 0 if count is None else count(prompt.text)
        if before[0] is not part:
            leaks.append(f"{before[1].where} ({before[0].value}) and {prompt.where} ({part.value})")
        elif before[1] is not prompt:
            skipped.append((prompt.where, f"the same prompt as {before[1].where}"))
        elif tokens > config.longest:
            skipped.append((prompt.where, f"{tokens} tokens; the longest allowed has {config.longest}"))
        else:
            parts[part].append(prompt)
    if leaks:
        more = f", and {len(leaks) - SHOWN} more pairs" if len(leaks) > SHOWN else ""
        raise WorldError(
            "The same prompt is in two parts, so that what was learned would be checked on what was shown",
            got="; ".join(leaks[:SHOWN]) + more,
            next_step="delete it from one of the files",
        )
    return PromptSet(MappingProxyType({part: tuple(found) for part, found in parts.items()}), tuple(skipped))


def part_of(key: str, config: PromptsConfig) -> Part:
    """The part that a prompt's key falls into: the key as a number in [0, 1) against the shares laid end to end."""
    place, end = int(key[:16], 16) / 2**64, 0.0
    last = Part.SFT
    for part, share in zip(Part, config.shares, strict=True):
        end += share
        if share > 0:
            last = part
            if place < end:
                return part
    return last  # shares may add up to a little below 1


def _pieces(text: Text) -> tuple[str, ...]:
    return (text,) if isinstance(text, str) else tuple(x for turn in text for x in (turn.role, turn.content))


def _plain(text: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())

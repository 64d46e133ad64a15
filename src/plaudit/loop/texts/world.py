"""The prompts of a run: read or drawn, and split once."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from plaudit.exchange.prompts import load_prompts
from plaudit.loop.texts.config import TextRunConfig
from plaudit.loop.texts.gold import as_conversation, columns
from plaudit.records import Text
from plaudit.run.seeds import derive
from plaudit.worlds.instructions import draw
from plaudit.worlds.prompts import Part, Prompt, PromptSet, split

DRAWN = "instructions"
"""where drawn prompts come from"""


def prompts_of(config: TextRunConfig, count: Callable[[Text], int]) -> PromptSet:
    """All prompts of a run in their parts; the same in every process.

    Args:
        config: settings of the run.
        count: tokens of a prompt.

    Raises WorldError when a prompt is in two parts, or a part is empty that the run needs; ConfigError and MissingExtra as
    `load_prompts`.
    """
    settings = config.prompts
    spoken = as_conversation if settings.as_user else _plain
    # parts are decided by what the rows say, before a prompt becomes a conversation
    read = load_prompts(settings)
    everything = [
        Prompt(spoken(prompt.text), prompt.where, prompt.columns, part)
        for part, prompts in read.parts.items()
        for prompt in prompts
    ]
    whole = split([*everything, *_drawn(config, spoken)], settings, count=count)
    for part in (Part.REWARD, Part.POLICY, Part.HELD_OUT):
        whole[part]  # raises for one that is empty
    return PromptSet(whole.parts, (*read.skipped, *whole.skipped))


def _drawn(config: TextRunConfig, spoken: Callable[[Text], Text]) -> Iterator[Prompt]:
    settings = config.prompts
    if settings.instructions:
        found = draw(settings.instructions, derive(config.seed, "prompts"), constraints=settings.constraints)
        for number, one in enumerate(found):
            yield Prompt(spoken(one.prompt), f"{DRAWN}:{number}", columns(one))


def _plain(text: Text) -> Text:
    return text

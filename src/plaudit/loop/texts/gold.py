"""The true reward of texts that no learner sees: programs that check what a prompt asks for. Simulated teachers answer from it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from plaudit.ask.perception import Seen
from plaudit.ask.teachers import Teacher
from plaudit.errors import ConfigError, RecordError
from plaudit.records import Feedback, Message, Query, Text, TextSegment
from plaudit.worlds.instructions import Constraint, Instruction, kept
from plaudit.worlds.prompts import Part, Prompt, PromptSet

IDS, SETTINGS = "instruction_id_list", "kwargs"
"""columns of IFEval's files"""


def columns(instruction: Instruction) -> dict[str, Any]:
    """The constraints of an instruction as a row of IFEval's format has them."""
    return {
        IDS: [one.id for one in instruction.constraints],
        SETTINGS: [dict(one.settings) for one in instruction.constraints],
    }


def constraints_of(prompt: Prompt) -> tuple[Constraint, ...]:
    """What a prompt's row asks for; nothing where it does not say. Raises RecordError for columns that do not fit."""
    names, settings = prompt.columns.get(IDS), prompt.columns.get(SETTINGS)
    if names is None:
        return ()
    try:
        return tuple(
            Constraint(str(name), {key: value for key, value in dict(said or {}).items() if value is not None})
            for name, said in zip(names, settings if settings is not None else [None] * len(names), strict=True)
        )
    except (TypeError, ValueError) as error:
        raise RecordError(
            "The constraints of a prompt cannot be read",
            got=f"{prompt.where}: {error}",
            expected=f"{IDS} and {SETTINGS}",
        ) from error


def said(text: Text) -> str:
    """What stands in a text; of a conversation, in all its turns."""
    return text if isinstance(text, str) else "\n".join(message.content for message in text)


class Gold:
    """True rewards of completions, in [0, 1].

    Args:
        prompts: of all parts.
    """

    def __init__(self, prompts: PromptSet) -> None:
        everything = [prompt for part in Part for prompt in prompts.parts[part]]
        self._asked = {prompt.text: Instruction(said(prompt.text), constraints_of(prompt)) for prompt in everything}

    def knows(self, prompts: Sequence[Prompt]) -> bool:
        """Whether every one of these prompts can be judged."""
        return all(self._asked[prompt.text].constraints for prompt in prompts)

    def __call__(self, prompt: Text, completion: Text) -> float:
        """Share of the prompt's constraints that a completion keeps; NaN where nothing can be checked."""
        instruction = self._asked.get(prompt)
        return (
            float("nan") if instruction is None or not instruction.constraints else kept(instruction, said(completion))
        )


Look = Callable[[Query], Sequence[TextSegment]]
"""texts of a question, in its own order"""


class GoldTeacher:
    """A simulated teacher who judges texts by the gold reward, as noisily as its settings say.

    Args:
        teacher: how well it judges.
        gold: the true reward.
    """

    def __init__(self, teacher: Teacher, gold: Gold) -> None:
        self._teacher, self._gold = teacher, gold
        self.profile = teacher.profile

    def answer(self, query: Query, segments: Sequence[object]) -> Feedback:
        """The answer to a question about texts, in its own order. Raises RecordError where nothing can be checked."""
        seen: list[Seen] = []
        for text in segments:
            assert isinstance(text, TextSegment)
            value = self._gold(text.prompt, text.completion)
            if np.isnan(value):
                raise RecordError(
                    "A simulated teacher cannot judge a text",
                    got=text.id,
                    expected="a prompt whose constraints a program can check",
                )
            seen.append(Seen(np.array([value])))
        return self._teacher.judge(query, seen)


def require_gold(gold: Gold, prompts: PromptSet) -> None:
    """Raise ConfigError unless a simulated teacher can judge what it may be asked about."""
    if not gold.knows(prompts[Part.REWARD]):
        raise ConfigError(
            "A simulated teacher has nothing to judge by",
            got="prompts without constraints that a program can check",
            expected=f"drawn instructions, or rows with {IDS} and {SETTINGS} as in IFEval's files",
            next_step="set prompts.instructions, or let people answer with ask.people = true",
        )


def as_conversation(text: Text) -> Text:
    """A plain prompt as a user says it."""
    return (Message("user", text),) if isinstance(text, str) else text

"""Prompts out of files: TRL's types and what else carries a prompt."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from plaudit.errors import RecordError
from plaudit.exchange import chat, fields, rows
from plaudit.records import Text
from plaudit.worlds.prompts import Part, Prompt, PromptsConfig, PromptSet, split


def load_prompts(config: PromptsConfig, *, count: Callable[[Text], int] | None = None) -> PromptSet:
    """All prompts of a run, split. Rows without a usable prompt are among `skipped`.

    Args:
        config: files and shares.
        count: tokens of a prompt, such as `lambda text: len(tokeniser.prompt(text))`; none: any length will do.

    Raises:
        ConfigError: a file is not there, or its ending is not known.
        MissingExtra: a columnar file, and pyarrow is not installed.
        WorldError: the same prompt is in two parts.
    """
    bad: list[tuple[str, str]] = []
    sources: tuple[tuple[Part | None, Sequence[str]], ...] = (
        (None, config.files),
        (Part.SFT, config.sft_files),
        (Part.REWARD, config.reward_files),
        (Part.POLICY, config.policy_files),
        (Part.HELD_OUT, config.held_out_files),
    )
    found = (prompt for part, files in sources for file in files for prompt in read(Path(file), part, bad))
    whole = split(found, config, count=count)
    return PromptSet(whole.parts, (*bad, *whole.skipped))


def read(path: Path, part: Part | None, bad: list[tuple[str, str]]) -> Iterator[Prompt]:
    """Prompts of a file, one by one; (where, why) of rows that have none is added to `bad`. Raises as `load_prompts`."""
    for row in rows.read(path):
        where = f"{path.name}:{row.line}"
        match row:
            case rows.BadRow():
                bad.append((where, row.why))
            case rows.Row():
                try:
                    text, used = prompt_of(row.data)
                    if not text:
                        raise RecordError("The prompt is empty")
                    columns = {name: value for name, value in row.data.items() if name not in used}
                    yield Prompt(text, where, columns, part)
                except RecordError as error:
                    bad.append((where, str(error)))


def prompt_of(row: Any) -> tuple[Text, tuple[str, ...]]:
    """The prompt of a row, and the columns that made it up.

    Known are {prompt}, which all types of TRL and verl's files have; {messages}, up to the assistant's last turn;
    {chosen, rejected} without a prompt, what both begin with; {instruction, input?} (Alpaca); {question}.
    Raises RecordError for a row that has none.
    """
    match fields.table(row):
        case {"prompt": _}:
            return fields.spoken(row, "prompt"), ("prompt",)
        case {"messages": _}:
            said = fields.messages(fields.field(row, "messages"), "messages")
            last = max((place for place, turn in enumerate(said) if turn.role == "assistant"), default=len(said))
            return said[:last], ("messages",)
        case {"chosen": _, "rejected": _}:
            chosen, rejected = fields.spoken(row, "chosen"), fields.spoken(row, "rejected")
            if type(chosen) is not type(rejected):
                raise RecordError("One of `chosen` and `rejected` is plain and the other a conversation")
            return chat.shared(chosen, rejected)[0], ("chosen", "rejected")
        case {"instruction": _}:
            more = fields.named(row, "input", "")
            return fields.text(row, "instruction") + (f"\n\n{more}" if more else ""), ("instruction", "input")
        case {"question": _}:
            return fields.text(row, "question"), ("question",)
        case _:
            raise RecordError(
                "The row has no prompt", got=sorted(row)[:20], expected="prompt, messages, instruction or question"
            )

"""Text to tokens and back: conversations through the chat template, completions that begin where the prompt ends, one end.

What somebody wrote never becomes a special token: `<|im_end|>` in a question is tokenised as the characters that it has, so
nobody ends a turn or speaks as the system by writing so. Special tokens come from the chat template and from here only.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Any

from plaudit.errors import ConfigError, RecordError
from plaudit.records import Message, Text

Ids = tuple[int, ...]
DATE = "26 Jul 2024"
"""the day that templates of Llama 3 are told; they would ask the clock, and the same run would give other tokens tomorrow"""
MARKS = "\ufdd0\ufdd1\ufdd2\ufdd3"
"""characters that no text has (Unicode's noncharacters); one breaks up special tokens in texts until the template is filled in"""


@dataclass(frozen=True, slots=True)
class Group:
    """A prompt and its completions as tokens; each completion ends with one stop token."""

    prompt: Ids
    completions: tuple[Ids, ...]


class Tokeniser:
    """What a tokenizer of Transformers does, with the traps taken out.

    Args:
        tokenizer: of the model.
        stop: ids that end a completion; of the tokenizer alone when empty, see `stop_ids`.

    Raises ConfigError when there is no token that ends a text.
    """

    def __init__(self, tokenizer: Any, *, stop: Sequence[int] = ()) -> None:
        self.tokenizer = tokenizer
        self.stop: Ids = tuple(stop) if stop else stop_ids(None, tokenizer)
        end = tokenizer.eos_token_id
        self._end = self.stop[0] if end is None else int(end)
        self._begin = self._beginning()
        names = sorted((str(t) for t in tokenizer.added_tokens_decoder.values() if t.special), key=len, reverse=True)
        self._special = re.compile("|".join(map(re.escape, names)) or r"(?!)")

    def prompt(self, text: Text) -> Ids:
        """Tokens that a completion follows. Plain text stands as it is, behind the begin token if the model has one; a
        conversation goes through the chat template, which then lets the assistant speak, or go on if it spoke last.

        Raises:
            ConfigError: a conversation, and the model has no chat template.
            RecordError: the template refuses the conversation.
        """
        return self._plain(text) if isinstance(text, str) else self._chat(text, opened=True)

    def group(self, prompt: Text, completions: Sequence[Text]) -> Group:
        """A prompt with several completions, such as the answers that somebody compared.

        Prompt and completion are tokenised in one piece, since tokens may reach across their border. The completion then
        begins where the tokens first differ from those of the prompt alone (as in TRL's `common_prefix_length`); for several,
        where the first of them does, so that all share one prompt. What the template writes behind the last end is left out:
        a model that samples stops there.

        Raises as `prompt`, and RecordError for an empty completion.
        """
        wholes = [self._whole(prompt, completion) for completion in completions]
        begun = self.prompt(prompt)
        shared = min((_common(begun, whole) for whole in wholes), default=len(begun))
        return Group(begun[:shared], tuple(self._ended(whole[shared:]) for whole in wholes))

    def turns(self, prompt: Text, completion: Text) -> tuple[Group, ...]:
        """One pair for each turn of the assistant in a completion, behind all that was said before: what to learn to say.

        A completion of one turn, or plain text, is one pair.
        """
        if isinstance(completion, str):
            return (self.group(prompt, [completion]),)
        said = _messages(prompt, "user")
        return tuple(
            self.group(said + completion[:place], [(message,)])
            for place, message in enumerate(completion)
            if message.role == "assistant"
        )

    def text(self, ids: Sequence[int]) -> str:
        """Tokens as text, without special ones."""
        return self.tokenizer.decode(list(ids), skip_special_tokens=True, clean_up_tokenization_spaces=False)

    def answer(self, prompt: Text, ids: Sequence[int]) -> Text:
        """A completion of that prompt as records have it: plain text, or a turn of the assistant."""
        said = self.text(ids)
        return said if isinstance(prompt, str) else (Message("assistant", said),)

    def _whole(self, prompt: Text, completion: Text) -> Ids:
        if not completion:
            raise RecordError("A completion is empty", expected="text, or at least one message")
        if isinstance(prompt, str) and isinstance(completion, str):
            return self._plain(prompt + completion)
        before, after = _messages(prompt, "user"), _messages(completion, "assistant")
        if before and after[0].role == before[-1].role == "assistant":  # the prompt lets the assistant go on
            joined = Message("assistant", before[-1].content + after[0].content, before[-1].extra)
            before, after = (*before[:-1], joined), after[1:]
        return self._chat(before + after, opened=False)

    def _plain(self, text: str) -> Ids:
        return self._begin + self._encode(text, written=True)

    def _chat(self, messages: Sequence[Message], *, opened: bool) -> Ids:
        if not self.tokenizer.chat_template:
            raise ConfigError(
                "The model has no chat template, and the prompt is a conversation",
                expected="plain text for a model that was not taught to converse",
                next_step="give plain prompts, or set tokenizer.chat_template and save the tokenizer",
            )
        spoken = "".join(message.content for message in messages)
        mark = next((mark for mark in MARKS if mark not in spoken), "")
        if not mark:
            raise RecordError("A conversation holds characters that Unicode assigns to nobody", got=repr(MARKS))
        clean = not self._special.search(spoken)
        turns = [
            {
                **(message.extra or {}),
                "role": message.role,
                "content": self._special.sub(lambda found: found[0][0] + mark + found[0][1:], message.content),
            }
            for message in messages
        ]
        goes_on = opened and bool(messages) and messages[-1].role == "assistant"
        text = self._fill(turns, opened=opened and not goes_on, goes_on=goes_on)
        if clean:
            return self._encode(text, written=False)
        pieces: list[int] = []
        at = 0
        for found in [*self._special.finditer(text), None]:  # what is special now, the template wrote
            between = text[at : None if found is None else found.start()].replace(mark, "")
            pieces += self._encode(between, written=True) if between else ()
            if found is not None:
                pieces.append(self.tokenizer.convert_tokens_to_ids(found[0]))
                at = found.end()
        return tuple(pieces)

    def _fill(self, turns: list[dict[str, Any]], *, opened: bool, goes_on: bool) -> str:
        from jinja2 import TemplateError  # comes with the extra; what a template raises

        try:
            return self.tokenizer.apply_chat_template(
                turns, tokenize=False, add_generation_prompt=opened, continue_final_message=goes_on, date_string=DATE
            )
        except (TemplateError, ValueError) as error:
            roles = ", ".join(turn["role"] for turn in turns)
            raise RecordError("The chat template refuses a conversation", got=f"{error}; roles {roles}") from error

    def _encode(self, text: str, *, written: bool) -> Ids:
        """Tokens without a begin or end of the tokenizer's own; where a person wrote the text, without special ones."""
        found = self.tokenizer(text, add_special_tokens=False, split_special_tokens=written)
        return tuple(found["input_ids"])

    def _ended(self, ids: Ids) -> Ids:
        """A completion with one stop token as its last."""
        tail = len(tuple(takewhile(lambda id_: id_ not in self.stop, reversed(ids))))
        if tail == len(ids) or self.text(ids[len(ids) - tail :]).strip():
            return (*ids, self._end)
        return ids[: len(ids) - tail]

    def _beginning(self) -> Ids:
        """What the tokenizer puts in front of a text by itself: mostly one begin token, or nothing."""
        bare, dressed = (self.tokenizer("a", add_special_tokens=on)["input_ids"] for on in (False, True))
        start = next((at for at in range(len(dressed)) if dressed[at : at + len(bare)] == bare), 0)
        return tuple(dressed[:start])


def stop_ids(module: Any, tokenizer: Any) -> Ids:
    """Ids that end a completion: all that the model's generation settings name, and the tokenizer's end token.

    Raises ConfigError when there is none.
    """
    settings = None if module is None else getattr(module, "generation_config", None)
    named = None if settings is None else settings.eos_token_id
    found = [*([named] if isinstance(named, int) else named or ())]
    end = getattr(tokenizer, "eos_token_id", None)
    if end is not None:
        found.append(int(end))
    if not found:
        raise ConfigError(
            "No token ends a completion of this model",
            expected="eos_token_id in generation_config.json, or an eos_token of the tokenizer",
            next_step="set tokenizer.eos_token and save the tokenizer",
        )
    return tuple(dict.fromkeys(found))


def _messages(text: Text, role: str) -> tuple[Message, ...]:
    if isinstance(text, tuple):
        return text
    return (Message(role, text),) if text else ()


def _common(one: Ids, other: Ids) -> int:
    """How many leading tokens two sequences share; at least one token is left to the other."""
    pairs = zip(one, other, strict=False)
    return min(len(tuple(takewhile(lambda pair: pair[0] == pair[1], pairs))), max(len(other) - 1, 0))

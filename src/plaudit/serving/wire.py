"""Requests and replies as OpenAI's clients write and read them; what is not served is refused by name, never ignored.

https://platform.openai.com/docs/api-reference (chat completions, completions, models).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from plaudit.engine.sampling import Sampling
from plaudit.errors import PlauditError
from plaudit.records import Message, Text
from plaudit.serving.speaker import Wish

MOST_SAMPLES, MOST_PROMPTS, MOST_STOPS = 8, 16, 4
ROLES = {"system": "system", "developer": "system", "user": "user", "assistant": "assistant", "tool": "tool"}
NEUTRAL: dict[str, tuple[Any, ...]] = {
    "presence_penalty": (0, 0.0, None), "frequency_penalty": (0, 0.0, None), "logit_bias": ({}, None),
    "logprobs": (False, None, 0), "top_logprobs": (None, 0), "tools": ([], None), "tool_choice": ("none", "auto", None),
    "response_format": (None, {"type": "text"}), "echo": (False, None), "suffix": ("", None), "best_of": (1, None),
    "parallel_tool_calls": (True, False, None), "store": (False, None), "service_tier": ("auto", "default", None),
}  # fmt: skip
"""fields that are taken where they ask for nothing"""
IGNORED = ("user", "metadata", "safety_identifier", "prompt_cache_key")
"""fields that say something about the caller"""


class RefusedError(PlauditError):
    """A request that cannot be served.

    Args:
        what: why, in one sentence.
        param: the field that is wrong.
        code: a name for the reason.
        status: of HTTP, 4xx.
    """

    def __init__(self, what: str, *, param: str | None = None, code: str = "invalid_value", status: int = 400) -> None:
        super().__init__(what)
        self.param, self.code, self.status = param, code, status

    def body(self) -> dict[str, Any]:
        """As OpenAI's clients read it."""
        return error_body(str(self), param=self.param, code=self.code)


def error_body(message: str, *, param: str | None = None, code: str | None = None, kind: str = "") -> dict[str, Any]:
    """An error as OpenAI's clients read it."""
    return {"error": {"message": message, "type": kind or "invalid_request_error", "param": param, "code": code}}


@dataclass(frozen=True, slots=True)
class Defaults:
    """What a request that does not say otherwise gets."""

    temperature: float = 1.0
    """that answers are drawn with; 0 takes the likeliest token"""
    top_p: float = 1.0
    """draw from the likeliest tokens that have this much probability together"""
    max_tokens: int = 512
    """most tokens of an answer, where the context has room for them"""


@dataclass(frozen=True, slots=True)
class Asked:
    """A request that was read."""

    wishes: tuple[Wish, ...]
    """one for each prompt"""
    most: int | None
    """tokens that were asked for; None: not said"""
    model: str | None
    stream: bool
    usage: bool
    """whether a stream is to end with how many tokens it took"""


def chat_asked(body: Any, defaults: Defaults, *, seed: int) -> Asked:
    """A request for `/v1/chat/completions`. Raises RefusedError naming the field that cannot be served."""
    fields = _Fields(body)
    prompt = messages_of(fields.take("messages", None))
    return _asked(fields, (prompt,), defaults, seed)


def completion_asked(body: Any, defaults: Defaults, *, seed: int) -> Asked:
    """A request for `/v1/completions`. Raises RefusedError naming the field that cannot be served."""
    fields = _Fields(body)
    given = fields.take("prompt", None)
    prompts = [given] if isinstance(given, str) else given
    if not isinstance(prompts, list) or not prompts or not all(isinstance(one, str) for one in prompts):
        raise RefusedError("`prompt` must be a text or a list of texts", param="prompt")
    if len(prompts) > MOST_PROMPTS:
        raise RefusedError(f"At most {MOST_PROMPTS} prompts at once", param="prompt")
    return _asked(fields, tuple(prompts), defaults, seed)


def messages_of(given: Any) -> tuple[Message, ...]:
    """Turns of a conversation. Raises RefusedError for what is none."""
    if not isinstance(given, list) or not given:
        raise RefusedError("`messages` must be a list of at least one message", param="messages")
    return tuple(_message(number, one) for number, one in enumerate(given))


def _message(number: int, given: Any) -> Message:
    where = f"messages[{number}]"
    if not isinstance(given, Mapping):
        raise RefusedError("A message must be an object with role and content", param=where)
    role, content = given.get("role"), given.get("content")
    if role not in ROLES:
        raise RefusedError(f"A role must be one of {', '.join(ROLES)}", param=f"{where}.role")
    if isinstance(content, list):  # parts; only text is served
        parts = [one.get("text") if isinstance(one, Mapping) and one.get("type") == "text" else None for one in content]
        content = "".join(parts) if all(isinstance(one, str) for one in parts) else None  # pyright: ignore[reportArgumentType, reportCallIssue]
    if not isinstance(content, str):
        raise RefusedError("Only text is served: `content` must be a text or parts of type text", param=f"{where}.content")  # fmt: skip
    return Message(ROLES[role], content)


class _Fields:
    """The fields of a body, of which none may be left over."""

    def __init__(self, body: Any) -> None:
        if not isinstance(body, dict):
            raise RefusedError("The body must be a JSON object")
        self._left: dict[str, Any] = dict(body)

    def take(self, name: str, default: Any) -> Any:
        found = self._left.pop(name, None)
        return default if found is None else found

    def number(self, name: str, default: float, low: float, high: float) -> float:
        found = self.take(name, default)
        if isinstance(found, bool) or not isinstance(found, int | float) or not low <= found <= high:
            raise RefusedError(f"`{name}` must be a number in {low:g} .. {high:g}", param=name)
        return found

    def whole(self, name: str, default: int | None, low: int, high: float = math.inf) -> int | None:
        found = self.take(name, default)
        if found is None:
            return None
        if isinstance(found, bool) or not isinstance(found, int) or not low <= found <= high:
            raise RefusedError(f"`{name}` must be a whole number, at least {low}", param=name)
        return found

    def flag(self, name: str) -> bool:
        found = self.take(name, False)
        if not isinstance(found, bool):
            raise RefusedError(f"`{name}` must be true or false", param=name)
        return found

    def done(self) -> None:
        for name, value in self._left.items():
            if name in NEUTRAL and value in NEUTRAL[name]:
                continue
            if name not in IGNORED:
                what = "asks for something that is not served" if name in NEUTRAL else "is not known"
                raise RefusedError(f"`{name}` {what}", param=name, code="unsupported_parameter")


def _asked(fields: _Fields, prompts: Sequence[Text], defaults: Defaults, seed: int) -> Asked:
    most = fields.whole("max_completion_tokens", fields.whole("max_tokens", None, 1), 1)
    temperature = fields.number("temperature", defaults.temperature, 0, 2)
    samples = fields.whole("n", 1, 1, MOST_SAMPLES) or 1
    sampling = Sampling(
        max_tokens=most or defaults.max_tokens, temperature=temperature or 1.0, greedy=temperature == 0,
        top_p=fields.number("top_p", defaults.top_p, 1e-6, 1),
    )  # fmt: skip
    stop = fields.take("stop", ())
    words: tuple[Any, ...] = (
        (stop,) if isinstance(stop, str) else tuple(stop) if isinstance(stop, list | tuple) else (0,)
    )
    if len(words) > MOST_STOPS or not all(isinstance(word, str) and word for word in words):
        raise RefusedError(f"`stop` must be a text or up to {MOST_STOPS} of them", param="stop")
    number = fields.whole("seed", seed, -(2**63), 2**63)
    model, stream = fields.take("model", None), fields.flag("stream")
    options = fields.take("stream_options", {})
    if not isinstance(options, dict) or not set(options) <= {"include_usage", "include_obfuscation"}:
        raise RefusedError("`stream_options` takes include_usage only", param="stream_options")
    fields.done()
    wishes = tuple(Wish(one, sampling, int(number or 0), samples, words) for one in prompts)
    return Asked(wishes, most, model, stream, stream and options.get("include_usage") is True)


@dataclass(frozen=True, slots=True)
class Frame:
    """What every reply to one request carries."""

    id: str
    model: str
    created: int
    """seconds since 1970"""
    chat: bool
    """whether it answers a conversation"""

    def whole(self, texts: Sequence[str], ends: Sequence[str | None], usage: Mapping[str, int]) -> dict[str, Any]:
        """The reply in one piece."""
        choices: list[dict[str, Any]] = []
        for number, (text, end) in enumerate(zip(texts, ends, strict=True)):
            said = {"message": {"role": "assistant", "content": text}} if self.chat else {"text": text}
            choices.append({"index": number, **said, "logprobs": None, "finish_reason": end})
        kind = "chat.completion" if self.chat else "text_completion"
        return {**self._head(kind), "choices": choices, "usage": dict(usage)}

    def chunk(self, index: int, text: str, end: str | None, *, first: bool = False) -> dict[str, Any]:
        """A piece of a stream."""
        delta = ({"role": "assistant"} if first else {}) | ({"content": text} if text or first else {})
        said: dict[str, Any] = {"delta": delta} if self.chat else {"text": text}
        choice = {"index": index, **said, "logprobs": None, "finish_reason": end}
        return {**self._head("chat.completion.chunk" if self.chat else "text_completion"), "choices": [choice]}

    def last(self, usage: Mapping[str, int]) -> dict[str, Any]:
        """The piece of a stream that says how many tokens it took."""
        kind = "chat.completion.chunk" if self.chat else "text_completion"
        return {**self._head(kind), "choices": [], "usage": dict(usage)}

    def _head(self, kind: str) -> dict[str, Any]:
        return {"id": self.id, "object": kind, "created": self.created, "model": self.model}


def usage_of(prompt: int, completion: int) -> dict[str, int]:
    """Tokens that were read and written."""
    return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}

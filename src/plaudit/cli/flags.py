"""What is read out of the command line before everything else, since other settings depend on it."""

from __future__ import annotations

from collections.abc import Sequence


def flag(words: Sequence[str], *path: str) -> str | None:
    """The value of `--name VALUE` or `--name=VALUE`, where name is the path with dots; of several the last, None without one."""
    name, found = ".".join(path), None
    for place, word in enumerate(words):
        if word == f"--{name}":
            found = next(iter(words[place + 1 :]), None)
        elif word.startswith(f"--{name}="):
            found = word.partition("=")[2]
    return found

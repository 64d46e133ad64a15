"""Names and passwords to sign in with: what is allowed, and what is kept of them. Argon2id through argon2-cffi."""

from __future__ import annotations

import functools
import threading
import unicodedata
from types import ModuleType
from typing import Any

from plaudit.errors import RecordError
from plaudit.records import digest
from plaudit.run.optional import require

LONGEST_NAME = 100
SHORTEST_PASSWORD, LONGEST_PASSWORD = 10, 1000
_JOINERS = "\u200c\u200d"
"""format characters that names in several scripts need"""
_AT_ONCE = threading.BoundedSemaphore(2)
"""a hash takes 64 MiB: many at once would fill the memory"""


def clean_name(name: str) -> str:
    """A name as it is kept: composed, trimmed. Any script, but nothing that hides or turns round what stands beside it.

    Raises RecordError.
    """
    composed = unicodedata.normalize("NFKC", name[: 8 * LONGEST_NAME]).strip()
    hidden = [one for one in composed if unicodedata.category(one)[0] == "C" and one not in _JOINERS]
    hidden += [one for one in composed if unicodedata.category(one) in ("Zl", "Zp")]
    if not composed or len(name) > 8 * LONGEST_NAME or len(composed) > LONGEST_NAME or hidden:
        raise RecordError(
            "This cannot be a name",
            got=f"{len(name)} characters" + (f", one of them U+{ord(hidden[0]):04X}" if hidden else ""),
            expected=f"1 to {LONGEST_NAME} visible characters",
        )
    return composed


def login_hash(run: str, *parts: str) -> str:
    """What is kept of a name, or of an issuer and a subject: enough to find the account again, in this run only."""
    return digest("\0".join([run, *parts]).encode())


def hashed(password: str) -> str:
    """What is kept of a password. Raises RecordError when it is too short or too long, MissingExtra."""
    if not SHORTEST_PASSWORD <= len(password) <= LONGEST_PASSWORD:
        raise RecordError(
            "This cannot be a password",
            got=f"{len(password)} characters",
            expected=f"{SHORTEST_PASSWORD} to {LONGEST_PASSWORD}",
            next_step="take a few words that only you would put together",
        )
    with _AT_ONCE:
        return str(_hasher().hash(password))


def fits(kept: str | None, password: str) -> bool:
    """Whether a password is the one that was kept; takes as long when none was. Raises MissingExtra."""
    errors = _argon2().exceptions
    with _AT_ONCE:
        try:
            return bool(_hasher().verify(kept or _nobodys(), password[: LONGEST_PASSWORD + 1])) and kept is not None
        except (errors.VerificationError, errors.InvalidHashError):
            return False


def _argon2() -> ModuleType:
    return require("argon2", "studio")


@functools.cache
def _hasher() -> Any:
    return _argon2().PasswordHasher()


@functools.cache
def _nobodys() -> str:
    return str(_hasher().hash("the password of nobody"))

"""One exception tree. Every message says what happened, what was given, what was expected, and what to do next.

PlauditError
├── ConfigError    a run file or setting cannot be used        (also a ValueError)
├── RecordError    a record or its encoding is not valid       (also a ValueError)
├── StoreError     the store refused or could not do something
│   └── IntegrityError   stored data do not match their hash
├── RunError       a run directory cannot be used as asked
├── WorldError     an environment failed or does not fit
├── LearningError  a fit or a policy update went wrong
├── EndpointError  a service that was asked does not answer
└── MissingExtra   an optional dependency is not installed     (also an ImportError)
"""

from __future__ import annotations


class PlauditError(Exception):
    """Base of all errors that plaudit raises on purpose.

    Args:
        what: the failure in one sentence.
        got: what was found.
        expected: what would have been right.
        next_step: what the user can do about it.
    """

    def __init__(self, what: str, *, got: object = None, expected: object = None, next_step: str | None = None) -> None:
        self.what = what
        self.got = got
        self.expected = expected
        self.next_step = next_step
        parts = [what.rstrip(".") + "."]
        if got is not None:
            parts.append(f"Got: {got}.")
        if expected is not None:
            parts.append(f"Expected: {expected}.")
        if next_step is not None:
            parts.append(f"Next: {next_step.rstrip('.')}.")
        super().__init__(" ".join(parts))


class ConfigError(PlauditError, ValueError):
    """A run file or a setting cannot be used."""


class RecordError(PlauditError, ValueError):
    """A record, or the encoding of one, is not valid."""


class StoreError(PlauditError):
    """The store refused, or could not do, what was asked."""


class IntegrityError(StoreError):
    """Stored data do not match their hash."""


class RunError(PlauditError):
    """A run directory cannot be used as asked."""


class WorldError(PlauditError):
    """An environment failed, or does not fit what the run needs."""


class LearningError(PlauditError):
    """A fit or a policy update went wrong."""


class EndpointError(PlauditError):
    """A service that was asked does not answer, or not as its protocol says."""


class MissingExtra(PlauditError, ImportError):  # noqa: N818 - reads better at the call site
    """An optional dependency is not installed."""

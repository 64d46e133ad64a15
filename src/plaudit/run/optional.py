"""The one way to import an optional dependency."""

from __future__ import annotations

import importlib
from types import ModuleType

from plaudit.errors import MissingExtra


def require(module: str, extra: str) -> ModuleType:
    """Import a module of an optional extra. Raises MissingExtra with the line that installs it."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise missing(extra, str(error)) from error


def missing(extra: str, why: str) -> MissingExtra:
    """The error that names an extra and the line that installs it."""
    return MissingExtra(
        f"This needs plaudit's extra `{extra}`", got=why, next_step=f'install it with: pip install "plaudit[{extra}]"'
    )

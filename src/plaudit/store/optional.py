"""Libraries that only some stores need."""

from __future__ import annotations

import importlib
from typing import Any

from plaudit.errors import MissingExtra


def require(module: str, extra: str) -> Any:
    """Import a module of an optional extra. Raises MissingExtra with the line that installs it."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise MissingExtra(
            f"This needs plaudit's extra `{extra}`",
            got=str(error),
            next_step=f'install it with: pip install "plaudit[{extra}]"',
        ) from error

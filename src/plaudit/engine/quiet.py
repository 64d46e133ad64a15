"""What Transformers and PEFT say while they load a model, held back: bars, notes on their own future, hints for other callers.

What matters of it (weights that a file has not) `engine/load.py` looks for itself and raises.
"""

from __future__ import annotations

import warnings
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

from plaudit.run.optional import require


@contextmanager
def quiet() -> Generator[list[warnings.WarningMessage]]:
    """Neither bars nor warnings while the block runs; afterwards all is set as it was. Gives the warnings that were held back.

    The bar of a download from the hub is drawn all the same, since that may take long.
    """
    logging: Any = require("transformers", "language").utils.logging
    hub: Any = require("huggingface_hub", "language").utils
    level, bars, downloads = (
        logging.get_verbosity(), logging.is_progress_bar_enabled(), not hub.are_progress_bars_disabled()
    )  # fmt: skip
    logging.set_verbosity_error()
    _bars(logging, hub, shown=False, downloads=downloads)
    try:
        with warnings.catch_warnings(record=True) as held:
            warnings.simplefilter("always")
            yield held
    finally:
        logging.set_verbosity(level)
        _bars(logging, hub, shown=bars, downloads=downloads)


def _bars(logging: Any, hub: Any, *, shown: bool, downloads: bool) -> None:
    """Transformers switches the hub's bars with its own."""
    (logging.enable_progress_bar if shown else logging.disable_progress_bar)()
    (hub.enable_progress_bars if downloads else hub.disable_progress_bars)()

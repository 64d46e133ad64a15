"""Which kind of run a run file, or the log of a run, describes: its tables decide."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from plaudit.loop.agent import AGENT
from plaudit.loop.config import RunConfig
from plaudit.loop.subject import Kind
from plaudit.loop.texts.config import TextRunConfig
from plaudit.loop.texts.subject import TEXTS
from plaudit.records import from_json
from plaudit.run.config import from_table, read_table

Settings = RunConfig | TextRunConfig
"""of a run of any kind"""
KINDS: tuple[Kind, ...] = (TEXTS, AGENT)
"""the last one takes what no other kind does"""


def read(path: Path, *, preset: str | None = None) -> Settings:
    """The settings of a run file of any kind. Raises ConfigError naming file, place and next step.

    Args:
        path: of the file.
        preset: algorithm to take instead of the file's `improve.preset`.
    """
    table = read_table(path)
    improve = table.get("improve", {})
    if preset is not None and isinstance(improve, dict):
        table["improve"] = improve | {"preset": preset}
    kind = _kind_with(table)
    return from_table(kind.settings, kind.prepared(table), where=path.name)


def settings_of(payload: Mapping[str, Any]) -> Settings:
    """Settings as the log of a run has them. Raises RecordError when this plaudit does not understand them."""
    return from_json(_kind_with(payload).settings, payload)


def kind_of(config: Settings) -> Kind:
    """The kind of run that settings belong to."""
    return next(kind for kind in KINDS if isinstance(config, kind.settings))


def _kind_with(tables: Collection[str]) -> Kind:
    return next(kind for kind in KINDS if not kind.tables or set(kind.tables) & set(tables))

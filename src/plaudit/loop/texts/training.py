"""What a stage keeps while it trains, so that a run that is killed in it goes on from there. Gone when the stage has ended."""

from __future__ import annotations

import shutil
from pathlib import Path

from plaudit.loop.texts.context import TextContext

FOLDER = "training"


def folder_of(context: TextContext, round_: int, stage: str) -> Path:
    """The stage's own folder."""
    return context.directory.path / FOLDER / f"{round_}-{stage}"


def tidy(context: TextContext, round_: int, stage: str) -> None:
    """Delete what other stages have left."""
    root = context.directory.path / FOLDER
    mine = folder_of(context, round_, stage)
    for folder in root.iterdir() if root.is_dir() else ():
        if folder != mine:
            shutil.rmtree(folder)

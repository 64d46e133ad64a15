"""What somebody showed by hand, in a file until an answer brings it: it outlasts the connection, the world and the studio.

The world's own process writes the file, before it hands anything over. Needs no Gymnasium.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from plaudit.run.checkpoint import replace
from plaudit.worlds.wire import ARRAYS, pack, read, said

SUFFIX = ".shown"


@dataclass(frozen=True, slots=True)
class About:
    """Whose it is."""

    annotator: str
    query: str
    id: str
    """of the world that was played"""


@dataclass(frozen=True, slots=True)
class Kept:
    """What was shown, as the file holds it."""

    path: Path
    about: About
    attempt: int
    start: int
    """first step within the episode"""
    arrays: bytes
    at: float
    """when it was written, in seconds since 1970"""

    @property
    def episode(self) -> str:
        """Name of the episode that was played."""
        return f"live/{self.about.id}/{self.attempt}"


@dataclass(frozen=True, slots=True)
class Keeper:
    """Writes what was shown in one world.

    Args:
        path: of the file.
        about: whose it is.
    """

    path: Path
    about: About

    def wire(self) -> dict[str, Any]:
        """As JSON, for the process of the world."""
        return {"path": str(self.path), "about": asdict(self.about)}

    def write(self, attempt: int, start: int, arrays: bytes) -> None:
        """Keep it, on disk when this returns; what cannot be written is handed over all the same."""
        temporary = self.path.with_name(f".tmp-{uuid.uuid4().hex}")
        try:
            head = asdict(self.about) | {"attempt": attempt, "start": start}
            temporary.write_bytes(said(head) + pack(ARRAYS, arrays))
            replace(temporary, self.path)
        except OSError:
            with suppress(OSError):
                temporary.unlink(missing_ok=True)


def keeper_of(wire: Mapping[str, Any] | None) -> Keeper | None:
    """What `Keeper.wire` gave."""
    return None if wire is None else Keeper(Path(wire["path"]), About(**wire["about"]))


def kept_in(folder: Path) -> list[Kept]:
    """All that a folder keeps, newest first. A file that cannot be read is passed over."""
    found: list[Kept] = []
    for path in folder.glob(f"*{SUFFIX}"):
        with suppress(OSError, ValueError, TypeError, KeyError), path.open("rb") as stream:
            head, arrays = read(stream), read(stream)
            if head is not None and arrays is not None:
                told = json.loads(head[1])
                attempt, start = int(told.pop("attempt")), int(told.pop("start"))
                found.append(Kept(path, About(**told), attempt, start, arrays[1], path.stat().st_mtime))
    return sorted(found, key=lambda one: -one.at)

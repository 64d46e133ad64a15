"""Where a store lies: a SQLite file, a PostgreSQL database, or a file in a run's directory that names the database."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import URL, exc, make_url

from plaudit.errors import StoreError
from plaudit.run.checkpoint import replace

POSTGRES = "postgresql"
MOST = 4096
"""bytes of a file that names a database"""


@dataclass(frozen=True, slots=True)
class Place:
    """What to connect to, and where files lie that belong to it."""

    address: Path | URL
    """a SQLite file, or a PostgreSQL database"""
    home: Path | None
    """directory in which blobs lie when the store does not say where; None if it must say"""
    pointer: Path | None = None
    """file that names the database"""

    def __str__(self) -> str:
        """The path, or the URL without its password."""
        return str(self.address) if isinstance(self.address, Path) else self.address.render_as_string()

    @property
    def given(self) -> Path | str:
        """What `place_of` makes this place from again; with the password of a URL."""
        if self.pointer is not None:
            return self.pointer
        return self.address if isinstance(self.address, Path) else self.address.render_as_string(hide_password=False)


def place_of(given: Path | str) -> Place:
    """The place that a path, or a URL `postgresql://USER@HOST/DATABASE`, stands for.

    Raises StoreError for a URL of something else.
    """
    if isinstance(given, str) and "://" in given:
        return Place(_url(given), None)
    path = Path(given).absolute()  # connections are opened later too, wherever the process has gone by then
    named = _named_in(path)
    return Place(path, path.parent) if named is None else Place(_url(named), path.parent, path)


def point(path: Path, url: str) -> None:
    """Make the file of a store name a database instead, in one step."""
    temporary = path.with_name(f".tmp-{uuid.uuid4().hex}")
    temporary.write_text(url + "\n", encoding="utf-8")
    replace(temporary, path)


def _named_in(path: Path) -> str | None:
    if not path.is_file():
        return None
    with path.open("rb") as stream:
        start = stream.read(MOST)
    return start.decode(errors="replace").strip() if start.startswith(POSTGRES.encode()) else None


def _url(text: str) -> URL:
    try:
        url = make_url(text)
    except exc.ArgumentError:
        url = None
    if url is None or url.get_backend_name() != POSTGRES:
        raise StoreError(
            "This is no place for a store",
            got=text.split("://", 1)[0] + "://...",  # what follows may hold a password
            expected="a path, or postgresql://USER@HOST/DATABASE",
        )
    return url.set(drivername="postgresql+psycopg")

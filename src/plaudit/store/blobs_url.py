"""Blobs behind a URL that fsspec understands: object stores, other machines, memory."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from plaudit.errors import StoreError
from plaudit.records import digest
from plaudit.run.optional import require
from plaudit.store.blobs import NAME, BlobStore, FolderBlobs, proven, require_name


def blobs_at(where: Path | str) -> BlobStore:
    """Blobs in a folder, or behind a URL `PROTOCOL://...`.

    Raises MissingExtra when fsspec, or what it needs for the protocol, is not installed; StoreError for an unknown one.
    """
    return UrlBlobs(where) if isinstance(where, str) and "://" in where else FolderBlobs(Path(where).absolute())


class UrlBlobs(BlobStore):
    """Blobs behind a URL, under the same names as in a folder; every one is checked when it is read."""

    def __init__(self, url: str) -> None:
        filesystems = require("fsspec.core", "remote")
        self.url = url
        try:
            self._files, self._root = filesystems.url_to_fs(url)
        except (ImportError, OSError, ValueError) as error:
            raise StoreError(
                "This place for blobs cannot be used",
                got=str(error),
                expected="a folder, or a URL that fsspec knows, for example s3://BUCKET/FOLDER",
                next_step="install the package that the message names",
            ) from error

    def put(self, data: bytes) -> str:
        """Keep bytes; as durable as the service makes what it has taken. See `BlobStore.put`."""
        name = digest(data)
        path = self._at(name)
        try:
            if not (self._files.exists(path) and digest(self._files.cat_file(path)) == name):
                self._files.makedirs(path.rsplit("/", 1)[0], exist_ok=True)
                self._files.pipe_file(path, data)
        except OSError as error:
            raise StoreError(
                "A blob could not be written", got=f"{self.url} {name}: {error}", next_step="try again"
            ) from error
        return name

    def get(self, name: str) -> bytes:
        """The bytes of a digest. See `BlobStore.get`."""
        path = self._at(name)
        try:
            data: Any = self._files.cat_file(path)
        except OSError as error:
            raise StoreError("A blob is missing", got=f"{self.url} {name}: {error}") from error
        return proven(name, data, f"{self.url} {name}")

    def has(self, name: str) -> bool:
        """Whether a blob is there."""
        return NAME.fullmatch(name) is not None and bool(self._files.exists(self._at(name)))

    def names(self) -> Iterator[str]:
        """Names of all blobs, in order."""
        there = self._files.find(self._root) if self._files.exists(self._root) else []
        return (name for name in (path.rsplit("/", 1)[-1] for path in sorted(there)) if NAME.fullmatch(name))

    def path(self, name: str) -> Path:
        """Raises StoreError: there is no file on this machine."""
        raise StoreError(
            "This blob is no file of this machine", got=f"{self.url} {name}", next_step="read it with `get`"
        )

    def _at(self, name: str) -> str:
        return f"{self._root.rstrip('/')}/{require_name(name)[:2]}/{name}"

"""Content-addressed files: a blob is named by its SHA-256, so it is written once and cannot change unnoticed."""

from __future__ import annotations

import os
import re
import uuid
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save

from plaudit.errors import IntegrityError, RecordError, StoreError
from plaudit.records import digest
from plaudit.run.checkpoint import flush_folder

NAME = re.compile(r"[0-9a-f]{64}")


class BlobStore(ABC):
    """Blobs by name, wherever they lie."""

    @abstractmethod
    def put(self, data: bytes) -> str:
        """Keep bytes; they are kept when it returns. Returns their digest. Raises StoreError when that is refused.

        A damaged blob of that digest is replaced.
        """

    @abstractmethod
    def get(self, name: str) -> bytes:
        """The bytes of a digest. Raises StoreError when they are not there, IntegrityError when they were changed."""

    @abstractmethod
    def has(self, name: str) -> bool:
        """Whether a blob is there."""

    @abstractmethod
    def names(self) -> Iterator[str]:
        """Names of all blobs."""

    @abstractmethod
    def path(self, name: str) -> Path:
        """The file of a blob. Raises StoreError for what is no digest, and when blobs are no files of this machine."""

    def put_arrays(self, arrays: Mapping[str, NDArray[np.generic]]) -> str:
        """Keep named arrays, as safetensors; equal arrays give equal digests.

        Raises RecordError for arrays of text or objects, StoreError when the disk refuses.
        """
        try:
            data = save({name: np.asarray(arrays[name], order="C") for name in sorted(arrays)})
        except SafetensorError as error:
            raise RecordError("An array cannot be stored", got=error, expected="numbers or truth values") from error
        return self.put(data)

    def get_arrays(self, name: str) -> dict[str, NDArray[np.generic]]:
        """Named arrays of a digest. Raises as `get`, and IntegrityError when the blob holds no arrays."""
        try:
            return dict(load(self.get(name)))
        except SafetensorError as error:
            raise IntegrityError("A blob holds no arrays", got=name) from error


def require_name(name: str) -> str:
    """The name itself. Raises StoreError for what is no digest."""
    if not NAME.fullmatch(name):
        raise StoreError("This is no digest of a blob", got=repr(name)[:80], expected="64 hexadecimal digits")
    return name


def proven(name: str, data: bytes, where: object) -> bytes:
    """The bytes themselves. Raises IntegrityError when they do not have that name."""
    if digest(data) != name:
        raise IntegrityError("A blob does not match its hash", got=str(where), next_step="restore it from a backup")
    return data


class FolderBlobs(BlobStore):
    """A folder of blobs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def put(self, data: bytes) -> str:
        """Keep bytes, flushed to disk. See `BlobStore.put`."""
        name = digest(data)
        path = self.path(name)
        fresh = not path.parent.exists()
        temporary = path.with_name(f".tmp-{uuid.uuid4().hex}")
        try:
            if not (path.exists() and digest(path.read_bytes()) == name):
                path.parent.mkdir(parents=True, exist_ok=True)
                with temporary.open("wb") as stream:
                    stream.write(data)
                    stream.flush()
                    os.fsync(stream.fileno())
                os.replace(temporary, path)
            for folder in (path.parent, self.folder, self.folder.parent) if fresh else (path.parent,):
                flush_folder(folder)
        except OSError as error:
            with suppress(OSError):
                temporary.unlink()
            raise StoreError(
                "A blob could not be written", got=f"{path}: {error}", next_step="free disk space and try again"
            ) from error
        return name

    def get(self, name: str) -> bytes:
        """The bytes of a digest. See `BlobStore.get`."""
        path = self.path(name)
        try:
            data = path.read_bytes()
        except OSError as error:
            raise StoreError("A blob is missing", got=str(path), next_step="restore it from a backup") from error
        return proven(name, data, path)

    def has(self, name: str) -> bool:
        """Whether a blob is there."""
        return NAME.fullmatch(name) is not None and self.path(name).exists()

    def names(self) -> Iterator[str]:
        """Names of all blobs, in order."""
        return (path.name for path in sorted(self.folder.glob("[0-9a-f][0-9a-f]/*")) if NAME.fullmatch(path.name))

    def path(self, name: str) -> Path:
        """Where a blob lies. Raises StoreError for what is no digest."""
        return self.folder / require_name(name)[:2] / name

"""Commit protocol, file half: a checkpoint is a folder named by the hash of its files.

Files come first: they are written beside, flushed, and moved into place in one step. The store then gets ONE row naming
the hash, and that row ends the stage. A crash in between leaves a folder that the repeated stage finds finished, or a
temporary one that the next start removes.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import uuid
from collections.abc import Callable, Iterable
from pathlib import Path

from safetensors import SafetensorError

from plaudit.errors import IntegrityError, RunError
from plaudit.records.codec import canonical_json, digest

TEMPORARY = ".tmp-"


def commit(root: Path, write: Callable[[Path], None]) -> str:
    """Let `write` fill a folder, and put it under `root` by content. Returns the checkpoint's hash; durable on return.

    Raises RunError when the disk refuses; nothing half-written stays under a final name.
    """
    temporary = root / f"{TEMPORARY}{uuid.uuid4().hex}"
    try:
        temporary.mkdir(parents=True)
        write(temporary)
        name = _name_of(temporary)
        final = root / name
        if not is_intact(root, name):
            shutil.rmtree(final, ignore_errors=True)  # a damaged one, which this mends
            _flush(temporary)
            os.replace(temporary, final)
            flush_folder(root)
    except (OSError, SafetensorError) as error:  # safetensors hides the system's error in its own
        raise RunError(
            "A checkpoint could not be written",
            got=f"{root}: {error}",
            next_step="free disk space and run `plaudit resume`; everything up to the previous stage is kept",
        ) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return name


def locate(root: Path, name: str) -> Path:
    """Folder of a checkpoint, after checking every file against the name. Raises IntegrityError."""
    folder = root / name
    if not folder.is_dir():
        raise IntegrityError("A checkpoint is missing", got=str(folder), next_step="run `plaudit resume RUN --rebuild`")
    found = _name_of(folder)
    if found != name:
        raise IntegrityError(
            "A checkpoint does not match its hash",
            got=f"{folder}: contents hash to {found[:12]}",
            expected=name[:12],
            next_step="run `plaudit resume RUN --rebuild` to repeat the stages from the last intact checkpoint",
        )
    return folder


def is_intact(root: Path, name: str) -> bool:
    """Whether a checkpoint is there and matches its hash."""
    return (root / name).is_dir() and _name_of(root / name) == name


def remove_others(root: Path, keep: Iterable[str]) -> int:
    """Delete all checkpoints, or files, but those named, and leftovers of crashes. Returns the bytes freed."""
    kept = set(keep)
    freed = 0
    for entry in root.iterdir() if root.is_dir() else ():
        if entry.name not in kept:
            freed += sum(file.stat().st_size for file in (entry, *entry.rglob("*")) if file.is_file())
            _remove(entry)
    return freed


def remove_leftovers(root: Path) -> None:
    """Delete what crashes left half-written. Only for the one process that writes here."""
    for entry in root.glob(f"{TEMPORARY}*"):
        _remove(entry)


def _remove(entry: Path) -> None:
    if entry.is_dir():
        shutil.rmtree(entry)
    else:
        entry.unlink()


def _name_of(folder: Path) -> str:
    files = sorted(file for file in folder.rglob("*") if file.is_file())
    return digest(canonical_json([[file.relative_to(folder).as_posix(), _digest_file(file)] for file in files]))


def _digest_file(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _flush(folder: Path) -> None:
    for file in folder.rglob("*"):
        if file.is_file():
            _flush_file(file)
    flush_folder(folder)


def replace(temporary: Path, path: Path) -> None:
    """Put a finished file into its place in one step, on disk when it returns. Raises OSError."""
    _flush_file(temporary)
    os.replace(temporary, path)
    flush_folder(path.parent)


def _flush_file(path: Path) -> None:
    with path.open("rb+") as stream:
        os.fsync(stream.fileno())


def flush_folder(folder: Path) -> None:
    """Flush a folder, so that names which were given in it outlast a power failure."""
    if os.name == "posix":  # Windows cannot open a folder for flushing
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

"""Long columns in pieces: finished rows lie in files that never change, named by their content, and are mapped, not read.

A piece is a safetensors file of some rows of every column, whose arrays begin on page boundaries. Mapped one behind the
other, the pieces of a column are one array in memory, which the system reads where it is looked at and may forget again.
Writing into such an array changes this process's copy only.
"""

from __future__ import annotations

import ctypes
import hashlib
import json
import math
import mmap
import os
import sys
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray
from safetensors import SafetensorError, safe_open

from plaudit.errors import IntegrityError, WorldError
from plaudit.run import checkpoint
from plaudit.run.checkpoint import TEMPORARY, flush_folder
from plaudit.run.directory import RunDirectory

BEHAVIOUR, PIECES = "behaviour.safetensors", "pieces"
"""file of a checkpoint that holds behaviour, and the entry in its header that names further files"""
ROWS = 1024
"""of a piece; a multiple of it fills whole pages with any entries of four bytes and more"""
PICTURE_ROWS = 128
"""of a piece that holds pictures: 13 MB with 8 environments and 64 x 64 pixels, since each save writes what fills none"""
ALIGNED = 65536
"""bytes; a multiple of the page size of all systems that are known"""
KINDS = {"uint8": "U8", "int32": "I32", "int64": "I64", "float32": "F32", "float64": "F64"}
"""numpy's names of types and those of safetensors"""
MAP_FIXED = 0x10
"""of mmap(2) on Linux, macOS and the BSDs; Python's mmap does not have it"""


@dataclass(frozen=True, slots=True)
class Piece:
    """A file of rows, and where each column's begin in it."""

    path: Path
    begins: Mapping[str, int]
    """column -> offset in bytes"""
    rows: int
    """how many"""


def write(folder: Path, columns: Mapping[str, NDArray[Any]]) -> Piece:
    """Keep equally many rows of every column; on disk when it returns. The file is named by the SHA-256 of its content.

    A damaged file of that name is replaced. Raises OSError when the disk refuses; no half file stays under a name.
    """
    header, place = dict[str, Any](), 0
    # in one order whatever the caller's; wide entries first, since those of one byte may not end with a page
    order = sorted(columns, key=lambda name: (-columns[name].itemsize, name))
    columns = {name: columns[name] for name in order}
    for name, column in columns.items():
        header[name] = {
            "dtype": KINDS[str(column.dtype)],
            "shape": column.shape,
            "data_offsets": [place, place + column.nbytes],
        }
        place += column.nbytes
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-(8 + len(text)) % ALIGNED)
    folder.mkdir(parents=True, exist_ok=True)
    temporary = folder / f"{TEMPORARY}{uuid.uuid4().hex}"
    sha = hashlib.sha256()
    try:
        with temporary.open("wb") as stream:
            for part in (len(text).to_bytes(8, "little"), text, *(_bytes(rows) for rows in columns.values())):
                sha.update(part)
                stream.write(part)
            stream.flush()
            os.fsync(stream.fileno())
        name = sha.hexdigest()
        if not is_intact(folder, name):
            os.replace(temporary, folder / name)
    finally:
        temporary.unlink(missing_ok=True)
    flush_folder(folder)
    flush_folder(folder.parent)
    begins = {column: 8 + len(text) + about["data_offsets"][0] for column, about in header.items()}
    return Piece(folder / name, begins, len(next(iter(columns.values()))))


def _bytes(rows: NDArray[Any]) -> memoryview:
    return memoryview(np.ascontiguousarray(rows).data).cast("B")


def is_intact(folder: Path, name: str) -> bool:
    """Whether a piece is there and matches its name."""
    try:
        with (folder / name).open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest() == name
    except OSError:
        return False


def open_piece(folder: Path, name: str) -> tuple[Piece, dict[str, tuple[tuple[int, ...], str]]]:
    """A piece, checked against its name, and shape and type of every column in it.

    Raises IntegrityError when it is missing or was changed.
    """
    path = folder / name
    if not is_intact(folder, name):
        raise IntegrityError(
            "A piece of the recorded behaviour does not match its hash" if path.exists() else "A piece is missing",
            got=str(path),
            next_step="run `plaudit resume RUN --rebuild` to repeat the stages from the last intact checkpoint",
        )
    with path.open("rb") as stream:
        size = int.from_bytes(stream.read(8), "little")
        header = json.loads(stream.read(size))
    kinds = {short: long for long, short in KINDS.items()}
    begins = {column: 8 + size + about["data_offsets"][0] for column, about in header.items()}
    shapes = {c: (tuple(about["shape"]), kinds[about["dtype"]]) for c, about in header.items()}
    return Piece(path, begins, min(shape[0] for shape, _ in shapes.values())), shapes


def pieces_of(path: Path) -> list[str]:
    """Names of the pieces that saved behaviour consists of, next to the file itself. Raises WorldError."""
    try:
        with safe_open(path, "numpy") as file:
            about: dict[str, str] | None = file.metadata()
    except (OSError, SafetensorError) as error:
        raise WorldError("Saved behaviour cannot be read", got=f"{path}: {error}") from error
    return json.loads((about or {}).get(PIECES, "[]"))


def pieces_named(directory: RunDirectory, checkpoint_: str) -> list[str]:
    """Files of behaviour that a checkpoint needs besides its own; none for a reward model. Raises WorldError."""
    path = directory.checkpoints / checkpoint_ / BEHAVIOUR
    return pieces_of(path) if path.exists() else []


def is_whole(directory: RunDirectory, name: str) -> bool:
    """Whether a checkpoint and all that it names are there and match their hashes."""
    if not checkpoint.is_intact(directory.checkpoints, name):
        return False
    return all(is_intact(directory.pieces, piece) for piece in pieces_named(directory, name))


def column(name: str, pieces: Sequence[Piece], rest: NDArray[Any], room: int) -> NDArray[Any]:
    """One array [room, ...]: the rows of the pieces, then those of `rest`, then rows without a meaning.

    Args:
        name: of the column.
        pieces: that begin it.
        rest: [row, ...], rows that follow.
        room: rows of the result, at least as many as there are.
    """
    made = _empty((room, *rest.shape[1:]), rest.dtype)
    done = 0
    for piece in pieces:
        _lay(piece.path, piece.begins[name], made[done : done + piece.rows])
        done += piece.rows
    made[done : done + len(rest)] = rest
    return made


def _empty(shape: tuple[int, ...], kind: DTypeLike) -> NDArray[Any]:
    """Memory on pages of its own, so that files can be mapped over it; it lives as long as views of it."""
    if not CAN_MAP:
        return np.empty(shape, dtype=kind)
    size = math.prod(shape) * np.dtype(kind).itemsize
    region = mmap.mmap(-1, max(1, size), flags=mmap.MAP_PRIVATE | mmap.MAP_ANON)
    return np.frombuffer(region, dtype=kind, count=math.prod(shape)).reshape(shape)


def _lay(path: Path, begin: int, rows: NDArray[Any]) -> None:
    """Let `rows` show what the file holds from `begin` on: mapped where pages allow it, else read."""
    address = rows.ctypes.data
    page = mmap.ALLOCATIONGRANULARITY
    if not CAN_MAP or address % page or begin % page or rows.nbytes % page:
        rows[:] = np.fromfile(path, dtype=rows.dtype, count=rows.size, offset=begin).reshape(rows.shape)
        return
    protection = mmap.PROT_READ | mmap.PROT_WRITE
    with path.open("rb") as stream:
        flags = mmap.MAP_PRIVATE | MAP_FIXED
        found = _libc().mmap(address, rows.nbytes, protection, flags, stream.fileno(), begin)
    if found != address:
        raise OSError(ctypes.get_errno(), "a file cannot be mapped", str(path))


CAN_MAP = sys.platform in ("linux", "darwin") and sys.maxsize > 2**32


def _libc() -> ctypes.CDLL:
    library = ctypes.CDLL(None, use_errno=True)
    whole = ctypes.c_int
    library.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, whole, whole, whole, ctypes.c_int64]
    library.mmap.restype = ctypes.c_void_p
    return library

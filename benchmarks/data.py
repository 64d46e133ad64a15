"""Published data that tests and benchmarks read: where each set comes from (data.toml), and where it lies here.

    python -m benchmarks.data check      which files are here, and whether they are what they should be
    python -m benchmarks.data fetch      download those that are missing

None of it is committed. Sets lie in `shared/data` beside the checkout, or where PLAUDIT_DATA says. A file is known by the
SHA-256 of what it holds, unpacked where its name ends in .gz. A few sets were prepared, and are not to be had by a download.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import os
import sys
import tomllib
import urllib.parse
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

FOLDER = Path(os.environ.get("PLAUDIT_DATA", Path(__file__).parents[2] / "shared" / "data"))


class DataMissingError(Exception):
    """A file of a published set is not here, or is not what it should be. The text says what to do."""


@dataclass(frozen=True, slots=True)
class File:
    """A file of a set."""

    sha256: str
    """of what it holds, unpacked"""
    path: str | None = None
    """in the repository, where it is the same there; packed here where only its name here ends in .gz"""


@dataclass(frozen=True, slots=True)
class Source:
    """Where a set comes from."""

    repository: str
    """owner and name on GitHub"""
    commit: str
    """that the files were taken at"""
    licence: str
    """of the data"""
    files: dict[str, File]
    """that are used, by name in the set's folder"""
    prepared: str = ""
    """how files without a path were made"""


def _source(table: dict[str, Any]) -> Source:
    files = {name: File(**entry) for name, entry in table["files"].items()}
    known: dict[str, Any] = {**table, "files": files}
    return Source(**known)


SETS = {name: _source(table) for name, table in tomllib.loads(Path(__file__).with_suffix(".toml").read_text()).items()}
"""every set, from data.toml, by the name of its folder"""


def find(name: str) -> Path:
    """The local copy of a file, given as "SET/FILE".

    Raises:
        KeyError: no set has such a file.
        DataMissingError: it is not here, or holds something else.
    """
    source, file = _entry(name)
    path = FOLDER / name
    if not path.exists():
        raise DataMissingError(
            f"{name} of {source.repository} is not in {FOLDER}; set PLAUDIT_DATA to a folder that holds it"
            + ("" if file.path is None else ", or run python -m benchmarks.data fetch")
        )
    if _sha256(path) != file.sha256:
        raise DataMissingError(
            f"{path} is not {name} as {source.repository} has it at {source.commit[:10]}: another SHA-256"
        )
    return path


def fetch(name: str) -> Path:
    """Download a file that is missing, and check it; needs a network.

    Raises:
        KeyError: no set has such a file.
        DataMissingError: it was prepared and cannot be downloaded, or what came is something else.
        OSError: the download failed.
    """
    source, file = _entry(name)
    if file.path is None:
        raise DataMissingError(f"{name} cannot be downloaded. It was made from {source.repository}: {source.prepared}")
    address = f"https://raw.githubusercontent.com/{source.repository}/{source.commit}/{urllib.parse.quote(file.path)}"
    with urllib.request.urlopen(address, timeout=60) as answer:
        held = answer.read()
    if name.endswith(".gz") and not file.path.endswith(".gz"):
        held = gzip.compress(held, mtime=0)
    path = FOLDER / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(held)
    try:
        return find(name)
    except DataMissingError:
        path.unlink()
        raise


def names() -> Iterator[str]:
    """Every file, as "SET/FILE"."""
    return (f"{name}/{file}" for name, source in SETS.items() for file in source.files)


def _entry(name: str) -> tuple[Source, File]:
    folder, _, rest = name.partition("/")
    source = SETS[folder]
    return source, source.files[rest]


@cache
def _sha256(path: Path) -> str:
    held = path.read_bytes()
    return hashlib.sha256(gzip.decompress(held) if path.suffix == ".gz" else held).hexdigest()


def main() -> int:
    """Command line; see the module's text."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("verb", choices=("check", "fetch"))
    fetches = parser.parse_args().verb == "fetch"
    failed = 0
    for name in names():
        try:
            (fetch if fetches and not (FOLDER / name).exists() else find)(name)
            print(f"here     {name}")
        except (DataMissingError, OSError) as error:
            failed += 1
            print(f"missing  {name}: {error}")
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())

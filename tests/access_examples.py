"""Browsers and programs that use a studio under test."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import argon2
from fastapi import FastAPI
from fastapi.testclient import TestClient

from plaudit.store.store import Store
from plaudit.studio.access import Access
from plaudit.studio.app import create_app
from plaudit.studio.roles import Permission, Role
from tests.studio_examples import Clock, make_store

HOME = "http://127.0.0.1:8765"
PASSWORD = "correct horse battery"


class Studio:
    """A studio under test, whose time passes when told."""

    def __init__(self, store: Store, **settings: Any) -> None:
        self.clock = Clock()
        self.store = store
        self.access = Access(store, clock=self.clock, **settings)
        self.app: FastAPI = create_app(store, access=self.access)

    def browser(self, base: str = HOME) -> TestClient:
        """A browser that nobody signed in with."""
        return TestClient(self.app, base_url=base, headers={"Origin": base}, raise_server_exceptions=True)

    def enter(self, account: str, role: Role = Role.OWNER) -> TestClient:
        """A browser that came in by a link."""
        browser = self.browser()
        assert browser.get(f"/enter?token={self.access.invite(account, role)}").status_code == 200
        return browser

    def program(self, secret: str) -> TestClient:
        """A program with a key."""
        return TestClient(self.app, base_url=HOME, headers={"Authorization": f"Bearer {secret}"})

    def key(self, *scopes: Permission, account: str = "boss", **more: Any) -> str:
        """The secret of a key that an owner made."""
        wish = {"name": "robot", "scopes": [one.value for one in scopes], **more}
        reply = self.enter(account).post("/api/keys", json=wish)
        assert reply.status_code == 200, reply.text
        return reply.json()["secret"]


@functools.cache
def quick_hasher() -> argon2.PasswordHasher:
    """As the studio's, at a cost that tests can bear."""
    return argon2.PasswordHasher(time_cost=1, memory_cost=64, parallelism=1)


def make_studio(path: Path, **settings: Any) -> Studio:
    return Studio(make_store(path), **settings)

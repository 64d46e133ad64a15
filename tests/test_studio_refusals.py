"""Errors that the studio replies with: each has a code, the list of codes is whole, and every one of them is real."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import plaudit
from plaudit.errors import RecordError
from plaudit.studio import live_child, live_world
from plaudit.studio.refusals import CODES, KNOWN, OTHER, code_of, refusal
from plaudit.studio.roles import Role
from tests.access_examples import Studio, make_studio

HERE = Path(plaudit.__file__).parent
OF_STARLETTE = {"Not Found", "Method Not Allowed"}
CALLS = {"RecordError", "StoreError", "said", "refusal"}
NOT_AT_THE_PAGE = {
    "There is no such role",  # settings
    "Nobody said what to play",
}
PHRASE = st.text(st.characters(codec="utf-8", exclude_characters="."), min_size=1, max_size=30).filter(str.strip)


@pytest.fixture
def studio(tmp_path: Path) -> Iterator[Studio]:
    made = make_studio(tmp_path)
    yield made
    made.store.close()


def test_every_code_stands_for_words_that_something_says() -> None:
    sources = [path for path in HERE.rglob("*.py") if path.name != "refusals.py"]
    text = "\n".join(path.read_text(encoding="utf-8") for path in sources)
    assert [words for words in CODES if words not in text and words not in OF_STARLETTE] == []
    assert OTHER not in CODES.values()
    assert list(KNOWN) == [*sorted(set(CODES.values())), OTHER]


def test_whatever_the_studio_refuses_has_a_code() -> None:
    """What its own modules say, and those that hear the page's wishes for it."""
    paths = [*HERE.glob("studio/*.py"), HERE / "ask/session.py", HERE / "store/signoff.py"]
    said = {words for path in paths if path.name != "refusals.py" for words in _said(path)}
    assert len(said) > 40
    assert {words for words in said if code_of(words) == OTHER} <= NOT_AT_THE_PAGE
    for words in (live_child.STOPPED, live_world.AWAY):
        assert code_of(words) != OTHER


def _said(path: Path) -> Iterator[str]:
    """First arguments of errors, as far as they are written out."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name) or node.func.id not in CALLS:
            continue
        match node.args:
            case [ast.Constant(value=str() as words), *_]:
                yield words.rstrip(".")
            case [ast.JoinedStr(values=[ast.Constant(value=str() as words), *_]), *_]:
                yield words
            case _:
                pass


@given(PHRASE, PHRASE | st.none(), PHRASE | st.none())
def test_what_was_found_is_read_from_the_words(got: str, expected: str | None, next_step: str | None) -> None:
    error = RecordError("The disk is full", got=got, expected=expected, next_step=next_step)
    assert refusal(str(error)) == {"error": str(error), "code": "disk-full", "got": got}


def test_words_without_more_have_nothing_found() -> None:
    assert refusal("Too many people watch this run at once")["got"] is None
    assert refusal("The world failed. ValueError: x")["code"] == "world-stopped"
    assert refusal("Nobody ever said this")["code"] == OTHER


def test_every_reply_that_refuses_has_a_code(studio: Studio) -> None:
    ann, nobody = studio.enter("ann", Role.ANNOTATOR), studio.browser()
    boss = studio.enter("boss")
    elsewhere = {"Origin": "https://evil.example"}
    replies = [
        (nobody.get("/api/me"), 401, "not-signed-in"),
        (nobody.post("/api/login", json={"name": "x", "password": "y"}), 401, "wrong-password"),
        (ann.get("/api/accounts"), 403, "role"),
        (ann.get("/nowhere"), 404, "not-found"),
        (ann.put("/api/me"), 405, "not-found"),
        (boss.delete("/api/keys/key-x"), 404, "not-yours"),
        (boss.patch("/api/accounts/boss", json={"role": "lead"}), 409, "last-owner"),
        (ann.post("/api/undo", json={"submission": "x" * 8}), 409, "undo-late"),
        (ann.post("/api/feedback", content=b"x" * 20_000), 413, "too-long"),
        (ann.get("/api/me", headers={"Host": "evil.example"}), 421, "other-host"),
        (ann.post("/api/session", json={"cue": "dance"}), 422, "unreadable"),
        (ann.post("/api/session", json={"cue": "pause"}, headers=elsewhere), 403, "other-site"),
    ]
    for reply, status, code in replies:
        assert (reply.status_code, reply.json()["code"]) == (status, code), reply.text
        assert set(reply.json()) == {"error", "code", "got"}
    assert replies[2][0].json()["got"] == "annotator"
    late = [nobody.post("/api/login", json={"name": "x", "password": "y"}) for _ in range(5)][-1]
    assert (late.status_code, late.json()["code"]) == (429, "too-often")

"""The run's foundations: run files, seeds, checkpoints, directory."""

import gc
import os
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plaudit.errors import ConfigError, IntegrityError, RunError
from plaudit.run import checkpoint
from plaudit.run.config import from_table, load
from plaudit.run.directory import RunDirectory
from plaudit.run.imports import undisturbed
from plaudit.run.seeds import derive, generator


@dataclass(frozen=True)
class Inner:
    rate: float = 1.0
    sizes: tuple[int, ...] = (2, 3)


@dataclass(frozen=True)
class Outer:
    name: str = "n"
    inner: Inner = field(default_factory=Inner)
    maybe: Inner | None = None
    options: dict[str, object] = field(default_factory=dict)


def test_config_fills_the_tree(tmp_path):
    file = tmp_path / "run.toml"
    file.write_text('name = "x"\n[inner]\nrate = 2\nsizes = [4]\n[maybe]\n[options]\nany = "thing"\n')
    assert load(Outer, file) == Outer("x", Inner(2.0, (4,)), Inner(), {"any": "thing"})


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("nam = 'x'", r"unknown key.*Got: nam.*did you mean `name`"),
        ("[inner]\nrat = 1", r"\[inner\] has an unknown key.*did you mean `rate`"),
        ("[inner]\nrate = 'fast'", r"Inner.rate has the wrong type"),
        ("name = ", r"not valid TOML"),
        ("[inner]\nzzzzzz = 1", r"see the reference"),
    ],
)
def test_config_errors_say_where_and_what_next(tmp_path, text, words):
    file = tmp_path / "run.toml"
    file.write_text(text)
    with pytest.raises(ConfigError, match=words):
        load(Outer, file)


def test_config_that_is_not_there(tmp_path):
    with pytest.raises(ConfigError, match=r"cannot be read.*plaudit init"):
        load(Outer, tmp_path / "none.toml")
    with pytest.raises(ConfigError, match="cannot be read"):
        load(Outer, tmp_path)
    assert from_table(Outer, {}) == Outer()


def test_seeds_depend_on_names_only():
    assert derive(0, "act", 1) == 580055715835981459  # golden: a change here changes every run
    assert derive(0, "act", 1) != derive(0, "act", "11")
    assert derive(0, "a", "b") != derive(0, "ab")
    assert generator(3, "x").integers(1 << 40) == generator(3, "x").integers(1 << 40)


@given(st.integers(), st.text())
def test_seeds_fit_everywhere(seed, name):
    assert 0 <= derive(seed, name) < 2**63


def write(contents):
    def fill(folder: Path) -> None:
        for name, data in contents.items():
            (folder / name).write_bytes(data)

    return fill


def test_checkpoints_are_named_by_content(tmp_path):
    one = checkpoint.commit(tmp_path, write({"a": b"1", "b": b"2"}))
    assert checkpoint.commit(tmp_path, write({"b": b"2", "a": b"1"})) == one
    assert checkpoint.commit(tmp_path, write({"a": b"1"})) != one
    assert (checkpoint.locate(tmp_path, one) / "b").read_bytes() == b"2"
    assert not list(tmp_path.glob(".tmp-*"))


def test_a_damaged_checkpoint_is_found(tmp_path):
    name = checkpoint.commit(tmp_path, write({"a": b"1"}))
    assert checkpoint.is_intact(tmp_path, name)
    (tmp_path / name / "a").write_bytes(b"2")
    assert not checkpoint.is_intact(tmp_path, name)
    with pytest.raises(IntegrityError, match=r"does not match its hash.*--rebuild"):
        checkpoint.locate(tmp_path, name)
    with pytest.raises(IntegrityError, match="missing"):
        checkpoint.locate(tmp_path, "0" * 64)


def test_a_failing_write_leaves_nothing(tmp_path):
    def full(folder: Path) -> None:
        (folder / "half").write_bytes(b"x")
        raise OSError(28, "No space left on device")

    with pytest.raises(RunError, match="No space left"):
        checkpoint.commit(tmp_path, full)
    assert not list(tmp_path.iterdir())


def test_remove_others_keeps_what_is_named(tmp_path):
    keep = checkpoint.commit(tmp_path, write({"a": b"1"}))
    checkpoint.commit(tmp_path, write({"a": b"22"}))
    (tmp_path / ".tmp-left").mkdir()
    assert checkpoint.remove_others(tmp_path, [keep]) == 2
    assert os.listdir(tmp_path) == [keep]
    assert checkpoint.remove_others(tmp_path / "nowhere", []) == 0


def test_one_process_per_directory(tmp_path):
    first, second = RunDirectory(tmp_path / "r"), RunDirectory(tmp_path / "r")
    first.acquire()
    with pytest.raises(RunError, match="Another process"):
        second.acquire()
    first.release()
    second.acquire()
    second.release()
    with pytest.raises(RunError, match="no run in this directory"):
        first.require()
    assert first.contents()["trained policy"][1] == 0


def import_what_is_not_there():
    with undisturbed():
        assert not gc.isenabled()
        raise ImportError("no such module")


@pytest.mark.parametrize("on", [True, False])
def test_imports_leave_the_collector_as_it_was(on):
    before = gc.isenabled()
    try:
        (gc.enable if on else gc.disable)()
        with pytest.raises(ImportError):
            import_what_is_not_there()
        assert gc.isenabled() == on
        assert gc.get_freeze_count()
    finally:
        gc.unfreeze()
        (gc.enable if before else gc.disable)()

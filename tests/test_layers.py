"""The layers of ARCHITECTURE.md: imports only go up the list, and some packages stay free of torch."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import plaudit

LAYERS = (
    "errors", "records", "stats", "ops", "run", "store", "quality", "ask", "client", "models", "engine", "worlds", "exchange", "reward",
    "control", "language", "check", "report", "loop", "studio", "serving", "cli",
)  # fmt: skip
SIBLINGS_ALLOWED: dict[tuple[str, str], str] = {}
SOURCE = Path(plaudit.__file__).parent


def imports_of(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("plaudit."):
            found.add(node.module.split(".")[1])
        elif isinstance(node, ast.Import):
            found |= {alias.name.split(".")[1] for alias in node.names if alias.name.startswith("plaudit.")}
    return found


@pytest.mark.parametrize("path", sorted(SOURCE.rglob("*.py")), ids=lambda p: p.relative_to(SOURCE).as_posix())
def test_imports_only_go_up(path):
    relative = path.relative_to(SOURCE)
    here = relative.parts[0].removesuffix(".py")
    if here == "__init__":
        return  # the front door re-exports from everywhere
    assert here in LAYERS, f"{here} is in no layer; add it to the list here and in ARCHITECTURE.md"
    for other in imports_of(path):
        assert other in LAYERS
        assert LAYERS.index(other) <= LAYERS.index(here), f"{relative} imports {other}, which lies below it"


@pytest.mark.parametrize(
    "package",
    [
        "records",
        "stats",
        "run.config",
        "store.store",
        "exchange.bring",
        "quality.page",
        "ask.session",
        "ask.judging",
        "ask.endpoint",
        "ask.teachers",
        "report",
        "report.gather",
        "studio.app",
        "worlds.media",
    ],
)
def test_stays_free_of_heavy_libraries(package):
    code = (
        f"import plaudit.{package}, sys; "
        "heavy = {'torch', 'jax', 'transformers', 'stable_baselines3'} & set(sys.modules); assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_a_run_imports_nothing_that_it_hardly_ever_needs():
    """Each takes long to load, and a small run takes few seconds."""
    heavy = ["alembic", "scipy.stats", "pandas", "matplotlib", "fastapi", "cryptography", "psycopg"]
    code = f"import plaudit.loop, sys; print(*set({heavy}) & set(sys.modules))"
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "\n"


def test_a_study_of_texts_needs_the_core_only():
    """`pip install plaudit` has neither Gymnasium nor Pillow, nor what teams need to sign in."""
    script = """
import sys
class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {"gymnasium", "PIL", "torch", "mujoco", "argon2", "authlib", "cryptography"}:
            raise ModuleNotFoundError(name, name=name)
sys.meta_path.insert(0, Missing())
import plaudit.cli.studio, plaudit.cli.study, plaudit.cli.import_
"""
    subprocess.run([sys.executable, "-c", script], check=True)

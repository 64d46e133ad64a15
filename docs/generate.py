"""Write the reference pages from the code, or with --check fail when they are out of date.

python docs/generate.py [--check]
"""

from __future__ import annotations

import ast
import dataclasses
import enum
import inspect
import json
import subprocess
import sys
import typing
from pathlib import Path

from plaudit.cli.main import VERBS
from plaudit.loop.config import RunConfig
from plaudit.run.metrics import METRICS

DOCS = Path(__file__).parent


def cli_page() -> str:
    """Every verb with its help."""
    parts = [
        "# Command line\n",
        "`plaudit VERB ...`; exit status 0 done, 1 problems found, 2 an error that is explained, 130 interrupted.\n",
    ]
    for verb, text in VERBS.items():
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "-m", "plaudit.cli.main", verb, "--help"],
            capture_output=True, text=True, check=True, env={"COLUMNS": "100", "NO_COLOR": "1", "TERM": "dumb", "PATH": ""},
        )  # fmt: skip
        lines = "\n".join(line.rstrip() for line in done.stdout.strip().splitlines())
        parts.append(f"## {verb}\n\n{text}.\n\n```text\n{lines}\n```\n")
    return "\n".join(parts)


def metrics_page() -> str:
    """Every metric with its meaning."""
    rows = "\n".join(f"| `{name}` | {meaning} |" for name, meaning in METRICS.items())
    intro = "Names that the field knows are kept (Stable-Baselines3's). All stand in the event log, in `metrics.jsonl` and in the report."
    return f"# Metrics\n\n{intro}\n\n| name | meaning |\n|---|---|\n{rows}\n"


def run_file_page() -> str:
    """Every setting with type, default and meaning."""
    parts = [
        "# Run file\n",
        "TOML. Every setting can be given on the command line as well: `--ask.labels 20`. An unknown key names the nearest known one.\n",
    ]
    _table(RunConfig, "", parts)
    return "\n".join(parts)


def _table(cls: type, prefix: str, parts: list[str]) -> None:
    hints, texts = typing.get_type_hints(cls), field_texts(cls)
    plain: list[str] = []
    nested: list[tuple[str, type]] = []
    for field in dataclasses.fields(cls):
        inner = next(
            (t for t in (hints[field.name], *typing.get_args(hints[field.name])) if dataclasses.is_dataclass(t)), None
        )
        if inner is not None:
            nested.append((field.name, inner))
        plain.append(
            f"| `{field.name}` | {_type(hints[field.name])} | {_default(field)} | {texts.get(field.name, '')} |"
        )
    title = f"## [{prefix}]" if prefix else "## Top level"
    parts.append(
        f"{title}\n\n{(inspect.getdoc(cls) or '').splitlines()[0]}\n\n| key | type | default | meaning |\n|---|---|---|---|\n"
        + "\n".join(plain)
        + "\n"
    )
    for name, inner in nested:
        _table(inner, f"{prefix}.{name}" if prefix else name, parts)


def _type(hint: object) -> str:
    options = (
        [option for option in typing.get_args(hint) if option is not type(None)]
        if typing.get_origin(hint) is not tuple
        else []
    )
    hint = options[0] if options and typing.get_origin(hint) is not dict else hint
    if isinstance(hint, type) and issubclass(hint, enum.Enum):
        return " / ".join(f"`{member.value}`" for member in hint)
    if dataclasses.is_dataclass(hint):
        return "table"
    return str(getattr(hint, "__name__", hint)).replace("|", "\\|")


def _default(field: dataclasses.Field[object]) -> str:
    if field.default is not dataclasses.MISSING:
        value = field.default.value if isinstance(field.default, enum.Enum) else field.default
        return "" if value is None else f"`{json.dumps(list(value) if isinstance(value, tuple) else value)}`"
    return ""


def field_texts(cls: type) -> dict[str, str]:
    """The sentence under each field of a settings class."""
    body = ast.parse(inspect.getsource(cls)).body[0]
    assert isinstance(body, ast.ClassDef)
    found: dict[str, str] = {}
    for before, after in zip(body.body, body.body[1:], strict=False):
        is_text = (
            isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant) and isinstance(after.value.value, str)
        )
        if isinstance(before, ast.AnnAssign) and isinstance(before.target, ast.Name) and is_text:
            found[before.target.id] = " ".join(str(after.value.value).split()).replace("|", "\\|")  # type: ignore[union-attr]
    return found


def main() -> int:
    """Write or compare all pages."""
    pages = {
        "reference/cli.md": cli_page(),
        "reference/metrics.md": metrics_page(),
        "reference/run-file.md": run_file_page(),
    }
    stale = [name for name, text in pages.items() if not (DOCS / name).exists() or (DOCS / name).read_text() != text]
    if "--check" in sys.argv:
        for name in stale:
            print(f"docs/{name} is out of date; run python docs/generate.py")
        return int(bool(stale))
    for name in stale:
        (DOCS / name).parent.mkdir(parents=True, exist_ok=True)
        (DOCS / name).write_text(pages[name])
    print(f"{len(stale)} pages written")
    return 0


if __name__ == "__main__":
    sys.exit(main())

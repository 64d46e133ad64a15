"""Write the reference pages from the code, or with --check fail when they are out of date.

python docs/generate.py [--check] [--skip PAGE ...]
"""

from __future__ import annotations

import argparse
import ast
import contextlib
import dataclasses
import enum
import inspect
import io
import json
import os
import re
import sys
import tomllib
import typing
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import ModuleType
from unittest import mock

from plaudit.check import diagnose, environment, language_model, learned, model_files, text_reward, texts
from plaudit.cli.main import VERBS
from plaudit.cli.main import main as plaudit
from plaudit.loop.config import RunConfig
from plaudit.loop.texts.config import TextRunConfig
from plaudit.run.language_metrics import STAGES
from plaudit.run.metrics import METRICS

DOCS = Path(__file__).parent
BENCHMARKS = DOCS.parent / "benchmarks"


def cli_page() -> str:
    """Every verb with its help."""
    parts = [
        "# Command line\n",
        "`plaudit VERB ...`; exit status 0 done, 1 problems found, 2 an error that is explained, 130 interrupted.\n",
    ]
    for verb, text in VERBS.items():
        parts.append(f"## {verb}\n\n{text}.\n\n```text\n{_help(verb)}\n```\n")
    return "\n".join(parts)


def _help(verb: str) -> str:
    """What `plaudit VERB --help` prints on a terminal of 100 columns without colours."""
    plain = {"COLUMNS": "100", "NO_COLOR": "1", "TERM": "dumb"}
    printed = io.StringIO()
    with mock.patch.dict(os.environ, plain), contextlib.redirect_stdout(printed), contextlib.suppress(SystemExit):
        plaudit([verb, "--help"])
    return "\n".join(line.rstrip() for line in printed.getvalue().strip().splitlines())


def metrics_page() -> str:
    """Every metric with its meaning: of runs, and of each stage of language models."""
    intro = "Names that the field knows are kept (Stable-Baselines3's). All stand in the event log, in `metrics.jsonl` and in the report."
    texts = (
        'What the stages of language models log, stage by stage; TRL\'s names where TRL has the number. "Over" says what a mean '
        "divides by. A rollout may be learned from in several optimiser steps: then the mean over these is told."
    )
    parts = [f"# Metrics\n\n{intro}\n\n{_meanings(METRICS)}", f"## Language models\n\n{texts}\n"]
    return "\n".join([*parts, *(f"### {title}\n\n{_meanings(known)}" for title, known in STAGES.values())])


def _meanings(known: dict[str, str]) -> str:
    rows = "\n".join(f"| `{name}` | {_cell(meaning)} |" for name, meaning in known.items())
    return f"| name | meaning |\n|---|---|\n{rows}\n"


def run_file_page() -> str:
    """Every setting with type, default and meaning."""
    parts = [
        "# Run file\n",
        "TOML. Every setting can be given on the command line as well: `--ask.labels 20`. An unknown key names the nearest known one.\n",
    ]
    _table(RunConfig, "", parts)
    return "\n".join(parts)


def text_run_file_page() -> str:
    """The same of runs that teach a language model."""
    parts = [
        "# Run file of a language model\n",
        "A run file with `[model]` or `[prompts]` teaches a language model. Every setting can be given on the command line as well: "
        "`--ask.labels 20`. An unknown key names the nearest known one.\n",
    ]
    _table(TextRunConfig, "", parts)
    return "\n".join(parts)


def _table(cls: type, prefix: str, parts: list[str]) -> None:
    hints, texts = typing.get_type_hints(cls), field_texts(cls)
    plain: list[str] = []
    nested: list[tuple[str, type]] = []
    for field in dataclasses.fields(cls):
        inner = next(
            (
                t
                for t in (hints[field.name], *typing.get_args(hints[field.name]))
                if isinstance(t, type) and dataclasses.is_dataclass(t)
            ),
            None,
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
    for base in cls.__bases__:
        found |= field_texts(base) if dataclasses.is_dataclass(base) else {}
    for before, after in zip(body.body, body.body[1:], strict=False):
        is_text = (
            isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant) and isinstance(after.value.value, str)
        )
        if isinstance(before, ast.AnnAssign) and isinstance(before.target, ast.Name) and is_text:
            found[before.target.id] = " ".join(str(after.value.value).split()).replace("|", "\\|")  # type: ignore[union-attr]
    return found


@dataclasses.dataclass(frozen=True)
class Message:
    """One thing that a check can say."""

    severity: str
    name: str
    text: str
    advice: str


GROUPS: tuple[tuple[str, ModuleType], ...] = (
    ("Questions and answers", diagnose),
    ("Reward and policy", learned),
    ("Directory of a language model", model_files),
    ("Language model, before it is trained", language_model),
    ("Reward of texts", text_reward),
    ("Runs on texts", texts),
    ("Installation", environment),
)


def troubleshooting_page() -> str:
    """Every check of the doctor: what it asks, what it may say, and what to do then; read from the code of the checks."""
    parts = [
        "# Troubleshooting\n",
        "`plaudit doctor RUN` looks at a run, `--model DIRECTORY` at a language model before it is trained, `--reward FOLDER` at a "
        "reward of texts, `plaudit doctor` alone at this installation. The report shows the findings of its run. "
        "Exit status 1 means that there is a problem. Every check is listed here with all that it can say.\n",
        "For errors there is no list: each says what it got, what it expected and what to do next. What a killed or damaged "
        "run needs is in [Stop, resume, replay](how-to/resume.md).\n",
    ]
    for title, module in GROUPS:
        parts.append(f"## {title}\n")
        for name, (question, messages) in checks(module).items():
            fine = " ".join(dict.fromkeys(m.text for m in messages if m.severity == "ok" and m.text != "…"))
            rows = "\n".join(f"| {m.severity} | {m.text} | {m.advice} |" for m in messages if m.severity != "ok")
            parts.append(f"### {name}\n\n{question}\n")
            parts.append(f"| | finding | what to do |\n|---|---|---|\n{rows}\n" if rows else "")
            parts.append(f"When all is well: {fine}\n" if fine else "")
    return "\n".join(part for part in parts if part)


def checks(module: ModuleType) -> dict[str, tuple[str, list[Message]]]:
    """By name, what a check asks (its docstring) and all findings that it can make; functions of one name are one check."""
    found: dict[str, tuple[str, list[Message]]] = {}
    for node in ast.parse(inspect.getsource(module)).body:
        if isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
            messages: list[Message] = []
            _follow(node.body, {}, messages)
            for message in messages:
                found.setdefault(message.name, (_question(node), []))[1].append(message)
    return found


def _question(function: ast.FunctionDef) -> str:
    """The first line of a check's docstring without what it says of arguments."""
    line = (ast.get_docstring(function) or "").splitlines()[0]
    return " ".join(part for part in re.split(r"(?<=[.?]) ", line) if "[" not in part and not part.startswith("`"))


Known = dict[str, list[str]]
"""names, and the strings that may have been assigned to them"""


def _follow(body: Sequence[ast.stmt], known: Known, messages: list[Message]) -> bool:
    """Collect the findings that statements make; `known` is updated. Returns False when they never reach their end."""
    for statement in body:
        match statement:
            case ast.If(body=then, orelse=other):
                branches = [dict(known), dict(known)]
                ends = [_follow(part, branch, messages) for part, branch in zip((then, other), branches, strict=True)]
                going = [branch for branch, goes_on in zip(branches, ends, strict=True) if goes_on]
                known.clear()
                for name in {name for branch in going for name in branch}:
                    known[name] = list(dict.fromkeys(text for branch in going for text in branch.get(name, [])))
                if not going:
                    return False
            case ast.Try(body=tried, handlers=handlers):
                for handler in handlers:
                    _follow(handler.body, dict(known), messages)
                _follow(tried, known, messages)
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                known[name] = _texts(value, known)
            case _:
                messages += _made(statement, known)
                if isinstance(statement, ast.Return):
                    return False
    return True


def _made(statement: ast.stmt, known: Known) -> Iterator[Message]:
    """The findings that one statement makes."""
    for node in ast.walk(statement):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Finding":
            given = dict(zip(("severity", "name", "message", "evidence", "advice"), node.args, strict=False))
            given |= {keyword.arg: keyword.value for keyword in node.keywords if keyword.arg}
            texts = {name: _texts(value, known) for name, value in given.items()}
            severity, name = " or ".join(dict.fromkeys(texts["severity"])), texts["name"][0].removesuffix(" …")
            for text in texts["message"]:
                yield Message(severity, name, text, " ".join(texts.get("advice", [])))


def _texts(node: ast.expr, known: Known) -> list[str]:
    """The strings that an expression may stand for; what is only known when the check runs becomes an ellipsis."""
    match node:
        case ast.Constant(value=str(text)):
            return [text.replace("|", "\\|")]
        case ast.Attribute(value=ast.Name(id="Severity"), attr=level):
            return [level.lower()]
        case ast.IfExp(body=first, orelse=second):
            return _texts(first, known) + _texts(second, known)
        case ast.JoinedStr(values=pieces):
            text = "".join(_piece(_texts(piece, known)) for piece in pieces)
            return [re.sub(r"…([ .]*…)*\.?", "…", text)]
        case ast.FormattedValue(value=inner):
            return _texts(inner, known)
        case ast.Name(id=name) if name in known:
            return known[name]
        case _:
            return ["…"]


def _piece(choices: list[str]) -> str:
    """A part of a text: as it is, or a choice of words."""
    words = all(len(choice.split()) == 1 for choice in choices)
    return choices[0] if len(choices) == 1 else "/".join(choices) if words else "…"


def results_page() -> str:
    """Every committed result with its command, date, machine and note, and every claim with its figure."""
    parts = [
        "# Results\n",
        "Every figure here is a row of a file under `benchmarks/results/`, which is committed together with the command that "
        "made it. `make claims` compares them with what is claimed.\n",
    ]
    bodies = {path.stem: json.loads(path.read_text()) for path in sorted((BENCHMARKS / "results").glob("*.json"))}
    claims = BENCHMARKS / "claims.toml"
    if claims.exists():
        parts.append(_claims(tomllib.loads(claims.read_text()).get("claim", []), bodies))
    if not bodies:
        parts.append("No results are committed yet.\n")
    parts += [_result(name, body) for name, body in bodies.items()]
    return "\n".join(parts)


def _claims(claims: list[dict[str, typing.Any]], bodies: dict[str, typing.Any]) -> str:
    lines = ["## Claims\n", "| claim | bound | measured | |", "|---|---|---|---|"]
    for claim in claims:
        rows = bodies.get(claim["result"], {"rows": []})["rows"]
        figure = next(
            (
                r[claim.get("use", "value")]
                for r in rows
                if (r["case"], r["metric"]) == (claim["case"], claim["metric"])
            ),
            None,
        )
        met = figure is not None and (
            figure >= claim["bound"] if claim["comparison"] == ">=" else figure <= claim["bound"]
        )
        state = "no result yet" if figure is None else "met" if met else f"**missed** {claim.get('why', '')}".strip()
        bound = f"{claim['comparison']} {claim['bound']:g}"
        lines.append(f"| {_cell(claim['text'])} | {bound} | {_number(figure)} | {_cell(state)} |")
    return "\n".join(lines) + "\n"


def _result(name: str, body: dict[str, typing.Any]) -> str:
    """One results file as a table."""
    machine = ", ".join(
        f"{key.replace('_', ' ')} {value}" for key, value in body["machine"].items() if value is not None
    )
    lines = [
        f"## {name}\n",
        f"{body['asked']}\n",
        f"```sh\n{body['command']}\n```\n",
        f"{body['date']}, commit `{body['commit'][:12]}`; {machine}.\n",
        *([f"{body['note']}\n"] if body["note"] else []),
        "| case | metric | value | interval | runs | unit |",
        "|---|---|---:|---|---:|---|",
    ]
    for row in body["rows"]:
        interval = "" if row["low"] is None else f"{_number(row['low'])} … {_number(row['high'])}"
        figures = f"{_number(row['value'])} | {interval} | {row['n']} | {_cell(row['unit'])}"
        lines.append(f"| {_cell(row['case'])} | {_cell(row['metric'])} | {figures} |")
    return "\n".join(lines) + "\n"


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


PAGES: dict[str, Callable[[], str]] = {
    "reference/cli.md": cli_page,
    "reference/metrics.md": metrics_page,
    "reference/run-file.md": run_file_page,
    "reference/text-run-file.md": text_run_file_page,
    "results.md": results_page,
    "troubleshooting.md": troubleshooting_page,
}


def main(arguments: Sequence[str]) -> int:
    """Write or compare the pages; with --check the exit status is 1 when one is out of date."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing")
    parser.add_argument("--skip", nargs="*", default=[], metavar="PAGE", help="pages to leave alone")
    given = parser.parse_args(arguments)
    texts = {name: page() for name, page in PAGES.items() if name not in given.skip}
    stale = [name for name, text in texts.items() if not (DOCS / name).exists() or (DOCS / name).read_text() != text]
    if given.check:
        for name in stale:
            print(f"docs/{name} is out of date; run python docs/generate.py")
        return int(bool(stale))
    for name in stale:
        (DOCS / name).parent.mkdir(parents=True, exist_ok=True)
        (DOCS / name).write_text(texts[name])
    print(f"{len(stale)} pages written")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""The documentation says what the code does: names, settings, verbs, links, and pages that are made from the code."""

import dataclasses
import importlib.util
import re
import sys
import typing
from pathlib import Path

import pytest

from plaudit.cli.main import VERBS
from plaudit.loop.config import RunConfig
from plaudit.loop.run import Run
from plaudit.loop.texts.config import TextRunConfig
from plaudit.run.language_metrics import STAGES
from plaudit.run.metrics import METRICS
from plaudit.store.store import Store
from tests.loop_examples import small

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
TEXTS = sorted([*DOCS.rglob("*.md"), ROOT / "README.md", ROOT / "README.zh-CN.md", ROOT / "ARCHITECTURE.md"])


@pytest.fixture(scope="module")
def generate():
    spec = importlib.util.spec_from_file_location("docs_generate", DOCS / "generate.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def settings(cls, prefix=""):
    """Every setting with its dotted name."""
    hints = typing.get_type_hints(cls)
    for field in dataclasses.fields(cls):
        inner = [t for t in (hints[field.name], *typing.get_args(hints[field.name])) if dataclasses.is_dataclass(t)]
        yield cls, f"{prefix}{field.name}"
        if inner:
            yield from settings(inner[0], f"{prefix}{field.name}.")


def test_generated_pages_are_current(generate, capsys):
    # results.md changes with every benchmark that is committed
    assert generate.main(["--check", "--skip", "results.md"]) == 0, capsys.readouterr().out


def test_a_stale_page_is_found(generate, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(generate, "DOCS", tmp_path)
    monkeypatch.setattr(generate, "PAGES", {"reference/metrics.md": generate.metrics_page})
    assert generate.main(["--check"]) == 1
    assert "out of date" in capsys.readouterr().out
    assert generate.main([]) == 0
    assert generate.main(["--check"]) == 0


def test_every_metric_of_a_run_is_explained(tmp_path):
    with Run.create(small(), tmp_path / "run") as run:
        run.finish()
    with Store.open(tmp_path / "run" / "store.sqlite") as store:
        stages = [event.payload for event in store.events(kinds={"stage.completed"})]
    logged = {name for stage in stages for name in stage["metrics"]}
    assert {"act/env_steps", "reward/accuracy_heldout", "train/critic_loss", "check/return_mean"} <= logged
    assert logged <= set(METRICS)


def test_every_metric_that_a_text_names_exists():
    known = set(METRICS).union(*(names for _, names in STAGES.values()))
    areas = "|".join(sorted({name.split("/")[0] for name in known if "/" in name}))
    named = {
        (path.name, name)
        for path in TEXTS
        for name in re.findall(rf"`((?:{areas})/[a-z_]+)`", path.read_text())
        if not (ROOT / "src" / "plaudit" / name).exists()
    }
    assert {name for _, name in named if name not in known} == set()


def test_every_verb_is_documented():
    page = (DOCS / "reference" / "cli.md").read_text()
    for verb, meaning in VERBS.items():
        assert f"## {verb}\n\n{meaning}" in page
        assert f"usage: plaudit {verb}" in page


def test_every_setting_has_a_sentence(generate):
    for config, file in ((RunConfig, "run-file.md"), (TextRunConfig, "text-run-file.md")):
        page = (DOCS / "reference" / file).read_text()
        for cls, name in settings(config):
            text = generate.field_texts(cls).get(name.rsplit(".", 1)[-1])
            assert text, f"{name} has no sentence"
            assert text in page


def test_every_check_of_the_doctor_is_listed(generate):
    page = (DOCS / "troubleshooting.md").read_text()
    for _, module in generate.GROUPS:
        for name, (question, messages) in generate.checks(module).items():
            assert f"### {name}\n\n{question}" in page
            assert all(message.advice for message in messages if message.severity in ("problem", "warning")), name


def test_results_are_rendered_with_all_that_it_takes_to_repeat_them(generate, tmp_path, monkeypatch):
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "speed.json").write_text(
        '{"asked": "How fast?", "command": "python -m benchmarks.speed", "commit": "0123456789abcdef", "date": "2026-01-02",'
        ' "machine": {"processor": "x", "cores": 2, "memory_gib": null}, "note": "quiet", "rows": ['
        '{"case": "a|b", "metric": "seconds", "value": 1.23456, "low": 1.0, "high": 2.0, "n": 5, "unit": "s"}]}'
    )
    claim = (
        '[[claim]]\ntext = "fast"\nresult = "speed"\ncase = "a|b"\nmetric = "seconds"\ncomparison = "<="\nbound = 1.0\n'
    )
    (tmp_path / "claims.toml").write_text(claim + 'missed = true\nwhy = "slow disk"\n')
    monkeypatch.setattr(generate, "BENCHMARKS", tmp_path)
    page = generate.results_page()
    assert "| a\\|b | seconds | 1.235 | 1 … 2 | 5 | s |" in page
    assert "| fast | <= 1 | 1.235 | **missed** slow disk |" in page
    for part in (
        "How fast?",
        "python -m benchmarks.speed",
        "2026-01-02, commit `0123456789ab`; processor x, cores 2.",
        "quiet",
    ):
        assert part in page


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_links_resolve(path):
    text = re.sub(r"```.*?```", "", path.read_text(), flags=re.DOTALL)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if "://" in target:
            continue
        file, _, anchor = target.partition("#")
        found = path if not file else path.parent / file
        assert found.exists(), f"{target} does not exist"
        if anchor:
            titles = re.findall(r"^#+ (.+)$", found.read_text(), flags=re.MULTILINE)
            assert anchor in {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}, target


def test_every_page_is_in_the_navigation():
    listed = set(re.findall(r"[\w/-]+\.md", (ROOT / "mkdocs.yml").read_text()))
    assert listed == {path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md")}

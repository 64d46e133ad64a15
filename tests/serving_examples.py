"""Stores with people's answers, and trainings of a tiny model on them, for tests of what leaves plaudit."""

from __future__ import annotations

import uuid
from pathlib import Path

from plaudit.cli.main import main
from plaudit.records import AnnotatorKind, AnnotatorProfile, Choice, Comparison, Query, QueryKind, TextSegment
from plaudit.run.directory import RunDirectory
from plaudit.store.signoff import SignOff, Verdict, sign, subject
from plaudit.store.store import Store
from tests.language_words import language_model
from tests.store_examples import RUN

PROMPTS = ("what is it ?", "say so .", "the sea ?", "is it so ?", "what ?", "say the sea .", "one ?", "two ?")
PEOPLE = 7


def base_of(folder: Path) -> Path:
    """A tiny model's directory."""
    language_model(folder=folder)
    return folder


def store_of(folder: Path) -> Path:
    """Seven people and a teacher compare `good .` with `bad .`; six of the people say where they are from."""
    folder.mkdir(parents=True)
    with Store.create(RunDirectory(folder).store, RUN) as store:
        for number in range(PEOPLE):
            traits = {"region": "north" if number < 5 else "south"} if number < 6 else None
            store.add_annotator(AnnotatorProfile(f"secret-{number}", AnnotatorKind.PERSON, traits=traits))
        store.add_annotator(AnnotatorProfile("teacher", AnnotatorKind.SIMULATED))
        for number, prompt in enumerate(PROMPTS):
            good, bad = TextSegment(prompt, "good ."), TextSegment(prompt, "bad .")
            query = Query(QueryKind.COMPARISON, (good.id, bad.id), (0, 1), 0, number, "x")
            store.add_segments([good, bad])
            store.add_queries([query])
            who = f"secret-{number}" if number < PEOPLE else "teacher"
            store.add_feedback([Comparison(id=f"c{number}", query=query.id, annotator=who, choice=Choice.FIRST)])
    (folder / "config.json").write_text("{}")
    return folder


def train(stage: str, store: Path, base: Path, out: Path, *words: str) -> Path:
    """One stage of `plaudit train`, a few steps of it."""
    model = ["--model.path", str(base), "--model.lora.rank", "4", "--threads", "1"]
    assert main(["train", stage, "--store", str(store), "--out", str(out), *model, *words]) == 0
    return out


def align(store: Path, base: Path, out: Path) -> Path:
    """A few steps of direct alignment."""
    sizes = ("--direct.steps", "4", "--direct.batch-size", "4", "--direct.update.learning-rate", "1e-2")
    return train("direct", store, base, out, *sizes)


def signed(folder: Path, check: str) -> None:
    """A reviewer accepts a check of a store."""
    with Store.open(RunDirectory(folder).store) as store:
        said = SignOff(
            check=check, verdict=Verdict.ACCEPTED, comment="looked", reviewer="acc_7", subject=subject(store)
        )
        sign(store, uuid.uuid4(), said)

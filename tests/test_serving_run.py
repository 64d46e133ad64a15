"""The model of a run: exported with what its log says, signed or not; served, and asked about into the run's own queue."""

from __future__ import annotations

import uuid

import pytest
import yaml

from plaudit.ask.sent import CHAT
from plaudit.engine.model import LanguageModel
from plaudit.errors import RunError
from plaudit.loop import Run
from plaudit.records import Message
from plaudit.run.directory import RunDirectory
from plaudit.serving.export import ExportConfig, export_model
from plaudit.serving.history import model_in
from plaudit.serving.judging import open_queue, put
from plaudit.store.signoff import USUAL, SignOff, Verdict, sign, subject
from plaudit.store.store import Store
from tests.text_runs import small


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A run of one round that was taught by a simulated annotator."""
    path = tmp_path_factory.mktemp("serving") / "run"
    with Run.create(small(loop={"rounds": 1}), path) as run:
        with pytest.raises(RunError, match="not finished"):
            model_in(path)
        run.finish()
    return path


def test_the_card_of_a_run_has_its_figures_and_its_sign_off(finished, tmp_path):
    card = (export_model(finished, tmp_path / "open").directory / "README.md").read_text()
    front = yaml.safe_load(card.split("---\n")[1])
    assert front["tags"][:2] == ["plaudit", "rlhf"]
    assert front["library_name"] == "transformers"
    assert "**Not released.** These checks are open" in card
    assert "| comparison | simulated |" in card
    assert "| KL to the start, nats per answer | " in card
    assert "| Wins over the start by the true reward | not measured |" not in card
    assert str(finished.parent) not in card
    with Store.open(RunDirectory(finished).store) as store:
        for check in USUAL:
            said = SignOff(
                check=check.name, verdict=Verdict.ACCEPTED, comment="fine", reviewer="acc_9", subject=subject(store)
            )
            sign(store, uuid.uuid4(), said)
    card = (export_model(finished, tmp_path / "signed").directory / "README.md").read_text()
    assert "All checks were accepted" in card
    assert "acc_9" not in card


def test_a_runs_model_opens_and_its_queue_takes_questions(finished, tmp_path):
    merged = export_model(finished, tmp_path / "merged").directory
    assert LanguageModel.load(merged).adapter is None
    kept = export_model(finished, tmp_path / "kept", ExportConfig(adapter=True)).directory
    assert LanguageModel.load(kept).adapter == "default"
    assert LanguageModel.load(model_in(finished)).tokenizer.chat_template
    queue = open_queue(finished, policy="chat/run")
    query = put(queue, (Message("user", "hello"),), ("one", "two"))
    assert [one.id for one in queue.store.unanswered() if one.strategy == CHAT] == [query.id]
    queue.store.close()
    with Run.open(finished) as run:  # and the run itself is none the worse
        assert run.position is None

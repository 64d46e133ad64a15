"""The model card: says what the summary says, puts what is open at the top, and takes what people wrote as plain text."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator

import pytest

from plaudit.quality import table
from plaudit.quality.audit import audit
from plaudit.quality.groups import groups
from plaudit.records import AnnotatorKind, AnnotatorProfile, Choice, Comparison
from plaudit.report.card import Card, model_card, plain
from plaudit.report.verdict import sign_off
from plaudit.store.signoff import SignOff, Verdict, name_check, sign, standings, subject
from plaudit.store.store import Store
from tests.report_examples import lifelike
from tests.study_examples import study_store


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    with study_store(tmp_path_factory.mktemp("card")) as store:
        yield store


def signed(store: Store, check: str, verdict: Verdict, comment: str) -> None:
    said = SignOff(check=check, verdict=verdict, comment=comment, reviewer="rev", subject=subject(store))
    sign(store, uuid.uuid4(), said)


def card_of(store: Store) -> str:
    material = table.read(store)
    traits = groups(material, table.comparisons(material))
    return model_card(Card(lifelike()[0], audit(store), traits, standings(store), lambda account: f"Dr {account}"))


def test_what_is_open_stands_at_the_top_worst_first(store: Store) -> None:
    assert sign_off(standings(store)).startswith("Sign-off is open: privacy (not signed)")
    signed(store, "privacy", Verdict.ACCEPTED, "no names")
    signed(store, "domain", Verdict.REJECTED, "<script>x</script> | *not*\n# sound")
    top, rest = card_of(store).split("## What was trained")
    assert re.findall(r"> - \*\*(\w+)\*\*, (\w+)", top) == [("domain", "REJECTED"), ("safety", "not")]
    assert r"&lt;script&gt;x&lt;/script&gt; \| \*not\* # sound" in top
    assert "<script>" not in top + rest
    rows = [line for line in rest.splitlines() if line.startswith("| privacy")]
    assert "accepted | Dr rev" in rows[0]


def test_figures_and_groups_are_those_of_the_summary_and_the_audit(store: Store) -> None:
    text = card_of(store)
    assert "| north | 6 | 72 |" in text
    assert "south" not in text
    assert "Groups of fewer than 5 people are not shown." in text
    assert re.search(r"\| Reward model agrees with answers it never saw \| \d+\s%( \(\d+\s% to \d+\s%\))? \|", text)
    assert re.search(r"\| Return per episode \| .+ \(.+ to .+\) \|", text)


def test_language_models_that_judged_are_told_of(tmp_path) -> None:
    with study_store(tmp_path) as store:
        assert re.search(r"- Annotators: \d+ people, \d+ simulated$", card_of(store), re.MULTILINE)
        store.add_annotator(AnnotatorProfile("judge-1", AnnotatorKind.JUDGE))
        asked = store.queries()[0]
        store.add_feedback([Comparison(id="j", query=asked.id, annotator="judge-1", choice=Choice.FIRST)])
        assert "simulated; language models that judged: 1" in card_of(store)


def test_a_card_without_open_checks_says_so(store: Store) -> None:
    for check in ("privacy", "safety", "domain"):
        signed(store, check, Verdict.ACCEPTED, "fine")
    assert "All checks were accepted" in card_of(store).split("## What was trained")[0]
    assert sign_off(standings(store)) == "All checks were signed."
    name_check(store, "legal", "Licences")
    assert "**legal**, not signed" in card_of(store)


def test_plain_text_stays_in_its_line() -> None:
    assert plain("a\n\n# b\t|c") == r"a # b \|c"

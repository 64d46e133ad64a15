"""The audit of a store: everybody is called what they are, and what is not known has a reason."""

import dataclasses
import re
from html.parser import HTMLParser

import numpy as np
import pytest

from plaudit.cli.main import main
from plaudit.quality import table as tables
from plaudit.quality import words
from plaudit.quality.audit import AuditConfig, audit
from plaudit.quality.drawing import Scale, element, forest, histogram
from plaudit.quality.gold import Verdict, set_gold
from plaudit.quality.page import render
from plaudit.records import (
    AnnotatorKind,
    AnnotatorProfile,
    Choice,
    Flag,
    Level,
    Query,
    QueryKind,
    Rating,
    StepFeedback,
)
from plaudit.stats.intervals import Interval
from plaudit.stats.undefined import Undefined
from plaudit.store.store import Store
from tests.quality_examples import Person, crowd_store
from tests.store_examples import RUN, add_segments, answer, make_store, question

QUICK = AuditConfig(resamples=50, draws=20)
HOSTILE = "<script>alert(1)</script>[bold]"
PEOPLE = (
    *(Person(f"good{i}") for i in range(5)),
    Person("biased", bias=1.5),
    Person("random", mode="random"),
    Person("left", mode="left"),
    Person("alternate", mode="alternate"),
    Person("copier", mode="copies:good1"),
    Person(HOSTILE, seconds=0.2),
)


def test_other_aspects_and_levels_are_other_questions(tmp_path):
    with Store.create(tmp_path / "store.sqlite", RUN) as store:
        first, second = (one.id for one in add_segments(store, 2))
        subjects = [{}, {"aspect": "style"}, {"level": Level.EPISODE}]
        for index, subject in enumerate(subjects):
            rated = Query(QueryKind.RATING, (first,), (0,), 0, index, "x", levels=5, **subject)
            scored = Query(QueryKind.STEPS, (first,), (0,), 0, index, "x", **subject)
            compared = Query(QueryKind.COMPARISON, (first, second), (0, 1), 0, index, "x", **subject)
            again = dataclasses.replace(compared, index=index + 3, id="")
            store.add_queries([rated, scored, compared, again])
            for name in ("a", "b"):
                said = {"query": rated.id, "annotator": name, "value": index, "levels": 5}
                scores = {"query": scored.id, "annotator": name, "steps": (1,), "scores": (index / 2,)}
                choice = Choice.FIRST if index else Choice.SECOND
                store.add_feedback([Rating(id=f"r{index}{name}", **said), StepFeedback(id=f"s{index}{name}", **scores)])
                store.add_feedback([answer(one, name, choice) for one in (compared, again)])
        material = tables.read(store)
        assert tables.ratings(material, 5).tolist() == [[0, 0], [1, 1], [2, 2]]
        assert tables.steps(material).tolist() == [[0, 0], [0.5, 0.5], [1, 1]]
        table = tables.comparisons(material)
        assert (table.labels.items, table.data.items) == (3, 6)
        classes = tables.classes(table)
        assert np.array_equal(classes[1], classes[2])
        assert set(classes[0]) != set(classes[1])
        found = audit(store, QUICK)
        assert (found.repeats.pairs, found.repeats.same.value) == (6, 1.0)
        assert found.agreement[1].alpha.value == 1.0


def test_flags_agree_by_the_difference_of_their_severities(tmp_path):
    with Store.create(tmp_path / "store.sqlite", RUN) as store:
        first, second = (one.id for one in add_segments(store, 2))
        given = {("speed", first): (0.0, 0.5), ("speed", second): (1.0, 1.0), ("contact", first): (0.0, 0.0)}
        for index, ((constraint, segment), severities) in enumerate(given.items()):
            asked = Query(QueryKind.FLAG, (segment,), (0,), 0, index, "x", constraint=constraint)
            store.add_queries([asked])
            for name, severity in zip("ab", severities, strict=True):
                said = {"query": asked.id, "annotator": name, "constraint": constraint, "severity": severity}
                span = {"start": 1, "end": 2} if severity else {}
                store.add_feedback([Flag(id=f"{name}{index}", **said, **span)])
        store.add_feedback([Flag(id="c", query=asked.id, annotator="c", constraint="contact")])  # a skip
        assert tables.flags(tables.read(store)).tolist() == [[0.0, 0.5], [1.0, 1.0], [0.0, 0.0]]
        found = audit(store, QUICK)
        assert found.other == 0
        (agreement,) = found.agreement
        assert agreement.kind == "severity of flags, by difference"
        # by hand: observed 2 * .25 / 6, expected the mean squared difference of all 15 pairs of 0, .5, 1, 1, 0, 0
        expected = (6 * 1.0 + 3 * 0.25 + 2 * 0.25) / 15
        assert agreement.alpha.value == pytest.approx(1 - (2 * 0.25 / 6) / expected)


@pytest.fixture(scope="module")
def crowd(tmp_path_factory):
    folder = tmp_path_factory.mktemp("crowd")
    with crowd_store(folder, PEOPLE, questions=120, gold=25) as store:
        yield folder, audit(store, QUICK), store


def by_name(found):
    return {one.name: one for one in found.annotators}


def test_everybody_is_called_what_they_are(crowd):
    _, found, _ = crowd
    named = by_name(found)
    suspected = {name for name, one in named.items() if one.suspicions}
    assert {"biased", "left", "alternate", HOSTILE} <= suspected
    assert not suspected & {f"good{i}" for i in range(5)}
    assert [(first, second) for first, second, _ in found.copies] == [("good1", "copier")]
    assert named["left"].gold.verdict is Verdict.STOPPED
    assert named["left"].side.share.value == 1.0
    assert isinstance(named["left"].side.log_odds, Undefined)
    assert named["biased"].side.log_odds.low > 0.3
    assert "runs" in named["alternate"].suspicions[-1]
    assert named[HOSTILE].bursts[0].length == 120
    assert min(named[f"good{i}"].reliability.value for i in range(5)) > named["random"].reliability.value
    assert min(named[f"good{i}"].accuracy.value for i in range(5)) > named["random"].accuracy.high
    assert len(found.suspicions) == sum(len(one.suspicions) for one in found.annotators) + 1


def test_overall_figures(crowd):
    _, found, _ = crowd
    assert (found.answers, found.skipped, found.questions, found.other) == (1320, 0, 120, 0)
    (agreement,) = found.agreement
    assert agreement.alpha.low < agreement.alpha.value < agreement.alpha.high
    assert found.overlap_ceiling.low <= found.overlap_ceiling.high
    assert found.repeats.pairs > 100
    assert found.consensus.pairs == agreement.questions
    assert found.intransitivity.p_cyclic > 0.04
    assert found.side.log_odds.low > 0


def test_the_same_store_gives_the_same_audit(crowd):
    folder, found, store = crowd
    shown = render(found, title="run", gold=QUICK.gold)
    assert render(audit(store, QUICK), title="run", gold=QUICK.gold) == shown
    with Store.open(folder / "store.sqlite") as again:
        assert render(audit(again, QUICK), title="run", gold=QUICK.gold) == shown
    other = dataclasses.replace(QUICK, seed=1)
    assert audit(store, other).agreement[0].alpha != found.agreement[0].alpha


class Tags(HTMLParser):
    def __init__(self):
        super().__init__()
        self.seen = []

    def handle_starttag(self, tag, attrs):
        self.seen.append((tag, dict(attrs)))


def test_the_page_is_one_file_and_cannot_be_broken_out_of(crowd):
    _, found, _ = crowd
    text = render(found, title="a <b> & c", gold=QUICK.gold)
    page = Tags()
    page.feed(text)
    tags = [tag for tag, _ in page.seen]
    assert "script" not in tags
    assert "b" not in tags
    assert tags.count("svg") == 5
    assert not [attrs for _, attrs in page.seen if set(attrs) & {"src", "href", "onload", "onclick"}]
    assert "&lt;script&gt;" in text
    assert "<script" not in text
    for one in found.annotators:
        assert one.name == HOSTILE or one.name in text


def test_command(crowd, capsys, monkeypatch):
    folder, found, _ = crowd
    monkeypatch.setenv("COLUMNS", "300")
    assert main(["audit", "quality", str(folder)]) == 1
    printed = capsys.readouterr().out
    assert HOSTILE in printed
    for sentence in found.suspicions:
        assert sentence in printed
    assert "<script" not in (folder / "audit.html").read_text()
    assert main(["audit", "verify", str(folder)]) == 0
    assert main(["audit", "quality", str(folder / "nothing")]) == 2


def test_one_annotator_and_what_cannot_be_known(tmp_path, capsys):
    with crowd_store(tmp_path, [Person("one")], segments=40, questions=30) as store:
        found = audit(store, QUICK)
    (one,) = found.annotators
    assert isinstance(one.gold, Undefined)
    assert one.accuracy == Undefined("who is right needs at least three annotators")
    assert one.reliability == Undefined("reliabilities need at least two annotators")
    assert isinstance(found.consensus, Undefined)
    assert isinstance(found.overlap_ceiling, Undefined)
    assert not found.suspicions
    text = render(found, title="run", gold=QUICK.gold)
    assert "Nobody is suspected." in text
    assert one.gold.reason in text
    assert main(["audit", "quality", str(tmp_path)]) == 0
    assert "who is right needs at least" in " ".join(capsys.readouterr().out.split())


def test_a_store_without_answers(tmp_path):
    with Store.create(tmp_path / "store.sqlite", RUN) as store:
        found = audit(store, QUICK)
    assert (found.answers, found.annotators, found.agreement) == (0, (), ())
    for value in (found.side, found.repeats, found.intransitivity, found.consensus, found.overlap_ceiling):
        assert isinstance(value, Undefined)
    assert "Annotators" in render(found, title="run", gold=QUICK.gold)


def test_few_meetings_of_segments_give_no_values(tmp_path):
    with crowd_store(tmp_path, [Person("a"), Person("b")], segments=60, questions=20) as store:
        found = audit(store, QUICK)
    assert "compared" in found.annotators[0].reliability.reason
    assert not isinstance(found.side.log_odds, Undefined)


def test_skips_ties_ratings_and_steps(tmp_path):
    with make_store(tmp_path) as store:
        compare, rate = store.queries()
        (first, *_) = store.segments(list(compare.segments)).values()
        store.add_annotator(AnnotatorProfile("bot", AnnotatorKind.SIMULATED))
        store.add_feedback([answer(compare, "bot", Choice.SKIP), answer(compare, "third", Choice.TIE)])
        store.add_feedback([Rating(id="r2", query=rate.id, annotator="bot", value=2, levels=5)])
        steps = Query(QueryKind.STEPS, (first.id,), (0,), 0, 9, "uniform")
        store.add_queries([steps])
        for name, scores in (("ann", (1.0, 0.0)), ("bot", (1.0, 0.5))):
            made = StepFeedback(id=f"s{name}", query=steps.id, annotator=name, steps=(0, 2), scores=scores)
            store.add_feedback([made])
        found = audit(store, QUICK)
        material = tables.read(store)
    named = by_name(found)
    assert [one.kind for one in found.annotators] == ["person", "simulated", "unknown"]
    assert material.is_person("third")
    assert not material.is_person("bot")
    assert (named["bot"].skipped, named["third"].ties, found.skipped) == (1, 1, 1)
    assert isinstance(named["third"].side, Undefined)
    assert isinstance(named["third"].bursts, Undefined)
    assert [one.kind.split(",")[0] for one in found.agreement] == ["comparisons", "ratings 1 to 5", "scores of steps"]
    assert [one.questions for one in found.agreement] == [1, 1, 2]
    # steps 0: 1, 1; step 2: 0, .5: D_o = .25 * 2 / 4, D_e over 1, 1, 0, .5
    assert found.agreement[2].alpha.value == pytest.approx(1 - 3 * 0.5 / 5.5)
    assert tables.ratings(material, 5).tolist() == [[3.0, 2.0]]


def test_sides_and_repeats_by_hand(tmp_path):
    with Store.create(tmp_path / "store.sqlite", RUN) as store:
        first, second = sorted(add_segments(store, 2), key=lambda one: one.id)
        # (order in the question, order on the screen): the screen shows first | second, then swapped
        asked = [
            question(0, first, second), Query(QueryKind.COMPARISON, (first.id, second.id), (0, 1), 0, 1, "uniform"),
            Query(QueryKind.COMPARISON, (second.id, first.id), (0, 1), 1, 0, "uniform"),
        ]  # fmt: skip
        store.add_queries(asked)
        store.add_feedback([answer(asked[0], choice=Choice.SECOND), answer(asked[1]), answer(asked[2])])
        found = tables.comparisons(tables.read(store))
        one = audit(store, QUICK).annotators[0]
    assert found.labels.item.tolist() == [0, 0, 0]
    assert found.labels.label.tolist() == [tables.SECOND, tables.FIRST, tables.SECOND]
    assert found.data.side.tolist() == [1, 1, 1]  # always what was shown first
    assert (one.repeats.pairs, one.repeats.same.value, one.repeats.counts) == (2, 0.0, (0, 2))
    assert one.repeats.swapped_bias.value == np.inf  # both pairs were swapped, and both took the first twice


def test_ratings_on_gold(tmp_path):
    with make_store(tmp_path) as store:
        set_gold(store, {store.queries()[1].id: 3})
        found = audit(store, QUICK)
    assert (found.annotators[0].gold.right, found.annotators[0].gold.answered) == (1, 1)


def test_drawings():
    scale = Scale(0.0, 1.0, (0.0, 1.0))
    assert scale.across(-5.0) == scale.across(0.0) < scale.across(0.5) < scale.across(1.0) == scale.across(9.0)
    assert scale.write(0.5) == "0.5"
    drawn = forest([("x" * 40, Interval(0.5, 0.2, 0.9))], scale, title="t", reference=0.5)
    assert [one.text for one in drawn.iter("text")][-1] == "x" * 23 + "\u2026"
    bars = list(histogram([1.0, 1.0, 2.0], 1.5, title="t").iter("rect"))
    assert len(bars) == 2
    assert len(list(histogram([1.0], 1.0, title="t").iter("rect"))) == 1
    mixed = element("p", None, "a", element("b", None, "c"), "d", "e")
    assert (mixed.text, mixed[0].tail) == ("a", "de")


def test_words_name_every_column(crowd):
    _, found, _ = crowd
    assert all(len(words.annotator(one)) == len(words.ANNOTATOR_COLUMNS) for one in found.annotators)
    assert not re.search(r"Undefined|nan|None", " ".join(text for _, text in words.overall(found)))

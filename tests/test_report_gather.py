"""A run's log becomes a summary: what is there is counted right, what is not there stays unknown."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from plaudit.check.learned import noise_ceiling
from plaudit.records import (
    AnnotatorKind,
    AnnotatorProfile,
    Choice,
    Comparison,
    Rating,
    StepFeedback,
    from_json,
    to_json,
)
from plaudit.report import answers, reward
from plaudit.report import gather as gather_module
from plaudit.report.gather import gather
from plaudit.report.source import Source
from plaudit.report.summary import Estimate, Summary
from plaudit.report.write import examine, first_frame, shown_clips, write_report
from plaudit.stats.intervals import mean_interval, wilson
from plaudit.store.store import Store
from tests.report_runs import CONFIG, FakeRun


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A finished run and what its report says."""
    path = tmp_path_factory.mktemp("finished")
    run = FakeRun(path, choices={0: Choice.TIE, 1: Choice.SKIP})
    with run.write() as store:
        yield store, path, gather(store, path)


def test_answers_are_counted(finished):
    ask = finished[2].ask
    assert (ask.asked, ask.answered, ask.skipped, ask.ties, ask.waiting) == (24, 23, 1, 1, 0)
    assert ask.kind == "comparison"
    assert [(one.strategy, one.asked, one.answered) for one in ask.strategies] == [
        ("uniform", 8, 7),
        ("disagreement", 16, 16),
    ]
    assert (ask.people, ask.human_seconds, ask.simulated_seconds) == (0, None, 24 * 4.0)


def test_annotators_are_counted_by_what_stood_first(finished):
    store, _, summary = finished
    queries = {query.id: query for query in store.queries()}
    sides = [
        queries[a.query].shown.index(0 if a.choice is Choice.FIRST else 1)
        for _, a in store.feedback()
        if a.choice in (Choice.FIRST, Choice.SECOND)
    ]
    (one,) = summary.ask.annotators
    assert (one.annotator, one.kind, one.decided, one.ties) == ("teacher", "simulated", 22, 1)
    assert one.chose_shown_first == sides.count(0)


def test_questions_are_spread_over_the_run(finished):
    questions = finished[2].ask.questions
    assert len(questions) == 6
    assert (questions[0].round, questions[-1].round) == (1, 3)
    assert [clip.label for clip in questions[0].clips] == ["first", "second"]
    assert questions[0].replies[0].answer == "tie"


def test_rounds_count_from_one_and_hold_what_their_stages_logged(finished):
    first, second, last = finished[2].rounds
    assert [one.number for one in (first, second, last)] == [1, 2, 3]
    assert (first.labels_total, first.asked, first.answered, first.skipped, first.ties) == (8, 8, 7, 1, 1)
    assert first.env_steps == 300
    assert last.env_steps is None
    assert first.seconds == 10.0
    assert last.policy == "2p" * 8
    assert last.learned_return_mean == 30.0


def test_returns_come_with_students_interval(finished):
    check = finished[2].check
    expected = mean_interval(np.array([-160.0, -150.0, -140.0]))
    assert check.returns is not None
    assert (check.returns.value, check.returns.low, check.returns.high, check.returns.n) == (
        -150.0,
        expected.low,
        expected.high,
        3,
    )


def test_the_fraction_is_taken_between_random_and_oracle(finished):
    fraction = finished[2].check.fraction
    assert fraction.value == pytest.approx((-150 + 1200) / (-150 + 1200))
    assert fraction.low == pytest.approx((finished[2].check.returns.low + 1200) / 1050)


def test_accuracy_comes_with_wilsons_interval(finished):
    learn = finished[2].learn
    assert learn.accuracy.n == 24
    assert learn.accuracy.value == pytest.approx(22 / 24)
    assert learn.accuracy.low == wilson(22, 24).low
    assert sum(one.right.n for one in learn.reliability) == 24
    assert learn.correlation == 0.93


def test_the_noise_ceiling_follows_from_the_known_teacher(finished):
    store, _, summary = finished
    true = {}
    for query in store.queries():
        first, second = (store.segment_data(store.segment(name)).true_rewards.sum() for name in query.segments)
        true[query.id] = first - second
    decided = [true[a.query] for _, a in store.feedback() if a.choice in (Choice.FIRST, Choice.SECOND)]
    assert summary.learn.noise_ceiling == pytest.approx(noise_ceiling(np.array(decided), 2.0, 0.1))


def test_the_noise_ceiling_knows_mistakes_and_does_not_guess_at_discounts(finished, tmp_path, monkeypatch):
    plain = finished[2].learn.noise_ceiling
    for extra, expected in (({"mistake": 0.2}, 0.2 + 0.6 * plain), ({"discount": 0.9}, None)):
        ask = CONFIG["ask"] | {"teacher": CONFIG["ask"]["teacher"] | extra}
        monkeypatch.setitem(CONFIG, "ask", ask)
        path = tmp_path / str(expected)
        with FakeRun(path, choices={0: Choice.TIE, 1: Choice.SKIP}).write() as store:
            assert gather(store, path).learn.noise_ceiling == (expected and pytest.approx(expected))
        monkeypatch.undo()


def test_losses_of_members_are_averaged(finished):
    learn = finished[2].learn
    assert learn.history_step == (0, 1, 2, 3, 4)
    assert learn.history_train == (1,) * 5
    assert learn.history_heldout == (0.5,) * 5


def test_provenance_names_head_settings_versions_and_time(finished):
    store, _, summary = finished
    known = summary.provenance
    assert (known.events, known.head) == store.head()
    settings = {one.name: one.value for one in known.settings}
    assert settings["world.id"] == '"Pendulum-v1"'
    assert settings["policy.sac.net"] == "[16, 16]"
    assert [one.name for one in known.versions] == ["plaudit"]
    assert len(known.stages) == 15
    assert (known.stages[0].seconds, known.stages[0].cpu_seconds) == (2.0, 1.5)


def test_act_names_the_algorithm_and_orders_the_clips(finished):
    act = finished[2].act
    assert (act.world, act.algorithm, act.envs, act.horizon) == ("Pendulum-v1", "SAC", 2, None)
    assert [clip.label for clip in act.clips] == ["before", "after"]
    assert act.clips[0].missing == "not rendered yet"
    assert act.segments == 24 * 2 + 2


def test_gathering_twice_gives_the_same(finished):
    store, path, summary = finished
    assert gather(store, path) == summary


def test_the_summary_reads_back_from_its_json(finished):
    assert from_json(Summary, json.loads(json.dumps(to_json(finished[2])))) == finished[2]


def test_both_files_say_the_same(tmp_path, monkeypatch):
    monkeypatch.setattr("tests.report_runs.HORIZON", 4)
    with FakeRun(tmp_path, labels_per_round=3).write() as store:
        summary = write_report(store, tmp_path)
    assert from_json(Summary, json.loads((tmp_path / "report.json").read_text())) == summary
    html = (tmp_path / "report.html").read_text()
    assert "swing &lt;up&gt; &amp; stay" in html
    assert html.count("data:image/webp;base64,") == 2 * len(shown_clips(summary))
    assert all(clip.missing is None for clip in shown_clips(summary))
    assert not list(tmp_path.glob(".*.tmp"))


def test_clips_that_cannot_be_drawn_say_why(tmp_path, monkeypatch):
    monkeypatch.setattr("tests.report_runs.HORIZON", 5)
    run = FakeRun(tmp_path, rounds=1, labels_per_round=1, returns=[[1.0, 2.0]])
    with run.write() as store:
        for clip in shown_clips(gather(store, tmp_path)):
            store.add_job("render", {"segment": clip.segment}, f"render/{clip.segment}")
            store.finish_job(store.job(f"render/{clip.segment}").id, error="WorldError: no picture")
        summary = write_report(store, tmp_path)
    assert {clip.missing for clip in shown_clips(summary)} == {"could not be rendered: WorldError: no picture"}
    assert "could not be rendered" in (tmp_path / "report.html").read_text()


def test_a_video_that_is_no_picture_stays_out_of_the_page(tmp_path):
    with FakeRun(tmp_path, rounds=1, labels_per_round=0).write() as store:
        for clip in shown_clips(gather(store, tmp_path)):
            store.add_job("render", {"segment": clip.segment}, f"render/{clip.segment}")
            blob = store.blobs.put(b"<script>alert(1)</script>")
            store.finish_job(store.job(f"render/{clip.segment}").id, result={"blob": blob, "mime": "text/html"})
        write_report(store, tmp_path)
    html = (tmp_path / "report.html").read_text()
    assert "text/html" not in html
    assert "the video is not in the run" in html


def test_a_picture_that_cannot_be_read_has_no_first_frame():
    assert first_frame(b"no picture") is None


def test_a_run_that_has_just_begun_has_a_report(tmp_path):
    with Store.create(tmp_path / "store.sqlite", {"format": 1, "config": {"name": "new"}, "versions": {}}) as store:
        summary = write_report(store, tmp_path)
    assert summary.verdict.startswith("Nothing has been measured yet")
    assert (summary.rounds, summary.check.returns, summary.learn.accuracy) == ((), None, None)


def test_a_run_under_way_says_so(tmp_path):
    with FakeRun(tmp_path, rounds=2, planned=5).write() as store:
        summary = gather(store, tmp_path)
    assert (summary.rounds_done, summary.rounds_planned) == (2, 5)
    assert summary.verdict.startswith("After 2 of 5 rounds: ")
    assert summary.check.return_oracle is None
    assert summary.check.fraction is None


def test_time_of_people_is_theirs_alone(tmp_path):
    ada = AnnotatorProfile("ada", AnnotatorKind.PERSON)
    with FakeRun(tmp_path, annotator=ada, seconds=2.5).write() as store:
        summary = gather(store, tmp_path)
    assert (summary.ask.people, summary.ask.human_seconds, summary.ask.simulated_seconds) == (1, 60.0, None)


def test_times_that_nobody_took_stay_unknown(tmp_path):
    with FakeRun(tmp_path, seconds=None).write() as store:
        summary = gather(store, tmp_path)
    assert (summary.ask.human_seconds, summary.ask.simulated_seconds) == (None, None)


def test_a_half_written_line_of_timing_is_left_out(tmp_path):
    with FakeRun(tmp_path).write() as store:
        with (tmp_path / "timing.jsonl").open("a") as stream:
            stream.write('{"round": 2, "stage": "check", "seco')
        assert gather(store, tmp_path).rounds[-1].seconds == 10.0


def test_examine_gives_the_findings_of_the_report(finished):
    store, path, summary = finished
    assert tuple(examine(store, path)) == summary.check.findings


def groups(*counts: int) -> list[reward.Group]:
    return [reward.Group(0.5 + 0.4 * i / len(counts), 0.8 * count, count) for i, count in enumerate(counts)]


def test_small_groups_are_joined_with_their_neighbours():
    (first, second) = reward.reliability(groups(5, 5, 5, 2))
    assert (first.right.n, second.right.n) == (10, 7)
    assert first.confidence == pytest.approx(0.55)
    assert first.right.value == pytest.approx(0.8)
    assert first.right.low == wilson(8, 10).low


def test_a_last_group_that_is_too_small_joins_the_one_before():
    assert [one.right.n for one in reward.reliability(groups(6, 3))] == [9]
    assert reward.reliability(groups(3, 2)) == ()
    assert reward.reliability([]) == ()


def test_many_answers_make_six_groups():
    assert [one.right.n for one in reward.reliability(groups(*[20] * 18))] == [60] * 6


def test_the_dots_of_the_scatter_are_a_sample_without_broken_values():
    learned, true = np.arange(2000.0), np.arange(2000.0)
    learned[3] = np.nan
    dots = reward._sample(learned, true)
    assert len(dots[0]) == 500
    assert (dots[0][0], dots[0][-1]) == (0, 1999)
    np.testing.assert_array_equal(*dots)


def test_an_oracle_that_is_no_better_than_random_gives_no_fraction(tmp_path):
    with replace(FakeRun(tmp_path), oracle=-1300.0).write() as store:
        summary = gather(store, tmp_path)
    assert summary.check.return_oracle == -1300.0
    assert summary.check.fraction is None


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (Rating(id="f", query="q", annotator="a", value=3, levels=5), "4 of 5"),
        (Rating(id="f", query="q", annotator="a", levels=5), "skip"),
        (StepFeedback(id="f", query="q", annotator="a", steps=(1, 4), scores=(1.0, 0.0)), "2 steps judged"),
        (StepFeedback(id="f", query="q", annotator="a", steps=(), scores=()), "skip"),
        (Comparison(id="f", query="q", annotator="a", choice=Choice.TIE), "tie"),
    ],
)
def test_answers_of_all_kinds_have_words(answer, words):
    assert answers._in_words(answer) == words


def test_without_its_blob_a_return_is_the_logged_mean_alone(tmp_path):
    with FakeRun(tmp_path, rounds=1).write() as store:
        for file in (tmp_path / "blobs").rglob("*"):
            if file.is_file():
                file.unlink()
        source = Source(store).read()
        assert source.last_artefact("check", "returns") == {}
        assert gather_module._returns(source, source.rows) == ()
    assert gather_module._estimate((), -800.0) == Estimate(-800.0)
    assert gather_module._estimate((), None) is None
    assert gather_module._estimate((3.0,), 3.0) == Estimate(3.0, n=1)


def test_a_clip_that_waits_for_the_media_worker_says_so(finished):
    store, path, summary = finished
    clip = summary.ask.questions[2].clips[1]
    store.add_job("render", {"segment": clip.segment}, f"render/{clip.segment}")
    assert gather_module.find_clip(store, "second", clip.segment).missing == "waits to be rendered"
    assert gather(store, path).ask.questions[2].clips[1].blob is None

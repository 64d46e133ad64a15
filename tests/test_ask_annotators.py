"""Simulated annotators of every kind of feedback: each fault by itself, then together, then many of them."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import spearmanr

from plaudit.ask import Attempt, Careless, CrowdConfig, Group, Setting, Source, Teacher, TeacherConfig, draw_crowd
from plaudit.ask.critique import Rules
from plaudit.ask.faults import lapse_after, pick, turned
from plaudit.ask.perception import Seen, liked
from plaudit.ask.teacher_remarks import changed
from plaudit.ask.timing import decision_seconds
from plaudit.errors import ConfigError, RecordError
from plaudit.records import (
    Choice,
    Comparison,
    Correction,
    Critique,
    Demonstration,
    Flag,
    Note,
    Query,
    QueryKind,
    Ranking,
    Rating,
    SegmentData,
    canonical_json,
    digest,
    to_json,
)
from plaudit.stats.choice import mean_decision_seconds
from plaudit.stats.ranking import Comparisons
from plaudit.stats.reliability import crowd_bradley_terry

EXACT = TeacherConfig(temperature=0.0, low=0.0, high=1.0)


def segment(*rewards: float, observations: list[float] | None = None, actions: list[float] | None = None):
    steps = len(rewards)
    return SegmentData(
        observations=np.array([observations or [0.0] * steps], np.float32).T,
        actions=np.array([actions or [0.0] * steps], np.float32).T,
        true_rewards=np.array(rewards, dtype=np.float64),
    )


def query(kind: str = "comparison", index: int = 0, *, count: int = 0, shown: tuple[int, ...] = (), **more) -> Query:
    count = count or QueryKind(kind).segments
    return Query(
        kind=QueryKind(kind),
        segments=tuple("abcdefgh"[:count]),
        shown=shown or tuple(range(count)),
        round=0,
        index=index,
        strategy="uniform",
        **more,
    )


def share(config: TeacherConfig, first, second, *, choice: Choice, count: int = 3000, shown=(0, 1)) -> float:
    teacher = Teacher(config, seed=3)
    return float(
        np.mean([teacher.answer(query(index=i, shown=shown), [first, second]).choice is choice for i in range(count)])
    )


def every_answer(configs, kinds=("comparison", "rating", "steps")) -> str:
    rng, found = np.random.default_rng(5), []
    for config in configs:
        teacher = Teacher(config, seed=4, name="golden")
        for kind in kinds:
            for i in range(40):
                count = 2 if kind == "comparison" else 1
                asked = Query(
                    kind=QueryKind(kind),
                    segments=("a", "b")[:count],
                    shown=(1, 0) if count == 2 else (0,),
                    round=i % 3,
                    index=i,
                    strategy="uniform",
                    levels=4 if kind == "rating" else None,
                )
                shown = [
                    SegmentData(
                        observations=np.zeros((6, 1), np.float32),
                        actions=np.zeros((6, 1), np.float32),
                        true_rewards=rng.normal(size=6),
                    )
                    for _ in range(count)
                ]
                found.append(to_json(teacher.answer(asked, shown)))
    return digest(canonical_json(found))


def test_answers_of_the_older_settings_are_what_they_were():
    # the digest was taken from the code before there were other faults (commit eea874d)
    scale = TeacherConfig(low=-1.0, high=1.0)
    settings = (
        {},
        {"temperature": 0.0},
        {"lapse": 0.3, "skip": 0.2},
        {"mistake": 0.3, "equal": 0.1, "skip_below": 0.45, "discount": 0.9},
    )
    found = every_answer([dataclasses.replace(scale, **one) for one in settings])
    assert found == "e162dd4e004073854d9d28e5a1a92581aec1da8c8b5fa156b2826e73699ee94e"


def test_taste_adds_weighted_parts():
    one = segment(1.0, 2.0, observations=[3.0, -1.0], actions=[0.5, 0.5])
    seen = Seen(
        one.true_rewards,
        {"comfort": np.array([10.0, 20.0])},
        {"observation": one.observations, "action": one.actions},
    )
    assert liked(seen, {}) is seen.rewards
    taste = {"observation/0": 2.0, "action/0": -1.0, "comfort": 0.1}
    assert liked(seen, taste).tolist() == pytest.approx([1 + 6 - 0.5 + 1, 2 - 2 - 0.5 + 2])
    assert liked(seen, {"reward": 0.0, "comfort": 1.0}).tolist() == [10.0, 20.0]
    assert liked(seen, {"reward": 0.0, "whim/x": 1.0}).tolist() == liked(seen, {"reward": 0.0, "whim/x": 1.0}).tolist()
    assert not np.allclose(seen.part("whim/x"), seen.part("whim/y"))
    with pytest.raises(RecordError, match="does not show"):
        seen.part("observation/1")
    with pytest.raises(RecordError, match="comfort"):
        seen.part("speed")


def test_a_whim_is_a_wave_of_mean_zero_and_variance_one():
    features = np.random.default_rng(0).normal(size=(4000, 6)) * 4
    values = np.concatenate([Seen(np.zeros(4000), {}, {"observation": features}).part(f"whim/{k}") for k in range(20)])
    assert abs(values.mean()) < 0.1
    assert values.std() == pytest.approx(1.0, abs=0.05)


def test_taste_turns_the_choice_and_measure_supplies_parts():
    left, right = segment(1.0, observations=[0.0]), segment(0.0, observations=[2.0])
    assert share(EXACT, left, right, choice=Choice.FIRST, count=3) == 1
    fond = dataclasses.replace(EXACT, taste={"observation/0": 1.0})
    assert share(fond, left, right, choice=Choice.SECOND, count=3) == 1
    measured = Teacher(
        dataclasses.replace(EXACT, taste={"calm": 1.0}),
        seed=0,
        setting=Setting(measure=lambda data: {"calm": -2.0 * data.true_rewards}),
    )
    assert measured.answer(query(), [left, right]).choice is Choice.SECOND


def test_tastes_that_cancel_are_incomparable():
    config = dataclasses.replace(EXACT, taste={"observation/0": 1.0}, incomparable=0.2)
    teacher = Teacher(config, seed=0)

    def choice(reward: float, liking: float) -> Choice:
        return teacher.answer(query(), [segment(reward), segment(0.0, observations=[liking])]).choice

    # 1 for the first, 0.9 for the second: 0.1 of 1.9 is left; 1 and 0.5: 0.5 of 1.5
    assert choice(1.0, 0.9) is Choice.INCOMPARABLE
    assert choice(1.0, 0.5) is Choice.FIRST
    assert choice(1.0, -0.9) is Choice.FIRST
    with pytest.raises(ConfigError, match="nothing that could disagree"):
        TeacherConfig(incomparable=0.1)


def test_side_bias_is_in_units_of_reward_and_follows_the_screen():
    config = TeacherConfig(temperature=2.0, side=1.0)
    same = segment(0.3), segment(0.3)
    expected = 1 / (1 + np.exp(-0.5))  # 0.622; three standard errors are 0.027
    assert share(config, *same, choice=Choice.FIRST) == pytest.approx(expected, abs=0.03)
    assert share(config, *same, choice=Choice.SECOND, shown=(1, 0)) == pytest.approx(expected, abs=0.03)


def test_length_bias_counts_steps():
    long, short = segment(0.0, 0.0, 0.0), segment(0.2)
    assert share(EXACT, long, short, choice=Choice.SECOND, count=3) == 1
    assert share(dataclasses.replace(EXACT, length=0.2), long, short, choice=Choice.FIRST, count=3) == 1


def test_fatigue_turns_attention_into_lapses_by_the_place_in_the_session():
    config = dataclasses.replace(EXACT, fatigue=0.01, lapse=0.1)
    assert lapse_after(config, 0) == pytest.approx(0.1)
    assert lapse_after(config, 100) == pytest.approx(1 - 0.9 * 0.99**100)
    teacher = Teacher(dataclasses.replace(EXACT, fatigue=0.01), seed=0)
    pair = [segment(1.0), segment(0.0)]
    right = [teacher.answer(query(index=i), pair).choice is Choice.FIRST for i in range(4000)]
    assert np.mean(right[:20]) > 0.9
    assert np.mean(right[2000:]) == pytest.approx(0.5, abs=0.04)
    rested = Teacher(
        dataclasses.replace(EXACT, fatigue=0.01),
        seed=0,
        setting=Setting(place=lambda asked: (asked.index // 10, asked.index % 10)),
    )
    assert np.mean([rested.answer(query(index=i), pair).choice is Choice.FIRST for i in range(2000)]) > 0.95


def test_nobody_careless_looks_and_stretches_are_whole():
    pair = [segment(1.0), segment(0.0)]
    spam = Teacher(dataclasses.replace(EXACT, careless=1.0, careless_as=Careless.FIRST), seed=0)
    assert spam.answer(query(shown=(1, 0)), pair).choice is Choice.SECOND
    assert spam.answer(query(shown=(0, 1)), pair).choice is Choice.FIRST
    assert spam.answer(query(), pair).response_seconds < 0.2 * 4.0
    hurried = Teacher(dataclasses.replace(EXACT, careless=0.3, stretch=10), seed=0)
    fast = np.array([hurried.answer(query(index=i), pair).response_seconds < 0.8 for i in range(1000)]).reshape(100, 10)
    assert np.all(fast == fast[:, :1])
    assert 0.15 < fast.mean() < 0.45


def test_what_the_careless_pick():
    rng = np.random.default_rng(0)
    assert [pick(Careless.ALTERNATE, 5, number, rng) for number in range(3)] == [0, 4, 0]
    assert (pick(Careless.FIRST, 5, 1, rng), pick(Careless.LAST, 5, 0, rng)) == (0, 4)
    assert {pick(Careless.RANDOM, 3, 0, rng) for _ in range(50)} == {0, 1, 2}


def test_copies_repeat_their_source_under_their_own_name():
    noisy = TeacherConfig(temperature=3.0)
    source = Teacher(noisy, seed=0, name="source")
    copy = Teacher(noisy, seed=0, name="copy", source=Source(source, 0.8))
    alone = Teacher(noisy, seed=0, name="copy")
    pair = [segment(0.1), segment(0.0)]
    asked = [query(index=i) for i in range(1000)]
    choices = [[t.answer(q, pair).choice for q in asked] for t in (source, copy, alone)]
    same = np.mean([a is b for a, b in zip(choices[0], choices[1], strict=True)])
    assert same == pytest.approx(0.9, abs=0.04)  # 0.8 copied, and half of the others by chance
    assert all(b in (a, c) for a, b, c in zip(*choices, strict=True))
    answer = copy.answer(asked[0], pair)
    assert answer.annotator == "copy"
    assert answer.id != source.answer(asked[0], pair).id
    assert copy.profile.description.endswith("copies 0.8 from source")


def test_rankings_order_by_return():
    asked = query("ranking", count=4)
    segments = [segment(0.2), segment(0.9), segment(0.5), segment(0.25)]
    teacher = Teacher(EXACT, seed=0)
    assert teacher.answer(asked, segments).ranks == (3, 0, 1, 2)
    vague = Teacher(dataclasses.replace(EXACT, equal=0.1), seed=0)
    assert vague.answer(asked, segments).ranks == (2, 0, 1, 2)
    wrong = Teacher(dataclasses.replace(EXACT, mistake=1.0), seed=0)
    assert wrong.answer(asked, segments).ranks == (0, 3, 2, 1)
    assert Teacher(dataclasses.replace(EXACT, skip=1.0), seed=0).answer(asked, segments).ranks == ()
    assert teacher.answer(asked, [segment(0.5)] * 4).ranks == (0, 0, 0, 0)


def test_a_ranking_of_two_errs_like_a_comparison():
    teacher = Teacher(TeacherConfig(temperature=1.0), seed=0)
    pair = [segment(1.0), segment(0.0)]
    right = np.mean([teacher.answer(query("ranking", i), pair).ranks == (0, 1) for i in range(3000)])
    assert right == pytest.approx(1 / (1 + np.exp(-1.0)), abs=0.03)


def test_critiques_name_the_longest_good_and_bad_stretches():
    teacher = Teacher(EXACT, seed=0)
    said = teacher.answer(query("critique"), [segment(0.9, 0.5, 0.9, 0.8, 0.1, 0.5, 0.0)])
    assert said.notes == (Note(text="good", start=2, end=4), Note(text="bad", start=4, end=5))
    assert teacher.answer(query("critique"), [segment(0.5, 0.6)]).notes == (Note(text="good"),)
    wrong = Teacher(dataclasses.replace(EXACT, mistake=1.0), seed=0)
    assert [note.text for note in wrong.answer(query("critique"), [segment(0.9, 0.1)]).notes] == ["bad", "good"]
    fond = Teacher(dataclasses.replace(EXACT, taste={"action/0": 1.0}), seed=0)
    said = fond.answer(query("critique"), [segment(0.1, 0.1, actions=[0.0, 0.9])])
    assert said.notes == (Note(text="good", start=1, end=2, aspect="action/0"), Note(text="bad", start=0, end=1))
    with pytest.raises(RecordError, match="one segment"):
        teacher.answer(query("critique", count=2), [segment(0.5), segment(0.5)])


def test_flags_say_how_bad_the_worst_step_is_and_where():
    setting = Setting(measure=lambda data: {"speed": data.observations[:, 0].astype(np.float64)})
    asked = query("flag", constraint="speed")
    fast = segment(*[0.0] * 6, observations=[0.0, 0.2, 0.7, 0.0, 0.3, 0.0])
    teacher = Teacher(EXACT, seed=0, setting=setting)
    answer = teacher.answer(asked, [fast])
    assert (answer.constraint, answer.severity, answer.start, answer.end) == ("speed", pytest.approx(0.7), 1, 3)
    calm = teacher.answer(asked, [segment(0.0)])
    assert (calm.severity, calm.start) == (0.0, None)
    wrong = Teacher(dataclasses.replace(EXACT, mistake=1.0), seed=0, setting=setting)
    assert wrong.answer(asked, [segment(0.0)]).severity == 1.0
    with pytest.raises(RecordError, match="speed"):
        Teacher(EXACT, seed=0).answer(asked, [fast])


ATTEMPTS = (
    Attempt("poor", segment(0.1, 0.1, actions=[0.0, 1.0])),
    Attempt("rich", segment(0.5, 0.9, actions=[0.0, 2.0])),
)


def test_demonstrations_are_a_boltzmann_choice_of_attempts():
    asked = [query("demonstration", index) for index in range(2000)]
    setting = Setting(attempts=lambda _: ATTEMPTS)
    own = [segment(0.0, 0.0)]
    assert Teacher(EXACT, seed=0, setting=setting).answer(asked[0], own).segment == "rich"
    wrong = Teacher(dataclasses.replace(EXACT, mistake=1.0), seed=0, setting=setting)
    assert wrong.answer(asked[0], own).segment == "poor"
    noisy = Teacher(TeacherConfig(temperature=1.0), seed=0, setting=setting)
    rich = np.mean([noisy.answer(one, own).segment == "rich" for one in asked])
    assert rich == pytest.approx(1 / (1 + np.exp(-1.2)), abs=0.03)
    with pytest.raises(RecordError, match="nothing to show"):
        Teacher(EXACT, seed=0).answer(asked[0], own)
    nothing = Teacher(EXACT, seed=0, setting=Setting(attempts=lambda _: ()))
    assert nothing.answer(asked[0], own).segment is None


def test_corrections_change_what_is_worse_and_nothing_else():
    asked, setting = query("correction"), Setting(attempts=lambda _: ATTEMPTS)
    teacher = Teacher(EXACT, seed=0, setting=setting)
    answer = teacher.answer(asked, [segment(0.2, 0.3, actions=[0.0, 0.0])])
    assert (answer.segment, answer.start, answer.end) == ("rich", 1, 2)
    fine = teacher.answer(asked, [segment(1.0, 1.0)])
    assert (fine.segment, fine.start) == (None, None)
    assert changed(segment(1.0, 1.0, 1.0), segment(1.0)) == (1, 3)
    assert changed(segment(1.0), segment(0.0)) == (None, None)


@pytest.mark.parametrize("how", list(Careless))
@pytest.mark.parametrize("kind", list(QueryKind))
def test_every_kind_has_a_careless_a_lapsing_and_a_skipping_answer(kind, how):
    config = dataclasses.replace(EXACT, careless_as=how)
    setting = Setting(
        measure=lambda data: {"speed": np.abs(data.observations[:, 0]).astype(np.float64)}, attempts=lambda _: ATTEMPTS
    )
    more = {QueryKind.RATING: {"levels": 5}, QueryKind.FLAG: {"constraint": "speed"}}.get(kind, {})
    asked = query(kind.value, count=3 if kind is QueryKind.RANKING else 0, **more)
    segments = [segment(0.2, 0.9)] * len(asked.segments)
    for fault in ({"careless": 1.0}, {"lapse": 1.0}, {"skip": 1.0}, {"mistake": 1.0}, {"decision_seconds": 2.0}):
        teacher = Teacher(dataclasses.replace(config, **fault), seed=0, setting=setting)
        answer = teacher.answer(asked, segments)
        assert answer == teacher.answer(asked, segments)
        assert (answer.query, answer.annotator) == (asked.id, "teacher")
        assert answer.response_seconds is not None
        assert answer.response_seconds > 0


@given(
    answer=st.one_of(
        st.builds(
            Comparison, id=st.just("i"), query=st.just("q"), annotator=st.just("a"), choice=st.sampled_from(Choice)
        ),
        st.builds(
            Rating,
            id=st.just("i"),
            query=st.just("q"),
            annotator=st.just("a"),
            value=st.integers(0, 4),
            levels=st.just(5),
        ),
        st.permutations(range(4)).map(lambda ranks: Ranking(id="i", query="q", annotator="a", ranks=tuple(ranks))),
        st.sampled_from((0.0, 0.25, 1.0, None)).map(
            lambda severity: Flag(id="i", query="q", annotator="a", constraint="speed", severity=severity)
        ),
        st.sampled_from(("good", "bad")).map(
            lambda word: Critique(id="i", query="q", annotator="a", notes=(Note(text=word),))
        ),
        st.sampled_from((Demonstration, Correction)).map(
            lambda cls: cls(id="i", query="q", annotator="a", segment="s")
        ),
    )
)
def test_a_mistake_about_a_mistake_is_right(answer):
    assert turned(turned(answer)) == answer


def test_decision_times_have_the_mean_of_the_closed_form():
    middles = (np.arange(4000) + 0.5) / 4000
    for odds in (0.0, 0.5, -3.0, 20.0):
        found = np.mean([decision_seconds(odds, 1.5, uniform) for uniform in middles[::4]])
        assert found == pytest.approx(float(mean_decision_seconds(odds, 1.5)), rel=0.01)


def test_clear_questions_are_answered_faster_and_choices_stay():
    timed = TeacherConfig(temperature=1.0, decision_seconds=4.0, motor_seconds=1.0)
    plain = TeacherConfig(temperature=1.0)
    pairs = {"hard": [segment(0.0), segment(0.0)], "easy": [segment(6.0), segment(0.0)]}
    means = {}
    for name, pair in pairs.items():
        answers = [Teacher(timed, seed=0).answer(query(index=i), pair) for i in range(600)]
        others = [Teacher(plain, seed=0).answer(query(index=i), pair) for i in range(600)]
        assert [one.choice for one in answers] == [one.choice for one in others]
        means[name] = np.mean([one.response_seconds for one in answers])
    assert means["hard"] == pytest.approx(1.0 + 4.0, rel=0.1)
    assert means["easy"] == pytest.approx(1.0 + 2 * 4.0 * np.tanh(3.0) / 6.0, rel=0.1)
    exact = Teacher(dataclasses.replace(timed, temperature=0.0), seed=0)
    assert exact.answer(query(), pairs["easy"]).response_seconds == pytest.approx(1.0, abs=0.02)


def test_a_crowd_is_drawn_by_name_and_says_the_truth():
    config = CrowdConfig(
        honest=6,
        mistake_most=0.4,
        side_spread=0.5,
        temperature_spread=0.3,
        fatigue_most=0.02,
        groups=(Group("calm", 2.0, {"action/0": -1.0}), Group("bold", 1.0, {"action/0": 1.0})),
        spammers=1,
        hurried=1,
        colluders=2,
    )
    members = draw_crowd(config, EXACT, 7)
    assert [one.role for one in members] == ["honest"] * 6 + ["hurried", "spammer", "colluder", "colluder"]
    assert sorted(one.group for one in members[:6]) == ["bold"] * 2 + ["calm"] * 4
    again = draw_crowd(config, EXACT, 7)
    assert [one.teacher.config for one in again] == [one.teacher.config for one in members]
    assert [one.teacher.config for one in draw_crowd(config, EXACT, 8)] != [one.teacher.config for one in members]
    larger = draw_crowd(dataclasses.replace(config, honest=9), EXACT, 7)
    assert [m.teacher.config.mistake for m in larger[:6]] == [m.teacher.config.mistake for m in members[:6]]
    mistakes = [one.teacher.config.mistake for one in members[:6]]
    assert len(set(mistakes)) == 6
    assert max(mistakes) <= 0.4
    asked = [query(index=i) for i in range(200)]
    pair = [segment(0.6), segment(0.5)]
    first, second = (one.teacher for one in members[-2:])
    same = [first.answer(q, pair).choice is second.answer(q, pair).choice for q in asked]
    assert np.mean(same) > 0.9


@pytest.mark.parametrize(
    "settings",
    [{"honest": -1}, {"side_spread": -1.0}, {"copy_share": 1.5}, {"colluders": 1}, {"groups": (Group("a", 0.0),)}],
)
def test_crowds_out_of_range_are_refused(settings):
    with pytest.raises(ConfigError):
        CrowdConfig(**settings)


@pytest.mark.parametrize(
    "settings",
    [{"fatigue": 1.5}, {"careless": -0.1}, {"stretch": 0}, {"decision_seconds": -1.0}, {"side": float("nan")},
     {"taste": {"action/0": float("inf")}}, {"taste": {"action/0": "much"}}],
)  # fmt: skip
def test_faults_out_of_range_are_refused(settings):
    with pytest.raises(ConfigError, match="simulated teacher"):
        TeacherConfig(**settings)


def recovered(seed: int) -> float:
    """Spearman correlation of fitted with true skill of 12 annotators with 200 labels each."""
    members = draw_crowd(CrowdConfig(honest=12, mistake_most=0.5), TeacherConfig(), seed)
    rng = np.random.default_rng(seed)
    seen = [Seen(np.array([one])) for one in rng.normal(size=30) * 1.5]
    rows = []
    for who, member in enumerate(members):
        for index in range(200):
            first, second = (int(i) for i in rng.choice(30, 2, replace=False))
            asked = dataclasses.replace(query(index=index), segments=(f"s{first}", f"s{second}"), id="")
            choice = member.teacher.judge(asked, [seen[first], seen[second]]).choice
            rows.append((first, second, 1 if choice is Choice.FIRST else -1, who))
    first, second, side, who = np.array(rows).T
    fit = crowd_bradley_terry(Comparisons(first, second, side, 30), who, 12)
    return float(spearmanr(fit.eta, [1 - member.teacher.config.mistake for member in members])[0])


@pytest.mark.slow
def test_skill_of_crowds_is_recovered():
    # the median of 50 simulations of 20 annotators is .93 (benchmarks/recovery.py)
    assert np.median([recovered(seed) for seed in range(7)]) > 0.85


def test_rules_read_what_a_simulated_critic_says():
    asked, shown = query("critique"), segment(0.9, 0.8, 0.5, 0.1, 0.0, 0.1)
    said = Teacher(EXACT, seed=0).answer(asked, [shown])
    assert [proposal.score for note in said.notes for proposal in Rules()(note.text)] == [1.0, 0.0]

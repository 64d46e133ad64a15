import dataclasses

import numpy as np
import pytest

from plaudit.ask import People, Teacher, TeacherConfig, feedback_id
from plaudit.ask.teachers import SECONDS_PER_ANSWER
from plaudit.errors import ConfigError, RecordError
from plaudit.records import Choice, Comparison, Query, QueryKind, Rating, SegmentData, StepFeedback, is_skip

EXACT = TeacherConfig(temperature=0.0)


def segment(*rewards: float) -> SegmentData:
    steps = len(rewards)
    return SegmentData(
        observations=np.zeros((steps, 1), np.float32),
        actions=np.zeros((steps, 1), np.float32),
        true_rewards=np.array(rewards, dtype=np.float64),
    )


def comparison(index: int = 0) -> Query:
    return Query(kind=QueryKind.COMPARISON, segments=("a", "b"), shown=(1, 0), round=0, index=index, strategy="uniform")


def single(kind: QueryKind, levels: int | None = None, index: int = 0) -> Query:
    return Query(kind=kind, segments=("a",), shown=(0,), round=0, index=index, strategy="uniform", levels=levels)


def choices(config: TeacherConfig, first: SegmentData, second: SegmentData, count: int = 3000) -> list[Choice]:
    teacher = Teacher(config, seed=3)
    answers = [teacher.answer(comparison(index), [first, second]) for index in range(count)]
    return [answer.choice for answer in answers if isinstance(answer, Comparison)]


def test_error_free_teacher_prefers_the_larger_return_whatever_the_order_on_the_screen() -> None:
    teacher = Teacher(EXACT, seed=0)
    answer = teacher.answer(comparison(), [segment(0.0, 1.5), segment(1.0, 0.0)])
    assert isinstance(answer, Comparison)
    assert answer.choice is Choice.FIRST
    other = teacher.answer(comparison(), [segment(1.0, 0.0), segment(0.0, 1.5)])
    assert isinstance(other, Comparison)
    assert other.choice is Choice.SECOND


def test_error_free_teacher_answers_an_exact_tie_with_a_tie() -> None:
    assert set(choices(EXACT, segment(1.0, 2.0), segment(2.0, 1.0), count=5)) == {Choice.TIE}


def test_boltzmann_teacher_errs_as_often_as_the_logistic_says() -> None:
    found = choices(TeacherConfig(temperature=2.0), segment(1.0, 0.0), segment(0.0, -1.0))
    share = np.mean([choice is Choice.FIRST for choice in found])
    assert share == pytest.approx(1 / (1 + np.exp(-2.0 / 2.0)), abs=0.03)  # 0.731; three standard errors are 0.024


def test_lapses_are_coin_flips() -> None:
    found = choices(TeacherConfig(temperature=0.0, lapse=0.4), segment(1.0), segment(0.0))
    assert np.mean([choice is Choice.SECOND for choice in found]) == pytest.approx(0.2, abs=0.03)


def test_skips_come_at_their_rate() -> None:
    found = choices(TeacherConfig(temperature=0.0, skip=0.25), segment(1.0), segment(0.0))
    assert np.mean([choice is Choice.SKIP for choice in found]) == pytest.approx(0.25, abs=0.03)


def test_answers_depend_on_seed_query_and_name_but_not_on_order() -> None:
    pair = [segment(0.1), segment(0.0)]
    queries = [comparison(index) for index in range(40)]
    config = TeacherConfig(temperature=5.0, lapse=0.2)
    forward = {query.id: Teacher(config, seed=1).answer(query, pair) for query in queries}
    backward = {query.id: Teacher(config, seed=1).answer(query, pair) for query in reversed(queries)}
    assert forward == backward

    def picks(teacher: Teacher) -> list[str]:
        answers = [teacher.answer(query, pair) for query in queries]
        return [answer.choice.value for answer in answers if isinstance(answer, Comparison)]

    assert picks(Teacher(config, seed=1)) != picks(Teacher(config, seed=2))
    assert picks(Teacher(config, seed=1)) != picks(Teacher(config, seed=1, name="other"))


def test_answer_has_the_one_id_of_its_query_and_annotator_and_counts_human_seconds() -> None:
    query = comparison()
    answer = Teacher(EXACT, seed=0).answer(query, [segment(1.0), segment(0.0)])
    assert answer.id == feedback_id(query.id, "teacher")
    assert answer.response_seconds == SECONDS_PER_ANSWER[QueryKind.COMPARISON] == 4.0
    assert answer.answered_at is None


@pytest.mark.parametrize(
    ("reward", "grade"), [(-9.0, 0), (-7.9, 0), (-6.0, 1), (-4.1, 1), (-4.0, 2), (0.0, 3), (5.0, 3)]
)
def test_rating_cuts_the_scale_into_equal_grades(reward: float, grade: int) -> None:
    # four levels between -8 and 0: cuts at -6, -4, -2
    teacher = Teacher(TeacherConfig(temperature=0.0, low=-8.0, high=0.0), seed=0)
    answer = teacher.answer(single(QueryKind.RATING, levels=4), [segment(reward, reward)])
    assert isinstance(answer, Rating)
    assert (answer.value, answer.levels) == (grade, 4)


def test_noise_on_ratings_acts_on_the_return() -> None:
    # return 0 of two steps, one cut at 0.5 per step, so 1 per segment: P(grade 1) = sigmoid((0 - 1) / 1)
    teacher = Teacher(TeacherConfig(temperature=1.0, low=-0.5, high=1.5), seed=0)
    queries = [single(QueryKind.RATING, levels=2, index=index) for index in range(3000)]
    answers = [teacher.answer(query, [segment(0.0, 0.0)]) for query in queries]
    share = np.mean([answer.value for answer in answers if isinstance(answer, Rating)])
    assert share == pytest.approx(1 / (1 + np.exp(1.0)), abs=0.03)


def test_steps_are_scored_on_the_same_scale() -> None:
    teacher = Teacher(TeacherConfig(temperature=0.0, low=-2.0, high=2.0), seed=0)
    answer = teacher.answer(single(QueryKind.STEPS), [segment(-3.0, -2.0, 0.0, 1.0, 9.0)])
    assert isinstance(answer, StepFeedback)
    assert answer.steps == (0, 1, 2, 3, 4)
    assert answer.scores == (0.0, 0.0, 0.5, 0.75, 1.0)


@pytest.mark.parametrize("kind", [QueryKind.RATING, QueryKind.STEPS])
def test_skips_and_lapses_of_the_other_kinds(kind: QueryKind) -> None:
    query, segments = single(kind, levels=3), [segment(1.0, 1.0)]
    skipping = Teacher(TeacherConfig(skip=1.0, low=0.0, high=1.0), seed=0).answer(query, segments)
    assert isinstance(skipping, Rating | StepFeedback)
    assert (skipping.value is None) if isinstance(skipping, Rating) else (skipping.steps == ())
    lapsing = Teacher(TeacherConfig(temperature=0.0, lapse=1.0, low=0.0, high=1.0), seed=0)
    answers = [lapsing.answer(single(kind, levels=3, index=index), segments) for index in range(30)]
    assert len({answer.value if isinstance(answer, Rating) else answer.scores for answer in answers}) > 1  # type: ignore[union-attr]


def scaled(**settings: float) -> TeacherConfig:
    """A teacher whose scale of one step goes from 0 to 1, without noise unless asked for."""
    return TeacherConfig(**({"temperature": 0.0, "low": 0.0, "high": 1.0} | settings))


def test_stochastic_teacher_samples_where_a_port_of_the_original_takes_the_likelier_side() -> None:
    # 0.1 ahead at temperature 1: a port that returns "p > 1/2" always says FIRST; sampled, 52 in 100 do
    found = choices(TeacherConfig(temperature=1.0), segment(0.1), segment(0.0))
    assert np.mean([choice is Choice.FIRST for choice in found]) == pytest.approx(1 / (1 + np.exp(-0.1)), abs=0.03)


@pytest.mark.parametrize("index", [0, 1, 40])
def test_thresholds_take_their_share_once_in_every_session(index: int) -> None:
    # the original multiplies by the share again from the second session on, so 0.1 becomes 0.01
    teacher = Teacher(scaled(equal=0.1), seed=0)
    query = dataclasses.replace(comparison(index), id="", round=index)
    near = teacher.answer(query, [segment(0.5, 0.5), segment(0.5, 0.31)])  # 0.19 < 0.1 * 1 * 2 steps
    apart = teacher.answer(query, [segment(0.5, 0.5), segment(0.5, 0.29)])
    assert isinstance(near, Comparison)
    assert isinstance(apart, Comparison)
    assert (near.choice, apart.choice) == (Choice.TIE, Choice.FIRST)
    picky = Teacher(scaled(skip_below=0.1), seed=0)
    bad = picky.answer(query, [segment(0.1, 0.09), segment(0.0, 0.0)])  # means 0.095 and 0, neither above 0.1
    fair = picky.answer(query, [segment(0.1, 0.09), segment(0.1, 0.11)])
    assert isinstance(bad, Comparison)
    assert isinstance(fair, Comparison)
    assert (bad.choice, fair.choice) == (Choice.SKIP, Choice.SECOND)


def test_mistakes_turn_round_their_share_of_the_answers_but_no_tie() -> None:
    found = choices(scaled(mistake=0.2), segment(1.0), segment(0.0))
    assert np.mean([choice is Choice.SECOND for choice in found]) == pytest.approx(0.2, abs=0.025)
    assert set(choices(scaled(mistake=1.0, equal=0.3), segment(1.0), segment(0.9), count=20)) == {Choice.TIE}
    # noise, lapses and skips fall on the same questions with mistakes or without
    noisy = TeacherConfig(temperature=2.0, lapse=0.2, skip=0.2)
    right = choices(noisy, segment(1.0), segment(0.0), count=300)
    wrong = choices(dataclasses.replace(noisy, mistake=1.0), segment(1.0), segment(0.0), count=300)
    other = {Choice.FIRST: Choice.SECOND, Choice.SECOND: Choice.FIRST}
    assert wrong == [other.get(choice, choice) for choice in right]


def test_mistakes_mirror_grades_and_step_scores() -> None:
    teacher = Teacher(scaled(mistake=1.0), seed=0)
    rating = teacher.answer(single(QueryKind.RATING, levels=5), [segment(0.25)])
    steps = teacher.answer(single(QueryKind.STEPS), [segment(0.25, 1.0)])
    assert isinstance(rating, Rating)
    assert isinstance(steps, StepFeedback)
    assert (rating.value, steps.scores) == (5 - 1 - 1, (0.75, 0.0))


def test_myopic_teacher_prefers_a_better_end() -> None:
    # discount 0.5 over three steps weighs them 1/4, 1/2, 1: 4/4 + 1/2 + 0 < 0 + 1/2 + 2
    early, late = segment(4.0, 1.0, 0.0), segment(0.0, 1.0, 2.0)
    assert set(choices(scaled(), early, late, count=3)) == {Choice.FIRST}
    assert set(choices(scaled(discount=0.5), early, late, count=3)) == {Choice.SECOND}
    myopic = Teacher(TeacherConfig(temperature=0.0, low=0.0, high=4.0, discount=0.5), seed=0)
    grades = [myopic.answer(single(QueryKind.RATING, levels=8), [one]) for one in (early, late)]
    # weighted means 1.5 / 1.75 = 0.857 and 2.5 / 1.75 = 1.43, in steps of 0.5
    assert [grade.value for grade in grades if isinstance(grade, Rating)] == [1, 2]


def test_ties_and_skips_are_undiscounted_and_skips_come_first() -> None:
    early, late = segment(1.0, 0.0), segment(0.0, 1.0)
    assert set(choices(scaled(discount=0.1, equal=0.1), early, late, count=3)) == {Choice.TIE}
    assert set(choices(scaled(discount=0.1, skip_below=0.6, equal=0.1), early, late, count=3)) == {Choice.SKIP}


@pytest.mark.parametrize("kind", [QueryKind.RATING, QueryKind.STEPS])
def test_bad_segments_are_skipped_whatever_the_question(kind: QueryKind) -> None:
    teacher = Teacher(scaled(skip_below=0.5), seed=0)
    assert is_skip(teacher.answer(single(kind, levels=3), [segment(0.5, 0.5)]))
    assert not is_skip(teacher.answer(single(kind, levels=3), [segment(0.5, 0.6)]))


@pytest.mark.parametrize(
    "settings",
    [
        {"temperature": -1.0},
        {"temperature": float("nan")},
        {"lapse": 1.5},
        {"skip": -0.1},
        {"mistake": 1.1},
        {"equal": -0.1, "low": 0.0, "high": 1.0},
        {"equal": 0.1},
        {"skip_below": 0.1},
        {"discount": 0.0},
        {"discount": 1.1},
        {"low": 0.0},
        {"low": 1.0, "high": 1.0},
    ],
)
def test_settings_out_of_range_are_refused(settings: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match="simulated teacher"):
        TeacherConfig(**settings)


def test_rating_without_a_scale_says_what_to_set() -> None:
    with pytest.raises(ConfigError, match=r"ask\.teacher\.low"):
        Teacher(EXACT, seed=0).answer(single(QueryKind.RATING, levels=4), [segment(1.0)])
    with pytest.raises(RecordError, match="declares no scale"):
        Teacher(EXACT, seed=0).answer(single(QueryKind.RATING), [segment(1.0)])


def test_segments_that_cannot_be_judged_are_refused() -> None:
    teacher = Teacher(EXACT, seed=0)
    blind = SegmentData(observations=np.zeros((1, 1), np.float32), actions=np.zeros((1, 1), np.float32))
    with pytest.raises(RecordError, match="no true rewards"):
        teacher.answer(comparison(), [segment(1.0), blind])
    with pytest.raises(RecordError, match="not finite"):
        teacher.answer(comparison(), [segment(1.0), segment(float("nan"))])
    with pytest.raises(RecordError, match="wrong segments"):
        teacher.answer(comparison(), [segment(1.0)])


def test_people_answer_later() -> None:
    assert People().answer(comparison(), []) is None


@pytest.mark.parametrize(
    ("config", "text"),
    [
        (EXACT, "simulated: error-free"),
        (TeacherConfig(), "simulated: Boltzmann, temperature 1"),
        (TeacherConfig(temperature=0.5, lapse=0.1), "simulated: Boltzmann, temperature 0.5, lapse 0.1"),
        (
            TeacherConfig(temperature=0.0, mistake=0.1, equal=0.2, skip_below=0.3, discount=0.9, low=0.0, high=1.0),
            "simulated: error-free, mistake 0.1, equal 0.2, skip below 0.3, discount 0.9",
        ),
    ],
)
def test_profile_says_how_the_teacher_judges(config: TeacherConfig, text: str) -> None:
    assert Teacher(config, seed=0).profile.description == text

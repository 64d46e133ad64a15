import pytest
from hypothesis import given
from hypothesis import strategies as st

from plaudit.ask import Schedule, schedule, sessions
from plaudit.errors import ConfigError


@given(
    labels=st.integers(0, 5000),
    rounds=st.integers(1, 60),
    first_share=st.floats(0.01, 1.0),
    last_at=st.floats(0.0, 1.0),
    decay=st.floats(0.0, 3.0),
)
def test_counts_sum_to_the_labels_and_stop_in_time(
    labels: int, rounds: int, first_share: float, last_at: float, decay: float
) -> None:
    counts = schedule(labels, rounds, first_share=first_share, last_at=last_at, decay=decay)
    assert len(counts) == rounds
    assert sum(counts) == labels
    assert min(counts) >= 0
    assert not any(counts[max(1, round(last_at * rounds)) :])


def test_level_schedule_by_hand() -> None:
    assert schedule(100, 4, first_share=0.25, decay=0.0) == [25, 25, 25, 25]


def test_falling_schedule_by_hand() -> None:
    # weights 1, 1/2, 1/3 of 22 labels after the first 11: running totals 12, 18, 22
    assert schedule(33, 4, first_share=1 / 3, decay=1.0) == [11, 12, 6, 4]


def test_few_labels_all_come_but_the_first_round_gets_two() -> None:
    assert schedule(3, 5, first_share=0.1) == [2, 0, 0, 0, 1]
    assert schedule(1, 5) == [1, 0, 0, 0, 0]
    assert schedule(7, 1) == [7]


@pytest.mark.parametrize(
    "settings",
    [{"labels": -1}, {"rounds": 0}, {"first_share": 0.0}, {"first_share": 1.1}, {"last_at": 1.5}, {"decay": -0.1}],
)
def test_impossible_schedules_are_refused(settings: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match="schedule"):
        schedule(**({"labels": 10, "rounds": 5} | settings))  # type: ignore[arg-type]


@given(labels=st.integers(0, 2000), rounds=st.integers(1, 60), mode=st.sampled_from(Schedule), size=st.integers(1, 50))
def test_sessions_sum_to_the_labels_and_begin_with_two(labels: int, rounds: int, mode: Schedule, size: int) -> None:
    if mode is Schedule.SMALL and labels > rounds * size:
        with pytest.raises(ConfigError, match=r"small sessions.*loop\.rounds"):
            sessions(labels, rounds, mode, first_share=0.25, size=size)
        return
    counts = sessions(labels, rounds, mode, first_share=0.25, size=size)
    assert (len(counts), sum(counts)) == (rounds, labels)
    assert min(counts) >= 0
    if mode is not Schedule.SMALL:
        assert counts[0] >= min(labels, 2)


@pytest.mark.parametrize(
    ("mode", "counts"),
    [
        (Schedule.CONSTANT, [5, 5, 5, 5]),
        (Schedule.DECAYING, [8, 6, 4, 2]),
        (Schedule.GROWING, [2, 4, 6, 8]),
        (Schedule.SMALL, [8, 8, 4, 0]),
        (Schedule.FRONT, schedule(20, 4)),
    ],
)
def test_schedules_by_hand(mode: Schedule, counts: list[int]) -> None:
    assert sessions(20, 4, mode, first_share=0.25, size=8) == counts


def test_small_sessions_are_spread_evenly() -> None:
    assert sessions(20, 10, Schedule.SMALL, first_share=0.25, size=5) == [5, 0, 5, 0, 0, 5, 0, 5, 0, 0]


def test_a_growing_schedule_of_few_labels_still_begins_with_two() -> None:
    assert sessions(6, 3, Schedule.GROWING, first_share=0.25, size=8) == [2, 1, 3]
    assert sessions(1, 3, Schedule.GROWING, first_share=0.25, size=8) == [1, 0, 0]

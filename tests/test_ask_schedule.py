import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from plaudit.ask import Schedule, sessions
from plaudit.errors import ConfigError


def front(labels: int, rounds: int, first_share: float = 0.25) -> list[int]:
    return sessions(labels, rounds, Schedule.FRONT, first_share=first_share, size=1)


@given(labels=st.integers(0, 5000), rounds=st.integers(1, 60), first_share=st.floats(0.01, 1.0))
def test_counts_sum_to_the_labels_and_fall_after_the_first(labels: int, rounds: int, first_share: float) -> None:
    counts = front(labels, rounds, first_share)
    assert len(counts) == rounds
    assert sum(counts) == labels
    assert min(counts) >= 0
    assert max(np.diff(counts[1:]), default=0) <= 1  # but for rounding


def test_falling_schedule_by_hand() -> None:
    # weights 1, 1/1.15, 1/1.3 of 22 labels after the first 11: running totals 8.3, 15.6, 22
    assert front(33, 4, 1 / 3) == [11, 8, 7, 7]


def test_few_labels_all_come_but_the_first_round_gets_two() -> None:
    assert front(3, 5, 0.1) == [2, 0, 0, 0, 1]
    assert front(1, 5) == [1, 0, 0, 0, 0]
    assert front(7, 1) == [7]


@pytest.mark.parametrize("settings", [{"labels": -1}, {"rounds": 0}, {"first_share": 0.0}, {"first_share": 1.1}])
def test_impossible_schedules_are_refused(settings: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match="schedule"):
        front(**({"labels": 10, "rounds": 5} | settings))  # type: ignore[arg-type]


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
        (Schedule.FRONT, [5, 5, 5, 5]),
    ],
)
def test_schedules_by_hand(mode: Schedule, counts: list[int]) -> None:
    assert sessions(20, 4, mode, first_share=0.25, size=8) == counts


def test_small_sessions_are_spread_evenly() -> None:
    assert sessions(20, 10, Schedule.SMALL, first_share=0.25, size=5) == [5, 0, 5, 0, 0, 5, 0, 5, 0, 0]


def test_a_growing_schedule_of_few_labels_still_begins_with_two() -> None:
    assert sessions(6, 3, Schedule.GROWING, first_share=0.25, size=8) == [2, 1, 3]
    assert sessions(1, 3, Schedule.GROWING, first_share=0.25, size=8) == [1, 0, 0]

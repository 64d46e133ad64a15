import pytest
from hypothesis import given
from hypothesis import strategies as st

from plaudit.ask import schedule
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

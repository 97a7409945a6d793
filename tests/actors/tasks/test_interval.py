"""Schedules with `every`: what an interval may be, and when it comes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from task_queue.actors.tasks.interval import Interval
from task_queue.actors.tasks.recurrence import (
    GRACE_SECONDS,
    InvalidRecurrenceError,
    Missed,
    due,
    upcoming,
)
from tests.fakes import NOW


def every(text: str) -> Interval:
    return Interval(text, "UTC")


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1s", 1),
        ("90m", 5_400),
        ("1h30m", 5_400),
        ("36h", 129_600),
        ("1d12h", 129_600),
        ("1d1h1m1s", 90_061),
        ("0h5m", 300),
        ("007s", 7),
        ("366d", 31_622_400),
    ],
)
def test_an_interval_is_a_sum_of_days_hours_minutes_and_seconds(text: str, seconds: int) -> None:
    every(text).check()
    assert every(text).seconds == seconds


@pytest.mark.parametrize(
    "text",
    [
        *("", "0s", "0m", "90", "m", "-5m", "+5m", "1.5h", "5 m", "1h 30m", "30m1h", "5m5m", "5M"),
        *(
            "1w",
            "500ms",
            "1H",
            "PT5M",
            "1_0s",
            "\u0665m",
            "5m\n",
            "367d",
            "999999999d",
            "1" * 30 + "s",
        ),
    ],
)
def test_what_is_no_interval_is_refused_with_what_is_allowed(text: str) -> None:
    with pytest.raises(InvalidRecurrenceError) as caught:
        every(text).check()
    assert caught.value.member == "every"
    assert str(caught.value) == (
        "every must be a time from 1s to 366d in whole d, h, m and s, such as 90m or 1h30m,"
        f" not {text!r}"
    )


def test_the_zone_that_its_times_are_shown_in_must_be_one() -> None:
    with pytest.raises(InvalidRecurrenceError, match="timezone must be a name of the IANA"):
        Interval("5m", "Mars").check()


def test_each_time_is_counted_from_the_one_before_and_the_first_from_now() -> None:
    assert upcoming(every("90m"), NOW + 0.75, 3) == [NOW + 5_400, NOW + 10_800, NOW + 16_200]


@given(
    seconds=st.integers(1, 10_000),
    late=st.floats(0, 1_000_000),
    missed=st.sampled_from(Missed),
)
def test_however_late_somebody_looks_the_distance_stays(
    seconds: int, late: float, missed: Missed
) -> None:
    now = NOW + late
    fired, next_at = due(every(f"{seconds}s"), NOW, now, missed)
    assert (next_at - NOW) % seconds == 0
    assert next_at - seconds <= now < next_at
    if fired is None:
        assert missed is Missed.SKIP
        assert now - (next_at - seconds) > GRACE_SECONDS
    else:
        assert fired == next_at - seconds


@given(looks=st.lists(st.floats(0.25, 49), min_size=1, max_size=50))
def test_who_looks_often_enough_publishes_each_time_once(looks: list[float]) -> None:
    next_at, now, published = NOW, NOW, []
    for seconds in looks:
        now += seconds
        if next_at <= now:
            fired, next_at = due(every("50s"), next_at, now, Missed.SKIP)
            published.append(fired)
    assert published == [NOW + 50 * number for number in range(len(published))]
    assert now < NOW + 50 * len(published)

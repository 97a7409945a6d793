"""Attempts as bars."""

from typing import Any

from task_queue.api.ui.timeline import LEAST_WIDTH, WIDTH, bars_of


def task(*spans: tuple[float | None, float | None]) -> dict[str, Any]:
    return {
        "created_at": 100,
        "attempts": [{"started": started, "ended": ended} for started, ended in spans],
    }


def test_bars_lie_where_the_attempts_were() -> None:
    first, second = bars_of(task((100.0, 101.0), (105.0, 110.0)), now=500)
    assert (first.left, first.width, first.seconds, first.after_seconds) == (0, 100, 1, 0)
    assert (second.left, second.width, second.seconds, second.after_seconds) == (500, 500, 5, 4)


def test_an_attempt_that_runs_goes_up_to_now() -> None:
    (bar,) = bars_of(task((110.0, None)), now=120)
    assert (bar.left, bar.width, bar.seconds) == (500, 500, 10)


def test_a_moment_is_still_to_be_seen_and_inside_the_picture() -> None:
    for bar in bars_of(task((100.0, 200.0), (200.0, 200.0)), now=500):
        assert bar.width >= LEAST_WIDTH
        assert bar.left + bar.width <= WIDTH


def test_one_that_never_began_takes_no_time() -> None:
    (bar,) = bars_of(task((None, 102.0)), now=500)
    assert (bar.seconds, bar.width) == (None, LEAST_WIDTH)


def test_a_task_without_attempts_has_no_bars() -> None:
    assert bars_of(task(), now=500) == []

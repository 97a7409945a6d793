from hypothesis import given
from hypothesis import strategies as st

from task_queue.actors.tasks.backoff import Backoff

BACKOFF = Backoff(base_seconds=0.5, factor=3.0, cap_seconds=10.0)


def test_the_bound_grows_by_the_factor_up_to_the_cap() -> None:
    bounds = [BACKOFF.delay_seconds(failures, lambda: 1.0) for failures in range(1, 6)]
    assert bounds == [0.5, 1.5, 4.5, 10.0, 10.0]


def test_the_jitter_is_full() -> None:
    assert BACKOFF.delay_seconds(3, lambda: 0.0) == 0.0
    assert BACKOFF.delay_seconds(3, lambda: 0.5) == 2.25


@given(st.integers(1, 10**9), st.floats(0, 1, exclude_max=True))
def test_no_number_of_failures_exceeds_the_cap(failures: int, random: float) -> None:
    assert 0 <= BACKOFF.delay_seconds(failures, lambda: random) <= BACKOFF.cap_seconds


@given(st.floats(0.001, 1e6), st.floats(1, 100), st.floats(0.001, 1e6))
def test_a_policy_survives_as_text(base: float, factor: float, cap: float) -> None:
    backoff = Backoff(base, factor, cap)
    assert Backoff.parse(backoff.text) == backoff

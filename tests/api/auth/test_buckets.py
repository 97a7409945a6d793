"""How many requests each key may make."""

from hypothesis import given
from hypothesis import strategies as st

from task_queue.api.auth.buckets import MAX_BUCKETS, Buckets, Taken
from tests.fakes import ManualClock


def test_a_key_that_paused_makes_a_burst_and_then_waits() -> None:
    clock = ManualClock()
    buckets = Buckets(2.0, 3, clock)
    assert [buckets.take("shop") for _ in range(4)] == [Taken(2), Taken(1), Taken(0), Taken(0, 1)]
    clock.advance(0.5)
    assert buckets.take("shop") == Taken(0)
    assert buckets.take("shop") == Taken(0, 1)
    clock.advance(60)
    assert buckets.take("shop") == Taken(2)


def test_keys_do_not_take_from_each_other() -> None:
    buckets = Buckets(1.0, 1, ManualClock())
    assert buckets.take("shop") == Taken(0)
    assert buckets.take("mail") == Taken(0)
    assert buckets.take("shop").retry_after_seconds == 1


def test_a_slow_rate_says_when_to_come_again() -> None:
    buckets = Buckets(0.1, 2, ManualClock())
    assert buckets.window_seconds == 20
    assert [buckets.take("shop").retry_after_seconds for _ in range(3)] == [None, None, 10]


def test_the_slowest_rate_fits_into_headers() -> None:
    buckets = Buckets(5e-324, 100_000, ManualClock())
    assert len(str(buckets.window_seconds)) <= 15  # RFC 9651, section 3.3.1


def test_what_is_kept_has_a_bound() -> None:
    buckets = Buckets(1.0, 1, ManualClock())
    for number in range(MAX_BUCKETS + 10):
        buckets.take(str(number))
    assert len(buckets._buckets) == MAX_BUCKETS


@given(
    rate=st.floats(0.1, 100),
    burst=st.integers(1, 20),
    pauses=st.lists(st.floats(0, 5), max_size=60),
)
def test_never_more_than_the_burst_and_the_rate(
    rate: float, burst: int, pauses: list[float]
) -> None:
    clock = ManualClock()
    buckets, passed = Buckets(rate, burst, clock), 0
    start = clock.now
    for pause in pauses:
        clock.advance(pause)
        passed += buckets.take("shop").retry_after_seconds is None
        assert passed <= burst + (clock.now - start) * rate + 1e-3

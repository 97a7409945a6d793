import pytest
from hypothesis import given
from hypothesis import strategies as st

from task_queue.actors.tasks.limits import QueueLimits, bucket_size, refilled

rates = st.floats(0.001, 100_000)


@pytest.mark.parametrize(
    ("limits", "bound"),
    [
        (QueueLimits(), False),
        (QueueLimits(rate_limit=5.0, concurrency_per_key=2), False),
        (QueueLimits(max_length=1), True),
        (QueueLimits(max_bytes=1), True),
    ],
)
def test_only_length_and_bytes_bound_what_is_published(limits: QueueLimits, *, bound: bool) -> None:
    assert limits.bound_publishes is bound


@pytest.mark.parametrize(("rate", "size"), [(0.4, 1.1), (2.0, 1.5), (100.0, 50.0)])
def test_the_bucket_holds_half_a_seconds_starts_and_at_least_one_and_a_ticks(
    rate: float, size: float
) -> None:
    assert bucket_size(rate) == size


def test_tokens_come_at_the_rate_up_to_the_size_of_the_bucket() -> None:
    assert refilled(0.0, 0.25, rate=10.0) == 2.5
    assert refilled(1.0, 0.25, rate=10.0) == 3.5
    assert refilled(0.0, 60.0, rate=10.0) == 5.0


def test_a_clock_set_back_neither_adds_tokens_nor_takes_any() -> None:
    assert refilled(3.0, -3_600.0, rate=10.0) == 3.0


def test_a_bucket_larger_than_a_lowered_rate_allows_is_cut() -> None:
    assert refilled(50.0, 0.0, rate=2.0) == 1.5


@given(rates, st.lists(st.floats(0, 10), min_size=1, max_size=50))
def test_no_stretch_of_time_allows_more_starts_than_rate_and_bucket_together(
    rate: float, pauses: list[float]
) -> None:
    tokens, started = bucket_size(rate), 0
    for pause in pauses:
        tokens = refilled(tokens, pause, rate)
        started += int(tokens)
        tokens -= int(tokens)
    assert started <= bucket_size(rate) + rate * sum(pauses) + 1e-6 * len(pauses) * (1 + rate)

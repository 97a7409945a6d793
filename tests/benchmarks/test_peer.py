"""A drain, with a client that has a script instead of a queue."""

from collections.abc import Iterator, Sequence
from itertools import chain, repeat

import pytest

from tests.benchmarks import peer


class Clock:
    """Time that passes only when somebody sleeps."""

    def __init__(self) -> None:
        self.now = 0.0

    def perf_counter(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


class Scripted:
    """A client that sees these many tasks finished, one look after the other."""

    def __init__(self, *finished: int) -> None:
        self._finished: Iterator[int] = chain(finished, repeat(finished[-1]))

    def publish(self, numbers: Sequence[int]) -> None: ...

    def wait(self, published: None, seconds: float) -> None: ...

    def finished(self) -> int:
        return next(self._finished)

    def close(self) -> None: ...


@pytest.fixture(autouse=True)
def _clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peer, "time", Clock())


def test_a_drain_counts_from_the_first_result_that_is_seen() -> None:
    looks = Scripted(0, 0, 0, 100, 150, 200)
    assert peer._drain(looks, 200) == pytest.approx(100 / (2 * peer._LOOK_SECONDS))


def test_a_drain_ends_with_its_last_task_however_many_looks_see_nothing_new() -> None:
    looks = Scripted(100, 100, 100, 100, 200)
    assert peer._drain(looks, 200) == pytest.approx(100 / (4 * peer._LOOK_SECONDS))


def test_a_drain_that_gets_nowhere_is_given_up() -> None:
    with pytest.raises(TimeoutError, match="after 100 tasks"):
        peer._drain(Scripted(0, 100), 200)

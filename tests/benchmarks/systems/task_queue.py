"""This system: a real server process with its default settings, and with a larger prefetch."""

from collections.abc import Iterator
from pathlib import Path

from tests.benchmarks.own import draining, latency, publishing, resting
from tests.benchmarks.own.variants import DEFAULT, NAME, PREFETCH_500, QUIET
from tests.benchmarks.system import Sample, Size


class TaskQueue:
    """All that is measured of it, but for the growth of its table."""

    name = NAME
    stands_on = "SQLite, synchronous=FULL"
    caveats = ("Publish and latency are over HTTP, one connection, with the workers running.",)

    def missing(self) -> str | None:
        """Nothing: it needs no server beside it."""
        return None

    def measure(self, directory: Path, size: Size) -> Iterator[Sample]:
        """Publish, latency, drain, memory: each with servers of its own."""
        yield from publishing.measure(directory / "publish", size, DEFAULT)
        yield from publishing.measure(directory / "publish-500", size, PREFETCH_500)
        yield from latency.measure(directory / "latency", size)
        yield from draining.measure(directory / "drain", size, DEFAULT)
        yield from draining.measure(directory / "drain-500", size, PREFETCH_500)
        yield from draining.measure(directory / "drain-quiet", size, QUIET)
        yield from resting.measure(directory / "rest", size)

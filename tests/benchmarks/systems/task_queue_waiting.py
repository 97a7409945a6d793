"""This system with requests that wait."""

from collections.abc import Iterator
from pathlib import Path

from tests.benchmarks.own import waiting
from tests.benchmarks.system import Sample, Size


class TaskQueueWaiting:
    """Publishes beside requests that wait for the end of their tasks."""

    name = "task-queue waiting"
    stands_on = "SQLite, synchronous=FULL"
    caveats = ()

    def missing(self) -> str | None:
        """Nothing: it needs no server beside it."""
        return None

    def measure(self, directory: Path, size: Size) -> Iterator[Sample]:
        """All of it, with one server."""
        return waiting.measure(directory, size)

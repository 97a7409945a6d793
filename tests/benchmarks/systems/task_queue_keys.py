"""This system with keys."""

from collections.abc import Iterator
from pathlib import Path

from tests.benchmarks.own import keyed
from tests.benchmarks.system import Sample, Size


class TaskQueueKeys:
    """Publishes with a key and without one."""

    name = "task-queue keys"
    stands_on = "SQLite, synchronous=FULL"
    caveats = ()

    def missing(self) -> str | None:
        """Nothing: it needs no server beside it."""
        return None

    def measure(self, directory: Path, size: Size) -> Iterator[Sample]:
        """All of it, with one server."""
        return keyed.measure(directory, size)

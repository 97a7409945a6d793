"""This system with tasks that compute."""

from collections.abc import Iterator
from pathlib import Path

from tests.benchmarks.own import cpu
from tests.benchmarks.system import Sample, Size


class TaskQueueCPU:
    """Pure Python in processes and in threads."""

    name = "task-queue CPU"
    stands_on = "SQLite, synchronous=FULL"
    caveats = ()

    def missing(self) -> str | None:
        """Nothing: it needs no server beside it."""
        return None

    def measure(self, directory: Path, size: Size) -> Iterator[Sample]:
        """All of it, with one server."""
        return cpu.measure(directory, size)

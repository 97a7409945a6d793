"""What the process takes when it has nothing to do, and when it has a million tasks to do."""

import time
from collections.abc import Iterator
from pathlib import Path

from task_queue.actors.tasks.states import Status
from tests.benchmarks import measures
from tests.benchmarks.growth import fill
from tests.benchmarks.own.database import new_database
from tests.benchmarks.own.server import Server, starting
from tests.benchmarks.own.variants import NAME
from tests.benchmarks.system import Sample, Size

_QUEUED = 1_000_000
_IDLE_SECONDS = 10.0
_BUSY_SECONDS = 5.0
_LOOK_SECONDS = 0.1


def measure(directory: Path, size: Size) -> Iterator[Sample]:
    """Memory, time to ready and CPU of an idle server; the first two of one with a full queue."""
    with starting(directory / "idle") as server:
        yield Sample(NAME, measures.READY_EMPTY.key, server.wait_until_ready())
        cpu, started = server.cpu_seconds(), time.perf_counter()
        time.sleep(_IDLE_SECONDS)
        percent = 100 * (server.cpu_seconds() - cpu) / (time.perf_counter() - started)
        yield Sample(NAME, measures.IDLE_CPU.key, percent)
        yield Sample(NAME, measures.MEMORY_IDLE.key, server.resident_mib())
    fill(new_database(directory / "full"), Status.QUEUED, size.of(_QUEUED))
    with starting(directory / "full") as server:
        yield Sample(NAME, measures.READY_FULL.key, server.wait_until_ready())
        yield Sample(NAME, measures.MEMORY_FULL.key, _most_resident_mib(server))


def _most_resident_mib(server: Server) -> float:
    end = time.monotonic() + _BUSY_SECONDS
    most = 0.0
    while time.monotonic() < end:
        most = max(most, server.resident_mib())
        time.sleep(_LOOK_SECONDS)
    return most

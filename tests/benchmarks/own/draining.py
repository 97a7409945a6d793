"""A full queue, and how fast it gets empty."""

import time
from collections.abc import Iterator
from pathlib import Path

from tests.benchmarks import measures
from tests.benchmarks.own.database import Seen, new_database, publish
from tests.benchmarks.own.server import starting
from tests.benchmarks.own.variants import DEFAULT, NAME, Variant
from tests.benchmarks.system import Sample, Size

FEWEST = 2_000
"""However small the scale: fewer could be done before the first look."""

_QUEUED = 50_000


def measure(directory: Path, size: Size, variant: Variant) -> Iterator[Sample]:
    """Queue tasks through the Store, then start the server and see them done."""
    count = max(FEWEST, size.of(_QUEUED))
    rate = publish(new_database(directory), count)
    if variant is DEFAULT:
        yield Sample(NAME, measures.STORE_PUBLISH.key, rate)
    per_second, cpu_microseconds = drained(directory, count, 0, variant)
    yield Sample(NAME, measures.DRAIN.key, per_second, variant.name)
    yield Sample(NAME, measures.DRAIN_CPU.key, cpu_microseconds, variant.name)


def drained(directory: Path, count: int, after: int, variant: Variant) -> tuple[float, float]:
    """Start a server and wait until the tasks behind a row are done.

    Args:
        directory: Where it runs and has its database.
        count: How many tasks are queued.
        after: The row in front of the first of them.
        variant: How the server is started.

    Returns:
        From the first result that is seen to the last: tasks per second, and microseconds of CPU
        for each of them.
    """
    with starting(directory, *variant.settings) as server, Seen(directory) as seen:
        first = seen.wait_for(1, after)
        first_at, cpu = time.perf_counter(), server.cpu_seconds()
        seen.wait_for(count, after)
        elapsed, cpu = time.perf_counter() - first_at, server.cpu_seconds() - cpu
    if first == count:
        message = f"{count} tasks are too few: they were done between two looks"
        raise RuntimeError(message)
    return (count - first) / elapsed, cpu / (count - first) * 1e6

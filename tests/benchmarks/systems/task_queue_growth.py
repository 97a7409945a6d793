"""This system with more and more finished tasks in its table."""

import shutil
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from task_queue.actors.tasks.states import Status
from task_queue.api.requests.listing import DEFAULT_LIMIT
from tests.benchmarks import measures
from tests.benchmarks.growth import BYTES_PER_ROW, fill
from tests.benchmarks.own import draining, paging
from tests.benchmarks.own.database import Seen, database_in, new_database, publish
from tests.benchmarks.own.publishing import CONNECTIONS, published
from tests.benchmarks.own.server import serving
from tests.benchmarks.own.variants import NAME, PREFETCH_500, seconds
from tests.benchmarks.system import Sample, Size

FINISHED = (1_000, 100_000, 1_000_000, 5_000_000)
SMALL, LARGE = FINISHED[0], FINISHED[-1]

_QUEUED = 10_000
_PUBLISH_SECONDS = 3.0
_PAIRS = 2
_RATIOS = {
    measures.GROWN_PUBLISH_RATIO: measures.GROWN_PUBLISH,
    measures.GROWN_DRAIN_RATIO: measures.GROWN_DRAIN,
}


class TaskQueueGrowth:
    """Publish, drain and pages over tables of a thousand to five million rows."""

    name = "task-queue growth"
    stands_on = "SQLite, synchronous=FULL"
    caveats = ()

    def missing(self) -> str | None:
        """Whether the temporary directory has room for the tables."""
        needed = sum(FINISHED) * BYTES_PER_ROW
        free = shutil.disk_usage(tempfile.gettempdir()).free
        if free < needed:
            return f"it needs {needed / 1e9:.1f} GB for temporary files; {free / 1e9:.1f} are free"
        return None

    def measure(self, directory: Path, size: Size) -> Iterator[Sample]:
        """Each size in turn; then the smallest and the largest against each other."""
        for finished in FINISHED:
            table = directory / str(finished)
            _make(table, size.of(finished))
            with serving(table, *PREFETCH_500.settings) as server:
                for measure, page_seconds in paging.pages(server, size):
                    yield Sample(NAME, measure.key, page_seconds, variant_of(finished))
            if finished not in {SMALL, LARGE}:
                yield from _rates(table, finished, size)
        yield from _pairs(directory, size)


def variant_of(finished: int) -> str:
    """What samples and tables call a table with so many rows."""
    return f"{finished:,} finished"


def _pairs(directory: Path, size: Size) -> Iterator[Sample]:
    """The small table, made anew each time, and the large one, in turn."""
    sums: dict[tuple[str, str], float] = defaultdict(float)
    for pair in range(_PAIRS):
        small = directory / f"small-{pair}"
        _make(small, size.of(SMALL))
        for finished, table in ((SMALL, small), (LARGE, directory / str(LARGE))):
            for sample in _rates(table, finished, size):
                sums[sample.measure, sample.variant] += sample.value
                yield sample
    for ratio, measure in _RATIOS.items():
        large, small_one = (sums[measure.key, variant_of(each)] for each in (LARGE, SMALL))
        yield Sample(NAME, ratio.key, large / small_one)


def _make(table: Path, finished: int) -> None:
    """A table with so many rows, however small the scale with a full page of them."""
    fill(new_database(table), Status.COMPLETED, max(finished, 2 * DEFAULT_LIMIT))


def _rates(table: Path, finished: int, size: Size) -> Iterator[Sample]:
    """Drain and publish; both leave some more finished rows."""
    with Seen(table) as seen:
        newest = seen.newest()
    queued = max(draining.FEWEST, size.of(_QUEUED))
    publish(database_in(table), queued)
    per_second, _ = draining.drained(table, queued, newest, PREFETCH_500)
    yield Sample(NAME, measures.GROWN_DRAIN.key, per_second, variant_of(finished))
    with serving(table, *PREFETCH_500.settings) as server:
        load = published(server, CONNECTIONS, seconds(size, _PUBLISH_SECONDS)).load
    yield Sample(NAME, measures.GROWN_PUBLISH.key, load.per_second, variant_of(finished))

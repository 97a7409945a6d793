"""This system's dashboard, with few tasks in the table and with very many."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlencode

from tests.benchmarks import measures
from tests.benchmarks.load import request
from tests.benchmarks.own.crowded import BYTES_PER_ROW, crowd
from tests.benchmarks.own.database import new_database
from tests.benchmarks.own.publishing import answered
from tests.benchmarks.own.server import serving
from tests.benchmarks.own.variants import NAME, seconds
from tests.benchmarks.system import Sample, Size

ROWS = SMALL, LARGE = 1_000, 10_000_000
_GROUP = {
    "status": "dead",
    "queue": "tasks",
    "action": "sum",
    "error_group": "ValueError: no A #",
    "limit": "5",
}
PAGES = {
    "overview": "/ui/",
    "tasks": "/ui/tasks",
    "tasks of a state and queue": "/ui/tasks?status=completed&queue=tasks",
    "groups of dead letters": "/ui/dead-letters",
    "tasks of a group": f"/ui/tasks?{urlencode(_GROUP)}",
    "actions": "/ui/actions",
}
"""The pages that are asked for, by what tables call them."""

_SETTINGS = ("queues.paused.concurrency=1",)
_TURNS = 3
_TURN_SECONDS = 1.0


class TaskQueueDashboard:
    """Pages over a table of a thousand rows and one of ten million."""

    name = "task-queue dashboard"
    stands_on = "SQLite, synchronous=FULL"
    caveats = ()

    def missing(self) -> str | None:
        """Whether the temporary directory has room for the tables."""
        needed = sum(ROWS) * BYTES_PER_ROW
        free = shutil.disk_usage(tempfile.gettempdir()).free
        if free < needed:
            return f"it needs {needed / 1e9:.1f} GB for temporary files; {free / 1e9:.1f} are free"
        return None

    def measure(self, directory: Path, size: Size) -> Iterator[Sample]:
        """Each page of the two servers in turn."""
        small, large = (directory / str(rows) for rows in ROWS)
        crowd(new_database(small), SMALL)
        crowd(new_database(large), max(SMALL, size.of(LARGE)))
        with serving(small, *_SETTINGS) as few, serving(large, *_SETTINGS) as many:
            for page, path in PAGES.items():
                medians = {SMALL: 0.0, LARGE: 0.0}
                for _ in range(_TURNS):
                    for rows, server in ((SMALL, few), (LARGE, many)):
                        turn = seconds(size, _TURN_SECONDS)
                        load = answered(server, request("GET", path), 1, turn)
                        medians[rows] += load.percentile(50) / _TURNS
                for rows in ROWS:
                    variant = variant_of(page, rows)
                    yield Sample(NAME, measures.DASHBOARD_PAGE.key, medians[rows], variant)
                ratio = medians[LARGE] / medians[SMALL]
                yield Sample(NAME, measures.DASHBOARD_RATIO.key, ratio, page)


def variant_of(page: str, rows: int) -> str:
    """What samples and tables call a page over a table with so many rows."""
    return f"{page}, {rows:,} tasks"

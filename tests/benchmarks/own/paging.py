"""Pages of `GET /tasks`, asked for by one client."""

from collections.abc import Iterator

from task_queue.actors.tasks.filters import ALL
from task_queue.api.requests.listing import DEFAULT_LIMIT
from task_queue.api.responses.cursor import cursor_of
from tests.benchmarks import measures
from tests.benchmarks.load import request
from tests.benchmarks.own.database import Seen
from tests.benchmarks.own.publishing import answered
from tests.benchmarks.own.server import Server
from tests.benchmarks.system import Measure, Size

_DEEP_PAGE = 1_000
_SECONDS = 2.0


def pages(server: Server, size: Size) -> Iterator[tuple[Measure, float]]:
    """Each measure and the seconds a page takes; no deep page of a short table."""
    paths = {
        measures.FIRST_PAGE: "/tasks",
        measures.COMPLETED_PAGE: "/tasks?status=completed",
    }
    with Seen(server.directory) as seen:
        last_before = seen.newest() - (size.of(_DEEP_PAGE) - 1) * DEFAULT_LIMIT + 1
        if last_before > DEFAULT_LIMIT:
            place = (seen.created_at(last_before), last_before)
            paths[measures.DEEP_PAGE] = f"/tasks?cursor={cursor_of(place, ALL)}"
    for measure, path in paths.items():
        load = answered(server, request("GET", path), 1, _SECONDS)
        yield measure, load.percentile(50)

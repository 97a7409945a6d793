"""`GET /metrics`: which form a scraper gets, and which part of it."""

import re
from importlib.metadata import version
from typing import TYPE_CHECKING, cast

import falcon

from task_queue.api.auth.caller import caller_of
from task_queue.api.edge import Edge
from task_queue.api.metrics.look import Looks
from task_queue.api.traffic import Traffic

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from prometheus_client.metrics_core import Metric
    from prometheus_client.registry import Collector

_VERSION = re.compile(r";\s*version=([^;,]*)")
_KNOWN = {"0.0.1", "0.0.4", "1.0.0", "2.0.0"}
"""The versions of both formats that there are."""
_NATIVE = "version=2.0.0"


class _Collected:
    """What the encoders of the library take, without a registry that the process shares."""

    def __init__(self, families: "Iterable[Metric]") -> None:
        self._families = families

    def collect(self) -> "Iterable[Metric]":
        """Return the families."""
        return self._families


class MetricsResource:
    """Shows the metrics, to those who see some queues only what is of these."""

    def __init__(self, edge: Edge, traffic: Traffic) -> None:
        """Keep what is shown.

        Args:
            edge: The way to the actors.
            traffic: What is counted of the requests.
        """
        self._edge = edge
        self._traffic = traffic
        self._looks = Looks(edge)
        self._version = version("task-queue")

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Answer what is known within the deadline, in the form that the scraper accepts."""
        # Imported when first needed: a start would take 40 ms more.
        from prometheus_client.exposition import choose_encoder  # noqa: PLC0415

        encode, content_type = choose_encoder(_accepted(req))
        native = _NATIVE in content_type
        resp.content_type = content_type
        families = _Collected(self._families(req, native=native))
        resp.data = encode(cast("Collector", families))

    on_head = on_get

    def _families(self, req: falcon.Request, *, native: bool) -> "Iterator[Metric]":
        from prometheus_client.platform_collector import PlatformCollector  # noqa: PLC0415
        from prometheus_client.process_collector import ProcessCollector  # noqa: PLC0415

        from task_queue.api.metrics import families  # noqa: PLC0415

        edge, caller = self._edge, caller_of(req)
        looked, meters = self._looks.look(), edge.system.meters
        queues = edge.queues_of(caller)
        yield from families.of_queues(queues, meters, looked, edge.now(), native=native)
        if caller.queues is not None:
            return  # what others do must not show in sums
        yield from families.of_process(meters, self._traffic, looked)
        database = "sqlite" if edge.system.database.is_sqlite else "postgresql"
        yield from families.build(self._version, database, draining=edge.is_draining)
        yield from ProcessCollector(registry=None).collect()
        yield from PlatformCollector(registry=None).collect()


def _accepted(req: falcon.Request) -> str:
    """Return the header `Accept` if its versions are known; the library trips over others."""
    header = req.get_header("Accept") or ""
    return header if {each.strip() for each in _VERSION.findall(header)} <= _KNOWN else ""

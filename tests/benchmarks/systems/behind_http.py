"""Peers behind the smallest HTTP handler: what one would write to have `POST /tasks` with them."""

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from tests.benchmarks import load, measures
from tests.benchmarks.own.latency import over_http
from tests.benchmarks.peer import WAIT_SECONDS, Peer
from tests.benchmarks.processes import free_port, listens, python, running
from tests.benchmarks.system import NUMBERS, Sample, Size
from tests.benchmarks.systems.celery import Celery
from tests.benchmarks.systems.huey import Huey
from tests.harness import eventually

_BODY = json.dumps({"action": "sum", "data": {"numbers": NUMBERS}}).encode()


class _BehindHTTP:
    """Falcon and waitress in one process, the peer's two workers in their own."""

    def __init__(self, peer: Peer, *, threads: int, cores: str) -> None:
        self.name = f"{peer.name} behind HTTP"
        self.stands_on = peer.stands_on
        self.caveats = (*peer.caveats, "The handler checks nothing and cannot list or find tasks.")
        self._peer = peer
        self._threads = threads
        self._cores = cores

    def missing(self) -> str | None:
        return self._peer.missing()

    def measure(self, directory: Path, size: Size) -> Iterator[Sample]:
        port = free_port()
        with self._peer.store(directory) as store, self._peer.workers(store, directory):
            with closing(self._peer.client(store)) as client:
                client.wait(client.publish(NUMBERS), WAIT_SECONDS)  # the workers are up
            with running(self._front(store, port), directory):
                eventually(lambda: listens(port), f"{self.name} listens")
                latency = over_http(port, size)
                result = load.run(
                    port,
                    load.request("POST", "/tasks", _BODY),
                    connections=32,
                    seconds=max(1.0, 5 * size.scale),
                )
        yield Sample(self.name, measures.HTTP_PUBLISH.key, result.per_second)
        yield Sample(self.name, measures.HTTP_PUBLISH_P50.key, result.percentile(50))
        yield Sample(self.name, measures.HTTP_PUBLISH_P99.key, result.percentile(99))
        yield Sample(self.name, measures.HTTP_LATENCY_P50.key, latency.percentile(50))
        yield Sample(self.name, measures.HTTP_LATENCY_P99.key, latency.percentile(99))

    def _front(self, store: str, port: int) -> list[str]:
        return python(
            "tests.benchmarks.peers.http_front",
            self._peer.package,
            store,
            str(port),
            str(self._threads),
            self._cores,
        )


class HueyBehindHTTP(_BehindHTTP):
    """Held to one core: 1,100 to 1,450/s; on all cores, or with 32 threads, 950 to 1,400.

    Its handler and its workers wait for each other's lock on the SQLite file.
    """

    def __init__(self) -> None:
        super().__init__(Huey(), threads=8, cores="one")


class CeleryBehindHTTP(_BehindHTTP):
    """On all cores, 32 threads: 1,400 to 1,700/s where 8 had 1,100 to 1,350; on one no faster."""

    def __init__(self) -> None:
        super().__init__(Celery(), threads=32, cores="all")

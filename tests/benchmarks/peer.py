"""What all peers have in common: how they are run and what is measured of them."""

import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from statistics import quantiles
from typing import Any, Protocol, TypeVar

from tests.benchmarks import measures, peers
from tests.benchmarks.processes import python, running
from tests.benchmarks.system import NUMBERS, Sample, Size

WAIT_SECONDS = 30.0
"""How long workers may finish nothing before the measurement is given up."""
FEWEST_DRAINED = 200
"""A drain of fewer would be over before the second look, however small the scale."""
_LOOK_SECONDS = 0.02

T = TypeVar("T")


class Client(Protocol[T]):
    """A program that uses a peer."""

    def publish(self, numbers: Sequence[int]) -> T:
        """Publish a task; what comes back stands for it."""

    def wait(self, published: T, seconds: float) -> None:
        """Return when its result is there, which is no later than that."""

    def finished(self) -> int:
        """How many tasks have a result."""

    def close(self) -> None:
        """Give back its connections."""


class HTTPClient(Client[T], Protocol[T]):
    """A client that can stand behind an HTTP handler."""

    def has_result(self, task_id: str) -> bool:
        """Whether the result of this task is there."""


class Peer:
    """A task queue to compare with: a `System`.

    Its module in `tests.benchmarks.peers` has a `Client` and a function `work`, which both take
    where the tasks are stored. It imports the peer's package, which not everybody has.

    Attributes:
        package: What it is installed and imported as.
        worker_processes: How many processes run `work`; together they are the two workers.
        drained: How many tasks a drain has at full size: enough for some seconds.
    """

    name: str
    stands_on: str
    caveats: tuple[str, ...]
    package: str
    worker_processes: int
    drained: int

    def missing_server(self) -> str | None:
        """What its server needs and this machine does not have."""
        raise NotImplementedError

    def store(self, directory: Path) -> AbstractContextManager[str]:
        """Starts its server, if it has one; where its tasks are stored."""
        raise NotImplementedError

    def missing(self) -> str | None:
        """See `System`."""
        if find_spec(self.package) is None:
            return f"the package {self.package} is not installed (pip install '.[bench]')"
        return self.missing_server()

    def measure(self, directory: Path, size: Size) -> Iterator[Sample]:
        """See `System`. The parts stand in this order since each needs what the last one left."""
        with self.store(directory) as store, closing(self.client(store)) as client:
            published = size.of(2_000)
            yield Sample(self.name, measures.PUBLISH.key, _publish(client, published))
            drained = max(FEWEST_DRAINED, published, size.of(self.drained))
            _publish(client, drained - published)
            with self.workers(store, directory):
                yield Sample(self.name, measures.DRAIN.key, _drain(client, drained))
                latencies = [_latency(client) for _ in range(max(2, size.of(300)))]
        percentiles = quantiles(latencies, n=100, method="inclusive")
        yield Sample(self.name, measures.LATENCY_P50.key, percentiles[49])
        yield Sample(self.name, measures.LATENCY_P99.key, percentiles[98])

    def client(self, store: str) -> Client[Any]:
        """A client that is connected."""
        module = import_module(f"{peers.__name__}.{self.package}_peer")
        client: Client[Any] = module.Client(store)
        return client

    @contextmanager
    def workers(self, store: str, directory: Path) -> Iterator[None]:
        """Its workers, until the end of the block."""
        command = python(peers.__name__, self.package, store)
        with ExitStack() as stack:
            for _ in range(self.worker_processes):
                stack.enter_context(running(command, directory))
            yield


def _publish(client: Client[T], tasks: int) -> float:
    """Tasks per second."""
    started = time.perf_counter()
    for _ in range(tasks):
        client.publish(NUMBERS)
    return tasks / (time.perf_counter() - started)


def _drain(client: Client[T], tasks: int) -> float:
    """Tasks per second, from the first look that sees some finished to the one that sees all."""
    first_at, first = _next_look(client, seen=0)
    last_at, last = first_at, first
    while last < tasks:
        last_at, last = _next_look(client, seen=last)
    return (last - first) / (last_at - first_at)


def _next_look(client: Client[T], seen: int) -> tuple[float, int]:
    """When more tasks than before are seen finished, and how many."""
    deadline = time.perf_counter() + WAIT_SECONDS
    while time.perf_counter() < deadline:
        time.sleep(_LOOK_SECONDS)
        if (finished := client.finished()) > seen:
            return time.perf_counter(), finished
    raise TimeoutError(f"nothing finished in {WAIT_SECONDS:g} s after {seen} tasks")


def _latency(client: Client[T]) -> float:
    """Seconds from before the publish until the result is seen."""
    started = time.perf_counter()
    client.wait(client.publish(NUMBERS), WAIT_SECONDS)
    return time.perf_counter() - started

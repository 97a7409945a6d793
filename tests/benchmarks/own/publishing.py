"""Publishes over HTTP, in turn with the same server's empty handlers."""

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import orjson

from tests.benchmarks import measures
from tests.benchmarks.load import Load, request, run
from tests.benchmarks.own.database import Seen
from tests.benchmarks.own.server import EMPTY_HANDLER, Server, serving
from tests.benchmarks.own.variants import DEFAULT, NAME, Variant, seconds
from tests.benchmarks.system import NUMBERS, Measure, Sample, Size

BODY = orjson.dumps({"action": "sum", "data": {"numbers": NUMBERS}})
PUBLISH = request("POST", "/tasks", BODY)
CONNECTIONS = 32

_ALIVE = request("GET", "/healthz")
_TURNS = 2
_TURN_SECONDS = 3.0


@dataclass(frozen=True, slots=True)
class Published:
    """What came of publishing for some seconds.

    Attributes:
        load: What the client saw.
        finished_per_second: What the workers did meanwhile.
        cpu_microseconds: What one publish took of the process, the work meanwhile included.
    """

    load: Load
    finished_per_second: float
    cpu_microseconds: float


def published(server: Server, connections: int, seconds: float) -> Published:
    """Publish, then wait until the workers have caught up."""
    with Seen(server.directory) as seen:
        before, cpu, started = seen.newest(), server.cpu_seconds(), time.perf_counter()
        load = answered(server, PUBLISH, connections, seconds)
        elapsed = time.perf_counter() - started
        cpu, finished = server.cpu_seconds() - cpu, seen.completed(before)
        rows = seen.newest() - before
        seen.wait_for(rows, before)
    return Published(load, finished / elapsed, cpu / rows * 1e6)


def answered(server: Server, request: bytes, connections: int, seconds: float) -> Load:
    """Send the request over and over; every answer must be a good one."""
    load = run(server.port, request, connections=connections, seconds=seconds)
    if load.failed:
        message = f"{load.failed} of {load.failed + len(load.latencies_seconds)} requests failed"
        raise RuntimeError(message)
    return load


def measure(directory: Path, size: Size, variant: Variant) -> Iterator[Sample]:
    """Publish at 32 connections in turn with the empty handlers; the default also at one."""
    turn = seconds(size, _TURN_SECONDS)

    def sample(measure: Measure, value: float) -> Sample:
        return Sample(NAME, measure.key, value, variant.name)

    with (
        serving(directory / "server", *variant.settings) as server,
        serving(directory / "empty", module=EMPTY_HANDLER) as empty,
    ):
        gets, posts, publishes = [], [], []
        for _ in range(_TURNS):
            gets.append(answered(server, _ALIVE, CONNECTIONS, turn))
            posts.append(answered(empty, PUBLISH, CONNECTIONS, turn))
            publishes.append(published(server, CONNECTIONS, turn))
        get, post = _together(gets), _together(posts)
        load = _together(each.load for each in publishes)
        yield sample(measures.EMPTY_GET, get.per_second)
        yield sample(measures.EMPTY_POST, post.per_second)
        yield sample(measures.HTTP_PUBLISH, load.per_second)
        yield sample(measures.HTTP_PUBLISH_P50, load.percentile(50))
        yield sample(measures.HTTP_PUBLISH_P99, load.percentile(99))
        yield sample(measures.PUBLISH_TO_GET, load.per_second / get.per_second)
        yield sample(measures.PUBLISH_TO_POST, load.per_second / post.per_second)
        finished = sum(each.finished_per_second for each in publishes) / _TURNS
        yield sample(measures.HTTP_FINISHED, finished)
        cpu = sum(each.cpu_microseconds for each in publishes) / _TURNS
        yield sample(measures.HTTP_PUBLISH_CPU, cpu)
        if variant is DEFAULT:
            load = published(server, 1, turn).load
            yield sample(measures.HTTP_PUBLISH_ONE, load.per_second)
            yield sample(measures.HTTP_PUBLISH_ONE_P50, load.percentile(50))
            yield sample(measures.HTTP_PUBLISH_ONE_P99, load.percentile(99))


def _together(loads: Iterable[Load]) -> Load:
    loads = tuple(loads)
    return Load(
        sum(load.seconds for load in loads),
        [latency for load in loads for latency in load.latencies_seconds],
    )

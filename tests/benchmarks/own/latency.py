"""One task at a time: from the publish until the client sees the result."""

import sqlite3
import time
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path
from statistics import median

import orjson

from tests.benchmarks import measures
from tests.benchmarks.load import Load, request, run
from tests.benchmarks.own.publishing import BODY
from tests.benchmarks.own.server import serving
from tests.benchmarks.own.variants import NAME, seconds
from tests.benchmarks.system import Sample, Size

_TASKS = 300
_DEADLINE_SECONDS = 30.0
_PAUSE_SECONDS = 0.0002
"""Before the client asks again: asking at once, it would hold up the work it asks for."""
_HEADERS = {"Content-Type": "application/json"}
_ALIVE = request("GET", "/healthz")


def measure(directory: Path, size: Size) -> Iterator[Sample]:
    """Publish and ask for the result, over and over; then what is the least it could take."""
    with serving(directory) as server:
        load = over_http(server.port, size)
        empty = run(server.port, _ALIVE, connections=1, seconds=seconds(size, 1.0))
    floor = 2 * (_commit_seconds(directory / "floor.db") + empty.percentile(50))
    yield Sample(NAME, measures.LATENCY_P50.key, load.percentile(50))
    yield Sample(NAME, measures.LATENCY_P99.key, load.percentile(99))
    yield Sample(NAME, measures.HTTP_LATENCY_P50.key, load.percentile(50))
    yield Sample(NAME, measures.HTTP_LATENCY_P99.key, load.percentile(99))
    yield Sample(NAME, measures.LATENCY_FLOOR.key, floor)


def over_http(port: int, size: Size) -> Load:
    """`POST /tasks`, then `GET /tasks/{id}` until it is completed, on one connection."""
    connection = HTTPConnection("127.0.0.1", port, timeout=_DEADLINE_SECONDS)
    try:
        _once(connection)
        latencies = [_once(connection) for _ in range(max(10, size.of(_TASKS)))]
    finally:
        connection.close()
    return Load(sum(latencies), latencies)


def _once(connection: HTTPConnection) -> float:
    started = time.perf_counter()
    connection.request("POST", "/tasks", BODY, _HEADERS)
    path = f"/tasks/{orjson.loads(connection.getresponse().read())['id']}"
    while True:
        connection.request("GET", path)
        task = orjson.loads(connection.getresponse().read())
        elapsed = time.perf_counter() - started
        if task["status"] == "completed":
            return elapsed
        if elapsed > _DEADLINE_SECONDS:
            message = f"a task is {task['status']} after {_DEADLINE_SECONDS:g} s"
            raise TimeoutError(message)
        time.sleep(_PAUSE_SECONDS)


def _commit_seconds(path: Path) -> float:
    """How long SQLite takes to make one small row durable."""
    connection = sqlite3.connect(path, isolation_level=None)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("CREATE TABLE small (data TEXT)")
        took = []
        for _ in range(_TASKS):
            started = time.perf_counter()
            connection.execute("INSERT INTO small VALUES ('x')")
            took.append(time.perf_counter() - started)
        return median(took)
    finally:
        connection.close()

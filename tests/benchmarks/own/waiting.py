"""Publishes while 900 requests wait for the end of their tasks, and while none does, in turn.

The tasks of those that wait are on a queue that is paused. One server, its settings the defaults.
"""

import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from http.client import HTTPConnection
from pathlib import Path

import orjson

from tests.benchmarks import measures
from tests.benchmarks.load import Load, request
from tests.benchmarks.own.publishing import CONNECTIONS, PUBLISH, answered
from tests.benchmarks.own.server import Server, serving
from tests.benchmarks.own.variants import NAME, seconds
from tests.benchmarks.system import NUMBERS, Sample, Size
from tests.harness import DEADLINE_SECONDS, eventually

WAITING = 900
"""How many requests wait at once; by default there are places for 1,000 connections."""
_QUEUE = "paused"
_TURNS = 6
_TURN_SECONDS = 3.0
_WAITS = request(
    "POST",
    "/tasks",
    orjson.dumps({"action": "sum", "data": {"numbers": NUMBERS}, "queue": _QUEUE}),
).replace(b"\r\n\r\n", b"\r\nPrefer: wait=60\r\n\r\n", 1)


_MEASURES = {
    CONNECTIONS: (
        measures.WITHOUT_WAITING_P99,
        measures.WAITING_P99,
        measures.WAITING_RATIO,
    ),
    1: (
        measures.WITHOUT_WAITING_ONE_P99,
        measures.WAITING_ONE_P99,
        measures.WAITING_ONE_RATIO,
    ),
}


def measure(directory: Path, size: Size) -> Iterator[Sample]:
    """Publish at 32 connections and at one, in short turns with and without those that wait."""
    turn = seconds(size, _TURN_SECONDS)
    loads: dict[tuple[int, int], list[Load]] = {}
    with serving(directory, f"queues.{_QUEUE}.driver=database") as server:
        _ask(server, "POST", f"/queues/{_QUEUE}/pause")
        for number in range(_TURNS):
            for waiting in (0, WAITING) if number % 2 else (WAITING, 0):  # neither is always first
                with _waiting(server, waiting):
                    for connections in (CONNECTIONS, 1):
                        load = answered(server, PUBLISH, connections, turn)
                        loads.setdefault((waiting, connections), []).append(load)
    together = {which: _together(each) for which, each in loads.items()}
    for connections, (without, with_them, ratio) in _MEASURES.items():
        p99 = together[0, connections].percentile(99)
        p99_with_them = together[WAITING, connections].percentile(99)
        yield Sample(NAME, without.key, p99)
        yield Sample(NAME, with_them.key, p99_with_them)
        yield Sample(NAME, ratio.key, p99_with_them / p99)


@contextmanager
def _waiting(server: Server, count: int) -> Iterator[None]:
    """Have so many requests wait until the end of the block, and see that all still do then."""
    before = _queued(server)
    with ExitStack() as stack:
        clients = [
            stack.enter_context(
                socket.create_connection(("127.0.0.1", server.port), DEADLINE_SECONDS)
            )
            for _ in range(count)
        ]
        for client in clients:
            client.sendall(_WAITS)
        eventually(lambda: _queued(server) == before + count, f"{count} requests wait")
        yield
        for client in clients:
            client.settimeout(0)
            try:
                message = f"answered or closed: {client.recv(100)!r}"
            except BlockingIOError:
                continue
            raise RuntimeError(message)


def _queued(server: Server) -> int:
    return int(_ask(server, "GET", f"/queues/{_QUEUE}")["counts"]["queued"])


def _ask(server: Server, method: str, path: str) -> dict[str, dict[str, int]]:
    connection = HTTPConnection("127.0.0.1", server.port, timeout=DEADLINE_SECONDS)
    try:
        connection.request(method, path)
        answer: dict[str, dict[str, int]] = orjson.loads(connection.getresponse().read())
        return answer
    finally:
        connection.close()


def _together(loads: list[Load]) -> Load:
    return Load(
        sum(load.seconds for load in loads),
        [latency for load in loads for latency in load.latencies_seconds],
    )

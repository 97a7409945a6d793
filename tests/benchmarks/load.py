"""HTTP load from one thread: so many connections, each with one request in flight.

Closed loop: a connection sends its next request when it has the answer to the last one. One
selector and ready-made bytes, so that the client takes a fraction of what a server takes and both
can have a core.
"""

import selectors
import socket
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from statistics import quantiles

TIMEOUT_SECONDS = 30.0
"""How long any one answer may take before the measurement is given up."""
_LENGTH = b"\r\ncontent-length:"
_READ_BYTES = 65_536


@dataclass(frozen=True, slots=True)
class Load:
    """What came of one measurement.

    Attributes:
        seconds: How long it took.
        latencies_seconds: How long each answer took.
        failed: How many answers were not of the 200s; they are no part of the others.
    """

    seconds: float
    latencies_seconds: Sequence[float]
    failed: int = 0

    @property
    def per_second(self) -> float:
        """Good answers per second."""
        return len(self.latencies_seconds) / self.seconds

    def percentile(self, percent: int) -> float:
        """The latency that so many per cent of the good answers do not exceed, in seconds."""
        return quantiles(self.latencies_seconds, n=100, method="inclusive")[percent - 1]


def request(method: str, path: str, body: bytes = b"") -> bytes:
    """A request as bytes, ready to be sent again and again."""
    lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1"]
    if body:
        lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
    return "\r\n".join([*lines, "", ""]).encode() + body


class _Connection:
    """One client, which waits for one answer at a time."""

    __slots__ = ("_request", "received", "sent_at", "socket")

    def __init__(self, port: int, request: bytes) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), TIMEOUT_SECONDS)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._request = request
        self.received = b""
        self.sent_at = 0.0

    def send(self) -> None:
        self.received = b""
        self.sent_at = time.perf_counter()
        self.socket.sendall(self._request)

    def receive(self) -> bool:
        """Whether the answer is complete; a connection that was closed is an error."""
        data = self.socket.recv(_READ_BYTES)
        if not data:
            message = "the server closed a connection"
            raise ConnectionError(message)
        self.received += data
        head, found, body = self.received.partition(b"\r\n\r\n")
        if not found:
            return False
        _, _, rest = head.lower().partition(_LENGTH)
        return len(body) >= int(rest.partition(b"\r\n")[0] or 0)

    @property
    def is_good(self) -> bool:
        return self.received[9:10] == b"2"


def run(
    port: int, request: bytes, *, connections: int, seconds: float, warm_up_seconds: float = 0.5
) -> Load:
    """Send the request over and over, and see how long each answer takes.

    Args:
        port: Of the server on 127.0.0.1.
        request: As `request` makes it.
        connections: How many, each with one request in flight.
        seconds: How long to measure.
        warm_up_seconds: How long to send before that.

    Raises:
        ConnectionError: The server closed a connection.
        TimeoutError: An answer did not come.
    """
    clients = [_Connection(port, request) for _ in range(connections)]
    latencies: list[float] = []
    failed = 0
    with ExitStack() as opened, selectors.DefaultSelector() as selector:
        for client in clients:
            opened.enter_context(client.socket)
            selector.register(client.socket, selectors.EVENT_READ, client)
            client.send()
        started = time.perf_counter() + warm_up_seconds
        end = started + seconds
        waiting = len(clients)
        while waiting:  # after the end, for the answers that are still on their way
            ready = selector.select(TIMEOUT_SECONDS)
            if not ready:
                message = f"no answer within {TIMEOUT_SECONDS:g} s"
                raise TimeoutError(message)
            for key, _ in ready:
                client = key.data
                if not client.receive():
                    continue
                now = time.perf_counter()
                if client.sent_at >= started and now <= end:
                    if client.is_good:
                        latencies.append(now - client.sent_at)
                    else:
                        failed += 1
                if now < end:
                    client.send()
                else:
                    waiting -= 1
    return Load(seconds, latencies, failed)

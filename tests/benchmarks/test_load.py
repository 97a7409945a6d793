"""The load generator sees what a server answers, and how fast."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tests.benchmarks.load import Load, request, run

BODY = b'{"action":"sum"}'


class _Server(ThreadingHTTPServer):
    """Answers every request with one status, and keeps what it was sent."""

    daemon_threads = False

    def __init__(self, status: int) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.status = status
        self.sent: list[tuple[str, bytes]] = []
        self.clients: set[int] = set()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.sent.append((self.path, body))
        self.server.clients.add(self.client_address[1])
        if self.server.status == 0:
            self.close_connection = True
            return
        self.send_response(self.server.status)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, format: str, *_: object) -> None:
        """Say nothing."""


@contextmanager
def serving(status: int) -> Iterator[_Server]:
    with _Server(status) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join(30)


def load_on(server: _Server) -> Load:
    port = server.server_address[1]
    post = request("POST", "/tasks", BODY)
    return run(port, post, connections=3, seconds=1.0, warm_up_seconds=0.05)


def test_every_good_answer_counts_with_its_latency() -> None:
    with serving(202) as server:
        load = load_on(server)
    assert load.failed == 0
    assert 0 < len(load.latencies_seconds) <= len(server.sent)
    assert all(0 < latency < 30 for latency in load.latencies_seconds)


def test_the_server_gets_the_request_as_it_was_made_on_every_connection() -> None:
    with serving(202) as server:
        load_on(server)
    assert set(server.sent) == {("/tasks", BODY)}
    assert len(server.clients) == 3


def test_an_answer_that_is_no_success_is_counted_apart() -> None:
    with serving(503) as server:
        load = load_on(server)
    assert load.failed > 0
    assert load.latencies_seconds == []


def test_a_connection_that_the_server_closes_is_an_error() -> None:
    with serving(0) as server, pytest.raises(ConnectionError):
        load_on(server)


def test_a_rate_and_percentiles_are_of_the_good_answers() -> None:
    load = Load(2.0, [number / 1_000 for number in range(101)], failed=7)
    assert load.per_second == 50.5
    assert load.percentile(50) == pytest.approx(0.05)
    assert load.percentile(99) == pytest.approx(0.099)

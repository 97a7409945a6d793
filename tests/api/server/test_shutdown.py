"""SIGTERM as clients see it: they are answered until the port is closed, and none is cut off."""

import signal
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from http.client import HTTPConnection
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.api.answers import connection, problem, read_answer
from tests.harness import DEADLINE_SECONDS, Gate, ServerProcess

pytestmark = pytest.mark.system

Serve = Callable[..., ServerProcess]
WAIT = 'actions.wait="tests.actions:wait_for_fifo"'
CLIENTS = 16


@pytest.fixture(params=["port", "socket"])
def where(request: pytest.FixtureRequest) -> Iterator[str]:
    """The setting of what it listens on."""
    with TemporaryDirectory() as directory:
        there = f"http.socket={directory}/tq.sock"
        yield there if request.param == "socket" else "http.port=0"


class _Connection(HTTPConnection):
    """A connection to a server, on its port or its Unix socket."""

    def __init__(self, server: ServerProcess) -> None:
        super().__init__("localhost")
        self._server = server

    def connect(self) -> None:
        self.sock = connection(self._server)


class Clients:
    """Clients that send one request after the other, over a connection for as long as it holds."""

    def __init__(self, server: ServerProcess) -> None:
        self._server = server
        self.outcomes: Counter[str] = Counter()
        self._lock = threading.Lock()
        self._many = threading.Semaphore(0)
        self._threads = [
            threading.Thread(target=self._ask, args=(number,)) for number in range(CLIENTS)
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def wait_for_answers(self, count: int) -> None:
        for _ in range(count):
            assert self._many.acquire(timeout=DEADLINE_SECONDS)

    def join(self) -> None:
        for thread in self._threads:
            thread.join(DEADLINE_SECONDS)

    def _ask(self, number: int) -> None:
        client = _Connection(self._server)
        body = b'{"action": "sum", "data": {"numbers": [1]}}'
        headers = {"Content-Type": "application/json"}
        while True:
            try:
                if number % 2:
                    client.request("POST", "/tasks", body, headers)
                else:
                    client.request("GET", "/tasks?limit=1")
                answer = client.getresponse()
                answer.read()
            except (ConnectionRefusedError, FileNotFoundError):
                return  # the port is closed, or the file of the socket is gone
            except OSError as error:
                self._note(type(error).__name__)
                return
            self._note(str(answer.status))

    def _note(self, outcome: str) -> None:
        with self._lock:
            self.outcomes[outcome] += 1
        self._many.release()


@pytest.mark.parametrize("seconds", [0.0, 1.0], ids=["nothing runs", "a task runs"])
def test_no_client_is_cut_off_by_a_stop_under_load(
    serve: Serve, where: str, seconds: float
) -> None:
    server = serve(f"builtin.simulated_work_seconds={seconds}", where).start()
    clients = Clients(server)
    clients.start()
    clients.wait_for_answers(300)
    assert server.terminate() == 0
    clients.join()
    assert clients.outcomes.keys() <= {"200", "202", "503"}, clients.outcomes


def test_while_tasks_finish_all_but_publishes_is_answered_and_each_connection_closed(
    serve: Serve, where: str, tmp_path: Path
) -> None:
    server = serve(WAIT, "queues.tasks.concurrency=1", where).start()
    gate = Gate(tmp_path)
    running = server.publish("wait", fifo=str(gate.path))
    server.wait_for_log("processing task")
    queued = server.publish("sum", numbers=[1])
    with connection(server) as idle:  # since before the signal
        server.signal(signal.SIGTERM)
        server.wait_for_log("draining")
        ready = server.client.get("/readyz")
        assert (ready.status_code, ready.json()["problems"]) == (
            503,
            ["the server is shutting down"],
        )
        assert ready.headers["Connection"] == "close"
        assert server.client.get("/healthz").status_code == 200
        refused = server.post("sum", numbers=[2])
        assert problem(refused, 503, "failed to queue task") == "the server is shutting down"
        assert refused.headers["Retry-After"] == "1"
        assert server.client.get(f"/tasks/{running}").json()["status"] == "running"
        assert server.client.post(f"/tasks/{queued}/cancel").status_code == 200
        idle.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        answer = read_answer(idle)
        assert (answer.status_code, answer.headers["Connection"]) == (200, "close")
        assert idle.recv(1) == b""
    gate.open()
    assert server.wait() == 0
    with pytest.raises((ConnectionRefusedError, FileNotFoundError)):
        connection(server)


def test_an_idle_connection_holds_up_no_stop(serve: Serve, where: str) -> None:
    server = serve(where).start()
    with connection(server) as idle:
        assert server.terminate() == 0
        assert idle.recv(1) == b""

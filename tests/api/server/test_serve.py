"""The web server's edges: what is too much, malformed, slow, or gone."""

import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from http.client import HTTPConnection
from signal import SIGTERM
from threading import Event

import pytest

from task_queue.api.server.signals import Signals
from tests.api.answers import complaints, connection, problem, read_answer, reset
from tests.harness import DEADLINE_SECONDS, ServerProcess

pytestmark = pytest.mark.system

LIMIT = 4_096
TOO_LONG = f"the body must have at most {LIMIT} bytes"
TASK = b'{"action": "uppercase", "data": {"text": "x"}}'
GET = b"GET /%b HTTP/1.1\r\nHost: localhost\r\n\r\n"
POST = b"POST /tasks HTTP/1.1\r\nHost: localhost\r\n"


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server with two threads that takes bodies of 4 KiB."""
    directory = tmp_path_factory.mktemp("small")
    server = ServerProcess(directory, "http.threads=2", f"http.max_body_bytes={LIMIT}")
    yield server.start()
    server.close()


@pytest.fixture(autouse=True)
def the_server_still_works(small: ServerProcess) -> Iterator[None]:
    yield
    small.wait_for_status(small.publish("uppercase", text="still here"), "completed")
    assert complaints(small) == []


def body_of(size: int) -> bytes:
    return TASK[:-2] + b" " * (size - len(TASK)) + TASK[-2:]


def chunked(content: bytes, pieces: int) -> Iterator[bytes]:
    """The content in pieces: a generator has no length, so HTTP libraries send it chunked."""
    size = -(-len(content) // pieces)
    yield from (content[start : start + size] for start in range(0, len(content), size))


def test_a_body_of_exactly_the_limit_is_taken(small: ServerProcess) -> None:
    assert small.client.post("/tasks", content=body_of(LIMIT)).status_code == 202


@pytest.mark.parametrize("size", [LIMIT + 1, 10 * LIMIT, 1_000 * LIMIT, 10_000 * LIMIT])
def test_a_longer_body_is_refused(small: ServerProcess, size: int) -> None:
    problem(small.client.post("/tasks", content=body_of(size)), 413, TOO_LONG)
    assert small.client.get("/healthz").status_code == 200


@pytest.mark.parametrize("size", [10 * LIMIT, 1_000 * LIMIT])
def test_a_client_that_sends_all_before_it_reads_sees_the_refusal(
    small: ServerProcess, size: int
) -> None:
    url = small.client.base_url
    client = HTTPConnection(url.host, url.port, timeout=DEADLINE_SECONDS)
    try:
        client.request("POST", "/tasks", b"x" * size)
        assert client.getresponse().status == 413
    finally:
        client.close()


def test_a_client_that_asks_before_it_sends_is_refused_at_once(small: ServerProcess) -> None:
    with connection(small) as client:
        client.sendall(POST + b"Content-Length: 99999999\r\nExpect: 100-continue\r\n\r\n")
        problem(read_answer(client), 413, TOO_LONG)


def test_a_chunked_body_is_taken(small: ServerProcess) -> None:
    answer = small.client.post("/tasks", content=chunked(body_of(LIMIT // 2), 10))
    assert answer.status_code == 202


@pytest.mark.parametrize("size", [LIMIT + 1, 1_000 * LIMIT])
def test_a_chunked_body_over_the_limit_is_refused(small: ServerProcess, size: int) -> None:
    problem(small.client.post("/tasks", content=chunked(body_of(size), 10)), 413, TOO_LONG)


def test_headers_that_are_too_large_are_refused(small: ServerProcess) -> None:
    answer = small.client.get("/healthz", headers={"X-Large": "x" * 40_000})
    problem(answer, 431, "the headers must have at most 32768 bytes")


def test_slow_clients_do_not_hold_up_the_others(small: ServerProcess) -> None:
    beginnings = [
        b"P",
        POST,
        POST + b"Content-Length: %d\r\n\r\n" % len(TASK),
        POST + b"Content-Length: %d\r\n\r\n" % len(TASK) + TASK[:10],
        POST + b"Transfer-Encoding: chunked\r\n\r\n5\r\n" + TASK[:5],
    ]
    with ExitStack() as stack:
        clients = [stack.enter_context(connection(small)) for _ in range(50)]
        for number, client in enumerate(clients):
            client.sendall(beginnings[number % len(beginnings)])
        assert small.client.get("/healthz").status_code == 200
        small.wait_for_status(small.publish("uppercase", text="quick"), "completed")
        for client in clients[3::5]:
            client.sendall(TASK[10:])
            assert read_answer(client).status_code == 202


def test_clients_that_do_not_read_their_answers_do_not_hold_up_the_others(
    small: ServerProcess,
) -> None:
    for _ in range(50):
        small.publish("keep", text="x" * 3_000)
    with ExitStack() as stack:
        for _ in range(10):
            client = stack.enter_context(connection(small))
            client.sendall(GET % b"tasks" * 20)
        small.wait_for_status(small.publish("uppercase", text="quick"), "completed")


def test_a_client_that_does_not_read_a_long_answer_keeps_no_thread(
    serve: Callable[..., ServerProcess],
) -> None:
    server = serve(
        "http.threads=1", "http.max_body_bytes=40000000", "http.answer_timeout_seconds=30"
    ).start()
    server.publish("keep", text="x" * 24_000_000)
    with connection(server) as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        client.sendall(GET % b"tasks" * 2)
        assert client.recv(1)
        assert server.client.get("/actions", timeout=DEADLINE_SECONDS).status_code == 200


@pytest.mark.parametrize("leave", [socket.socket.close, reset], ids=["close", "reset"])
def test_a_client_that_leaves_without_its_answer_has_published_all_the_same(
    small: ServerProcess, leave: Callable[[socket.socket], None]
) -> None:
    before = len(small.all_tasks())
    own_id = f"X-Request-ID: {leave.__name__}\r\n".encode()
    client = connection(small)
    client.sendall(POST + own_id + b"Content-Length: %d\r\n\r\n" % len(TASK) + TASK)
    small.wait_for_log("task queued", request_id=leave.__name__)  # just before the answer
    leave(client)
    assert len(small.all_tasks()) == before + 1


def test_requests_that_are_sent_ahead_are_answered_in_order(small: ServerProcess) -> None:
    with connection(small) as client:
        client.sendall(GET % b"healthz" + GET % b"nowhere")
        assert read_answer(client).status_code == 200
        assert read_answer(client).status_code == 404


def test_clients_that_leave_with_the_last_answer_half_read_are_no_defect(
    small: ServerProcess,
) -> None:
    def leave(_number: int) -> None:
        with connection(small) as client:
            client.sendall(b"junk\r\n\r\n")
            assert client.recv(4) == b"HTTP"

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(leave, range(1_000)))  # and the log shows no complaint


def test_an_answer_without_a_body_says_that_the_connection_closes(small: ServerProcess) -> None:
    # A client that did not know would send its next request into the void.
    for number in range(20):
        task_id = small.publish("sum", numbers=[number])
        small.wait_for_status(task_id, "completed")
        answer = small.client.delete(f"/tasks/{task_id}")
        assert (answer.status_code, answer.headers["Connection"]) == (204, "close")
        assert "Content-Length" not in answer.headers


def test_more_requests_than_threads_are_all_answered_and_the_log_stays_quiet(
    small: ServerProcess,
) -> None:
    with ThreadPoolExecutor(20) as threads:
        ids = list(threads.map(lambda number: small.publish("sum", numbers=[number]), range(200)))
    assert len(set(ids)) == 200
    for task_id in ids:
        small.wait_for_status(task_id, "completed")
    assert [line for line in small.log if line.get("level") not in {"info", "debug"}] == []


def test_no_answer_is_sent_twice_when_a_signal_comes_amid_answers(
    serve: Callable[..., ServerProcess],
) -> None:
    server = serve().start()
    request = POST + b"Content-Length: %d\r\n\r\n" % len(TASK) + TASK
    begun = threading.Barrier(17)

    def publish() -> list[str]:
        ids: list[str] = []
        with connection(server) as client, suppress(OSError, AssertionError):
            begun.wait()
            while True:
                client.sendall(request)
                answer = read_answer(client)
                assert answer.status_code == 202
                ids.append(answer.json()["id"])
        return ids

    with ThreadPoolExecutor(16) as threads:
        told = [threads.submit(publish) for _ in range(16)]
        begun.wait()
        for _ in range(100):
            server.wait_for_log("task queued")
        assert server.terminate() == 0
    ids = [each for ids in told for each in ids.result()]
    assert len(ids) == len(set(ids)) > 0


def test_a_signal_while_it_serves_interrupts_nothing() -> None:
    signals, woken = Signals(), Event()
    signals.wake_up = woken.set
    signals._on_signal(SIGTERM, None)
    assert (signals.stopping, woken.is_set()) == (True, True)
    signals._on_signal(SIGTERM, None)  # the second one is heard by another thread


def test_a_signal_while_it_starts_ends_the_start() -> None:
    with pytest.raises(SystemExit):
        Signals()._on_signal(SIGTERM, None)

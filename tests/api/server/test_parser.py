"""Requests that are refused before the application sees them, and what their clients see."""

import httpx
import pytest

from tests.api.answers import connection, problem, raw, read_answer
from tests.harness import ServerProcess

pytestmark = pytest.mark.system

TASK = b'{"action": "sum"}'
NEXT = b"POST /tasks HTTP/1.1\r\nHost: localhost\r\nContent-Length: 17\r\n\r\n" + TASK
HEAD = b"POST /tasks HTTP/1.1\r\nHost: localhost\r\nX-Request-ID: mine-7\r\n"


@pytest.mark.parametrize(
    ("request_", "status", "error"),
    [
        (b"GET /tasks HTTP/2.0\r\nHost: localhost\r\n\r\n", 505, "http version not supported"),
        (b"GET /tasks HTTP/1.1\r\n\r\n", 400, "bad request"),
        (b"GET /tasks HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n\r\n", 400, "bad request"),
        (b"GET /tasks\r\n\r\n", 400, "bad request"),
        (b"GET /tasks HTTP/1.1\nHost: localhost\n\n", 400, "bad request"),
        (b"GET http://[/ HTTP/1.1\r\nHost: [\r\n\r\n", 400, "bad request"),
        (b"\x16\x03\x01\x02", 400, "bad request"),
        (b"NONSENSE\r\n\r\n", 400, "bad request"),
        (b"\r\n GET /tasks HTTP/1.1\r\nHost: localhost\r\n\r\n", 400, "bad request"),
        (HEAD + b"no colon\r\n\r\n", 400, "bad request"),
        (HEAD + b"Content-Length: " + b"9" * 5_000 + b"\r\n\r\n", 400, "bad request"),
        (HEAD + b"Content-Length: 17\r\nTransfer-Encoding: chunked\r\n\r\n", 400, "bad request"),
        (HEAD + b"Transfer-Encoding: gzip, chunked\r\n\r\n", 501, "not implemented"),
        (HEAD + b"Expect: tea\r\nContent-Length: 17\r\n\r\n", 417, "expectation failed"),
        (HEAD + b"Expect: 100-continue\r\nContent-Length: x\r\n\r\n", 400, "bad request"),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\nx\r\n", 400, "bad request"),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n1\r\n{}\r\n", 400, "bad request"),
    ],
    ids=lambda value: str(value)[-40:] if isinstance(value, bytes) else None,
)
def test_a_request_in_doubt_is_refused_and_nothing_that_follows_is_read(
    server: ServerProcess, request_: bytes, status: int, error: str
) -> None:
    before = len(server.all_tasks())
    with connection(server) as client:
        client.sendall(request_ + NEXT + NEXT)
        answer = read_answer(client)
        assert client.recv(1) == b""
    problem(answer, status, error)
    assert answer.headers["Connection"] == "close"
    if b"mine-7" in request_:
        assert answer.headers["X-Request-ID"] == "mine-7"
    assert len(server.all_tasks()) == before


def test_a_body_is_not_asked_for_where_there_is_none(server: ServerProcess) -> None:
    """It was asked for, and waited for until the connection was given up."""
    with connection(server) as client:
        client.sendall(
            b"POST /queues/tasks/resume HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\n\r\n"
        )
        assert read_answer(client).status_code == 200


def test_a_body_is_asked_for_where_there_is_one(server: ServerProcess) -> None:
    with connection(server) as client:
        client.sendall(HEAD + b"Expect: 100-continue\r\nContent-Length: 17\r\n\r\n")
        assert client.recv(25) == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.sendall(TASK)
        assert read_answer(client).status_code == 202


def test_a_target_may_be_a_whole_url(server: ServerProcess) -> None:
    request = (
        b"GET http://localhost/healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    )
    assert raw(server, request).json() == {"status": "alive"}


@pytest.mark.parametrize(
    ("version", "options", "closes"),
    [
        ("1.1", "TE, Close", True),
        ("1.1", "keep-alive, TE", False),
        ("1.0", "Keep-Alive,\tTE", False),
        ("1.0", "TE, x", True),
    ],
)
def test_a_connection_is_closed_as_one_of_several_options_asks(
    server: ServerProcess, version: str, options: str, *, closes: bool
) -> None:
    request = f"GET /healthz HTTP/{version}\r\nHost: localhost\r\nConnection: {options}\r\n\r\n"
    with connection(server) as client:
        client.sendall(request.encode())
        answer = read_answer(client)
    assert (answer.headers.get("Connection") == "close") is closes


def test_a_client_that_speaks_tls_is_told_at_once(server: ServerProcess) -> None:
    url = str(server.client.base_url).replace("http:", "https:")
    with pytest.raises(httpx.ConnectError, match=r"(?i)ssl|tls|protocol"):
        httpx.get(url, timeout=10)

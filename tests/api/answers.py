"""What every answer must be, and a way to send what no HTTP library would."""

import re
import socket
import struct
from typing import Any

import httpx

from task_queue.api.responses.problems import PROBLEMS
from tests.harness import DEADLINE_SECONDS, ServerProcess

SECRETS = re.compile(
    r"Traceback|File \"|\.py\b|site-packages|SELECT |INSERT |sqlalchemy|psycopg"
    r"|/(home|root|tmp|usr|var|work|opt)/",
    re.IGNORECASE,
)
"""What no answer may show: code, paths, statements."""


def problem(answer: httpx.Response, status: int, error: str) -> str:
    """The detail of the answer, which must be a problem document with this error."""
    assert answer.status_code == status, answer.text
    assert answer.headers["Content-Type"] == "application/problem+json"
    document = answer.json()
    assert list(document) == ["error", "type", "title", "status", "detail"]
    assert document["error"] == error
    kind = PROBLEMS[document["type"].rpartition("#")[2]]
    assert (kind.status, kind.title) == (status, document["title"])
    assert document["status"] == status
    assert not SECRETS.search(answer.text)
    return str(document["detail"])


def complaints(server: ServerProcess) -> list[dict[str, Any]]:
    """The log lines that tell of a defect."""
    return [
        line
        for line in server.log
        if line.get("level") in {"error", "critical"} or "exception" in line or "text" in line
    ]


def connection(server: ServerProcess) -> socket.socket:
    """A bare connection to the server."""
    if server.unix_socket is not None:
        client = socket.socket(socket.AF_UNIX)
        client.settimeout(DEADLINE_SECONDS)
        try:
            client.connect(server.unix_socket)
        except OSError:
            client.close()
            raise
        return client
    url = server.client.base_url
    assert url.port is not None
    return socket.create_connection((url.host, url.port), timeout=DEADLINE_SECONDS)


def raw(server: ServerProcess, request: bytes) -> httpx.Response:
    """The answer to these bytes; the connection is closed by the server, or after one answer."""
    with connection(server) as client:
        client.sendall(request)
        client.shutdown(socket.SHUT_WR)
        return read_answer(client)


def read_answer(client: socket.socket) -> httpx.Response:
    """The next answer that comes over this connection, and not a byte more."""
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        head += _some(client, 1)
    lines = head.decode("latin-1").splitlines()
    headers = httpx.Headers(dict(line.split(": ", 1) for line in lines[1:-1]))
    body = b""
    while missing := int(headers["Content-Length"]) - len(body):
        body += _some(client, missing)
    return httpx.Response(int(lines[0].split()[1]), headers=headers, content=body)


def reset(client: socket.socket) -> None:
    """Break the connection off, as a client that crashed does."""
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()


def _some(client: socket.socket, most: int) -> bytes:
    data = client.recv(most)
    assert data, "the connection was closed without an answer"
    return data

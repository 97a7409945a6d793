"""Every answer names its request, and so does every log line that the request caused."""

from uuid import UUID

import pytest

from tests.api.answers import raw
from tests.harness import ServerProcess

pytestmark = pytest.mark.system

HEADER = "X-Request-ID"
TASK = {"action": "uppercase", "data": {"text": "x"}}


@pytest.mark.parametrize("own", ["a", "order-17/retry:2", "x" * 128, "YWJj+/=._-"])
def test_the_callers_id_comes_back(server: ServerProcess, own: str) -> None:
    assert server.client.get("/healthz", headers={HEADER: own}).headers[HEADER] == own


@pytest.mark.parametrize(
    "indecent", ["", "x" * 129, "two words", 'quote"', "{json}", "é", "<script>", "a,b", "50%"]
)
def test_an_indecent_id_is_replaced(server: ServerProcess, indecent: str) -> None:
    given = indecent.encode()
    answer = server.client.get("/healthz", headers=[(HEADER.encode(), given)])
    assert UUID(answer.headers[HEADER]).version == 7


def test_a_line_break_in_an_id_starts_no_header(server: ServerProcess) -> None:
    answer = raw(server, b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-Request-ID: a\nX-Evil: b\r\n\r\n")
    assert answer.status_code == 400
    assert "X-Evil" not in answer.headers


def test_a_request_without_an_id_gets_one_of_its_own(server: ServerProcess) -> None:
    ids = {server.client.get("/healthz").headers[HEADER] for _ in range(20)}
    assert len(ids) == 20
    assert all(UUID(each).version == 7 for each in ids)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nowhere", 404),
        ("GET", "/tasks?limit=0", 400),
        ("PUT", "/tasks", 405),
        ("POST", "/tasks", 400),
        ("BREW", "/tasks", 400),
    ],
)
def test_an_error_names_its_request_too(
    server: ServerProcess, method: str, path: str, status: int
) -> None:
    own = f"error-{method}-{status}"
    answer = server.client.request(method, path, headers={HEADER: own})
    assert (answer.status_code, answer.headers[HEADER]) == (status, own)
    line = server.wait_for_log("request", request_id=own)
    assert (line["method"], line["status"], line["level"]) == (method, status, "info")
    assert path.startswith(line["path"])
    assert line["duration_seconds"] >= 0


def test_what_the_web_server_refuses_names_its_request_too(server: ServerProcess) -> None:
    headers = {HEADER: "too-much", "Content-Type": "application/json"}
    answer = server.client.post("/tasks", content=b"x" * 1_048_577, headers=headers)
    assert (answer.status_code, answer.headers[HEADER]) == (413, "too-much")
    assert server.wait_for_log("request refused", request_id="too-much")["status"] == 413


def test_the_log_tells_which_request_published_a_task(server: ServerProcess) -> None:
    answer = server.client.post("/tasks", json=TASK, headers={HEADER: "mine-1"})
    line = server.wait_for_log("task queued", request_id="mine-1")
    assert line["id"] == answer.json()["id"]
    other = server.client.post("/tasks", json=TASK)
    line = server.wait_for_log("task queued", id=other.json()["id"])
    assert line["request_id"] == other.headers[HEADER] != "mine-1"


def test_the_log_holds_no_payload(server: ServerProcess) -> None:
    task_id = server.publish("uppercase", text="confidential")
    server.wait_for_log("task completed", id=task_id)
    assert "confidential" not in str(server.log).lower()

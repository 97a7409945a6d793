"""Bad input gets a clear error on every database, and nothing is lost."""

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote

import pytest

from tests.api.answers import complaints, connection, problem, reset
from tests.api.wrong_members import WRONG_MEMBERS
from tests.harness import ServerProcess

pytestmark = pytest.mark.system

MIB = 1_048_576
A_TASK = {"action": "x"}
NUL = "a string holds the NUL character (\\u0000), which databases cannot store"
PUBLISHES = ("/tasks", "/tasks/batch")


@pytest.fixture(autouse=True)
def nothing_is_lost_and_the_server_still_works(either_server: ServerProcess) -> Iterator[None]:
    before = [task["id"] for task in either_server.all_tasks()]
    yield
    assert [task["id"] for task in either_server.all_tasks()] == before
    task_id = either_server.publish("uppercase", text="still here")
    done = either_server.wait_for_status(task_id, "completed")
    assert done["result"] == {"output": "STILL HERE"}
    assert complaints(either_server) == []


def body(**members: Any) -> bytes:  # noqa: ANN401 - any JSON value
    return json.dumps(members).encode()


def nested(levels: int) -> bytes:
    return b'{"action": "x", "data": {"a": ' + b"[" * levels + b"]" * levels + b"}}"


@pytest.mark.parametrize(
    ("content", "detail"),
    [
        pytest.param(b"", "the body is empty; it must be a JSON object", id="no body"),
        pytest.param(b" \n", "the body is not valid JSON: ", id="blank"),
        pytest.param(b"{bad", "the body is not valid JSON: ", id="not JSON"),
        pytest.param(b'{"action": "x"', "the body is not valid JSON: ", id="cut short"),
        pytest.param(b'{"action": "x"} {}', "the body is not valid JSON: ", id="more than JSON"),
        pytest.param(b"{'action': 'x'}", "the body is not valid JSON: ", id="single quotes"),
        pytest.param(b"[]", "the body must be a JSON object", id="list"),
        pytest.param(b'"x"', "the body must be a JSON object", id="string"),
        pytest.param(b"5", "the body must be a JSON object", id="number"),
        pytest.param(b"null", "the body must be a JSON object", id="null"),
        pytest.param(b"true", "the body must be a JSON object", id="boolean"),
        pytest.param(b'{"action": NaN}', "the body is not valid JSON: ", id="NaN"),
        pytest.param(b'{"a": -Infinity}', "the body is not valid JSON: ", id="Infinity"),
        pytest.param(b'{"a": 1e400}', "the body is not valid JSON: ", id="beyond a float"),
        pytest.param(
            b'{"action": "\xff"}',
            "the body is not UTF-8: invalid start byte at byte 12",
            id="invalid UTF-8",
        ),
        pytest.param('{"action": "x"}'.encode("utf-16"), "the body is not UTF-8: ", id="UTF-16"),
        pytest.param(
            b'{"action": "\xed\xa0\x80"}', "the body is not UTF-8: ", id="surrogate in UTF-8"
        ),
        pytest.param(
            b'\xef\xbb\xbf{"action": "x"}', "the body is not valid JSON: ", id="byte order mark"
        ),
        pytest.param(
            b'{"action": "\\ud800"}', "the body is not valid JSON: ", id="surrogate in action"
        ),
        pytest.param(
            b'{"action": "x", "data": {"a": "\\udc00!"}}',
            "the body is not valid JSON: ",
            id="surrogate in data",
        ),
        pytest.param(b'{"action": "a\\u0000"}', NUL, id="NUL in action"),
        pytest.param(b'{"action": "x", "data": {"a": ["\\u0000"]}}', NUL, id="NUL in data"),
        pytest.param(b'{"action": "x", "data": {"\\u0000": 1}}', NUL, id="NUL in a key"),
        pytest.param(
            b'{"action": "x", "data": {"a": "\x00"}}', "the body is not valid JSON: ", id="raw NUL"
        ),
        pytest.param(
            b'{"action": "x", "data": {"a": 9223372036854775808}}',
            "the integer 9223372036854775808 does not fit in signed 64 bits; send it as a string",
            id="integer above 64 bits",
        ),
        pytest.param(
            b'{"action": "x", "data": {"a": [-9223372036854775809]}}',
            "the integer -9223372036854775809 does not fit in signed 64 bits; send it as a string",
            id="integer below 64 bits",
        ),
        pytest.param(
            b'{"action": "x", "data": {"a": 1' + b"0" * 100 + b"}}",
            "the integer 100000000000000000… does not fit in signed 64 bits; send it as a string",
            id="endless integer",
        ),
        pytest.param(nested(200), "the body has more than 100 levels of nesting", id="200 levels"),
        pytest.param(nested(500_000), "the body is not valid JSON: ", id="500,000 levels"),
    ],
)
def test_a_body_that_is_no_json_object_is_invalid_json(
    either_server: ServerProcess, content: bytes, detail: str
) -> None:
    for path in PUBLISHES:
        answer = either_server.client.post(path, content=content)
        assert problem(answer, 400, "invalid JSON").startswith(detail)


@pytest.mark.parametrize("members", [{}, {"data": {}}, {"action": None}, {"action": ""}])
def test_an_action_is_required(either_server: ServerProcess, members: dict[str, Any]) -> None:
    answer = either_server.client.post("/tasks", json=members)
    detail = problem(answer, 400, "action required")
    assert detail == "action is missing or empty; it names what to do"


@pytest.mark.parametrize(("wrong", "error"), WRONG_MEMBERS)
def test_a_wrong_member_is_named_with_its_value_and_what_is_allowed(
    either_server: ServerProcess, wrong: dict[str, Any], error: str
) -> None:
    task = {"action": "x", **wrong}
    assert problem(either_server.client.post("/tasks", json=task), 400, error) == error
    batch = {"tasks": [{"action": "x"}, task]}
    error = f"tasks[1].{error}"
    assert problem(either_server.client.post("/tasks/batch", json=batch), 400, error) == error


@pytest.mark.parametrize(
    ("batch", "error"),
    [
        ({}, "tasks is missing"),
        ({"tasks": []}, "tasks must have 1 to 1000 entries, not 0"),
        ({"tasks": [{"action": "x"}] * 1_001}, "tasks must have 1 to 1000 entries, not 1001"),
        ({"tasks": [{"action": "x"}] * 999 + [{}]}, "tasks[999].action is missing"),
        ({"tasks": "all"}, 'tasks must be a list, not "all"'),
        ({"tasks": [[]]}, "tasks[0] must be a JSON object, not []"),
        ({"tasks": [{"action": "x"}], "queue": "x"}, "queue is not known; known: tasks"),
        ({"action": "x"}, "tasks is missing"),
    ],
)
def test_a_wrong_batch_is_refused_as_a_whole(
    either_server: ServerProcess, batch: dict[str, Any], error: str
) -> None:
    assert problem(either_server.client.post("/tasks/batch", json=batch), 400, error) == error


def test_an_unknown_queue_is_refused_with_those_there_are(either_server: ServerProcess) -> None:
    answer = either_server.client.post("/tasks", json={"action": "x", "queue": "nope"})
    detail = problem(answer, 400, "unknown queue")
    assert detail == "queue 'nope' is not known; known: tasks"


@pytest.mark.parametrize("key", ["", '"', '"open', "two words", "k" * 256, "k\xff"])
def test_an_idempotency_key_that_is_none_is_refused(either_server: ServerProcess, key: str) -> None:
    error = (
        "Idempotency-Key must have 1 to 255 visible ASCII characters,"
        " as they are or as a string in double quotes"
    )
    for path, content in zip(PUBLISHES, (body(action="x"), body(tasks=[A_TASK])), strict=True):
        headers = [(b"Idempotency-Key", key.encode("latin-1"))]
        answer = either_server.client.post(path, content=content, headers=headers)
        problem(answer, 400, error)


@pytest.mark.parametrize(
    "content_type", ["application/x-www-form-urlencoded", "text/plain", "application/xml", "json"]
)
def test_a_content_type_other_than_json_is_refused_with_the_way_out(
    either_server: ServerProcess, content_type: str
) -> None:
    for path in PUBLISHES:
        answer = either_server.client.post(
            path, content=body(action="x"), headers={"Content-Type": content_type}
        )
        error = f"Content-Type must be application/json, not {content_type}"
        detail = problem(answer, 415, error)
        assert detail == f"{error}; with curl: -H 'Content-Type: application/json'"


@pytest.mark.parametrize(
    ("parameters", "charset"),
    [
        ("charset=utf-16", "utf-16"),
        (' CHARSET = "Latin1"', "Latin1"),
        ("charset=", '""'),
        ("charset=utf-8; charset=utf-16", "utf-16"),
        ("charset=utf-16; charset=utf-8", "utf-16"),
        ("version=1;charset=" + "x" * 1_000, "x" * 60 + "…"),
    ],
)
def test_a_charset_other_than_utf_8_is_refused(
    either_server: ServerProcess, parameters: str, charset: str
) -> None:
    headers = {"Content-Type": f"application/json;{parameters}"}
    answer = either_server.client.post("/tasks", content=body(action="x"), headers=headers)
    problem(answer, 415, f"charset must be utf-8, as JSON is always, not {charset}")


def test_a_body_over_the_limit_is_refused(either_server: ServerProcess) -> None:
    for path in PUBLISHES:
        answer = either_server.client.post(path, content=b"x" * (MIB + 1))
        problem(answer, 413, f"the body must have at most {MIB} bytes")


@pytest.mark.parametrize(
    "task_id",
    [
        "abc",
        "00000000-0000-0000-0000-000000000000",
        "01a1ffdf-eb26-7547-96be-75e9038abb1g",
        "1",
        "%00",
        "%FF",
        "' OR 1=1",
        "x" * 10_000,
    ],
)
def test_an_id_that_is_no_tasks_is_not_found(either_server: ServerProcess, task_id: str) -> None:
    detail = problem(either_server.client.get(f"/tasks/{task_id}"), 404, "task not found")
    assert detail.startswith("there is no task ")


@pytest.mark.parametrize("path", ["/", "/task", "/tasks/a/b", "/..%2f..%2fetc%2fpasswd"])
def test_an_unknown_path_is_not_found(either_server: ServerProcess, path: str) -> None:
    detail = problem(either_server.client.get(path), 404, "not found")
    assert detail == f"there is no {unquote(path)}; what there is, is listed at /docs"


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PUT", "/tasks", "GET, HEAD, POST, OPTIONS"),
        ("DELETE", "/tasks", "GET, HEAD, POST, OPTIONS"),
        ("POST", "/tasks/00000000-0000-0000-0000-000000000000", "DELETE, GET, HEAD, OPTIONS"),
        ("PUT", "/tasks/batch", "POST, OPTIONS"),
        ("POST", "/healthz", "GET, HEAD, OPTIONS"),
        ("TRACE", "/readyz", "GET, HEAD, OPTIONS"),
    ],
)
def test_a_wrong_method_is_refused_with_those_allowed(
    either_server: ServerProcess, method: str, path: str, allowed: str
) -> None:
    answer = either_server.client.request(method, path)
    detail = problem(answer, 405, "method not allowed")
    assert detail == f"{method} is not allowed here; allowed: {allowed}"
    assert answer.headers["Allow"] == allowed


def test_an_unknown_method_is_refused(either_server: ServerProcess) -> None:
    problem(either_server.client.request("BREW", "/tasks"), 400, "bad request")


def test_a_client_that_disconnects_in_the_middle_of_its_body_leaves_no_trace(
    either_server: ServerProcess,
) -> None:
    head = b"POST /tasks HTTP/1.1\r\nHost: localhost\r\nContent-Length: 500\r\n\r\n"
    half = head + b'{"action": "x", "data'
    with connection(either_server) as client:
        client.sendall(half)
    client = connection(either_server)
    client.sendall(half)
    reset(client)

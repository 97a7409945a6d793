"""Bad input gets a clear error on every database, and nothing is lost."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.api.answers import complaints, connection, problem, reset
from tests.harness import ServerProcess

pytestmark = pytest.mark.system

MIB = 1_048_576
STATES = "'scheduled', 'queued', 'running', 'completed', 'dead' or 'cancelled'"
NUL = "a string holds the NUL character (\\u0000), which databases cannot store"
FORGED = "cursor is not one that this service gave; use a next_cursor, or leave it out"


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
            "the integer 9223372036854775808 does not fit in 64 bits; send it as a string",
            id="integer above 64 bits",
        ),
        pytest.param(
            b'{"action": "x", "data": {"a": [-9223372036854775809]}}',
            "the integer -9223372036854775809 does not fit in 64 bits; send it as a string",
            id="integer below 64 bits",
        ),
        pytest.param(
            b'{"action": "x", "data": {"a": 1' + b"0" * 100 + b"}}",
            "the integer 100000000000000000… does not fit in 64 bits; send it as a string",
            id="endless integer",
        ),
        pytest.param(nested(200), "the body has more than 100 levels of nesting", id="200 levels"),
        pytest.param(nested(500_000), "the body is not valid JSON: ", id="500,000 levels"),
    ],
)
def test_a_body_that_is_no_json_object_is_invalid_json(
    either_server: ServerProcess, content: bytes, detail: str
) -> None:
    answer = either_server.client.post("/tasks", content=content)
    assert problem(answer, 400, "invalid JSON").startswith(detail)


@pytest.mark.parametrize("members", [{}, {"data": {}}, {"action": None}, {"action": ""}])
def test_an_action_is_required(either_server: ServerProcess, members: dict[str, Any]) -> None:
    answer = either_server.client.post("/tasks", json=members)
    detail = problem(answer, 400, "action required")
    assert detail == "action is missing or empty; it names what to do"


@pytest.mark.parametrize(
    ("members", "error"),
    [
        ({"action": 5}, "action must be a string, not 5"),
        ({"action": True}, "action must be a string, not true"),
        ({"action": ["x"]}, 'action must be a string, not ["x"]'),
        ({"action": {"a": 1}}, 'action must be a string, not {"a":1}'),
        ({"action": "x" * 300}, "action must have at most 200 characters, not 300"),
        ({"action": "😀" * 201}, "action must have at most 200 characters, not 201"),
        ({"action": "x", "data": []}, "data must be a JSON object, not []"),
        ({"action": "x", "data": "{}"}, 'data must be a JSON object, not "{}"'),
        ({"action": "x", "data": 0}, "data must be a JSON object, not 0"),
        ({"action": "x", "data": False}, "data must be a JSON object, not false"),
        (
            {"action": "x", "data": "y" * 90},
            f'data must be a JSON object, not "{"y" * 59}…',
        ),
        ({"action": "x", "prio": 1}, "prio is not known; known: action, data"),
        ({"action": "x", "id": "1"}, "id is not known; known: action, data"),
    ],
)
def test_a_wrong_member_is_named_with_its_value_and_what_is_allowed(
    either_server: ServerProcess, members: dict[str, Any], error: str
) -> None:
    assert problem(either_server.client.post("/tasks", json=members), 400, error) == error


@pytest.mark.parametrize(
    "content_type", ["application/x-www-form-urlencoded", "text/plain", "application/xml", "json"]
)
def test_a_content_type_other_than_json_is_refused_with_the_way_out(
    either_server: ServerProcess, content_type: str
) -> None:
    answer = either_server.client.post(
        "/tasks", content=body(action="x"), headers={"Content-Type": content_type}
    )
    error = f"Content-Type must be application/json, not {content_type}"
    detail = problem(answer, 415, error)
    assert detail == f"{error}; with curl: -H 'Content-Type: application/json'"


def test_a_body_over_the_limit_is_refused(either_server: ServerProcess) -> None:
    answer = either_server.client.post("/tasks", content=b"x" * (MIB + 1))
    problem(answer, 413, f"the body must have at most {MIB} bytes")


@pytest.mark.parametrize(
    ("query", "error"),
    [
        ("status=bogus", f'status must be one of {STATES}, not "bogus"'),
        ("status=", f'status must be one of {STATES}, not ""'),
        ("status=Completed", f'status must be one of {STATES}, not "Completed"'),
        ("status=dead&status=queued", "status is given 2 times; once is allowed"),
        ("limit=0", 'limit must be from 1 to 1000, not "0"'),
        ("limit=-1", 'limit must be from 1 to 1000, not "-1"'),
        ("limit=1001", 'limit must be from 1 to 1000, not "1001"'),
        ("limit=1000000000", 'limit must be from 1 to 1000, not "1000000000"'),
        (f"limit={10**30}", f'limit must be from 1 to 1000, not "{10**30}"'),
        ("limit=x", 'limit must be a whole number from 1 to 1000, not "x"'),
        ("limit=", 'limit must be a whole number from 1 to 1000, not ""'),
        ("limit=1e9", 'limit must be a whole number from 1 to 1000, not "1e9"'),
        ("limit=1.5", 'limit must be a whole number from 1 to 1000, not "1.5"'),
        ("limit=%00", 'limit must be a whole number from 1 to 1000, not "\\u0000"'),
        ("limit=1&limit=2&limit=3", "limit is given 3 times; once is allowed"),
        ("cursor=", FORGED),
        ("cursor=abc", FORGED),
        ("cursor=MQ==", FORGED),  # "1", but padded
        ("cursor=MDE", FORGED),  # "01"
        ("cursor=MA", FORGED),  # "0"
        ("cursor=LTE", FORGED),  # "-1"
        ("cursor=OTIyMzM3MjAzNjg1NDc3NTgwOA", FORGED),  # 2 ** 63
        ("cursor=2aE", FORGED),  # a digit, but not of ours
        ("cursor=%00", FORGED),
        ("cursor=%F0%9F%98%80", FORGED),
        ("cursor=1'%20OR%201=1", FORGED),
        ("page=2", "page is not known; known: status, limit, cursor"),
        ("%7Bvalue%7D=2", "{value} is not known; known: status, limit, cursor"),
    ],
)
def test_a_wrong_query_is_named_with_its_value_and_what_is_allowed(
    either_server: ServerProcess, query: str, error: str
) -> None:
    assert problem(either_server.client.get(f"/tasks?{query}"), 400, error) == error


@pytest.mark.parametrize(
    "task_id",
    [
        "abc",
        "00000000-0000-0000-0000-000000000000",
        "01a1ffdf-eb26-7547-96be-75e9038abb1g",
        "1",
        "",
        "%00",
        "%FF",
        "' OR 1=1",
        "x" * 10_000,
    ],
)
def test_an_id_that_is_no_tasks_is_not_found(either_server: ServerProcess, task_id: str) -> None:
    problem(either_server.client.get(f"/tasks/{task_id}"), 404, "task not found")


@pytest.mark.parametrize("path", ["/", "/task", "/tasks/a/b", "/..%2f..%2fetc%2fpasswd"])
def test_an_unknown_path_is_not_found(either_server: ServerProcess, path: str) -> None:
    problem(either_server.client.get(path), 404, "not found")


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PUT", "/tasks", "GET, HEAD, POST, OPTIONS"),
        ("DELETE", "/tasks", "GET, HEAD, POST, OPTIONS"),
        ("POST", "/tasks/00000000-0000-0000-0000-000000000000", "GET, HEAD, OPTIONS"),
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
    half = b'POST /tasks HTTP/1.1\r\nContent-Length: 500\r\n\r\n{"action": "x", "data'
    with connection(either_server) as client:
        client.sendall(half)
    client = connection(either_server)
    client.sendall(half)
    reset(client)

"""The table of operations is what the server serves, no more and no less."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from falcon.inspect import inspect_routes

from task_queue.actors.system import ActorSystem
from task_queue.api.app import create_app
from task_queue.api.contract.operation import Operation
from task_queue.api.edge import Edge
from task_queue.api.routes.table import OPERATIONS
from task_queue.config.layers import load
from tests.harness import ServerProcess, eventually

TAKES_QUERY = [each for each in OPERATIONS if each.query is not None]
TAKES_NONE = [each for each in OPERATIONS if each.query is None]
TAKES_BODY = [each for each in OPERATIONS if each.body is not None]


def named(operation: Operation) -> str:
    return operation.operation_id


def sent(server: ServerProcess, operation: Operation, **options: Any) -> dict[str, Any]:  # noqa: ANN401
    """The problem that is answered to this."""
    path = operation.path.format(**operation.example.path)
    answer = server.client.request(operation.method, path, **options)
    assert answer.status_code == 400, answer.text
    document: dict[str, Any] = answer.json()
    return document


def test_each_route_and_method_of_the_router_is_in_the_table_and_each_of_the_table_in_it() -> None:
    settings = load(environ={}).settings
    system = ActorSystem(settings, on_too_many_restarts=lambda: None)
    routed = {
        (route.path, method.method, method.suffix or None)
        for route in inspect_routes(create_app(Edge(system, 1.0), settings.http))
        for method in route.methods
        if not method.internal  # OPTIONS, and the 405 of all others
    }
    listed = {(each.path, each.method, each.suffix) for each in OPERATIONS}
    heads = {(path, "HEAD", suffix) for path, method, suffix in listed if method == "GET"}
    assert routed == listed | heads


def test_names_of_operations_are_unique() -> None:
    assert len({each.operation_id for each in OPERATIONS}) == len(OPERATIONS)


@pytest.mark.system
@pytest.mark.parametrize("operation", TAKES_QUERY, ids=named)
def test_a_query_has_the_parameters_that_the_server_knows(
    server: ServerProcess, operation: Operation
) -> None:
    error = sent(server, operation, params={"no_such": "1"})["error"]
    assert operation.query is not None
    assert error == f"no_such is not known; known: {', '.join(operation.query.model_fields)}"


@pytest.mark.system
@pytest.mark.parametrize("operation", TAKES_NONE, ids=named)
def test_an_operation_without_a_query_takes_none(
    server: ServerProcess, operation: Operation
) -> None:
    error = sent(server, operation, params={"no_such": "1"})["error"]
    assert re.fullmatch(r"no_such is not known; [A-Z]+ \S+ has no parameters", error)


@pytest.mark.system
@pytest.mark.parametrize("operation", TAKES_BODY, ids=named)
def test_a_body_has_the_members_that_the_server_knows(
    server: ServerProcess, operation: Operation
) -> None:
    error = sent(server, operation, json={**(operation.example.body or {}), "no_such": 1})["error"]
    assert operation.body is not None
    assert error == f"no_such is not known; known: {', '.join(operation.body.model_fields)}"


@pytest.fixture(scope="module")
def resizing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server with an external action."""
    server = ServerProcess(tmp_path_factory.mktemp("resizing"), "actions.resize.external=true")
    try:
        yield server.start()
    finally:
        server.close()


WAITS = {"action": "sum", "delay_seconds": 3600}


def waiting(server: ServerProcess) -> str:
    return str(server.client.post("/tasks", json=WAITS).json()["id"])


def cancelled(server: ServerProcess) -> str:
    task_id = waiting(server)
    server.client.post(f"/tasks/{task_id}/cancel")
    return task_id


def scheduled(server: ServerProcess) -> str:
    body = {"every": "1d", "task": {"action": "sum"}}
    server.client.put("/schedules/nightly", json=body)
    return ""


def unscheduled(server: ServerProcess) -> str:
    server.client.delete("/schedules/nightly")
    return ""


def leased(server: ServerProcess) -> str:
    server.publish("resize", size=1)
    answer = server.client.post("/queues/tasks/lease", json={})
    return str(answer.json()["leases"][0]["lease"])


BEFORE = {
    "get_task": waiting,
    "ack_lease": leased,
    "nack_lease": leased,
    "release_lease": leased,
    "extend_lease": leased,
    "cancel_task": waiting,
    "delete_task": cancelled,
    "retry_task": cancelled,
    "cancel_tasks": waiting,
    "retry_tasks": cancelled,
    "delete_tasks": cancelled,
    "get_schedule": scheduled,
    "run_schedule": scheduled,
    "delete_schedule": scheduled,
    "put_schedule": unscheduled,
}
"""What has to be there before the example is sent; it gives the id of the task, or the lease."""


@pytest.mark.system
@pytest.mark.parametrize("operation", OPERATIONS, ids=named)
def test_each_example_is_answered_as_it_says(resizing: ServerProcess, operation: Operation) -> None:
    server, example = resizing, operation.example
    path = dict(example.path)
    if (prepare := BEFORE.get(operation.operation_id)) is not None:
        found = prepare(server)
        path |= {name: found for name in path if name in {"task_id", "lease"}}

    def answered() -> int:
        return server.client.request(
            operation.method,
            operation.path.format(**path),
            params=example.query,
            json=example.body,
            headers=example.headers,
        ).status_code

    eventually(lambda: answered() == example.status, operation.operation_id)

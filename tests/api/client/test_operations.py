"""The client can ask for whatever the table of operations has, in the form that it has there."""

from collections.abc import Callable, Iterator
from contextlib import suppress

import httpx

from task_queue.api.client.operations.every import Operations
from task_queue.api.routes.table import OPERATIONS
from task_queue.client import Client, ClientError, NewTask
from tests.contract import operation_of

CALLS: dict[str, Callable[[Client], object]] = {
    "publish_task": lambda client: client.publish("sum"),
    "publish_batch": lambda client: client.publish_batch([NewTask("sum")]),
    "get_task": lambda client: client.get("1"),
    "list_tasks": lambda client: next(client.tasks()),
    "cancel_task": lambda client: client.cancel("1"),
    "retry_task": lambda client: client.retry("1"),
    "delete_task": lambda client: client.delete("1"),
    "cancel_tasks": lambda client: client.cancel_tasks(queue="a"),
    "retry_tasks": lambda client: client.retry_tasks(queue="a"),
    "delete_tasks": lambda client: client.delete_tasks(queue="a"),
    "list_dead_letters": lambda client: next(client.dead_letters()),
    "list_dead_groups": lambda client: client.dead_letter_groups(),
    "redrive": lambda client: client.redrive(queue="a"),
    "list_queues": lambda client: client.queues(),
    "get_queue": lambda client: client.queue("a"),
    "pause_queue": lambda client: client.pause("a"),
    "resume_queue": lambda client: client.resume("a"),
    "purge_queue": lambda client: client.purge("a"),
    "get_figures": lambda client: client.figures(),
    "list_schedules": lambda client: client.schedules(),
    "get_schedule": lambda client: client.schedule("a"),
    "put_schedule": lambda client: client.put_schedule("a", NewTask("sum"), every="1h"),
    "delete_schedule": lambda client: client.delete_schedule("a"),
    "run_schedule": lambda client: client.run_schedule("a"),
    "lease_tasks": lambda client: client.lease("a"),
    "ack_lease": lambda client: client.ack("a"),
    "nack_lease": lambda client: client.nack("a", "error"),
    "release_lease": lambda client: client.release("a"),
    "extend_lease": lambda client: client.extend("a", 1),
    "settle_leases": lambda client: client.settle([]),
    "list_actions": lambda client: client.actions(),
    "get_action": lambda client: client.action("a"),
    "list_nodes": lambda client: client.nodes(),
    "is_ready": lambda client: client.readiness(),
    "list_audit": lambda client: next(client.audit()),
}
OF_OTHERS = {"is_alive", "get_description", "show_docs", "get_metrics"}
"""Those of programs that watch, and of browsers; `request` asks for them, too."""


def asked_for(call: Callable[[Client], object]) -> Iterator[str]:
    """The operations that a call asks for."""
    seen: list[httpx.Request] = []

    def refuse(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(418)

    with Client(transport=httpx.MockTransport(refuse)) as client, suppress(ClientError):
        call(client)
    for request in seen:
        operation = operation_of(request.method, request.url.path)
        yield request.url.path if operation is None else operation.operation_id


def test_each_method_asks_for_the_operation_of_its_name() -> None:
    found = {name: list(asked_for(call)) for name, call in CALLS.items()}
    assert found == {name: [name] for name in CALLS}


def test_every_operation_of_the_service_has_a_method() -> None:
    there = {operation.operation_id for operation in OPERATIONS}
    assert there - OF_OTHERS == set(CALLS)


def test_every_method_says_what_it_does() -> None:
    methods = [name for name in dir(Operations) if not name.startswith("_")]
    assert [name for name in methods if not getattr(Operations, name).__doc__] == []

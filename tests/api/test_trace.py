"""The trace of a publish goes with its task, to whatever does it."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.api.servers import DATABASES, server_on
from tests.endpoint import Endpoint
from tests.harness import ServerProcess, eventually

PARENT = f"00-{'1' * 32}-{'2' * 16}-01"
STATE = "rojo=1,congo=t61"
HEADERS = {"traceparent": PARENT, "tracestate": STATE}
BOTH = {"traceparent": PARENT, "tracestate": STATE}
NEITHER = {"traceparent": None, "tracestate": None}


@pytest.fixture(scope="module")
def endpoint() -> Iterator[Endpoint]:
    with Endpoint() as endpoint:
        yield endpoint


@pytest.fixture(scope="module", params=DATABASES)
def tracing(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, endpoint: Endpoint
) -> Iterator[ServerProcess]:
    with server_on(
        request,
        tmp_path_factory,
        'actions.in-thread="tests.actions:trace"',
        'actions.in-process={python="tests.actions:trace",execution="process"}',
        'actions.program={command=["sh","-c","echo $TRACEPARENT $TRACESTATE"],result="text"}',
        f'actions.over-http={{http="{endpoint.url()}",allow_networks=["127.0.0.1"]}}',
        "queues.quick.driver=memory",
    ) as server:
        yield server


def publish(server: ServerProcess, action: str, headers: dict[str, str], **members: object) -> str:
    answer = server.client.post("/tasks", json={"action": action, **members}, headers=headers)
    assert answer.status_code == 202, answer.text
    return str(answer.json()["id"])


def done(server: ServerProcess, task_id: str) -> dict[str, Any]:
    """The task, once it is; of a queue in memory it is not shown before."""

    def look() -> dict[str, Any] | None:
        task: dict[str, Any] = server.client.get(f"/tasks/{task_id}").json()
        return task if task.get("status") == "completed" else None

    return eventually(look, f"{task_id} is done") or {}


@pytest.mark.parametrize("action", ["in-thread", "in-process"])
@pytest.mark.parametrize("queue", ["tasks", "quick"])
def test_python_has_it_in_its_context(tracing: ServerProcess, action: str, queue: str) -> None:
    with_one, without = (
        publish(tracing, action, headers, queue=queue) for headers in (HEADERS, {})
    )
    first, second = done(tracing, with_one), done(tracing, without)
    assert (first["result"], second["result"]) == (BOTH, NEITHER)
    assert BOTH.items() <= first.items()
    assert NEITHER.items() <= second.items()


def test_a_program_has_it_in_its_environment(tracing: ServerProcess) -> None:
    task_id = publish(tracing, "program", HEADERS)
    assert tracing.wait_for_status(task_id, "completed")["result"] == f"{PARENT} {STATE}"
    task_id = publish(tracing, "program", {})
    assert tracing.wait_for_status(task_id, "completed")["result"] in ("", None)


def test_an_http_action_passes_it_on_as_it_is(tracing: ServerProcess, endpoint: Endpoint) -> None:
    for headers in (HEADERS, {}):
        tracing.wait_for_status(publish(tracing, "over-http", headers), "completed")
    first, second = (endpoint.wait_for_request() for _ in range(2))
    assert HEADERS.items() <= first.headers.items()
    assert HEADERS.keys().isdisjoint(second.headers)


def test_all_tasks_of_a_batch_have_it(tracing: ServerProcess) -> None:
    body = {"tasks": [{"action": "sum"}, {"action": "sum", "priority": 1}]}
    ids = tracing.client.post("/tasks/batch", json=body, headers=HEADERS).json()["ids"]
    for task_id in ids:
        assert BOTH.items() <= tracing.task(task_id).items()


def test_a_trace_that_cannot_be_read_is_ignored(tracing: ServerProcess) -> None:
    task_id = publish(tracing, "sum", {"traceparent": "nonsense", "tracestate": STATE})
    assert NEITHER.items() <= tracing.task(task_id).items()


def test_several_headers_are_one_state_and_two_parents_are_none(tracing: ServerProcess) -> None:
    several = [("traceparent", PARENT), ("tracestate", "rojo=1"), ("tracestate", "congo=t61")]
    answer = tracing.client.post("/tasks", json={"action": "sum"}, headers=several)
    assert BOTH.items() <= tracing.task(answer.json()["id"]).items()
    twice = [("traceparent", PARENT), ("traceparent", PARENT)]
    answer = tracing.client.post("/tasks", json={"action": "sum"}, headers=twice)
    assert NEITHER.items() <= tracing.task(answer.json()["id"]).items()

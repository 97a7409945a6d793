"""`POST /tasks/batch`: up to a thousand tasks in one transaction, all or none."""

from collections.abc import Callable, Iterator
from typing import Any
from uuid import uuid4

import httpx
import orjson
import pytest

from task_queue.actors.store.database import Database
from tests.api.answers import complaints, problem
from tests.api.servers import DATABASES, server_on
from tests.databases import refuse
from tests.harness import ServerProcess

pytestmark = pytest.mark.system

LATER = {"action": "x", "delay_seconds": 3_600}
FIFTY_MB = 50_000_000
SETTINGS = (
    "queues.mail.concurrency=1",
    "queues.quick.driver=memory",
    "queues.swift.driver=memory",
    "queues.short.max_length=3",
    "queues.light.max_bytes=100",
    "queues.tenants.concurrency_per_key=1",
    "builtin.fallback=false",
    "actions.x=tests.actions:record",
)


@pytest.fixture(scope="module", params=DATABASES)
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ServerProcess]:
    """A server on each kind of database, with several queues."""
    with server_on(request, tmp_path_factory, *SETTINGS) as server:
        yield server
        assert complaints(server) == []


def publish(server: ServerProcess, tasks: object) -> httpx.Response:
    return server.client.post("/tasks/batch", content=orjson.dumps({"tasks": tasks}))


def ids(server: ServerProcess) -> list[str]:
    """Those of all tasks, in the order of their creation."""
    return [task["id"] for task in server.all_tasks()][::-1]


@pytest.mark.parametrize("count", [1, 2, 1_000])
def test_a_batch_is_stored_in_its_order(server: ServerProcess, count: int) -> None:
    before = len(ids(server))
    answer = publish(server, [{**LATER, "data": {"n": n}} for n in range(count)])
    assert answer.status_code == 202
    assert list(answer.json()) == ["ids", "count"]
    assert answer.json()["count"] == count
    assert answer.json()["ids"] == ids(server)[before:]
    last = server.task(answer.json()["ids"][-1])
    assert (last["payload"]["data"], last["status"]) == ({"n": count - 1}, "scheduled")


def test_each_task_of_a_batch_asks_for_itself(server: ServerProcess) -> None:
    answer = publish(
        server,
        [
            {"action": "sum", "data": {"numbers": [1, 2]}},
            {**LATER, "queue": "mail", "priority": 7, "key": "k"},
            {"action": "uppercase", "data": {"text": "x"}, "queue": "tenants", "key": "k"},
        ],
    )
    first, second, third = answer.json()["ids"]
    assert server.wait_for_status(first, "completed")["result"] == {"output": 3}
    task = server.task(second)
    assert (task["queue"], task["priority"], task["key"]) == ("mail", 7, "k")
    assert server.wait_for_status(third, "completed")["result"] == {"output": "X"}


def test_one_bad_entry_among_a_thousand_is_named_and_nothing_is_stored(
    server: ServerProcess,
) -> None:
    before = ids(server)
    tasks: list[dict[str, Any]] = [dict(LATER) for _ in range(1_000)]
    tasks[17]["priority"] = 101
    error = "tasks[17].priority must be a whole number from -100 to 100, not 101"
    problem(publish(server, tasks), 400, error)
    assert ids(server) == before


@pytest.mark.parametrize(
    ("tasks", "error", "detail"),
    [
        ([], "tasks must have 1 to 1000 entries, not 0", None),
        ([LATER] * 1_001, "tasks must have 1 to 1000 entries, not 1001", None),
        ({}, "tasks must be a list, not {}", None),
        ([LATER, None], "tasks[1] must be a JSON object, not null", None),
        ([LATER, {}], "tasks[1].action is missing", None),
        (
            [LATER, {"action": "nope"}],
            "unknown action",
            "tasks[1].action 'nope' is not known; known: sum, uppercase, x",
        ),
        (
            [LATER, {**LATER, "queue": "nope"}],
            "unknown queue",
            (
                "tasks[1].queue 'nope' is not known;"
                " known: tasks, mail, quick, swift, short, light, tenants"
            ),
        ),
        (
            [{**LATER, "queue": "quick"}, {**LATER, "queue": "quick", "unique_key": "u"}],
            (
                "tasks[1].unique_key needs a queue on a database; 'quick' is in memory and takes"
                " only action, data, queue, delay_seconds, run_at, max_attempts"
            ),
            None,
        ),
        (
            [LATER, LATER, {**LATER, "queue": "quick"}],
            (
                "tasks[2].queue is 'quick' and tasks[0].queue is 'tasks';"
                " a queue in memory cannot be in a batch with another one"
            ),
            None,
        ),
        (
            [{**LATER, "queue": "quick"}, {**LATER, "queue": "swift"}],
            (
                "tasks[1].queue is 'swift' and tasks[0].queue is 'quick';"
                " a queue in memory cannot be in a batch with another one"
            ),
            None,
        ),
    ],
)
def test_a_batch_that_cannot_be_is_refused(
    server: ServerProcess, tasks: object, error: str, detail: str | None
) -> None:
    before = ids(server)
    assert problem(publish(server, tasks), 400, error) == (detail or error)
    assert ids(server) == before


def test_a_batch_for_a_queue_in_memory_is_taken_as_one(server: ServerProcess) -> None:
    answer = publish(server, [{**LATER, "queue": "quick"}] * 3)
    assert (answer.status_code, answer.json()["count"]) == (202, 3)
    assert len(set(answer.json()["ids"])) == 3


def test_duplicates_are_counted_and_named_by_the_task_that_was_there(server: ServerProcess) -> None:
    unique_key = uuid4().hex
    unique = {**LATER, "unique_key": unique_key}
    first = server.client.post("/tasks", json=unique).json()["id"]
    answer = publish(server, [LATER, unique, {**unique, "queue": "mail"}, unique])
    assert answer.status_code == 202
    assert list(answer.json()) == ["ids", "count", "duplicates"]
    assert (answer.json()["count"], answer.json()["duplicates"]) == (4, 2)
    new, same, other_queue, same_again = answer.json()["ids"]
    assert same == same_again == first
    assert ids(server)[-2:] == [new, other_queue]


def test_the_second_with_a_unique_key_in_a_batch_is_the_firsts_duplicate(
    server: ServerProcess,
) -> None:
    unique = {**LATER, "unique_key": uuid4().hex}
    document = publish(server, [unique, unique]).json()
    first, second = document["ids"]
    assert (first, document["duplicates"]) == (second, 1)


def test_a_batch_beyond_the_limit_of_one_of_its_queues_leaves_nothing(
    server: ServerProcess,
) -> None:
    before = ids(server)
    answer = publish(server, [LATER] + [{**LATER, "queue": "short"}] * 4)
    assert answer.status_code == 429
    assert answer.headers["Retry-After"] == "1"
    assert answer.headers["RateLimit"] == '"length";r=0;t=1'
    assert ids(server) == before


def test_a_batch_says_what_each_of_its_queues_has_left(server: ServerProcess) -> None:
    answer = publish(server, [{**LATER, "queue": "short"}, {**LATER, "queue": "light"}])
    assert answer.headers["RateLimit-Policy"] == (
        '"bytes";q=100;qu="content-bytes";pk=:bGlnaHQ=:, "length";q=3;pk=:c2hvcnQ=:'
    )
    assert answer.headers["RateLimit"] == '"bytes";r=98;pk=:bGlnaHQ=:, "length";r=2;pk=:c2hvcnQ=:'
    for queue in ("short", "light"):
        assert server.client.post(f"/queues/{queue}/purge").json()["count"] == 1


def test_a_task_that_the_database_refuses_takes_its_batch_with_it_and_nothing_else(
    serve: Callable[..., ServerProcess], database: Database
) -> None:
    refuse(database, "action", "bad")
    server = serve(f"database.url={database.url}").start()
    answer = publish(server, [LATER, {"action": "bad"}, LATER])
    detail = problem(answer, 500, "failed to queue task")
    assert detail == "the database refuses this"
    assert ids(server) == []
    assert publish(server, [LATER]).status_code == 202


def test_a_batch_of_fifty_megabytes_is_refused_and_the_client_can_read_why(
    server: ServerProcess,
) -> None:
    before = ids(server)
    answer = publish(server, [{**LATER, "data": {"a": "x" * (FIFTY_MB // 100)}}] * 100)
    problem(answer, 413, "the body must have at most 1048576 bytes")
    assert ids(server) == before


def test_a_batch_can_only_be_posted(server: ServerProcess) -> None:
    answer = server.client.get("/tasks/batch")
    detail = problem(answer, 405, "method not allowed")
    assert detail == "GET is not allowed here; allowed: POST, OPTIONS"

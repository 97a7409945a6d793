"""When the database cannot: 503 or 500 in the tutorial's words, and well again afterwards."""

from collections.abc import Callable

import pytest

from actors.store.connect import Database
from tests.api.answers import problem
from tests.databases import execute, held
from tests.harness import ServerProcess, eventually

pytestmark = pytest.mark.system

TASK = {"action": "uppercase", "data": {"text": "x"}}


def recovers(server: ServerProcess) -> None:
    eventually(
        lambda: server.client.post("/tasks", json=TASK).status_code == 202, "it takes tasks again"
    )
    assert eventually(lambda: server.client.get("/readyz").status_code == 200, "it is ready")
    task_id = server.publish("uppercase", text="well again")
    server.wait_for_status(task_id, "completed")


def test_a_publish_that_the_database_cannot_take_now_is_503_and_leaves_nothing(
    serve: Callable[..., ServerProcess], empty_database: Database
) -> None:
    server = serve(
        f"database.url={empty_database.url}",
        "database.busy_timeout_seconds=0",
        "database.statement_timeout_seconds=1",
    ).start()
    with held(empty_database):
        answer = server.client.post("/tasks", json=TASK)
        assert problem(answer, 503, "failed to queue task") == "try again soon"
        assert answer.headers["Retry-After"] == "1"
    assert server.client.get("/tasks").json()["count"] == 0
    recovers(server)


def test_a_publish_without_an_answer_in_time_is_503_and_says_that_its_fate_is_unknown(
    serve: Callable[..., ServerProcess], empty_database: Database
) -> None:
    server = serve(f"database.url={empty_database.url}", "http.answer_timeout_seconds=0.2").start()
    with held(empty_database):
        answer = server.client.post("/tasks", json=TASK)
        detail = problem(answer, 503, "failed to queue task")
        assert detail == "no answer in time; whether the task was accepted is unknown"
        assert answer.headers["Retry-After"] == "1"
    recovers(server)


def test_a_query_that_fails_is_an_error_in_the_tutorials_words(
    serve: Callable[..., ServerProcess], empty_database: Database
) -> None:
    server = serve(f"database.url={empty_database.url}").start()
    execute(empty_database, "ALTER TABLE tasks RENAME TO elsewhere")
    for path in ("/tasks", "/tasks/00000000-0000-0000-0000-000000000000"):
        problem(server.client.get(path), 500, "query failed")
    problem(server.client.post("/tasks", json=TASK), 503, "failed to queue task")
    execute(empty_database, "ALTER TABLE elsewhere RENAME TO tasks")
    recovers(server)

"""What each error is answered with; and when the database cannot, well again afterwards."""

from collections.abc import Callable

import falcon
import httpx
import pytest

from task_queue.actors.errors import (
    ActorUnavailableError,
    AnswerTimeoutError,
    BadRowError,
    ConflictError,
    KeyReusedError,
    NotFoundError,
    OverLimitError,
    QueryFailedError,
    QueueFullError,
    StoreUnavailableError,
    TaskQueueError,
    UnavailableError,
)
from task_queue.actors.messages.reply import Reply
from task_queue.actors.store.database import Database
from task_queue.actors.tasks.recurrence import InvalidRecurrenceError
from task_queue.api.responses import errors, problems
from task_queue.api.responses.errors import InvalidRequestError, late_refusal
from task_queue.api.responses.late import Late, leave_after
from tests.api.answers import problem
from tests.databases import execute, held
from tests.harness import ServerProcess, eventually

system = pytest.mark.system

TASK = {"action": "uppercase", "data": {"text": "x"}}
PUBLISHES = [("/tasks", TASK), ("/tasks/batch", {"tasks": [TASK, TASK]})]
SAID = "a sentence for the user"
FAILED = "failed to queue task"
AWAY = "database unavailable"
NO_DATABASE = "the database cannot be used now, GET /readyz says why; try again soon"
PART_DOWN = "a part of the service is down, GET /readyz says which; try again soon"
UNKNOWN = "no answer in time; whether the task was accepted is unknown"
REFUSED = "the database refuses this"


class Failing:
    """A resource on which everything fails in the same way."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    def on_get(self, _req: falcon.Request, _resp: falcon.Response) -> None:
        raise self._error

    on_post = on_get


class FailingPublish(Failing):
    """A resource whose publishes are refused by their queue, if it is one that refuses."""

    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        if not isinstance(self._error, TaskQueueError):
            raise self._error
        reply = Reply[None]()
        reply.fail(self._error)
        answer = leave_after(req, Late(reply, lambda _: None), timeout=0)
        assert answer is not None
        answer.fill(resp)


def failing(error: Exception) -> httpx.Client:
    """A client of an application on which everything fails in the same way."""
    app = falcon.App()
    errors.install(app)
    for path in ("/tasks", "/tasks/batch"):
        app.add_route(path, FailingPublish(error))
    app.add_route("/queues/tasks/purge", Failing(error))
    return httpx.Client(transport=httpx.WSGITransport(app), base_url="http://testserver")


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (InvalidRecurrenceError("cron", SAID), 400),
        (NotFoundError(SAID), 404),
        (ConflictError(SAID), 409),
        (KeyReusedError(SAID), 422),
        (OverLimitError(SAID, "length", 5), 429),
        (InvalidRequestError(SAID), 400),
        (InvalidRequestError(SAID, problem=problems.UNSUPPORTED_MEDIA_TYPE), 415),
    ],
)
def test_an_error_that_is_the_clients_says_so_in_its_own_words(
    error: Exception, status: int
) -> None:
    with failing(error) as client:
        for method, path in (("GET", "/tasks"), ("POST", "/tasks"), ("POST", "/tasks/batch")):
            answer = client.request(method, path)
            assert problem(answer, status, SAID) == SAID
            assert ("Retry-After" in answer.headers) == (status == 429)


@pytest.mark.parametrize(
    ("error", "status", "publishing", "otherwise"),
    [
        (StoreUnavailableError("host=db"), 503, NO_DATABASE, NO_DATABASE),
        (ActorUnavailableError("writer"), 503, PART_DOWN, PART_DOWN),
        (AnswerTimeoutError("0.2 s"), 503, UNKNOWN, "no answer from the database in time"),
        (QueueFullError(SAID), 503, SAID, SAID),
        (UnavailableError(SAID), 503, SAID, SAID),
        (BadRowError("INSERT"), 500, REFUSED, REFUSED),
    ],
)
def test_what_the_service_cannot_do_now_is_said_in_the_tutorials_words(
    error: TaskQueueError, status: int, publishing: str, otherwise: str
) -> None:
    away = AWAY if status == 503 else "query failed"
    with failing(error) as client:
        for method, path, text, detail in (
            ("POST", "/tasks", FAILED, publishing),
            ("POST", "/tasks/batch", FAILED, publishing),
            ("GET", "/tasks", away, otherwise),
            ("POST", "/queues/tasks/purge", away, otherwise),
        ):
            answer = client.request(method, path)
            assert problem(answer, status, text) == detail
            assert answer.headers.get("Retry-After") == ("1" if status == 503 else None)


@pytest.mark.parametrize(
    "error",
    [
        OverLimitError(SAID, "bytes", 5),
        KeyReusedError(SAID),
        AnswerTimeoutError(SAID),
        StoreUnavailableError(SAID),
        BadRowError(SAID),
    ],
)
def test_a_late_refusal_is_the_same_as_one_in_time(error: TaskQueueError) -> None:
    late = late_refusal(error)
    with failing(error) as client:
        in_time = client.post("/tasks")
    assert (late.status, late.body) == (in_time.status_code, in_time.content)
    assert httpx.Headers(late.headers).items() <= in_time.headers.items()


def test_an_error_that_nobody_expected_tells_nothing() -> None:
    with failing(RuntimeError("/etc/secret.py")) as client:
        assert problem(client.post("/tasks"), 500, "internal error") == "internal error"


def test_a_query_that_failed_is_one_in_the_tutorials_words() -> None:
    with failing(QueryFailedError("SELECT")) as client:
        assert problem(client.get("/tasks"), 500, "query failed") == "query failed"


def recovers(server: ServerProcess) -> None:
    eventually(
        lambda: server.client.post("/tasks", json=TASK).status_code == 202, "it takes tasks again"
    )
    assert eventually(lambda: server.client.get("/readyz").status_code == 200, "it is ready")
    task_id = server.publish("uppercase", text="well again")
    server.wait_for_status(task_id, "completed")


def recovers_where_any_answer_may_be_late(server: ServerProcess) -> None:
    def published() -> str | None:
        answer = server.client.post("/tasks", json=TASK)
        return str(answer.json()["id"]) if answer.status_code == 202 else None

    def is_completed() -> bool:
        answer = server.client.get(f"/tasks/{task_id}")
        return answer.status_code == 200 and answer.json()["status"] == "completed"

    task_id = eventually(published, "it takes tasks again")
    eventually(lambda: server.client.get("/readyz").status_code == 200, "it is ready")
    eventually(is_completed, f"{task_id} completed")


@system
def test_a_publish_that_the_database_cannot_take_now_is_503_and_leaves_nothing(
    serve: Callable[..., ServerProcess], empty_database: Database
) -> None:
    server = serve(
        f"database.url={empty_database.url}",
        "database.busy_timeout_seconds=0",
        "database.statement_timeout_seconds=1",
    ).start()
    with held(empty_database):
        for path, body in PUBLISHES:
            answer = server.client.post(path, json=body)
            assert problem(answer, 503, FAILED) == NO_DATABASE
            assert answer.headers["Retry-After"] == "1"
    assert server.client.get("/tasks").json()["count"] == 0
    recovers(server)


@system
def test_a_publish_without_an_answer_in_time_is_503_and_says_that_its_fate_is_unknown(
    serve: Callable[..., ServerProcess], empty_database: Database
) -> None:
    server = serve(f"database.url={empty_database.url}", "http.answer_timeout_seconds=0.2").start()
    with held(empty_database):
        for path, body in PUBLISHES:
            answer = server.client.post(path, json=body)
            assert problem(answer, 503, FAILED) == UNKNOWN
            assert answer.headers["Retry-After"] == "1"
    recovers_where_any_answer_may_be_late(server)


@system
def test_a_query_that_fails_is_an_error_in_the_tutorials_words(
    serve: Callable[..., ServerProcess], empty_database: Database
) -> None:
    server = serve(f"database.url={empty_database.url}").start()
    execute(empty_database, "ALTER TABLE tasks RENAME TO elsewhere")
    for path in ("/tasks", "/tasks/00000000-0000-0000-0000-000000000000"):
        problem(server.client.get(path), 500, "query failed")
    for path, body in PUBLISHES:
        problem(server.client.post(path, json=body), 503, FAILED)
    execute(empty_database, "ALTER TABLE elsewhere RENAME TO tasks")
    recovers(server)

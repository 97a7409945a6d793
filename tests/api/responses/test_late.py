"""Publishes wait for their commit without a thread; the answers are the same as with one."""

import select
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from http import HTTPStatus
from pathlib import Path

import falcon
import httpx
import pytest
from falcon.testing import create_environ

from task_queue.actors.errors import QueueFullError
from task_queue.actors.messages.reply import Reply
from task_queue.actors.store.database import Database
from task_queue.actors.system import ActorSystem
from task_queue.api.app import create_app
from task_queue.api.edge import Edge
from task_queue.api.responses.answer import Answer
from task_queue.api.responses.errors import late_refusal
from task_queue.api.responses.late import ENVIRON_KEY, Late, Wait, leave_after
from task_queue.config.layers import load
from tests.api.answers import complaints, connection, problem, read_answer
from tests.databases import held
from tests.harness import DEADLINE_SECONDS, ServerProcess

TASK = b'{"action": "sum", "data": {"numbers": [1, 2]}}'
POST = b"POST /tasks HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % len(TASK) + TASK
MORE_THAN_THREADS = 20
SETTINGS = ("queues.short.max_length=1",)


class Noted:
    """What is to be done with a reply: it keeps them, and answers as it was told."""

    def __init__(self, answer: Answer | None = None) -> None:
        self.answer = answer
        self.replies: list[object] = []

    def __call__(self, reply: object) -> Answer | None:
        self.replies.append(reply)
        return self.answer


@pytest.fixture
def one_thread(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server with a single thread for requests, which may wait for long."""
    server = ServerProcess(
        tmp_path_factory.mktemp("one"),
        "http.threads=1",
        "http.answer_timeout_seconds=60",
        "database.busy_timeout_seconds=60",
    )
    yield server.start()
    server.close()


def database_of(server: ServerProcess) -> Database:
    return Database(f"sqlite:///{server.directory}/data/tasks.db")


def test_our_server_is_told_what_to_wait_for() -> None:
    req = falcon.Request(create_environ() | {ENVIRON_KEY: []})
    late = Late(Reply[None](), Noted())
    assert leave_after(req, late, timeout=0) is None
    assert req.env[ENVIRON_KEY] == [late]


@pytest.mark.parametrize("answer", [None, Answer(HTTPStatus.OK, [], b"{}")])
def test_on_another_server_the_request_waits_itself_and_knows_what_to_answer(
    answer: Answer | None,
) -> None:
    reply, done = Reply[str](), Noted(answer)
    reply.answer("stored")
    asked = falcon.Request(create_environ())
    assert leave_after(asked, Late(reply, done), timeout=0) is answer
    assert done.replies == ["stored"]


def test_on_another_server_an_error_is_the_answer() -> None:
    reply, done = Reply[None](), Noted()
    reply.fail(QueueFullError())
    asked = falcon.Request(create_environ())
    assert leave_after(asked, Late(reply, done), timeout=0) == late_refusal(QueueFullError())
    assert done.replies == []


def test_on_another_server_one_wait_follows_another_and_each_ends_in_its_time() -> None:
    first, second, third = Reply[int](), Reply[str](), Reply[None]()
    ends: list[str] = []
    first.answer(1)
    answer = Answer(HTTPStatus.OK, [], b"{}")

    def end() -> None:
        ends.append("second")
        second.answer("time is over")

    last = Late(third, Noted(), Wait(time.monotonic(), lambda: None), refuse=lambda _: answer)
    then = Late(second, lambda _: last, Wait(time.monotonic() + 0.01, end))
    late = Late(first, lambda _: then, left=lambda: ends.append("left"))
    assert leave_after(falcon.Request(create_environ()), late, timeout=0) is answer
    assert ends == ["second", "left"]


def test_whoever_answers_after_the_end_learns_that_it_does_not_count() -> None:
    reply = Reply[tuple[str, ...]]()
    wait = Wait(0.0, lambda: reply.answer(()))
    wait.end()
    assert not reply.answer(("something",))
    assert Late(reply, lambda value: Answer(HTTPStatus.OK, [], str(value).encode())).outcome() == (
        Answer(HTTPStatus.OK, [], b"()")
    )


@pytest.fixture
def wsgi(tmp_path: Path) -> Iterator[httpx.Client]:
    """A client of the application on a server that knows nothing of late answers."""
    settings = load(
        overrides=[f"database.url=sqlite:///{tmp_path}/tasks.db", *SETTINGS], environ={}
    ).settings
    system = ActorSystem(settings, on_too_many_restarts=lambda: None)
    system.start()
    transport = httpx.WSGITransport(create_app(Edge(system, DEADLINE_SECONDS), settings.http))
    with httpx.Client(transport=transport, base_url="http://localhost") as client:
        yield client
    system.stop()


@pytest.fixture
def ours(serve: Callable[..., ServerProcess]) -> httpx.Client:
    """A client of the application on our server, which sends answers late."""
    return serve(*SETTINGS).start().client


@pytest.mark.system
@pytest.mark.parametrize("server", ["ours", "wsgi"])
def test_what_the_reply_says_is_answered_on_every_server(
    request: pytest.FixtureRequest, server: str
) -> None:
    client: httpx.Client = request.getfixturevalue(server)
    own = {"X-Request-ID": "own-1"}

    def post(headers: dict[str, str] = own, path: str = "/tasks", **body: object) -> httpx.Response:
        answer = client.post(path, json=body, headers={**own, **headers})
        assert answer.headers["X-Request-ID"] == "own-1"
        return answer

    first = post(action="x", delay_seconds=60, unique_key="u")
    assert (first.status_code, list(first.json())) == (202, ["id", "status"])
    location = f"/tasks/{first.json()['id']}"
    assert first.headers["Location"] == location

    duplicate = post(action="x", delay_seconds=60, unique_key="u")
    assert (duplicate.status_code, duplicate.json()["duplicate"]) == (200, True)
    assert duplicate.headers["Location"] == location
    batch = post(path="/tasks/batch", tasks=[{"action": "x", "unique_key": "u"}])
    assert (batch.status_code, batch.json()["duplicates"]) == (202, 1)

    filling = post(action="x", delay_seconds=60, queue="short")
    assert (filling.status_code, filling.headers["RateLimit"]) == (202, '"length";r=0')
    full = post(action="x", delay_seconds=60, queue="short")
    assert full.headers["RateLimit"] == '"length";r=0;t=1'
    assert full.headers["RateLimit-Policy"] == '"length";q=1'
    assert full.headers["Retry-After"] == "1"
    assert "Location" not in full.headers
    problem(full, 429, full.json()["error"])

    key = {"Idempotency-Key": "k"}
    kept = post(key, action="x")
    again = post(key, action="x")
    assert (again.status_code, again.json()) == (202, kept.json())
    assert again.headers["Idempotency-Replayed"] == "true"
    waited = post({"Prefer": "wait=30"}, action="sum", data={"numbers": [1, 2]})
    assert (waited.status_code, waited.json()["result"]) == (200, {"output": 3})
    assert waited.headers["Preference-Applied"] == "wait=30"
    assert client.get(waited.headers["Location"], headers={"Prefer": "wait=9"}).json() == (
        waited.json()
    )
    late = post({"Prefer": "wait=1"}, action="x", delay_seconds=60)
    assert (late.status_code, late.json()["status"]) == (202, "scheduled")
    finished = {"Idempotency-Key": "finished", "Prefer": "wait=30"}
    whole = post(finished, action="x")
    assert (whole.status_code, whole.json()["status"]) == (200, "completed")
    assert post(finished, action="x").json() == whole.json()
    reused = post(key, action="y")
    problem(reused, 422, "this Idempotency-Key was sent before with another request")


@pytest.mark.system
def test_publishes_that_wait_hold_up_nobody(one_thread: ServerProcess) -> None:
    with ExitStack() as stack:
        clients = [stack.enter_context(connection(one_thread)) for _ in range(MORE_THAN_THREADS)]
        with held(database_of(one_thread)):
            for client in clients:
                client.sendall(POST)
            for _ in range(10):
                assert one_thread.client.get("/healthz").status_code == 200
            answered, _, _ = select.select(clients, [], [], 0)
            assert answered == []
        assert {read_answer(client).status_code for client in clients} == {202}
    assert len(one_thread.all_tasks()) == MORE_THAN_THREADS


@pytest.mark.system
def test_a_publish_that_waits_too_long_is_answered_in_time(
    serve: Callable[..., ServerProcess],
) -> None:
    server = serve(
        "http.threads=1", "http.answer_timeout_seconds=2", "database.busy_timeout_seconds=60"
    ).start()
    own = {"X-Request-ID": "late-1", "Content-Type": "application/json"}
    with held(database_of(server)):
        answer = server.client.post("/tasks", content=TASK, headers=own)
    assert "unknown" in problem(answer, 503, "failed to queue task")
    assert answer.headers["X-Request-ID"] == "late-1"
    assert answer.headers["Retry-After"] == "1"
    line = server.wait_for_log("request", request_id="late-1")
    assert (line["method"], line["path"], line["status"]) == ("POST", "/tasks", 503)
    assert 2 <= line["duration_seconds"] < DEADLINE_SECONDS  # half of what the database waits
    assert complaints(server) == []


@pytest.mark.system
def test_answers_leave_in_the_order_of_their_requests(one_thread: ServerProcess) -> None:
    with connection(one_thread) as client:
        client.sendall(POST + b"GET /nowhere HTTP/1.1\r\nHost: localhost\r\n\r\n" + POST)
        statuses = [read_answer(client).status_code for _ in range(3)]
    assert statuses == [202, 404, 202]

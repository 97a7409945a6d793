"""Publishes wait for their commit without a thread; the answers are the same as with one."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import falcon
import httpx
import pytest
from falcon.testing import create_environ

from actors.errors import QueueFullError
from actors.reply import Reply
from actors.store.connect import Database
from api.late import ENVIRON_KEY, Late, leave_after
from tests.api.answers import complaints, connection, problem, read_answer
from tests.databases import held
from tests.harness import DEADLINE_SECONDS, ServerProcess

TASK = b'{"action": "sum", "data": {"numbers": [1, 2]}}'
MORE_THAN_THREADS = 20


class Noted:
    def __init__(self) -> None:
        self.times = 0

    def __call__(self) -> None:
        self.times += 1


@pytest.fixture
def one_thread(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server with a single thread for requests."""
    directory = tmp_path_factory.mktemp("one")
    server = ServerProcess(directory, "http.threads=1", "http.answer_timeout_seconds=2")
    yield server.start()
    server.close()


def database_of(server: ServerProcess) -> Database:
    return Database(f"sqlite:///{server.directory}/data/tasks.db")


def publish(server: ServerProcess) -> httpx.Response:
    """The answer to a publish on a connection of its own."""
    url, headers = server.client.base_url.join("/tasks"), {"Content-Type": "application/json"}
    return httpx.post(url, content=TASK, headers=headers, timeout=DEADLINE_SECONDS)


def test_our_server_is_told_what_to_wait_for() -> None:
    req = falcon.Request(create_environ() | {ENVIRON_KEY: []})
    late = Late(Reply(), Noted())
    leave_after(req, late, timeout=0)
    assert req.env[ENVIRON_KEY] == [late]


def test_on_another_server_the_request_waits_itself() -> None:
    reply, done = Reply[None](), Noted()
    reply.answer(None)
    leave_after(falcon.Request(create_environ()), Late(reply, done), timeout=0)
    assert done.times == 1


def test_on_another_server_an_error_is_raised() -> None:
    reply, done = Reply[None](), Noted()
    reply.fail(QueueFullError())
    with pytest.raises(QueueFullError):
        leave_after(falcon.Request(create_environ()), Late(reply, done), timeout=0)
    assert done.times == 0


@pytest.mark.system
def test_publishes_that_wait_hold_up_nobody(one_thread: ServerProcess) -> None:
    with ThreadPoolExecutor(MORE_THAN_THREADS) as threads:
        with held(database_of(one_thread)):
            answers = [threads.submit(publish, one_thread) for _ in range(MORE_THAN_THREADS)]
            for _ in range(10):
                assert one_thread.client.get("/healthz").status_code == 200
            assert not any(answer.done() for answer in answers)
        assert {answer.result().status_code for answer in answers} == {202}
    assert len(one_thread.all_tasks()) == MORE_THAN_THREADS


@pytest.mark.system
def test_a_publish_that_waits_too_long_is_answered_in_time(one_thread: ServerProcess) -> None:
    own = {"X-Request-ID": "late-1", "Content-Type": "application/json"}
    with held(database_of(one_thread)):
        answer = one_thread.client.post("/tasks", content=TASK, headers=own)
    assert "unknown" in problem(answer, 503, "failed to queue task")
    assert answer.headers["X-Request-ID"] == "late-1"
    assert answer.headers["Retry-After"] == "1"
    line = one_thread.wait_for_log("request", request_id="late-1")
    assert (line["method"], line["path"], line["status"]) == ("POST", "/tasks", 503)
    assert 2 <= line["duration_seconds"] < 4
    assert complaints(one_thread) == []


@pytest.mark.system
def test_answers_leave_in_the_order_of_their_requests(one_thread: ServerProcess) -> None:
    post = b"POST /tasks HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(TASK) + TASK
    with connection(one_thread) as client:
        client.sendall(post + b"GET /nowhere HTTP/1.1\r\n\r\n" + post)
        statuses = [read_answer(client).status_code for _ in range(3)]
    assert statuses == [202, 404, 202]

"""Answers that wait for a task's end: `Prefer: wait=N`."""

import json
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self

import httpx
import pytest

from tests import postgres
from tests.api.answers import complaints, connection, problem, read_answer, reset
from tests.api.servers import DATABASES, server_on
from tests.harness import DEADLINE_SECONDS, Gate, ServerProcess, eventually

pytestmark = pytest.mark.system

ACTIONS = ("actions.wait=tests.actions:wait_for_fifo", "actions.reject=tests.actions:reject")
LONG = 60
"""Seconds that no test waits for to be over."""
MANY = 200
NOBODY = "0190f6a2-7c3e-7f00-8000-000000000001"
"""The id of no task."""


@pytest.fixture(scope="module", params=DATABASES)
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ServerProcess]:
    with server_on(
        request, tmp_path_factory, *ACTIONS, "queues.tasks.concurrency=4", "log.level=INFO"
    ) as server:
        yield server
        assert complaints(server) == []


@pytest.fixture
def gate(tmp_path: Path) -> Gate:
    return Gate(tmp_path)


class Waiting:
    """A client whose answer is on its way."""

    def __init__(self, server: ServerProcess) -> None:
        self.socket = connection(server)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def ask(self, method: str, path: str, body: object = None, key: str = "") -> Self:
        content = b"" if body is None else json.dumps(body).encode()
        lines = [f"{method} {path} HTTP/1.1", "Host: localhost", f"Prefer: wait={LONG}"]
        lines += [f"Content-Length: {len(content)}", "Content-Type: application/json"]
        lines += [f"Idempotency-Key: {key}"] if key else []
        self.socket.sendall("\r\n".join([*lines, "", ""]).encode() + content)
        return self

    def post(self, key: str = "", **body: Any) -> Self:  # noqa: ANN401 - any JSON
        return self.ask("POST", "/tasks", body, key)

    def get(self, task_id: str) -> Self:
        return self.ask("GET", f"/tasks/{task_id}")

    def answer(self) -> httpx.Response:
        return read_answer(self.socket)

    @property
    def is_answered(self) -> bool:
        self.socket.settimeout(0)
        try:
            self.socket.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return False
        finally:
            self.socket.settimeout(DEADLINE_SECONDS)
        return True


def prefer(seconds: int = LONG, key: str | None = None) -> dict[str, str]:
    wish = {"Prefer": f"wait={seconds}"}
    return wish if key is None else {**wish, "Idempotency-Key": key}


def is_whole(server: ServerProcess, answer: httpx.Response, status: str) -> None:
    """The answer to a publish is the task as `GET` shows it."""
    assert (answer.status_code, answer.json()["status"]) == (200, status), answer.text
    assert answer.json() == server.task(answer.json()["id"])
    assert answer.headers["Location"] == f"/tasks/{answer.json()['id']}"
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.headers["Preference-Applied"] == f"wait={LONG}"
    assert "X-Request-ID" in answer.headers


def newest(server: ServerProcess) -> dict[str, Any]:
    tasks: list[dict[str, Any]] = server.client.get("/tasks", params={"limit": "1"}).json()["tasks"]
    return tasks[0]


def queued(server: ServerProcess, key: str) -> dict[str, Any] | None:
    """The task with this unique key, once it is there."""
    found = [task for task in server.all_tasks() if task["unique_key"] == key]
    return found[0] if found else None


# --- publishes ---------------------------------------------------------------------------------


def test_a_publish_is_answered_with_the_whole_task_once_it_is_completed(
    server: ServerProcess, gate: Gate
) -> None:
    with Waiting(server) as client:
        client.post(action="wait", data={"fifo": str(gate.path)})
        with gate.held() as file:
            assert not client.is_answered
            file.write("done")
        answer = client.answer()
    is_whole(server, answer, "completed")
    assert answer.json()["result"] == {"output": "done"}


def test_a_task_that_fails_for_good_is_an_answer_too(server: ServerProcess) -> None:
    answer = server.client.post("/tasks", json={"action": "reject"}, headers=prefer())
    is_whole(server, answer, "dead")
    assert [attempt["outcome"] for attempt in answer.json()["attempts"]] == ["failed"]


def test_after_its_seconds_a_publish_is_answered_as_if_it_had_not_waited(
    server: ServerProcess,
) -> None:
    began = time.monotonic()
    body = {"action": "sum", "delay_seconds": 1_000}
    answer = server.client.post("/tasks", json=body, headers=prefer(1))
    assert time.monotonic() - began >= 1
    document = answer.json()
    assert (answer.status_code, list(document)) == (202, ["id", "status"])
    assert document["status"] == "scheduled"
    assert answer.headers["Location"] == f"/tasks/{document['id']}"
    assert answer.headers["Preference-Applied"] == "wait=1"


def test_who_would_wait_too_long_waits_as_long_as_it_may(server: ServerProcess) -> None:
    answer = server.client.post(
        "/tasks", json={"action": "sum", "data": {"numbers": [1]}}, headers=prefer(100_000)
    )
    assert (answer.status_code, answer.headers["Preference-Applied"]) == (200, "wait=60")


@pytest.mark.parametrize("wish", ["wait=0", "wait=1.5", "wait=x", "respond-async"])
def test_a_wish_that_cannot_be_met_is_ignored(server: ServerProcess, wish: str) -> None:
    body = {"action": "sum", "delay_seconds": 1_000}
    answer = server.client.post("/tasks", json=body, headers={"Prefer": wish})
    assert answer.status_code == 202
    assert "Preference-Applied" not in answer.headers


def test_a_batch_does_not_wait(server: ServerProcess) -> None:
    body = {"tasks": [{"action": "sum", "delay_seconds": 1_000}]}
    answer = server.client.post("/tasks/batch", json=body, headers=prefer())
    assert answer.status_code == 202
    assert "Preference-Applied" not in answer.headers


def test_what_is_refused_is_refused_at_once(server: ServerProcess) -> None:
    client = server.client
    problem(client.post("/tasks", json={}, headers=prefer()), 400, "action required")
    answer = client.post("/tasks", json={"action": "x", "queue": "none"}, headers=prefer())
    assert answer.status_code == 400
    assert "Preference-Applied" not in answer.headers


def test_a_duplicate_waits_for_the_task_that_is_there(server: ServerProcess, gate: Gate) -> None:
    body: dict[str, Any] = {"action": "wait", "data": {"fifo": str(gate.path)}}
    body["unique_key"] = gate.path.name
    with Waiting(server) as first, Waiting(server) as second:
        first.post(**body)
        task = eventually(lambda: queued(server, gate.path.name), "the first is there")
        assert task is not None
        second.post(**body)
        server.wait_for_log("task not queued again", id=task["id"])
        gate.open()
        answers = [first.answer(), second.answer()]
    for answer in answers:
        is_whole(server, answer, "completed")
    assert answers[0].json() == answers[1].json()


def test_a_duplicate_that_is_not_finished_in_time_is_answered_as_if_it_had_not_waited(
    server: ServerProcess, gate: Gate
) -> None:
    body = {"action": "sum", "delay_seconds": 1_000, "unique_key": gate.path.name}
    server.client.post("/tasks", json=body)
    answer = server.client.post("/tasks", json=body, headers=prefer(1))
    assert (answer.status_code, answer.json()["duplicate"]) == (200, True)
    assert answer.json()["status"] == "scheduled"


def test_a_task_that_is_deleted_as_soon_as_it_is_finished_is_answered_with_what_is_known(
    server: ServerProcess,
) -> None:
    body = {"action": "uppercase", "data": {"text": "x"}, "keep_result_seconds": 0}
    for _ in range(10):
        answer = server.client.post("/tasks", json=body, headers=prefer())
        status = answer.json()["status"]
        assert (answer.status_code, status) in {(200, "completed"), (202, "queued")}


def test_what_ends_together_with_many_others_is_seen_by_a_look(server: ServerProcess) -> None:
    with Waiting(server) as client:
        client.post(action="sum", delay_seconds=1_000, unique_key="purged")
        eventually(lambda: queued(server, "purged"), "it is there")
        purged = server.client.post("/queues/tasks/purge").json()
        assert purged["count"] >= 1
        answer = client.answer()
    is_whole(server, answer, "cancelled")


# --- looks at a task ---------------------------------------------------------------------------


def test_a_task_is_shown_once_it_is_final(server: ServerProcess, gate: Gate) -> None:
    task_id = server.publish("wait", fifo=str(gate.path))
    with Waiting(server) as client, Waiting(server) as head:
        client.get(task_id)
        head.ask("HEAD", f"/tasks/{task_id}")
        with gate.held() as file:
            assert not client.is_answered
            file.write("done")
        answer = client.answer()
        told = head.socket.recv(65_536)
    assert (answer.status_code, answer.json()) == (200, server.task(task_id))
    assert answer.headers["Preference-Applied"] == f"wait={LONG}"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert told.startswith(b"HTTP/1.1 200 OK\r\n")
    assert told.endswith(b"\r\n\r\n")
    assert f"\r\nContent-Length: {answer.headers['Content-Length']}\r\n".encode() in told


def test_a_task_that_is_final_is_shown_at_once(server: ServerProcess) -> None:
    task_id = server.publish("sum", numbers=[1])
    server.wait_for_status(task_id, "completed")
    for _ in range(3):
        answer = server.client.get(f"/tasks/{task_id}", headers=prefer())
        assert (answer.status_code, answer.json()["status"]) == (200, "completed")


def test_after_its_seconds_a_task_is_shown_as_it_is(server: ServerProcess, gate: Gate) -> None:
    task_id = server.publish("wait", fifo=str(gate.path))
    with gate.held():
        answer = server.client.get(f"/tasks/{task_id}", headers=prefer(1))
        assert (answer.status_code, answer.json()["status"]) == (200, "running")
        assert answer.headers["Preference-Applied"] == "wait=1"


def test_a_task_that_is_not_there_is_not_waited_for(server: ServerProcess) -> None:
    answer = server.client.get(f"/tasks/{NOBODY}", headers=prefer())
    assert problem(answer, 404, "task not found") == f"there is no task '{NOBODY}'"
    assert server.client.get("/tasks/x", headers=prefer()).status_code == 404


def test_a_task_that_is_cancelled_is_final(server: ServerProcess) -> None:
    task_id = server.client.post("/tasks", json={"action": "sum", "delay_seconds": 1_000}).json()[
        "id"
    ]
    with Waiting(server) as client:
        client.get(task_id)
        assert server.client.post(f"/tasks/{task_id}/cancel").status_code == 200
        answer = client.answer()
    assert (answer.status_code, answer.json()["status"]) == (200, "cancelled")


def test_a_connection_goes_on_after_an_answer_that_waited(
    server: ServerProcess, gate: Gate
) -> None:
    with Waiting(server) as client:
        client.post(action="wait", data={"fifo": str(gate.path)})
        client.socket.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")  # behind it
        client.post(action="sum", data={"numbers": [1, 2]})
        gate.open()
        answers = [client.answer() for _ in range(3)]
        assert [answer.status_code for answer in answers] == [200, 200, 200]
        assert [answer.json()["status"] for answer in answers] == [
            "completed",
            "alive",
            "completed",
        ]
        assert client.get(answers[0].json()["id"]).answer().json() == answers[0].json()


# --- Idempotency-Key ---------------------------------------------------------------------------


def test_a_repetition_of_an_answer_that_waited_is_the_same_answer(
    server: ServerProcess, gate: Gate
) -> None:
    body = {"action": "wait", "data": {"fifo": str(gate.path)}}
    key = gate.path.name
    with Waiting(server) as client:
        client.post(key=key, **body)
        with gate.held() as file:
            meanwhile = server.client.post("/tasks", json=body, headers={"Idempotency-Key": key})
            assert problem(meanwhile, 409, meanwhile.json()["error"])
            file.write("done")
        first = client.answer()
    is_whole(server, first, "completed")
    for headers in ({"Idempotency-Key": key}, prefer(key=key)):
        again = server.client.post("/tasks", json=body, headers=headers)
        assert (again.status_code, again.json()) == (200, first.json())
        assert again.headers["Idempotency-Replayed"] == "true"
        assert again.headers["Location"] == first.headers["Location"]


@pytest.mark.parametrize("seconds", [0, 1])
def test_a_repetition_of_an_answer_that_did_not_see_the_end_does_not_see_it_either(
    server: ServerProcess, gate: Gate, seconds: int
) -> None:
    body = {"action": "wait", "data": {"fifo": str(gate.path)}}
    key = gate.path.name
    first = server.client.post("/tasks", json=body, headers=prefer(seconds, key))
    assert first.status_code == 202
    gate.open()
    server.wait_for_status(first.json()["id"], "completed")
    again = server.client.post("/tasks", json=body, headers=prefer(key=key))
    assert (again.status_code, again.json()) == (202, first.json())
    assert again.headers["Idempotency-Replayed"] == "true"


@pytest.mark.parametrize("go", [socket.socket.close, reset])
def test_a_client_that_goes_away_frees_its_key(
    server: ServerProcess, gate: Gate, go: Callable[[socket.socket], None]
) -> None:
    body = {"action": "sum", "delay_seconds": 1_000, "unique_key": gate.path.name}
    key = {"Idempotency-Key": gate.path.name}
    with Waiting(server) as client:
        client.post(key=gate.path.name, **body)
        task = eventually(lambda: queued(server, gate.path.name), "it is there")
        assert task is not None
        assert server.client.post("/tasks", json=body, headers=key).status_code == 409
        go(client.socket)

    def repeated() -> httpx.Response | None:
        answer = server.client.post("/tasks", json=body, headers=key)
        return None if answer.status_code == 409 else answer

    answer = eventually(repeated, "the key is free")
    assert answer is not None
    assert (answer.status_code, answer.json()["id"]) == (202, task["id"])
    assert answer.headers["Idempotency-Replayed"] == "true"


# --- the server --------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", DATABASES)
def test_a_request_that_waited_when_the_server_was_killed_is_on_disk_and_waits_anew(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    gate: Gate,
    kind: str,
) -> None:
    body = {"action": "wait", "data": {"fifo": str(gate.path)}}
    request.param = kind
    with server_on(request, tmp_path_factory, *ACTIONS, "queues.tasks.lease_seconds=2") as server:
        with Waiting(server) as client:
            client.post(key="k", **body)
            with gate.held():
                task_id = newest(server)["id"]
                server.kill()
            assert client.socket.recv(1) == b""
        server.start()
        with Waiting(server) as client:
            client.post(key="k", **body)
            gate.open("after all")
            answer = client.answer()
        is_whole(server, answer, "completed")
        assert answer.json()["id"] == task_id
        assert answer.headers["Idempotency-Replayed"] == "true"


@pytest.fixture
def own(serve: Callable[..., ServerProcess]) -> ServerProcess:
    """A server of the test's own, with a queue that nobody else uses."""
    return serve(*ACTIONS, "queues.ram.driver=memory").start()


def test_no_thread_waits(own: ServerProcess) -> None:
    def threads() -> int:
        status = Path(f"/proc/{own.pid}/status").read_text()
        return int(status.partition("Threads:")[2].split()[0])

    own.client.post("/queues/tasks/pause")
    own.publish("sum", numbers=[1])
    before = threads()
    with ExitStack() as stack:
        clients = [stack.enter_context(Waiting(own)) for _ in range(MANY)]
        for client in clients:
            client.post(action="sum", data={"numbers": [1, 2]})
        eventually(lambda: len(own.all_tasks()) == MANY + 1, "all of them are on disk")
        own.client.get("/healthz")
        assert threads() == before
        assert not any(client.is_answered for client in clients)
        own.client.post("/queues/tasks/resume")
        results = {client.answer().json()["result"]["output"] for client in clients}
    assert results == {3}
    assert complaints(own) == []


def test_a_stop_is_not_held_up_and_whoever_waits_has_an_answer(own: ServerProcess) -> None:
    task_id = own.client.post("/tasks", json={"action": "sum", "delay_seconds": 1_000}).json()["id"]
    with Waiting(own) as publish, Waiting(own) as look, Waiting(own) as keyed:
        publish.post(action="sum", delay_seconds=1_000)
        keyed.post(action="sum", delay_seconds=1_000, key="k")
        eventually(lambda: len(own.all_tasks()) == 3, "both are on disk")
        look.get(task_id)
        own.client.get("/healthz")
        began = time.monotonic()
        assert own.terminate() == 0
        assert time.monotonic() - began < LONG / 2
        answers = [publish.answer(), look.answer(), keyed.answer()]
    assert [answer.status_code for answer in answers] == [202, 200, 202]
    assert {answer.json()["status"] for answer in answers} == {"scheduled"}
    assert [answer.headers["Connection"] for answer in answers] == ["close"] * 3
    assert complaints(own) == []
    own.start()
    again = own.client.post(
        "/tasks",
        json={"action": "sum", "delay_seconds": 1_000},
        headers=prefer(key="k"),
    )
    assert (again.status_code, again.json()) == (202, answers[2].json())


def test_a_task_of_a_queue_in_memory_is_waited_for(own: ServerProcess, gate: Gate) -> None:
    with Waiting(own) as client, Waiting(own) as look:
        client.post(action="wait", data={"fifo": str(gate.path)}, queue="ram")
        own.wait_for_log("processing task")
        task_id = next(line["id"] for line in own.log if line["event"] == "processing task")
        look.get(task_id)  # it is not to be found yet
        gate.open("done")
        answer = client.answer()
        is_whole(own, answer, "completed")
        assert look.answer().json() == answer.json()
    later = {"action": "sum", "delay_seconds": 1_000, "queue": "ram"}
    answer = own.client.post("/tasks", json=later, headers=prefer(1))
    assert (answer.status_code, answer.json()["status"]) == (202, "scheduled")
    problem(own.client.get(f"/tasks/{NOBODY}", headers=prefer(1)), 404, "task not found")


def test_those_that_wait_give_their_places_to_others(serve: Callable[..., ServerProcess]) -> None:
    places = 20
    server = serve(f"http.max_connections={places}").start()
    with ExitStack() as stack:
        clients = [stack.enter_context(Waiting(server)) for _ in range(places)]
        for client in clients:
            client.post(action="sum", delay_seconds=1_000)
        for _ in range(3):
            with httpx.Client(base_url=server.client.base_url) as other:
                assert other.get("/healthz", timeout=DEADLINE_SECONDS).status_code == 200
        answered = [client.answer() for client in clients if client.is_answered]
    assert 1 <= len(answered) < places
    assert {answer.status_code for answer in answered} == {202}
    assert {answer.headers["Connection"] for answer in answered} == {"close"}


def test_the_end_of_a_task_that_another_node_runs_is_seen(
    postgres_server: str, tmp_path_factory: pytest.TempPathFactory, gate: Gate
) -> None:
    url = postgres.create_database(postgres_server)
    mine = ServerProcess(tmp_path_factory.mktemp("mine"), f"database.url={url}", *ACTIONS)
    other = ServerProcess(
        tmp_path_factory.mktemp("other"),
        f"database.url={url}",
        "queues.theirs.driver=database",
        *ACTIONS,
    )
    try:
        mine.start()
        other.start()
        body = {"action": "wait", "data": {"fifo": str(gate.path)}, "queue": "theirs"}
        task_id = other.client.post("/tasks", json=body).json()["id"]
        with Waiting(mine) as client:
            client.get(task_id)
            with gate.held() as file:
                assert not client.is_answered
                file.write("there")
            answer = client.answer()
        assert (answer.status_code, answer.json()["result"]) == (200, {"output": "there"})
        assert answer.json() == other.task(task_id)
        assert complaints(mine) == complaints(other) == []
    finally:
        mine.close()
        other.close()
        postgres.drop_database(postgres_server, url)

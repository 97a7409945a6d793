"""Cancelling, retrying and deleting tasks, pausing and purging queues."""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.api.answers import complaints, problem
from tests.api.servers import DATABASES, server_on
from tests.harness import Gate, ServerProcess, eventually

pytestmark = pytest.mark.system

NOBODY = "01a20000-0000-7000-8000-000000000000"
"""The id of no task; the same in every process that collects these tests."""

ACTIONS = {
    "wait": "wait_for_fifo",
    "until": "run_until_cancelled",
    "fail": "fail",
    "reject": "reject",
    "retry": "fail_until",
    "record": "record",
}
SETTINGS = (
    *(f"actions.{name}=tests.actions:{function}" for name, function in ACTIONS.items()),
    "builtin.fallback=true",
    "queues.held.concurrency=1",
    "queues.quick.driver=memory",
)
NOT_FINAL = "only completed, dead and cancelled ones can be deleted"
NOT_DEAD = "only dead and cancelled ones can be retried"
OVER = "only scheduled, queued and running ones can be cancelled"
IN_MEMORY = "the queue quick keeps its tasks in memory, where this cannot be done to them"


@pytest.fixture(scope="module", params=DATABASES)
def controlled(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ServerProcess]:
    """A server on each kind of database, with a queue `held` and a queue in memory."""
    with server_on(request, tmp_path_factory, *SETTINGS) as server:
        yield server


@pytest.fixture(autouse=True)
def nothing_is_held_or_broken(request: pytest.FixtureRequest) -> Iterator[None]:
    yield
    if "controlled" in request.fixturenames:
        server: ServerProcess = request.getfixturevalue("controlled")
        for name in ("held", "tasks"):
            assert server.client.post(f"/queues/{name}/purge").status_code == 200
            assert server.client.post(f"/queues/{name}/resume").status_code == 200
        assert complaints(server) == []


def publish(server: ServerProcess, action: str = "x", **members: Any) -> str:  # noqa: ANN401
    answer = server.client.post("/tasks", json={"action": action, **members})
    assert answer.status_code == 202, answer.text
    return str(answer.json()["id"])


def act(server: ServerProcess, task_id: str, verb: str) -> httpx.Response:
    return server.client.post(f"/tasks/{task_id}/{verb}")


def held(server: ServerProcess, **members: Any) -> str:  # noqa: ANN401
    """A task on a queue that is paused."""
    server.client.post("/queues/held/pause")
    return publish(server, queue="held", **members)


def a_dead(server: ServerProcess, **members: Any) -> str:  # noqa: ANN401
    task_id = publish(server, "reject", **members)
    server.wait_for_status(task_id, "dead")
    return task_id


# --- cancel ---------------------------------------------------------------------------------


def test_a_queued_task_is_cancelled_at_once(controlled: ServerProcess) -> None:
    task_id = held(controlled)
    answer = act(controlled, task_id, "cancel")
    assert (answer.status_code, answer.json()) == (200, {"id": task_id, "status": "cancelled"})
    task = controlled.task(task_id)
    assert (task["status"], task["cancel_requested"], task["attempts"]) == ("cancelled", True, [])
    assert task["processed_at"] >= task["created_at"]


def test_a_scheduled_task_is_cancelled_at_once(controlled: ServerProcess) -> None:
    task_id = publish(controlled, delay_seconds=1_000)
    assert act(controlled, task_id, "cancel").json() == {"id": task_id, "status": "cancelled"}
    assert controlled.task(task_id)["status"] == "cancelled"


def test_a_cancelled_task_never_runs(controlled: ServerProcess, tmp_path: Path) -> None:
    file = tmp_path / "ran"
    ids = [held(controlled, action="record", data={"file": str(file), "line": n}) for n in "ab"]
    act(controlled, ids[0], "cancel")
    controlled.client.post("/queues/held/resume")
    controlled.wait_for_status(ids[1], "completed")
    assert file.read_text() == "b\n"


def test_a_running_task_that_looks_is_cancelled(controlled: ServerProcess) -> None:
    task_id = publish(controlled, "until")
    controlled.wait_for_status(task_id, "running")
    answer = act(controlled, task_id, "cancel")
    assert answer.status_code == 202
    assert answer.json() == {"id": task_id, "status": "running", "cancel_requested": True}
    task = controlled.wait_for_status(task_id, "cancelled")
    assert [attempt["outcome"] for attempt in task["attempts"]] == ["cancelled"]


def test_a_task_that_is_asked_to_stop_swallows_no_new_work(
    controlled: ServerProcess, tmp_path: Path
) -> None:
    gate = Gate(tmp_path)
    first = publish(controlled, "wait", data={"fifo": str(gate.path)}, unique_key="only")
    controlled.wait_for_status(first, "running")
    again = {"action": "x", "unique_key": "only"}
    answer = controlled.client.post("/tasks", json=again)
    assert (answer.status_code, answer.json()["id"]) == (200, first)
    assert act(controlled, first, "cancel").status_code == 202
    answer = controlled.client.post("/tasks/batch", json={"tasks": [again, again]})
    second, duplicate = answer.json()["ids"]
    assert (answer.status_code, answer.json()["duplicates"]) == (202, 1)
    assert first != second == duplicate
    controlled.wait_for_status(second, "completed")
    assert controlled.task(first)["status"] == "running"
    gate.open()
    controlled.wait_for_status(first, "completed")


def test_a_running_task_that_does_not_look_completes(
    controlled: ServerProcess, tmp_path: Path
) -> None:
    gate = Gate(tmp_path)
    task_id = publish(controlled, "wait", data={"fifo": str(gate.path)})
    controlled.wait_for_status(task_id, "running")
    for _ in range(2):  # to ask again changes nothing
        assert act(controlled, task_id, "cancel").status_code == 202
    assert controlled.task(task_id)["cancel_requested"] is True
    gate.open()
    task = controlled.wait_for_status(task_id, "completed")
    assert (task["result"], task["cancel_requested"]) == ({"output": "through"}, True)


def test_what_waits_for_a_consumer_is_cancelled_at_once(
    controlled: ServerProcess, tmp_path: Path
) -> None:
    gate, file = Gate(tmp_path), tmp_path / "ran"
    running = publish(controlled, "wait", queue="held", data={"fifo": str(gate.path)})
    controlled.wait_for_status(running, "running")
    data = {"file": str(file), "line": "ran"}
    waiting = publish(controlled, "record", queue="held", data=data)
    assert controlled.wait_for_status(waiting, "queued")["started_at"] is None
    assert act(controlled, waiting, "cancel").json()["status"] == "cancelled"
    task = controlled.task(waiting)
    assert (task["status"], task["attempt"], task["attempts"]) == ("cancelled", 0, [])
    gate.open()
    controlled.wait_for_status(running, "completed")
    assert not file.exists()


def test_what_is_cancelled_already_cannot_be_cancelled_again(controlled: ServerProcess) -> None:
    task_id = held(controlled)
    assert act(controlled, task_id, "cancel").status_code == 200
    error = f"the task is cancelled; {OVER}"
    problem(act(controlled, task_id, "cancel"), 409, error)


def test_what_is_over_cannot_be_cancelled(controlled: ServerProcess) -> None:
    task_id = publish(controlled)
    controlled.wait_for_status(task_id, "completed")
    problem(act(controlled, task_id, "cancel"), 409, f"the task is completed; {OVER}")
    problem(act(controlled, a_dead(controlled), "cancel"), 409, f"the task is dead; {OVER}")


def test_a_cancelled_task_leaves_its_unique_key_to_others(controlled: ServerProcess) -> None:
    first = held(controlled, unique_key="freed")
    act(controlled, first, "cancel")
    assert held(controlled, unique_key="freed") != first


# --- retry ----------------------------------------------------------------------------------


def test_a_dead_task_runs_again_with_all_its_attempts(
    controlled: ServerProcess, tmp_path: Path
) -> None:
    data = {"file": str(tmp_path / "runs"), "times": 2}
    task_id = publish(controlled, "retry", data=data, max_attempts=1)
    controlled.wait_for_status(task_id, "dead")
    answer = act(controlled, task_id, "retry")
    assert (answer.status_code, answer.json()) == (202, {"id": task_id, "status": "queued"})
    task = controlled.wait_for_status(task_id, "completed")
    assert (task["attempt"], task["result"]) == (1, {"output": 2})
    outcomes = [(attempt["number"], attempt["outcome"]) for attempt in task["attempts"]]
    assert outcomes == [(1, "failed"), (1, "completed")]


def test_a_cancelled_task_can_be_retried(controlled: ServerProcess) -> None:
    task_id = held(controlled)
    act(controlled, task_id, "cancel")
    assert act(controlled, task_id, "retry").status_code == 202
    controlled.client.post("/queues/held/resume")
    task = controlled.wait_for_status(task_id, "completed")
    assert task["cancel_requested"] is False


def test_only_what_is_dead_or_cancelled_can_be_retried(
    controlled: ServerProcess, tmp_path: Path
) -> None:
    gate = Gate(tmp_path)
    running = publish(controlled, "wait", data={"fifo": str(gate.path)})
    controlled.wait_for_status(running, "running")
    problem(act(controlled, running, "retry"), 409, f"the task is running; {NOT_DEAD}")
    gate.open()
    controlled.wait_for_status(running, "completed")
    problem(act(controlled, running, "retry"), 409, f"the task is completed; {NOT_DEAD}")
    problem(act(controlled, held(controlled), "retry"), 409, f"the task is queued; {NOT_DEAD}")


def test_a_task_whose_unique_key_has_gone_is_not_retried(controlled: ServerProcess) -> None:
    first = a_dead(controlled, unique_key="gone")
    second = publish(controlled, unique_key="gone", delay_seconds=1_000)
    error = f"its unique key 'gone' has gone to the task {second}"
    problem(act(controlled, first, "retry"), 409, error)
    act(controlled, second, "cancel")
    assert act(controlled, first, "retry").status_code == 202


# --- delete ---------------------------------------------------------------------------------


def test_a_final_task_can_be_forgotten(controlled: ServerProcess) -> None:
    completed, cancelled = publish(controlled), held(controlled)
    controlled.wait_for_status(completed, "completed")
    act(controlled, cancelled, "cancel")
    for task_id in (completed, cancelled, a_dead(controlled)):
        answer = controlled.client.delete(f"/tasks/{task_id}")
        assert (answer.status_code, answer.content) == (204, b"")
        problem(controlled.client.get(f"/tasks/{task_id}"), 404, "task not found")
        problem(controlled.client.delete(f"/tasks/{task_id}"), 404, "task not found")


def test_what_is_not_final_cannot_be_forgotten(controlled: ServerProcess, tmp_path: Path) -> None:
    gate = Gate(tmp_path)
    running = publish(controlled, "wait", data={"fifo": str(gate.path)})
    controlled.wait_for_status(running, "running")
    scheduled = publish(controlled, delay_seconds=1_000)
    for task_id, state in ((running, "running"), (scheduled, "scheduled")):
        answer = controlled.client.delete(f"/tasks/{task_id}")
        problem(answer, 409, f"the task is {state}; {NOT_FINAL}")
    gate.open()
    controlled.wait_for_status(running, "completed")


# --- what is not there, what is not asked for -----------------------------------------------


@pytest.mark.parametrize("task_id", [NOBODY, "abc", "%00", "x" * 5_000])
def test_nothing_can_be_done_to_a_task_that_is_not_there(
    controlled: ServerProcess, task_id: str
) -> None:
    for verb in ("cancel", "retry"):
        problem(act(controlled, task_id, verb), 404, "task not found")
    problem(controlled.client.delete(f"/tasks/{task_id}"), 404, "task not found")


@pytest.mark.parametrize("verb", ["pause", "resume", "purge"])
@pytest.mark.parametrize("name", ["nope", "TASKS", "%00", "' OR 1=1", "q" * 5_000])
def test_nothing_can_be_done_to_a_queue_that_is_not_there(
    controlled: ServerProcess, name: str, verb: str
) -> None:
    answer = controlled.client.post(f"/queues/{name}/{verb}")
    detail = problem(answer, 404, "queue not found")
    assert detail.startswith("there is no queue ")


WITHOUT_MEMBERS = [
    ("POST", f"/tasks/{NOBODY}/cancel"),
    ("POST", f"/tasks/{NOBODY}/retry"),
    ("POST", "/queues/held/pause"),
    ("POST", "/queues/held/resume"),
    ("POST", "/queues/held/purge"),
    ("DELETE", f"/tasks/{NOBODY}"),
    ("DELETE", "/schedules/nightly"),
]


@pytest.mark.parametrize(("method", "path"), WITHOUT_MEMBERS)
def test_a_member_that_would_have_no_effect_is_refused(
    controlled: ServerProcess, method: str, path: str
) -> None:
    ask = partial(controlled.client.request, method, path)
    error = "reason is not known; this request has no members"
    problem(ask(json={"reason": "x"}), 400, error)
    problem(ask(content=b"{bad"), 400, "invalid JSON")
    answer = ask(content=b"x", headers={"Content-Type": "text/plain"})
    problem(answer, 415, "Content-Type must be application/json, not text/plain")
    assert controlled.client.get("/queues/held").json()["paused"] is False


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", "/tasks/x/cancel", "POST, OPTIONS"),
        ("PUT", "/tasks/x/retry", "POST, OPTIONS"),
        ("PATCH", "/tasks/x", "DELETE, GET, HEAD, OPTIONS"),
        ("GET", "/tasks/batch", "POST, OPTIONS"),
        ("POST", "/queues", "GET, HEAD, OPTIONS"),
        ("DELETE", "/queues/tasks", "GET, HEAD, OPTIONS"),
        ("GET", "/queues/tasks/purge", "POST, OPTIONS"),
        ("POST", "/dead-letters", "GET, HEAD, OPTIONS"),
        ("GET", "/dead-letters/redrive", "POST, OPTIONS"),
        ("POST", "/schedules", "GET, HEAD, OPTIONS"),
        ("POST", "/schedules/x", "DELETE, GET, HEAD, PUT, OPTIONS"),
    ],
)
def test_a_wrong_method_is_refused_with_those_allowed(
    controlled: ServerProcess, method: str, path: str, allowed: str
) -> None:
    answer = controlled.client.request(method, path)
    detail = problem(answer, 405, "method not allowed")
    assert detail == f"{method} is not allowed here; allowed: {allowed}"
    assert answer.headers["Allow"] == allowed


# --- pause, resume, purge -------------------------------------------------------------------


def test_a_paused_queue_takes_tasks_and_starts_none(
    controlled: ServerProcess, tmp_path: Path
) -> None:
    gate = Gate(tmp_path)
    running = publish(controlled, "wait", queue="held", data={"fifo": str(gate.path)})
    controlled.wait_for_status(running, "running")
    answer = controlled.client.post("/queues/held/pause")
    assert (answer.status_code, answer.json()) == (200, {"name": "held", "paused": True})
    waiting = publish(controlled, queue="held")
    gate.open()
    controlled.wait_for_status(running, "completed")  # so its only consumer is free
    elsewhere = publish(controlled)
    controlled.wait_for_status(elsewhere, "completed")  # and other queues go on
    assert controlled.task(waiting)["status"] == "queued"
    assert controlled.client.get("/queues/held").json()["paused"] is True
    answer = controlled.client.post("/queues/held/resume")
    assert (answer.status_code, answer.json()) == (200, {"name": "held", "paused": False})
    controlled.wait_for_status(waiting, "completed")


def test_to_pause_or_resume_twice_changes_nothing(controlled: ServerProcess) -> None:
    for verb, paused in (("pause", True), ("pause", True), ("resume", False), ("resume", False)):
        answer = controlled.client.post(f"/queues/held/{verb}")
        assert (answer.status_code, answer.json()["paused"]) == (200, paused)
        assert controlled.client.get("/queues/held").json()["paused"] is paused


def test_a_purge_cancels_what_waits_and_nothing_else(
    controlled: ServerProcess, tmp_path: Path
) -> None:
    gate = Gate(tmp_path)
    running = publish(controlled, "wait", queue="held", data={"fifo": str(gate.path)})
    controlled.wait_for_status(running, "running")
    other = publish(controlled, delay_seconds=1_000)
    waiting = [held(controlled), held(controlled, key="k"), held(controlled, delay_seconds=1_000)]
    answer = controlled.client.post("/queues/held/purge")
    assert (answer.status_code, answer.json()) == (200, {"name": "held", "count": 3})
    assert {controlled.task(task_id)["status"] for task_id in waiting} == {"cancelled"}
    assert controlled.task(running)["status"] == "running"
    assert controlled.task(other)["status"] == "scheduled"
    assert controlled.client.post("/queues/held/purge").json()["count"] == 0
    gate.open()
    controlled.wait_for_status(running, "completed")


def test_a_purge_takes_as_many_steps_as_it_needs(controlled: ServerProcess) -> None:
    controlled.client.post("/queues/held/pause")
    tasks = [{"action": "x", "queue": "held"} for _ in range(1_000)]
    for batch in (tasks, tasks[:501]):
        assert controlled.client.post("/tasks/batch", json={"tasks": batch}).status_code == 202
    assert controlled.client.post("/queues/held/purge").json() == {"name": "held", "count": 1_501}


# --- queues in memory -----------------------------------------------------------------------


def test_a_queue_in_memory_can_be_paused_but_not_purged(controlled: ServerProcess) -> None:
    assert controlled.client.post("/queues/quick/pause").json()["paused"] is True
    assert controlled.client.get("/queues/quick").json()["paused"] is True
    task_id = publish(controlled, queue="quick")
    problem(controlled.client.post("/queues/quick/purge"), 409, IN_MEMORY)
    problem(controlled.client.get(f"/tasks/{task_id}"), 404, "task not found")
    assert controlled.client.post("/queues/quick/resume").json()["paused"] is False
    eventually(
        lambda: controlled.client.get(f"/tasks/{task_id}").status_code == 200, "it is finished"
    )
    assert controlled.task(task_id)["status"] == "completed"


def test_what_died_in_memory_cannot_be_retried_but_forgotten(controlled: ServerProcess) -> None:
    task_id = publish(controlled, "reject", queue="quick")
    eventually(lambda: controlled.client.get(f"/tasks/{task_id}").status_code == 200, "it is dead")
    problem(act(controlled, task_id, "retry"), 409, IN_MEMORY)
    assert controlled.task(task_id)["status"] == "dead"
    assert controlled.client.delete(f"/tasks/{task_id}").status_code == 204


# --- across restarts ------------------------------------------------------------------------


def test_what_was_paused_and_cancelled_is_so_after_a_crash(
    serve: Callable[..., ServerProcess], tmp_path: Path
) -> None:
    server = serve(*SETTINGS).start()
    file = tmp_path / "ran"
    cancelled = held(server, action="record", data={"file": str(file), "line": "cancelled"})
    scheduled = publish(server, delay_seconds=1_000)
    waiting = held(server, action="record", data={"file": str(file), "line": "waited"})
    for task_id in (cancelled, scheduled):
        assert act(server, task_id, "cancel").status_code == 200
    server.kill()
    server.start()
    assert server.client.get("/queues/held").json()["paused"] is True
    server.wait_for_status(publish(server), "completed")
    assert server.task(waiting)["status"] == "queued"
    server.client.post("/queues/held/resume")
    server.wait_for_status(waiting, "completed")
    assert {server.task(task_id)["status"] for task_id in (cancelled, scheduled)} == {"cancelled"}
    assert file.read_text() == "waited\n"


def test_a_running_task_that_was_to_be_cancelled_does_not_run_again_after_a_crash(
    serve: Callable[..., ServerProcess], tmp_path: Path
) -> None:
    server = serve(*SETTINGS).start()
    gate = Gate(tmp_path)  # nobody opens it
    task_id = publish(server, "wait", data={"fifo": str(gate.path)})
    server.wait_for_status(task_id, "running")
    assert act(server, task_id, "cancel").status_code == 202
    server.kill()
    server.start()
    task = server.wait_for_status(task_id, "cancelled")
    assert task["attempt"] == 1


def test_nothing_is_put_back_on_a_queue_that_is_no_longer_there(
    serve: Callable[..., ServerProcess],
) -> None:
    server = serve("actions.reject=tests.actions:reject", "queues.old.concurrency=1").start()
    task_id = a_dead(server, queue="old")
    server.terminate()
    server.settings = ("actions.reject=tests.actions:reject",)
    server.start()
    error = "the queue old is no longer in the settings; nothing would run the task"
    problem(act(server, task_id, "retry"), 409, error)
    answer = server.client.post("/dead-letters/redrive", json={"queue": "old"})
    assert problem(answer, 400, "unknown queue") == "queue 'old' is not known; known: tasks"
    for members in ({"action": "reject"}, {"ids": [task_id]}):
        answer = server.client.post("/dead-letters/redrive", json=members)
        assert answer.status_code == 200
        assert (answer.json()["count"], answer.json()["unknown"]) == (0, 1)
    assert server.client.get("/tasks?queue=old").json()["tasks"][0]["status"] == "dead"
    problem(server.client.get("/queues/old"), 404, "queue not found")

"""Actions that hang in a thread, which nothing can kill: others go on, up to a bound."""

from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from tests.harness import Gate, ServerProcess, eventually

TIMEOUT_SECONDS = 0.4
SENTENCE = "2 stuck threads in actions beyond their deadline; 1 may be"

pytestmark = pytest.mark.system

Serve = Callable[..., ServerProcess]


@pytest.fixture
def server(serve: Serve) -> ServerProcess:
    return serve(
        "execution.kill_grace_seconds=0.1",
        "execution.max_stuck_threads=1",
        "queues.tasks.concurrency=3",
        "queues.tasks.backoff_base_seconds=0.01",
        "actions.hang.python=tests.actors.actions.acts:hang",
        f"actions.hang.timeout_seconds={TIMEOUT_SECONDS}",
    ).start()


def hang(server: ServerProcess, gate: Gate, max_attempts: int = 1) -> str:
    """The id of a task that hangs at the gate, once it is given up."""
    data = {"gate": str(gate.path)}
    body = {"action": "hang", "data": data, "max_attempts": max_attempts}
    answer = server.client.post("/tasks", json=body)
    assert answer.status_code == httpx.codes.ACCEPTED, answer.text
    task_id = str(answer.json()["id"])
    stuck = server.wait_for_log("thread stuck, consumer replaced", id=task_id)
    assert "in hang\n" in stuck["stack"]
    return task_id


def others_go_on(server: ServerProcess) -> None:
    for task_id in [server.publish("sum", numbers=[number]) for number in range(20)]:
        server.wait_for_status(task_id, "completed")


def is_ready(server: ServerProcess) -> bool:
    return server.client.get("/readyz").status_code == httpx.codes.OK


def test_a_thread_that_hangs_is_left_behind_and_what_it_comes_to_is_refused(
    server: ServerProcess, tmp_path: Path
) -> None:
    gate = Gate(tmp_path)
    task_id = hang(server, gate)
    others_go_on(server)
    assert is_ready(server)
    gate.open()
    server.wait_for_log("late result refused, the lease is lost", id=task_id)
    task = server.task(task_id)
    assert (task["status"], task["result"]) == ("dead", None)
    assert task["error"] == f"timed out after {TIMEOUT_SECONDS:g} s, and did not stop"
    assert [each["outcome"] for each in task["attempts"]] == ["timed_out"]
    others_go_on(server)
    assert server.terminate() == 0


def test_a_task_that_hung_once_is_tried_again_by_the_rules(
    server: ServerProcess, tmp_path: Path
) -> None:
    gate = Gate(tmp_path)
    task_id = hang(server, gate, max_attempts=2)
    task = server.wait_for_status(task_id, "completed")
    gate.open()
    server.wait_for_log("late result refused, the lease is lost", id=task_id)
    assert (task["result"], task["attempt"]) == (2, 2)
    assert task["attempts"][0]["outcome"] == "timed_out"
    assert server.task(task_id) == task


def test_more_stuck_threads_than_may_be_make_it_not_ready_until_they_come_back(
    server: ServerProcess, tmp_path: Path
) -> None:
    gates = [Gate(tmp_path) for _ in range(2)]
    hang(server, gates[0])
    assert is_ready(server)
    hang(server, gates[1])
    eventually(lambda: not is_ready(server), "it is not ready")
    assert SENTENCE in server.client.get("/readyz").json()["problems"]
    others_go_on(server)
    gates[0].open()
    eventually(lambda: is_ready(server), "it is ready again")
    gates[1].open()
    others_go_on(server)
    assert is_ready(server)

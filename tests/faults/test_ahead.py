"""What is claimed ahead: shown as running only where it runs, and left to whoever comes first."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from task_queue.actors.tasks.window import MAX_WAIT_SECONDS
from tests.harness import Gate, ServerProcess, eventually

SETTINGS = (
    "queues.tasks.concurrency=1",
    "queues.tasks.prefetch=50",
    "actions.wait=tests.actions:wait_for_fifo",
)
SHORT = 20

pytestmark = pytest.mark.system

Serve = Callable[..., ServerProcess]


def publish(server: ServerProcess, gates: Sequence[Gate], *, short: int = 0) -> list[str]:
    """So many short tasks and then one that waits at each gate, at once; the ids of the latter."""
    tasks: list[dict[str, Any]] = [{"action": "sum", "data": {"numbers": [1]}}] * short
    tasks += [{"action": "wait", "data": {"fifo": str(gate.path)}} for gate in gates]
    answer = server.client.post("/tasks/batch", json={"tasks": tasks})
    assert answer.status_code == 202, answer.text
    ids: list[str] = answer.json()["ids"]
    return ids[short:]


def counts(server: ServerProcess) -> tuple[int, int]:
    """How many are queued, and how many run."""
    seen = server.client.get("/queues/tasks").json()["counts"]
    return seen["queued"], seen["running"]


def test_behind_a_long_task_that_follows_short_ones_all_is_queued(
    serve: Serve, database_url: str, tmp_path: Path
) -> None:
    server = serve(f"database.url={database_url}", *SETTINGS).start()
    gates = [Gate(tmp_path) for _ in range(5)]
    long, *waiting = publish(server, gates, short=SHORT)
    server.wait_for_log("processing task", id=long)
    started_at = server.task(long)["started_at"]
    eventually(lambda: time.time() > started_at + MAX_WAIT_SECONDS, "it is no short task")
    # What was claimed ahead until then goes back at the queue's next look.
    eventually(lambda: counts(server) == (4, 1), "one runs")
    for task_id in waiting:
        task = server.task(task_id)
        assert (task["status"], task["attempt"], task["attempts"]) == ("queued", 0, [])
        assert (task["started_at"], task["worker"]) == (None, None)
    cancelled = server.client.post(f"/tasks/{waiting[0]}/cancel").json()
    assert cancelled["status"] == "cancelled"
    first = server.client.post(
        "/tasks", json={"action": "sum", "data": {"numbers": [1]}, "priority": 100}
    ).json()["id"]
    gates[0].open()
    assert server.wait_for_log("processing task")["id"] == first
    assert server.wait_for_log("processing task")["id"] == waiting[1]
    purged = server.client.post("/queues/tasks/purge").json()
    assert purged == {"name": "tasks", "count": 2}
    gates[2].open()
    assert server.terminate() == 0


def test_an_idle_node_gets_what_another_one_has_no_consumer_for(
    serve: Serve, postgres_url: str, tmp_path: Path
) -> None:
    first, second = (serve(f"database.url={postgres_url}", *SETTINGS).start() for _ in range(2))
    gates = [Gate(tmp_path) for _ in range(2)]
    tasks = publish(first, gates, short=SHORT)
    running = [node.wait_for_log("processing task", action="wait") for node in (first, second)]
    assert {line["id"] for line in running} == set(tasks)
    for gate in gates:
        gate.open()
    for task_id in tasks:
        assert first.wait_for_status(task_id, "completed")["attempt"] == 1


def test_no_more_than_run_are_shown_as_running(serve: Serve, tmp_path: Path) -> None:
    server = serve(*SETTINGS).start()
    gates = [Gate(tmp_path) for _ in range(5)]
    for running, gate in zip(publish(server, gates), gates, strict=True):
        server.wait_for_log("processing task", id=running)
        listed = server.client.get("/tasks?status=running").json()["tasks"]
        assert [task["id"] for task in listed] == [running]
        gate.open()
    assert server.terminate() == 0

"""The whole service as a user meets it: a real process, real HTTP, a real database."""

import math
import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from task_queue.actors.store.database import Database
from task_queue.actors.store.migrate import migrate
from task_queue.actors.tasks.states import Status
from task_queue.config.layers import load
from tests.databases import execute, fill
from tests.faults.stored import Stored
from tests.harness import ROOT, Gate, ServerProcess, eventually

pytestmark = pytest.mark.system

Serve = Callable[..., ServerProcess]

QUICK_RETRY = ("queues.tasks.backoff_base_seconds=0.01", "queues.tasks.max_attempts=3")
A_MILLION = 1_000_000
IDLE_SECONDS = 6.0


def test_a_task_is_accepted_run_and_listed(serve: Serve, database_url: str) -> None:
    server = serve(f"database.url={database_url}").start()
    answer = server.client.post(
        "/tasks", json={"action": "uppercase", "data": {"text": "hello world"}}
    )
    assert answer.status_code == 202
    task_id = answer.json()["id"]
    assert answer.json() == {"id": task_id, "status": "queued"}
    assert answer.headers["Location"] == f"/tasks/{task_id}"
    task = server.wait_for_status(task_id, "completed")
    assert task["result"] == {"output": "HELLO WORLD"}
    assert task["payload"]["data"] == {"text": "hello world"}
    listed = server.client.get("/tasks", params={"status": "completed"}).json()
    del task["attempts"]  # which a listing leaves out
    assert (listed["tasks"], listed["count"]) == ([task], 1)
    assert server.client.get("/readyz").json()["status"] == "ready"
    assert server.terminate() == 0


def test_a_failing_task_is_tried_again_until_it_works(
    serve: Serve, database_url: str, tmp_path: Path
) -> None:
    server = serve(
        f"database.url={database_url}", "actions.flaky=tests.actions:fail_until", *QUICK_RETRY
    ).start()
    task_id = server.publish("flaky", file=str(tmp_path / "runs"), times=3)
    task = server.wait_for_status(task_id, "completed")
    assert (task["result"], task["attempt"], task["error"]) == ({"output": 3}, 3, None)


@pytest.mark.parametrize(
    ("action", "attempts", "error"),
    [
        ("fail", 3, "ValueError: on purpose"),
        ("raise_system_exit", 3, "SystemExit: 3"),
        ("reject", 1, "never"),
        ("not_json", 1, "result.parts[0]: bytes has no JSON form"),
    ],
)
def test_a_task_that_never_works_is_dead_with_its_last_error(
    serve: Serve, action: str, attempts: int, error: str
) -> None:
    server = serve(f"actions.broken=tests.actions:{action}", *QUICK_RETRY).start()
    broken, good = server.publish("broken"), server.publish("sum", numbers=[1, 2])
    task = server.wait_for_status(broken, "dead")
    assert (task["attempt"], task["result"]) == (attempts, None)
    assert task["error"].startswith(error)
    assert task["processed_at"] is not None
    assert server.wait_for_status(good, "completed")["result"] == {"output": 3}


def test_wrong_data_for_an_action_is_dead_at_once_and_names_the_field(serve: Serve) -> None:
    server = serve().start()
    task = server.wait_for_status(server.publish("sum", numbers=[1, "2"]), "dead")
    assert task["attempt"] == 1
    assert task["error"] == "data.numbers[1] must be a number, not a string"


def test_the_tutorials_set_up_runs_in_memory_and_lists_what_is_done(
    serve: Serve, tmp_path: Path
) -> None:
    server = serve()
    server.environ["TASK_QUEUE_CONFIG"] = str(ROOT / "config" / "tutorial.toml")
    server.start()
    numbers = {server.publish("sum", numbers=[number, 1]): number for number in range(6)}
    eventually(lambda: len(server.all_tasks()) == len(numbers), "all are listed")
    tasks = server.all_tasks()
    assert {task["id"]: task["result"]["output"] - 1 for task in tasks} == numbers
    assert {task["status"] for task in tasks} == {"completed"}
    assert (tmp_path / "data" / "tasks.db").exists()
    assert server.terminate() == 0


def test_the_log_tells_a_tasks_story_without_its_payload(serve: Serve) -> None:
    server = serve().start()
    answer = server.client.post(
        "/tasks",
        json={"action": "uppercase", "data": {"text": "a secret"}},
        headers={"X-Request-ID": "from-the-caller"},
    )
    task_id = answer.json()["id"]
    server.wait_for_status(task_id, "completed")
    assert server.terminate() == 0
    # In whatever order: the task may be done before its publisher's thread has logged it.
    story = {line["event"]: line for line in server.log if line.get("id") == task_id}
    assert story.keys() == {"task queued", "processing task", "task completed"}
    assert story["task queued"]["request_id"] == "from-the-caller"
    began = story["processing task"]
    assert (began["action"], began["attempt"]) == ("uppercase", 1)
    assert story["task completed"]["duration_seconds"] >= 0
    assert "secret" not in str(server.log).lower()


@pytest.mark.timeout(300)  # a million rows are made first
def test_a_million_waiting_tasks_show_neither_in_memory_nor_in_what_an_idle_server_does(
    serve: Serve, tmp_path: Path
) -> None:
    options = ("actions.wait=tests.actions:wait_for_fifo", "queues.tasks.concurrency=1")
    idle_directory, full_directory = tmp_path / "idle", tmp_path / "full"
    for directory in (idle_directory, full_directory):
        (directory / "data").mkdir(parents=True)
    idle = serve(*options, directory=idle_directory).start()
    _fill(full_directory / "data" / "tasks.db", Gate(tmp_path).path)
    full = serve(*options, directory=full_directory).start()
    for server in (idle, full):
        if server is full:
            server.wait_for_log("processing task")
        assert server.client.get("/tasks", params={"limit": 100}).status_code == 200
    assert _resident_mib(full.pid) - _resident_mib(idle.pid) <= 30
    assert _worked_seconds(full) <= IDLE_SECONDS * 0.05
    full.kill()  # the task still waits for its pipe


def _fill(path: Path, gate: Path) -> None:
    """A million waiting tasks, one half queued, the other for later; one task is at the gate."""
    database = Database(f"sqlite:///{path}")
    migrate(database)
    fill(database, Status.QUEUED, A_MILLION // 2)
    columns = "queue, action, data, priority, attempt, losses, max_attempts, created_at, rank"
    later = time.time() + 3600
    data = f'{{"fifo":"{gate}"}}'
    execute(
        database,
        f"INSERT INTO tasks (id, status, run_at, {columns})"  # noqa: S608 - all made here
        f" SELECT 'later-' || id, 'scheduled', {later}, {columns} FROM tasks",
        f"UPDATE tasks SET action = 'wait', data = '{data}' WHERE seq = 1",  # noqa: S608
    )


def _resident_mib(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    (kib,) = (line.split()[1] for line in status.splitlines() if line.startswith("VmRSS"))
    return int(kib) / 1024


def _worked_seconds(server: ServerProcess) -> float:
    """How long the server works while nothing is to be done, until a task is due."""
    body = {"action": "sum", "delay_seconds": IDLE_SECONDS}
    task_id = server.client.post("/tasks", json=body).json()["id"]
    stored = Stored(f"sqlite:///{server.directory}/data/tasks.db")
    before = _processor_seconds(server.pid)
    # Not asked over HTTP, which is work for the server.
    eventually(lambda: stored.has_left(Status.SCHEDULED, task_id), "it is time")
    return _processor_seconds(server.pid) - before


def _processor_seconds(pid: int) -> float:
    user, system = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def test_thousands_of_tasks_due_at_the_same_second_are_ready_within_a_second_of_it(
    serve: Serve, database_url: str
) -> None:
    server = serve(f"database.url={database_url}").start()
    server.client.post("/queues/tasks/pause")  # so that they stay as they are, once they are ready
    began = time.monotonic()
    for _ in range(2):
        tasks = [{"action": "sum", "delay_seconds": 3600}] * 1000
        assert server.client.post("/tasks/batch", json={"tasks": tasks}).status_code == 202
    published = time.monotonic() - began
    stored = Stored(database_url)
    assert stored.in_state(Status.SCHEDULED) == 2000
    # Named only now, so that it has not come before all of them are there.
    moment = math.ceil(time.time()) + 1
    database = Database(load(overrides=[f"database.url={database_url}"]).settings.database.url)
    execute(database, f"UPDATE tasks SET run_at = {moment}")  # noqa: S608 - all of it is made here
    eventually(lambda: stored.in_state(Status.QUEUED) == 2000, "all are ready")
    # Where much else is to be done all takes longer: by less than they took to be published.
    assert 0 <= time.time() - moment <= 1 + published


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="the system cannot do that")
@pytest.mark.parametrize(
    ("setting", "cores"),
    [("process.one_core=true", 1), ("process.one_core=false", len(os.sched_getaffinity(0)))],
)
def test_it_keeps_to_one_core_unless_told_otherwise(serve: Serve, setting: str, cores: int) -> None:
    server = serve(setting).start()
    assert len(os.sched_getaffinity(server.pid)) == cores

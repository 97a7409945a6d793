"""The whole service as a user meets it: a real process, real HTTP, a real database."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from actors.store.connect import Database
from actors.store.migrate import migrate
from actors.task import Status
from tests.databases import execute, fill
from tests.harness import ROOT, Gate, ServerProcess, eventually

pytestmark = pytest.mark.system

Serve = Callable[..., ServerProcess]

QUICK_RETRY = ("queues.tasks.backoff_base_seconds=0.01", "queues.tasks.max_attempts=3")
A_MILLION = 1_000_000


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
        ("not_json", 1, "the result of 'broken' is not JSON: "),
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


def test_a_million_queued_tasks_do_not_show_in_memory(serve: Serve, tmp_path: Path) -> None:
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
    full.kill()  # the task still waits for its pipe


def _fill(path: Path, gate: Path) -> None:
    """A million queued tasks, the first of which waits at the gate."""
    database = Database(f"sqlite:///{path}")
    migrate(database)
    fill(database, Status.QUEUED, A_MILLION)
    data = f'{{"fifo":"{gate}"}}'
    execute(database, f"UPDATE tasks SET action = 'wait', data = '{data}' WHERE seq = 1")  # noqa: S608


def _resident_mib(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    (kib,) = (line.split()[1] for line in status.splitlines() if line.startswith("VmRSS"))
    return int(kib) / 1024


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="the system cannot do that")
@pytest.mark.parametrize(
    ("setting", "cores"),
    [("process.one_core=true", 1), ("process.one_core=false", len(os.sched_getaffinity(0)))],
)
def test_it_keeps_to_one_core_unless_told_otherwise(serve: Serve, setting: str, cores: int) -> None:
    server = serve(setting).start()
    assert len(os.sched_getaffinity(server.pid)) == cores

"""A database file of a former version opens, and what was queued in it runs."""

import sqlite3
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from tests.harness import ServerProcess

FORMER = Path(__file__).parent / "before_task_queue.sql"
"""The dump of a file that 0.1.0 left behind: both queues paused, three finished tasks or dead ones,
six that wait, a schedule, an idempotency key."""
HUNDRED_YEARS = 100 * 365 * 86_400


@pytest.fixture
def upgraded(tmp_path: Path, serve: Callable[..., ServerProcess]) -> ServerProcess:
    """A server on the former file, which keeps what is finished."""
    (tmp_path / "data").mkdir()
    connection = sqlite3.connect(tmp_path / "data" / "tasks.db")
    with connection:
        connection.executescript(FORMER.read_text())
    connection.close()
    kept = [
        f"retention.{status}_seconds={HUNDRED_YEARS}"
        for status in ("completed", "dead", "cancelled")
    ]
    return serve("queues.mail.concurrency=1", *kept).start()


def test_a_former_file_opens_and_its_queued_tasks_run(upgraded: ServerProcess) -> None:
    before = {task["id"]: task for task in upgraded.all_tasks()}
    assert sorted(task["status"] for task in before.values()) == [
        "completed",
        "dead",
        *["queued"] * 5,
        "scheduled",
    ]
    for queue in ("tasks", "mail"):
        assert upgraded.client.post(f"/queues/{queue}/resume").status_code == httpx.codes.OK
    results = [
        upgraded.wait_for_status(task_id, "completed")["result"]["output"]
        for task_id, task in before.items()
        if task["status"] == "queued"
    ]
    assert sorted(map(str, results)) == ["0", "3", "5", "7", "QUEUED BEFORE"]


def test_what_a_former_file_holds_besides_is_there(upgraded: ServerProcess) -> None:
    (dead,) = upgraded.client.get("/dead-letters").json()["tasks"]
    assert dead["error"] == "data.numbers[0] must be a number, not a string"
    schedules = upgraded.client.get("/schedules").json()["schedules"]
    assert [schedule["name"] for schedule in schedules] == ["morning"]
    later = upgraded.client.get("/tasks?status=scheduled").json()
    assert later["count"] == 1

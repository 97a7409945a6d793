"""`task-queue backup` and `restore`: of a database in use, with what ran and what had ended."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from task_queue.actors.store.database import Database
from tests.commands import command
from tests.databases import execute
from tests.harness import Gate, ServerProcess

pytestmark = pytest.mark.system

SETTINGS = (
    "actions.wait=tests.actions:wait_for_fifo",
    "actions.record=tests.actions:record",
    "actions.resize.external=true",
)
Serve = Callable[..., ServerProcess]


def lease(server: ServerProcess) -> dict[str, Any]:
    asked = {"worker": "gpu-1", "actions": ["resize"], "lease_seconds": 600}
    answer = server.client.post("/queues/tasks/lease", json=asked)
    assert answer.status_code == httpx.codes.OK, answer.text
    (leased,) = answer.json()["leases"]
    return dict(leased)


def test_a_backup_of_a_running_queue_goes_on_where_that_was(serve: Serve, tmp_path: Path) -> None:
    server = serve(*SETTINGS).start()
    gate = Gate(tmp_path)
    ran = tmp_path / "ran"
    done = server.publish("record", file=str(ran), line="once")
    server.wait_for_status(done, "completed")
    running = server.publish("wait", fifo=str(gate.path))
    handed_out = server.publish("resize", width=3)
    leased = lease(server)
    server.wait_for_status(running, "running")
    once = {"action": "uppercase", "data": {"text": "a"}, "delay_seconds": 600}
    unique = server.client.post("/tasks", json=once | {"unique_key": "one"}).json()["id"]
    repeated = {"Idempotency-Key": "first"}
    first = server.client.post("/tasks", json=once, headers=repeated).json()["id"]
    said = command(tmp_path, "backup", "backup.db")
    assert said.startswith("backup.db: ")
    assert "5 tasks, revision" in said
    later = server.publish("uppercase", text="after the backup")
    in_use = command(tmp_path, "restore", "backup.db", "--force", code=1)
    assert f"in use by another task-queue (process {server.pid})" in in_use
    server.kill()

    there = command(tmp_path, "restore", "backup.db", code=1)
    assert "there is a database" in there
    assert "--force" in there
    said = command(tmp_path, "restore", "backup.db", "--force")
    (kept,) = (tmp_path / "data").glob("tasks.db.*.old")
    assert f"the former database is kept as {kept}" in said
    server.start()
    assert server.client.get(f"/tasks/{later}").status_code == httpx.codes.NOT_FOUND
    # What had ended does not run again, and what ran does.
    assert server.wait_for_status(running, "running")["attempt"] == 2
    gate.open("second")
    assert server.wait_for_status(running, "completed")["result"] == {"output": "second"}
    assert server.task(done)["status"] == "completed"
    assert ran.read_text().split() == ["once"]
    # A worker of then cannot settle, whoever has the task now.
    settled = server.client.post(f"/leases/{leased['lease']}/ack", json={"result": {"width": 3}})
    assert settled.status_code == httpx.codes.CONFLICT, settled.text
    server.wait_for_status(handed_out, "queued")
    lease(server)
    assert server.task(handed_out)["attempt"] == 2
    # Keys hold as before.
    again = server.client.post("/tasks", json=once | {"unique_key": "one"})
    assert (again.status_code, again.json()["id"]) == (httpx.codes.OK, unique)
    answer = server.client.post("/tasks", json=once, headers=repeated)
    assert answer.json()["id"] == first
    # The former database can be looked at.
    with_later = {"database.url": f"sqlite:///{kept}"}
    server.terminate()
    former = serve(*SETTINGS, *(f"{name}={value}" for name, value in with_later.items())).start()
    assert former.task(later)["status"] == "completed"


def test_nothing_starts_after_a_restore_with_paused(serve: Serve, tmp_path: Path) -> None:
    server = serve("queues.mail.concurrency=1", *SETTINGS).start()
    server.client.post("/queues/tasks/pause")
    waiting = server.publish("uppercase", text="a")
    command(tmp_path, "backup", "backup.db")
    server.client.post("/queues/tasks/resume")
    server.wait_for_status(waiting, "completed")
    server.terminate()
    said = command(
        tmp_path, "restore", "backup.db", "--force", "--paused", "--set=queues.mail.concurrency=1"
    )
    assert "all queues are paused" in said
    server.start()
    queues = server.client.get("/queues").json()["queues"]
    assert {each["name"]: each["paused"] for each in queues} == {"tasks": True, "mail": True}
    assert server.task(waiting)["status"] == "queued"


def test_wrong_uses_are_one_line(tmp_path: Path, migrated_file: Path) -> None:
    (tmp_path / "data").mkdir()
    no_database = command(tmp_path, "backup", "backup.db", code=1)
    assert no_database.startswith("there is no database sqlite:///")
    database = tmp_path / "data" / "tasks.db"
    shutil.copyfile(migrated_file, database)
    itself = command(tmp_path, "backup", "data/tasks.db", "--force", code=1)
    assert itself == "data/tasks.db is the database itself: take another name\n"
    (tmp_path / "backup.db").write_text("mine")
    assert "backup.db is there already" in command(tmp_path, "backup", "backup.db", code=1)
    assert "not a database" in command(tmp_path, "restore", "backup.db", "--force", code=1)
    assert command(tmp_path, "restore", "nope", code=1) == "there is no file nope\n"
    assert sorted(path.name for path in database.parent.iterdir()) == ["tasks.db", "tasks.db.lock"]


@pytest.mark.parametrize("name", ["backup", "restore"])
def test_of_postgresql_it_says_which_program_does_it(tmp_path: Path, name: str) -> None:
    url = "--set=database.url=postgresql://me:secret@db.example.com:5433/shop"
    said = command(tmp_path, name, "my file", url, code=2)
    program = {"backup": "pg_dump", "restore": "pg_restore"}[name]
    where = "--host=db.example.com --port=5433 --username=me --dbname=shop"
    assert f"{program} {where}" in said
    assert "'my file'" in said
    assert "secret" not in said


@pytest.mark.parametrize(
    "arguments",
    [
        ["serve", "--set=http.port=0"],
        ["migrate"],
        ["keys", "create", "shop", "--scope=read"],
        ["keys", "list"],
        ["keys", "revoke", "shop"],
        ["backup", "backup.db"],
        ["check"],
    ],
)
def test_a_newer_database_is_refused_and_left_alone(
    tmp_path: Path, migrated_file: Path, arguments: list[str]
) -> None:
    path = tmp_path / "data" / "tasks.db"
    path.parent.mkdir()
    shutil.copyfile(migrated_file, path)
    execute(Database(f"sqlite:///{path}"), "UPDATE alembic_version SET version_num = '9999'")
    before = path.read_bytes()
    said = command(tmp_path, *arguments, code=1)
    assert "was made by a newer version of task-queue (revision 9999)" in said
    assert path.read_bytes() == before

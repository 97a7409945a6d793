"""`task-queue check`, beside a running server."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from task_queue.actors.store.database import Database
from tests.commands import command
from tests.databases import execute
from tests.harness import ServerProcess

pytestmark = pytest.mark.system


def test_a_running_server_is_looked_at_and_mended(
    serve: Callable[..., ServerProcess], tmp_path: Path
) -> None:
    server = serve("actions.reject=tests.actions:reject").start()
    server.wait_for_status(server.publish("reject"), "dead")
    assert command(tmp_path, "check").startswith("all is right, 1 tasks in sqlite:///")
    database = Database(f"sqlite:///{tmp_path}/data/tasks.db")
    execute(database, "UPDATE counts SET dead = 7", "UPDATE schedules SET next_at = 0")
    said = command(tmp_path, "check", code=1)
    assert said.split("\n")[0] == f"{1:>9}  queues whose counts are not those of their tasks"
    assert "--repair mends" in said
    shown = json.loads(command(tmp_path, "check", "--json", "--repair"))
    assert shown == {
        "ok": True,
        "tasks": 1,
        "findings": [
            {
                "what": "queues whose counts are not those of their tasks",
                "number": 1,
                "repaired": True,
                "advice": "",
            }
        ],
    }
    (queue,) = server.client.get("/queues").json()["queues"]
    assert queue["counts"]["dead"] == 1
    assert command(tmp_path, "check", "--repair").startswith("all is right")

"""`GET /nodes`: who works, and on what."""

from collections.abc import Callable
from pathlib import Path
from signal import SIGTERM
from typing import Any

import pytest

from tests.harness import Gate, ServerProcess, eventually

pytestmark = pytest.mark.system

Serve = Callable[..., ServerProcess]
SETTINGS = ("actions.wait=tests.actions:wait_for_fifo", "actions.resize.external=true")


def nodes(server: ServerProcess) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = server.client.get("/nodes").json()["nodes"]
    return found


def statuses(server: ServerProcess) -> dict[str, str]:
    return {each["name"]: each["status"] for each in nodes(server)}


def workers(server: ServerProcess) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = server.client.get("/nodes").json()["workers"]
    return found


def test_a_node_shows_its_consumers_and_what_runs_and_a_worker_what_it_has_leased(
    serve: Serve, tmp_path: Path
) -> None:
    server, gate = serve(*SETTINGS, "queues.mail.concurrency=3").start(), Gate(tmp_path)
    task_id = server.publish("wait", fifo=str(gate.path))
    server.wait_for_status(task_id, "running")
    leased_id = server.publish("resize")
    assert server.client.post("/queues/tasks/lease", json={"worker": "w-1"}).status_code == 200
    (node,) = eventually(lambda: nodes(server), "it has said that it lives")
    assert node["status"] == "alive"
    assert node["queues"] == {"tasks": 2, "mail": 3}
    assert node["name"] == server.task(task_id)["worker"]
    assert node["started_at"] <= node["seen_at"]
    assert [(each["id"], each["action"]) for each in node["running"]] == [(task_id, "wait")]
    (worker,) = workers(server)
    assert worker["name"] == "w-1"
    assert [each["id"] for each in worker["running"]] == [leased_id]
    gate.open()
    eventually(lambda: nodes(server)[0]["running"] == [], "it has ended")


def test_a_node_that_stops_is_draining_and_then_gone_and_one_that_was_killed_is_not(
    serve: Serve, migrated_url: str, tmp_path: Path
) -> None:
    url = f"database.url={migrated_url}"
    one, other, gate = serve(*SETTINGS, url).start(), serve(url).start(), Gate(tmp_path)
    eventually(lambda: len(statuses(one)) == 2, "both have said that they live")
    other.kill()
    assert len(statuses(one)) == 2
    one.wait_for_status(one.publish("wait", fifo=str(gate.path)), "running")
    (name,) = (each["name"] for each in nodes(one) if each["running"])
    one.signal(SIGTERM)
    eventually(lambda: statuses(one)[name] == "draining", "it says that it stops")
    gate.open()
    assert one.wait() == 0
    third = serve(url).start()
    eventually(lambda: len(statuses(third)) == 2, "it has said that it lives")
    assert name not in statuses(third)

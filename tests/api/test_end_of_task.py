"""Answers that wait for a task's end leave nothing behind that waits on."""

from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import httpx
import pytest

from task_queue.actors.messages.writer import Watch
from task_queue.actors.system import ActorSystem
from task_queue.api.app import create_app
from task_queue.api.edge import Edge
from task_queue.config.layers import load
from tests.harness import DEADLINE_SECONDS

WAIT = {"Prefer": "wait=60"}


class WatchingEdge(Edge):
    """Keeps the watches it has made."""

    made: ClassVar[list[Watch]]

    def watch(self, task_id: str, until: float) -> Watch:
        watch = super().watch(task_id, until)
        self.made.append(watch)
        return watch


@pytest.fixture
def made() -> list[Watch]:
    return []


@pytest.fixture
def client(tmp_path: Path, made: list[Watch]) -> Iterator[httpx.Client]:
    overrides = [f"database.url=sqlite:///{tmp_path}/tasks.db", "queues.short.max_length=1"]
    settings = load(overrides=overrides, environ={}).settings
    system = ActorSystem(settings, on_too_many_restarts=lambda: None)
    system.start()
    edge = WatchingEdge(system, DEADLINE_SECONDS)
    WatchingEdge.made = made
    transport = httpx.WSGITransport(create_app(edge, settings.http))
    with httpx.Client(transport=transport, base_url="http://localhost") as client:
        yield client
    system.stop()


def test_a_task_that_is_final_already_is_watched_no_more(
    client: httpx.Client, made: list[Watch]
) -> None:
    own = client.post("/tasks", json={"action": "sum", "data": {"numbers": [1]}}, headers=WAIT)
    assert own.json()["status"] == "completed"
    assert client.get(f"/tasks/{own.json()['id']}", headers=WAIT).json() == own.json()
    assert client.get(f"/tasks/{own.json()['id'][:-4]}0000", headers=WAIT).status_code == 404
    assert [watch.reply_to.is_done for watch in made] == [True, True, True]


def test_a_publish_that_is_refused_or_waits_for_another_task_watches_none(
    client: httpx.Client, made: list[Watch]
) -> None:
    late = {"action": "sum", "delay_seconds": 60, "queue": "short", "unique_key": "u"}
    assert client.post("/tasks", json=late).status_code == 202
    full = client.post("/tasks", json=late | {"unique_key": "v"}, headers=WAIT)
    assert full.status_code == 429
    there = client.post("/tasks", json=late, headers={"Prefer": "wait=1"})
    assert (there.status_code, there.json()["duplicate"]) == (200, True)
    assert [watch.reply_to.is_done for watch in made] == [True, True, True]

"""Limits at which the service refuses publishes, or holds tasks back, while the rest goes on."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from task_queue.actors.clock import TICK_SECONDS
from task_queue.actors.store import claim as claims
from task_queue.actors.store.database import Database
from task_queue.actors.store.migrate import migrate
from task_queue.actors.store.session import Session
from task_queue.actors.tasks.claim import Claimant
from task_queue.actors.tasks.limits import bucket_size
from task_queue.actors.tasks.states import Status
from task_queue.config.layers import load
from tests.databases import fill
from tests.fakes import NOW
from tests.harness import Gate, ServerProcess

MORE_THAN_IS_FREE = 2**50
MEASURED_SECONDS = 40

Serve = Callable[..., ServerProcess]


@pytest.mark.system
def test_on_a_disk_that_is_nearly_full_publishes_are_refused_and_all_else_goes_on(
    serve: Serve, tmp_path: Path
) -> None:
    server = serve(
        'actions.wait="tests.actions:wait_for_fifo"',
        "queues.tasks.concurrency=1",
        "queues.tasks.backoff_base_seconds=0.01",
        "queues.tasks.backoff_cap_seconds=0.01",
    ).start()
    gate = Gate(tmp_path)
    running = server.publish("wait", fifo=str(gate.path))
    server.wait_for_log("processing task", id=running)
    waiting = [server.publish("sum", numbers=[number]) for number in range(10)]
    task = {"action": "sum"}
    later = server.client.post("/tasks", json={**task, "delay_seconds": 3600}).json()["id"]
    server.kill()

    full = serve(*server.settings, f"database.min_free_bytes={MORE_THAN_IS_FREE}").start()
    full.wait_for_log("processing task", id=running)
    for path, body in (("/tasks", task), ("/tasks/batch", {"tasks": [task] * 2})):
        refused = full.client.post(path, json=body)
        assert refused.status_code == 503
        assert refused.headers["Retry-After"]
        assert refused.json()["error"] == "failed to queue task"
        assert "disk" in refused.json()["detail"]
    listed = full.client.get("/tasks").json()
    assert {each["id"] for each in listed["tasks"]} == {running, later, *waiting}
    assert full.client.post(f"/tasks/{later}/cancel").json()["status"] == "cancelled"
    gate.open()
    for each in (running, *waiting):
        full.wait_for_status(each, "completed")
    assert full.terminate() == 0

    server.start()
    server.wait_for_status(server.publish("sum"), "completed")


@pytest.mark.parametrize("rate", [0.3, 1.3, 1.9, 20.0])
def test_a_queue_that_looks_at_every_tick_starts_as_many_as_its_rate_allows(
    tmp_path: Path, rate: float
) -> None:
    database = Database(f"sqlite:///{tmp_path}/tasks.db")
    migrate(database)
    fill(database, Status.QUEUED, int(rate * MEASURED_SECONDS) * 2)
    store = Session(database)
    started = 0
    for tick in range(int(MEASURED_SECONDS / TICK_SECONDS)):
        now = NOW + tick * TICK_SECONDS
        claimant = Claimant(
            queue="tasks", lease_id=1, node="one", now=now, leased_until=now, rate_limit=rate
        )
        with store.transaction():
            tasks, _ = claims.claim(store.connection, claimant, limit=100, free=100)
        started += len(tasks)
    store.close()
    allowed = rate * MEASURED_SECONDS
    assert 0.9 * allowed <= started <= allowed + bucket_size(rate)


def test_claims_on_several_connections_at_once_never_spend_the_same_token(
    postgres_url: str,
) -> None:
    rate, tasks = 50.0, 75
    database = Database(load(overrides=[f"database.url={postgres_url}"]).settings.database.url)
    migrate(database)
    fill(database, Status.QUEUED, tasks)

    def claim(lease_id: int) -> int:
        """How many tasks this connection gets, one by one, until there are none."""
        store, claimed = Session(database), 0
        while unclaimed:
            claimant = Claimant(
                queue="tasks", lease_id=lease_id, node="", now=0, leased_until=0, rate_limit=rate
            )
            with store.transaction():
                some, _ = claims.claim(store.connection, claimant, limit=1, free=1)
            claimed += len(some)
            for _ in some:
                unclaimed.pop()
        store.close()
        return claimed

    unclaimed = list(range(tasks))
    began = time.monotonic()
    with ThreadPoolExecutor(3) as pool:
        assert sum(pool.map(claim, range(3))) == tasks
    assert time.monotonic() - began >= (tasks - bucket_size(rate)) / rate

"""`kill -9` at any moment, with everything a task may ask for in play."""

import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.faults.life import (
    PLACES,
    QUEUES,
    LifeLoad,
    check_keys,
    check_runs,
)
from tests.faults.occurrences import Occurrences
from tests.faults.stored import Stored
from tests.harness import Gate, ServerProcess

SETTINGS = (
    *(
        f"queues.{name}.{setting}"
        for name in QUEUES
        for setting in (
            "concurrency=4",
            f"concurrency_per_key={PLACES}",
            "backoff_base_seconds=0.05",
            "backoff_cap_seconds=0.2",
            "lease_seconds=1",
        )
    ),
    "builtin.simulated_work_seconds=0.002",
    "log.level=WARNING",
)
SCHEDULES = {"daily": "tasks", "weekly": "mail", "yearly": "tasks"}

pytestmark = pytest.mark.system

Serve = Callable[..., ServerProcess]


def kill_with_all_in_play(server: ServerProcess, stored: Stored, *, kills: int, seed: int) -> None:
    """Kill and restart under load, and look at the database after each death and at the end."""
    moments = random.Random(seed)
    occurrences = Occurrences(stored, SCHEDULES)
    deaths: list[float] = []
    with LifeLoad(seed) as load:
        for kill in range(kills):
            load.aim(server.start())
            if kill == 0:
                occurrences.put(server)
            occurrences.make_due()
            load.wait_for(accepted=len(load.accepted) + moments.randrange(40, 160))
            server.kill()
            deaths.append(time.time())
            stored.check_counts()
            check_keys(stored.rows().values())
        load.aim(server.start())
        load.wait_for(accepted=len(load.accepted) + 40)
        load.finish(server)
    assert load.cut >= kills
    load.check_all_was_in_play()
    occurrences.wait_until_published()
    rows = stored.wait_until_finished()
    load.check(rows.values())
    occurrences.check(rows)
    runs = stored.runs()
    check_runs(rows, runs, deaths)
    assert max(len(each) for each in runs.values()) > 1, "some were lost and run again"
    stored.check_counts()


def test_kill_9_with_all_capabilities_in_play_loses_invents_and_repeats_nothing(
    serve: Serve, tmp_path: Path
) -> None:
    url = f"sqlite:///{tmp_path}/tasks.db"
    kill_with_all_in_play(serve(f"database.url={url}", *SETTINGS), Stored(url), kills=8, seed=3)


def test_kill_9_with_all_capabilities_in_play_loses_and_repeats_nothing_on_postgresql(
    serve: Serve, postgres_url: str
) -> None:
    server = serve(f"database.url={postgres_url}", *SETTINGS)
    kill_with_all_in_play(server, Stored(postgres_url), kills=3, seed=4)


def test_pauses_and_cancels_survive_kill_9(serve: Serve, database_url: str, tmp_path: Path) -> None:
    server = serve(
        f"database.url={database_url}",
        'actions.wait="tests.actions:wait_for_fifo"',
        *(f"queues.{name}.lease_seconds=1" for name in QUEUES),
        "queues.tasks.backoff_base_seconds=0.05",
        "queues.tasks.backoff_cap_seconds=0.05",
    ).start()

    def said(path: str, body: object = None) -> dict[str, Any]:
        answer = server.client.post(path, json=body)
        assert answer.is_success, answer.text
        document: dict[str, Any] = answer.json()
        return document

    def published(**members: object) -> str:
        return str(said("/tasks", {"action": "sum", **members})["id"])

    gate = Gate(tmp_path)
    running = server.publish("wait", fifo=str(gate.path))
    server.wait_for_log("processing task", id=running)
    assert said("/queues/mail/pause")["paused"]
    later, queued, *purged = (
        published(delay_seconds=3600),
        published(queue="mail"),
        published(queue="mail", priority=1),
        published(queue="mail", delay_seconds=3600),
    )
    for task in (later, queued):
        assert said(f"/tasks/{task}/cancel") == {"id": task, "status": "cancelled"}
    assert said("/queues/mail/purge") == {"name": "mail", "count": len(purged)}
    asked = said(f"/tasks/{running}/cancel")
    assert asked == {"id": running, "status": "running", "cancel_requested": True}
    kept = published(queue="mail")

    server.kill()
    server.start()
    attempts = server.wait_for_status(running, "cancelled")["attempts"]
    assert [(each["number"], each["outcome"]) for each in attempts] == [(1, "lost")]
    assert {server.task(each)["status"] for each in (later, queued, *purged)} == {"cancelled"}
    server.wait_for_status(published(), "completed")
    assert server.client.get("/queues/mail").json()["paused"]
    assert server.task(kept)["status"] == "queued"
    assert not said("/queues/mail/resume")["paused"]
    server.wait_for_status(kept, "completed")

    server.kill()
    server.start()
    server.wait_for_status(published(queue="mail"), "completed")
    assert server.terminate() == 0
    started = [line["id"] for line in server.log if line["event"] == "processing task"]
    assert started.count(running) == 1
    assert not {later, queued, *purged}.intersection(started)
    Stored(database_url).check_counts()

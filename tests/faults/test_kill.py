"""`kill -9` at any moment: whatever was answered with 202 is there and gets done, once."""

import random
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.faults.load import Load
from tests.faults.stored import Stored
from tests.harness import ServerProcess

QUICK_RETRIES = (
    "queues.tasks.backoff_base_seconds=0.05",
    "queues.tasks.backoff_cap_seconds=0.2",
    "log.level=WARNING",
)

pytestmark = pytest.mark.system

Serve = Callable[..., ServerProcess]


def kill_under_load(
    server: ServerProcess, stored: Stored, *, kills: int, tasks: int, seed: int
) -> None:
    """Kill and restart under load, `tasks` accepted publishes apart in all, then compare."""
    moments, span = random.Random(seed), tasks // kills
    with Load() as load:
        for kill in range(1, kills + 1):
            load.aim(server.start())
            # Somewhere in each span of accepted publishes, and never before the first of a life.
            moment = span * kill + moments.randrange(span)
            load.wait_for(accepted=max(moment, len(load.accepted) + 1))
            server.kill()
    assert load.cut >= kills
    assert len(load.accepted) >= tasks
    server.start()
    rows = stored.wait_until_finished()
    load.check(rows.values())
    unanswered = load.sent - load.refused
    assert {row.number for row in rows.values()} <= unanswered


@pytest.mark.timeout(300)  # it starts a server 21 times
def test_kill_9_twenty_times_under_load_loses_invents_and_repeats_nothing(
    serve: Serve, tmp_path: Path
) -> None:
    url = f"sqlite:///{tmp_path}/tasks.db"
    server = serve(f"database.url={url}", *QUICK_RETRIES)
    kill_under_load(server, Stored(url), kills=20, tasks=2_000, seed=1)


def test_kill_9_under_load_loses_invents_and_repeats_nothing_on_postgresql(
    serve: Serve, postgres_url: str
) -> None:
    server = serve(f"database.url={postgres_url}", "queues.tasks.lease_seconds=1", *QUICK_RETRIES)
    kill_under_load(server, Stored(postgres_url), kills=5, tasks=500, seed=2)

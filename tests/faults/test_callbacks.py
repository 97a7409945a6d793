"""`kill -9` at any moment: each task's end is told, once, and nothing else is."""

import json
import random
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import pytest
from standardwebhooks import Webhook

from tests.endpoint import Endpoint
from tests.faults.load import Load
from tests.faults.stored import Stored
from tests.harness import ServerProcess

SECRET = f"whsec_{'b25l' * 8}"
KILLS, TASKS = 6, 300

pytestmark = pytest.mark.system

Serve = Callable[..., ServerProcess]


def kill_under_load(server: ServerProcess, stored: Stored, receiver: Endpoint) -> None:
    """Kill and restart while tasks end and receivers are told, then compare all three sides."""
    moments, span = random.Random(13), TASKS // KILLS
    with Load() as load:
        for kill in range(1, KILLS + 1):
            load.aim(server.start())
            moment = span * kill + moments.randrange(span)
            load.wait_for(accepted=max(moment, len(load.accepted) + 1))
            server.kill()
    server.start()
    rows = stored.wait_until_finished()
    load.check(rows.values())
    ended = {row.id for row in rows.values() if row.queue == "tasks"}
    events = {row.id: json.loads(row.data) for row in rows.values() if row.queue == "callbacks"}
    assert sorted(event["subject"] for event in events.values()) == sorted(ended)
    assert all(event["id"] == own_id for own_id, event in events.items())
    bodies = defaultdict(set)
    for received in receiver.requests:
        event = Webhook(SECRET).verify(received.body, received.headers)
        assert event["type"] == "task.completed"
        bodies[received.headers["webhook-id"]].add(received.body)
    # At least once, by one id, and always the same.
    assert bodies.keys() == events.keys()
    assert {len(each) for each in bodies.values()} == {1}


@pytest.mark.timeout(300)  # it starts a server seven times
def test_each_end_is_told_under_one_id_whenever_the_server_is_killed(
    serve: Serve, tmp_path: Path
) -> None:
    url = f"sqlite:///{tmp_path}/tasks.db"
    with Endpoint() as receiver:
        server = serve(f"database.url={url}", *settings(receiver))
        kill_under_load(server, Stored(url), receiver)


@pytest.mark.timeout(300)
def test_each_end_is_told_under_one_id_on_postgresql_too(serve: Serve, postgres_url: str) -> None:
    with Endpoint() as receiver:
        server = serve(f"database.url={postgres_url}", *settings(receiver))
        kill_under_load(server, Stored(postgres_url), receiver)


def settings(receiver: Endpoint) -> list[str]:
    each_queue = ("lease_seconds=1", "backoff_base_seconds=0.05", "backoff_cap_seconds=0.2")
    return [
        f'callbacks={{secret=["{SECRET}"],allow_networks=["127.0.0.1/32"]}}',
        f'queues.tasks.callback="{receiver.url()}"',
        "log.level=WARNING",
        *(f"queues.{name}.{each}" for name in ("tasks", "callbacks") for each in each_queue),
    ]

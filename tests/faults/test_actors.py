"""Actors that crash from inside under load: nothing accepted is lost, and the process stays."""

from collections.abc import Callable
from itertools import cycle, islice
from pathlib import Path

import pytest

from tests.faults.load import Load
from tests.faults.stored import Stored
from tests.harness import ServerProcess, eventually

ACTORS = ("DatabaseWriter", "QueueActor", "DatabaseReader", "ConsumerActor")
KILLS = 12
TASKS = 600

pytestmark = pytest.mark.system

Serve = Callable[..., ServerProcess]


def kill(server: ServerProcess, actor: str, once: str) -> None:
    """Publish the death of an actor, again if another death is in the way."""
    eventually(
        lambda: server.post("kill", actor=actor, once=once).is_success, f"accepted: kill {actor}"
    )


def test_actors_killed_from_inside_under_load_lose_and_repeat_nothing(
    serve: Serve, tmp_path: Path
) -> None:
    url = f"sqlite:///{tmp_path}/tasks.db"
    server = serve(
        f"database.url={url}",
        "queues.tasks.backoff_base_seconds=0.05",
        "queues.tasks.backoff_cap_seconds=0.2",
        'actions.kill="tests.actions:kill_actor"',
        "supervisor.max_restarts=100",
        "supervisor.period_seconds=0.5",  # restarts stay quick: deaths are soon forgotten
    ).start()
    stored = Stored(url)
    with Load() as load:
        load.aim(server)
        for number, actor in enumerate(islice(cycle(ACTORS), KILLS), 1):
            load.wait_for(accepted=TASKS // KILLS * number)
            kill(server, actor, once=f"{tmp_path}/{number}")
        # The load goes on until the last of them has happened.
        eventually(lambda: stored.completed("kill") >= KILLS, "all actors killed")
    rows = stored.wait_until_finished()
    load.check(rows.values())
    assert load.cut == 0, "the process stayed"
    assert server.terminate() == 0
    crashed = [line["actor"] for line in server.log if line["event"] == "actor crashed"]
    assert len(crashed) == KILLS
    assert {"writer", "queue-tasks", "reader"} < set(crashed)


def test_too_many_deaths_end_the_process_with_code_1(serve: Serve) -> None:
    server = serve('actions.kill="tests.actions:kill_actor"', "supervisor.max_restarts=2").start()
    for _ in range(2):
        server.publish("kill", actor="DatabaseReader")
        server.wait_for_log("actor restarted")
    server.publish("kill", actor="DatabaseReader")
    assert server.wait() == 1
    assert any(line["event"] == "too many deaths, giving up" for line in server.log)

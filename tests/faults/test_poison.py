"""A task that takes its process down with it, at every run."""

import signal
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import httpx
import pytest

from tests.faults.stored import Row, Stored
from tests.harness import Gate, ServerProcess, eventually

MAX_ATTEMPTS = 3
NEIGHBOURS = 20
EXIT_CODE = 17

pytestmark = pytest.mark.system

Serve = Callable[..., ServerProcess]


def restart_until_finished(server: ServerProcess, stored: Stored) -> tuple[int, dict[str, Row]]:
    """How often the process died until all tasks were finished, and what became of them."""
    deaths = 0
    while True:
        server.spawn()  # it may die before it listens
        eventually(lambda: not server.alive or stored.unfinished() == 0, "died, or all done")
        if server.alive:
            return deaths, stored.rows()
        assert server.wait() == EXIT_CODE
        deaths += 1


def test_a_task_that_kills_its_process_ends_dead_and_its_neighbours_complete(
    serve: Serve, tmp_path: Path
) -> None:
    url = f"sqlite:///{tmp_path}/tasks.db"
    first = serve(
        f"database.url={url}",
        f"queues.tasks.max_attempts={MAX_ATTEMPTS}",
        'actions.wait="tests.actions:wait_for_fifo"',
        "builtin.fallback=true",  # or the poison would be refused: it is an action of the next
    ).start()
    gates = [Gate(tmp_path) for _ in range(2)]  # hold both consumers until all is published
    for gate in gates:
        first.publish("wait", fifo=str(gate.path))
        first.wait_for_log("processing task")
    numbers = iter(range(NEIGHBOURS))
    neighbours = [first.publish("sum", numbers=[next(numbers)]) for _ in range(NEIGHBOURS // 2)]
    poison = first.publish("die")
    neighbours += [first.publish("sum", numbers=[number]) for number in numbers]
    first.signal(signal.SIGTERM)
    first.wait_for_log("draining")
    for gate in gates:
        gate.open()
    assert first.wait() == 0

    server = serve(
        f"database.url={url}",
        'actions.die="tests.actions:exit_process"',
        f"queues.tasks.max_attempts={MAX_ATTEMPTS}",
        "queues.tasks.backoff_base_seconds=0.01",  # those who were lost come back together
        "queues.tasks.backoff_cap_seconds=0.01",
    )
    deaths, rows = restart_until_finished(server, Stored(url))
    assert deaths == MAX_ATTEMPTS
    dead = rows[poison]
    assert (dead.status, dead.attempt) == ("dead", MAX_ATTEMPTS)
    assert "lost" in str(dead.error)
    assert [(rows[each].status, rows[each].output) for each in neighbours] == [
        ("completed", number) for number in range(NEIGHBOURS)
    ]


@pytest.mark.parametrize("how", ["exit", "kill"])
def test_what_took_the_service_down_is_put_back_only_by_its_id_or_in_a_process(
    how: str, serve: Serve, tmp_path: Path
) -> None:
    (tmp_path / "mine.py").write_text(
        "import os\ndef die(data):\n"
        "    os._exit(17) if data['how'] == 'exit' else os.kill(os.getpid(), 9)\n"
    )
    server = serve("actions.die=mine:die", "queues.tasks.max_attempts=1").start()
    failed = server.publish("sum", numbers=["no number"])
    server.wait_for_status(failed, "dead")
    server.client.post("/queues/tasks/pause")
    poison = server.publish("die", how=how)
    resume_and_die(server)
    server.start().wait_for_status(poison, "dead")
    for selector in ({"queue": "tasks"}, {"action": "die"}, {"error_contains": "lost"}):
        answer = server.client.post("/dead-letters/redrive", json=selector).json()
        assert answer["count"] == ("queue" in selector)
        assert answer["quarantined"] == 1
        assert 'execution = "process"' in answer["detail"]
        server.wait_for_status(failed, "dead")
    shown = server.client.get("/dead-letters?error_contains=lost").json()
    assert [task["id"] for task in shown["tasks"]] == [poison]
    server.client.post("/queues/tasks/pause")
    answer = server.client.post("/dead-letters/redrive", json={"ids": [poison]}).json()
    assert answer == {"count": 1}
    resume_and_die(server)

    isolated = 'actions.die={python = "mine:die", execution = "process"}'
    server = serve(isolated, "queues.tasks.max_attempts=1").start()
    server.wait_for_status(poison, "dead")
    answer = server.client.post("/dead-letters/redrive", json={"action": "die"}).json()
    assert answer == {"count": 1}
    task = server.wait_for_status(poison, "dead")
    outcomes = [attempt["outcome"] for attempt in task["attempts"]]
    assert outcomes == ["lost", "lost", "crashed"]
    assert server.terminate() == 0


def resume_and_die(server: ServerProcess) -> None:
    """Let it run what waits, and wait until it has died of it."""
    with suppress(httpx.TransportError):  # it may die before it answers
        server.client.post("/queues/tasks/resume")
    server.wait()

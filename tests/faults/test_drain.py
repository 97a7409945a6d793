"""SIGTERM and SIGINT: what runs may finish, what waits goes back, and nothing accepted is lost."""

import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.faults.load import Load
from tests.faults.stored import Stored
from tests.harness import Gate, ServerProcess

pytestmark = pytest.mark.system

Serve = Callable[..., ServerProcess]
WAIT = 'actions.wait="tests.actions:wait_for_fifo"'


def start_waiting(server: ServerProcess, gates: list[Gate]) -> list[str]:
    """The ids of tasks that wait at the gates, in this order, the first two of them running."""
    waiting = [server.publish("wait", fifo=str(gate.path)) for gate in gates]
    for _ in range(2):
        server.wait_for_log("processing task", action="wait")
    return waiting


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_under_load_lets_running_tasks_finish_and_gives_back_the_others(
    serve: Serve, database_url: str, tmp_path: Path, number: signal.Signals
) -> None:
    server = serve(f"database.url={database_url}", WAIT).start()
    gates = [Gate(tmp_path) for _ in range(2)]
    with Load() as load:
        running = start_waiting(server, gates)
        load.aim(server)
        load.wait_for(accepted=100)
        server.signal(number)
        drain = server.wait_for_log("draining")
        for gate in gates:
            gate.open("finished")
        assert server.wait() == 0
    assert drain["running"] == 2
    assert drain["prefetched"] == 0
    rows = Stored(database_url).rows()
    assert [(rows[task].status, rows[task].output) for task in running] == [
        ("completed", "finished")
    ] * 2
    assert load.accepted.keys() <= rows.keys()
    unstarted = {
        (row.status, row.attempt, row.error) for row in rows.values() if row.id in load.accepted
    }
    assert unstarted == {("queued", 0, None)}


def test_a_task_that_outlasts_the_drain_is_given_back_with_its_attempt_uncounted(
    serve: Serve, tmp_path: Path
) -> None:
    url = f"sqlite:///{tmp_path}/tasks.db"
    server = serve(f"database.url={url}", WAIT, "shutdown.drain_seconds=0.5").start()
    gates = [Gate(tmp_path) for _ in range(3)]
    tasks = start_waiting(server, gates)
    assert server.terminate(timeout=10) == 0
    rows = Stored(url).rows()
    assert {(rows[task].status, rows[task].attempt) for task in tasks} == {("queued", 0)}
    (line,) = [each for each in server.log if each["event"] == "tasks cut short and given back"]
    assert sorted(line["ids"]) == sorted(tasks[:2])

    server.start()
    for gate in gates:
        gate.open("the second time")
    rows = Stored(url).wait_until_finished()
    assert {(rows[task].output, rows[task].attempt) for task in tasks} == {("the second time", 1)}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_second_signal_ends_the_process_at_once(
    serve: Serve, tmp_path: Path, number: signal.Signals
) -> None:
    url = f"sqlite:///{tmp_path}/tasks.db"
    server = serve(f"database.url={url}", WAIT).start()
    gates = [Gate(tmp_path) for _ in range(2)]
    tasks = start_waiting(server, gates)
    server.signal(number)
    server.wait_for_log("draining")
    server.signal(number)
    assert server.wait(timeout=5) == 128 + number
    rows = Stored(url).rows()
    assert {(rows[task].status, rows[task].attempt) for task in tasks} == {("running", 1)}

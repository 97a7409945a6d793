"""Several servers on one PostgreSQL: they share the work, and take over from one that dies."""

import signal
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.faults.load import Load
from tests.faults.stored import Stored
from tests.harness import Gate, ServerProcess

LEASE_SECONDS = 2
GRACE_SECONDS = 2.0
"""A tick finds what lapsed, another one what is due again; the rest is for a busy machine."""
TASKS = 300
SETTINGS = (
    f"queues.tasks.lease_seconds={LEASE_SECONDS}",
    "queues.tasks.backoff_base_seconds=0.05",
    "queues.tasks.backoff_cap_seconds=0.05",
    'actions.record="tests.actions:record"',
    'actions.wait="tests.actions:wait_for_fifo"',
)

pytestmark = pytest.mark.system

Serve = Callable[..., ServerProcess]


def two_servers(serve: Serve, url: str) -> list[ServerProcess]:
    """Two nodes, started at the same time on an empty database."""
    nodes = [serve(f"database.url={url}", *SETTINGS).spawn() for _ in range(2)]
    return [node.wait_until_listening() for node in nodes]


def test_two_servers_on_one_database_share_the_work_and_do_nothing_twice(
    serve: Serve, postgres_url: str, tmp_path: Path
) -> None:
    nodes = two_servers(serve, postgres_url)
    lines = tmp_path / "lines"
    with Load(publishers=2) as load:
        load.aim(*nodes)
        for number in range(TASKS):
            nodes[number % 2].publish("record", file=str(lines), line=str(number))
    rows = Stored(postgres_url).wait_until_finished()
    load.check(rows.values())
    assert Counter(lines.read_text().split()) == {str(number): 1 for number in range(TASKS)}
    assert {row.attempt for row in rows.values()} == {1}
    for node in nodes:
        assert node.terminate() == 0
    done = [
        {line["id"] for line in node.log if line["event"] == "task completed"} for node in nodes
    ]
    assert all(done), "both did some"
    assert sum(map(len, done)) == len(rows), "none was done by both"


def test_a_server_takes_over_what_a_killed_one_had_claimed_within_the_lease(
    serve: Serve, postgres_url: str, tmp_path: Path
) -> None:
    killed = serve(f"database.url={postgres_url}", *SETTINGS).start()
    gates = [Gate(tmp_path) for _ in range(4)]
    tasks = {killed.publish("wait", fifo=str(gate.path)): gate for gate in gates}
    for _ in range(2):  # two run, two wait in the window, and all four are leased
        killed.wait_for_log("processing task")
    other = serve(f"database.url={postgres_url}", *SETTINGS).start()
    killed.kill()
    died = time.monotonic()
    first = other.wait_for_log("processing task")
    assert time.monotonic() - died < LEASE_SECONDS + GRACE_SECONDS
    tasks[first["id"]].open()
    for _ in range(3):
        tasks[other.wait_for_log("processing task")["id"]].open()
    rows = Stored(postgres_url).wait_until_finished()
    assert {(rows[task].status, rows[task].attempt) for task in tasks} == {("completed", 2)}


def test_the_late_result_of_a_server_that_was_frozen_is_refused(
    serve: Serve, postgres_url: str, tmp_path: Path
) -> None:
    frozen = serve(f"database.url={postgres_url}", *SETTINGS).start()
    gate = Gate(tmp_path)
    task = frozen.publish("wait", fifo=str(gate.path))
    frozen.wait_for_log("processing task")
    other = serve(f"database.url={postgres_url}", *SETTINGS).start()
    frozen.signal(signal.SIGSTOP)
    try:
        other.wait_for_log("processing task", id=task, attempt=2)
        gate.open("in time")
        other.wait_for_status(task, "completed")
    finally:
        frozen.signal(signal.SIGCONT)
    gate.open("late")
    frozen.wait_for_log("late result refused, the lease is lost", id=task)
    row = Stored(postgres_url).rows()[task]
    assert (row.status, row.output, row.attempt) == ("completed", "in time", 2)

"""Several servers on one PostgreSQL: they share the work, and take over from one that dies."""

import signal
import threading
import time
from collections import Counter
from collections.abc import Callable
from itertools import count
from pathlib import Path

import httpx
import psycopg
import pytest

from tests.faults.load import Load
from tests.faults.stored import Stored
from tests.harness import Gate, ServerProcess, eventually

LEASE_SECONDS = 2
GRACE_SECONDS = 5.0
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
    gates = [Gate(tmp_path) for _ in range(2)]
    tasks = {killed.publish("wait", fifo=str(gate.path)): gate for gate in gates}
    for _ in gates:
        killed.wait_for_log("processing task")
    other = serve(f"database.url={postgres_url}", *SETTINGS).start()
    killed.kill()
    died = time.time()
    with psycopg.connect(postgres_url) as connection:
        (row,) = connection.execute("SELECT max(leased_until) FROM tasks").fetchall()
    lapsed = float(row[0])
    assert lapsed <= died + LEASE_SECONDS
    first = other.wait_for_log("processing task")
    assert lapsed < time.time() < lapsed + GRACE_SECONDS
    tasks[first["id"]].open()
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


def test_a_frozen_node_does_not_stop_the_publishes_of_another(
    serve: Serve, postgres_url: str
) -> None:
    frozen, other = two_servers(serve, postgres_url)
    with Keyed(frozen), psycopg.connect(postgres_url, autocommit=True) as watch:
        try:
            eventually(lambda: freeze_in_transaction(frozen, watch), "it is frozen with its locks")
            statuses = Counter(publish_keyed(other, number) for number in range(3 * KEYS))
            assert statuses.keys() <= {200, 202}, statuses
        finally:
            frozen.signal(signal.SIGCONT)
        eventually(lambda: publish_keyed(frozen, 0) in {200, 202}, "it publishes again")
    for node in (frozen, other):
        assert node.terminate() == 0


KEYS = 20


def publish_keyed(node: ServerProcess, number: int) -> int:
    body = {"action": "sum", "unique_key": f"key {number % KEYS}"}
    return node.client.post("/tasks", json=body).status_code


class Keyed:
    """Publishes with unique keys to a node, as fast as it takes them."""

    def __init__(self, node: ServerProcess) -> None:
        self._node = node
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._publish)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _publish(self) -> None:
        with httpx.Client(base_url=self._node.client.base_url, timeout=60) as client:
            for number in count():
                if self._stop.is_set():
                    return
                client.post("/tasks", json={"action": "sum", "unique_key": f"key {number % KEYS}"})


def freeze_in_transaction(node: ServerProcess, watch: psycopg.Connection) -> bool:
    """Whether the node, stopped now, is in the middle of a transaction; if not, it goes on."""
    node.signal(signal.SIGSTOP)
    idle = watch.execute(
        "SELECT count(*) FROM pg_stat_activity JOIN pg_locks USING (pid)"
        " WHERE datname = current_database() AND locktype = 'advisory'"
        " AND state = 'idle in transaction'"
    ).fetchone()
    if idle is not None and idle[0]:
        return True
    node.signal(signal.SIGCONT)
    return False

"""Two servers on one PostgreSQL: limits, keys and schedules are one for both of them."""

import json
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from http.client import HTTPConnection
from itertools import combinations_with_replacement
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from task_queue.actors.tasks.limits import bucket_size
from tests import postgres
from tests.faults.occurrences import Occurrences
from tests.faults.stored import Row, Run, Stored, most_at_once
from tests.harness import ServerProcess, eventually

JSON = {"Content-Type": "application/json"}
PUBLISHERS = 100
ROUNDS = 4
PLACES = 2
RATE = 20.0
USED = 0.6
"""What part of the rate is surely used: more than a node alone would have if each had its half, and
less than all, since the machine may have much else to do."""
ROUNDING = 1e-3
GATE = 20_240_229
"""An advisory lock of this test alone."""
SETTINGS = (
    f"queues.keyed.concurrency_per_key={PLACES}",
    "queues.keyed.concurrency=4",
    "queues.keyed.backoff_base_seconds=0.05",
    "queues.keyed.backoff_cap_seconds=0.05",
    f"queues.limited.rate_limit={RATE:g}",
    "builtin.simulated_work_seconds=0.005",
    'actions.flaky="tests.actions:fail_until"',
)

pytestmark = pytest.mark.system


class Nodes:
    """Two servers, and the database they share."""

    COUNT = 2

    def __init__(self, url: str, directory: Path) -> None:
        self.url = url
        self.stored = Stored(url)
        self.servers = [
            ServerProcess(directory, f"database.url={url}", *SETTINGS) for _ in range(self.COUNT)
        ]
        for server in self.servers:
            server.spawn()
        for server in self.servers:
            server.wait_until_listening()

    def close(self) -> None:
        for server in self.servers:
            server.close()

    def publish(self, *shares: Sequence[dict[str, Any]]) -> list[str]:
        """The ids of tasks of which each server is given a share, all at the same moment."""

        def publish(server: ServerProcess, tasks: Sequence[dict[str, Any]]) -> list[str]:
            answer = server.client.post("/tasks/batch", json={"tasks": tasks})
            assert answer.status_code == httpx.codes.ACCEPTED, answer.text
            ids: list[str] = answer.json()["ids"]
            return ids

        with ThreadPoolExecutor(len(shares)) as pool:
            return [each for ids in pool.map(publish, self.servers, shares) for each in ids]

    def finished(self, queue: str) -> list[tuple[Row, list[Run]]]:
        """The tasks of the queue, with their attempts, once all are finished."""
        rows = self.stored.wait_until_finished().values()
        runs = self.stored.runs()
        return [(row, runs[row.id]) for row in rows if row.queue == queue]


class Held:
    """Lets servers that are about to change schedules wait for each other, by a trigger."""

    def __init__(self, connection: psycopg.Connection) -> None:
        self._connection = connection
        connection.execute(
            "CREATE FUNCTION hold() RETURNS trigger LANGUAGE plpgsql AS"
            f" $$ BEGIN PERFORM pg_advisory_xact_lock_shared({GATE}); RETURN NULL; END $$"
        )
        connection.execute(
            "CREATE TRIGGER hold BEFORE UPDATE ON schedules"
            " WHEN (current_setting('application_name') = 'task-queue') EXECUTE FUNCTION hold()"
        )

    def __enter__(self) -> None:
        """Let them wait from now on."""
        self._connection.execute(f"SELECT pg_advisory_lock({GATE})")

    def __exit__(self, *_: object) -> None:
        """Let them go on, both at the same moment, once both wait."""
        eventually(lambda: self._waiting() == Nodes.COUNT, "both wait")
        self._connection.execute(f"SELECT pg_advisory_unlock({GATE})")

    def _waiting(self) -> int:
        query = (  # the view shows the locks of all databases
            "SELECT count(*) FROM pg_locks JOIN pg_database ON pg_database.oid = database"
            " WHERE NOT granted AND objid = %s AND datname = current_database()"
        )
        row = self._connection.execute(query, (GATE,)).fetchone()
        assert row is not None
        return int(row[0])


def test_an_occurrence_that_two_servers_see_at_the_same_moment_is_published_once(
    postgres_url: str, tmp_path: Path
) -> None:
    nodes = Nodes(postgres_url, tmp_path)
    try:
        occurrences = Occurrences(nodes.stored, {f"schedule-{n}": "tasks" for n in range(10)})
        occurrences.put(nodes.servers[0])
        with psycopg.connect(postgres_url, autocommit=True) as connection:
            held = Held(connection)
            for _ in range(ROUNDS):
                with held:
                    occurrences.make_due()
                occurrences.wait_until_published()
        occurrences.check(nodes.stored.wait_until_finished())
        for server in nodes.servers:
            assert server.terminate() == 0
        log = [line["event"] for server in nodes.servers for line in server.log]
        assert log.count("schedule fired") == len(occurrences.wanted) == 10 * ROUNDS
    finally:
        nodes.close()


@pytest.fixture(scope="module")
def nodes(postgres_server: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nodes]:
    """Two servers for all tests here; each test has a queue, or keys, of its own."""
    url = postgres.create_database(postgres_server)
    nodes = Nodes(url, tmp_path_factory.mktemp("nodes"))
    try:
        yield nodes
    finally:
        nodes.close()
        postgres.drop_database(postgres_server, url)


def answered(connection: HTTPConnection, task: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    """What a publish is answered, which is repeated as long as it could not be written.

    A node that gets no time from its machine may hold its locks longer than the other one waits.
    """
    while True:
        connection.request("POST", "/tasks", json.dumps(task), JSON)
        answer = connection.getresponse()
        document = json.loads(answer.read())
        if answer.status != httpx.codes.SERVICE_UNAVAILABLE:
            return answer.status, document
        assert answer.headers["Retry-After"]


def test_of_a_hundred_publishers_with_one_unique_key_one_is_accepted_over_all_nodes(
    nodes: Nodes,
) -> None:
    together = threading.Barrier(PUBLISHERS)

    def publish(number: int) -> list[tuple[int, dict[str, Any]]]:
        """What one publisher is answered in each round."""
        server, answers = nodes.servers[number % 2], []
        with closing(HTTPConnection("127.0.0.1", server.client.base_url.port)) as connection:
            connection.connect()
            for unique_key in range(ROUNDS):
                task = {"action": "sum", "delay_seconds": 3600, "unique_key": f"{unique_key}"}
                together.wait(30)
                answers.append(answered(connection, task))
        return answers

    with ThreadPoolExecutor(PUBLISHERS) as pool:
        answers = list(pool.map(publish, range(PUBLISHERS)))
    for round_answers in zip(*answers, strict=True):
        (first,) = [answer for status, answer in round_answers if status == 202]
        duplicates = [answer for status, answer in round_answers if status == 200]
        again = {"id": first["id"], "status": "scheduled", "duplicate": True}
        assert duplicates == [again] * (PUBLISHERS - 1)
        cancelled = nodes.servers[0].client.post(f"/tasks/{first['id']}/cancel")
        assert cancelled.status_code == 200, cancelled.text


def test_a_key_has_its_places_over_all_nodes_and_holds_up_no_other(
    nodes: Nodes, tmp_path: Path
) -> None:
    def task(key: str, number: int) -> dict[str, Any]:
        body = {"queue": "keyed", "key": key}
        if number % 10 == 0:  # fails once
            flaky = {"file": str(tmp_path / f"{key}-{number}"), "times": 2}
            return {**body, "action": "flaky", "data": flaky}
        return {**body, "action": "sum", "data": {"numbers": [number]}}

    crowd = [task("crowd", number) for number in range(200)]
    ids = nodes.publish(crowd[:100], crowd[100:])
    keys = [f"key-{number}" for number in range(60)]
    for some in (keys[:20], keys[20:40], keys[40:]):  # none has been seen by a server before
        ids += nodes.publish(
            *([task(key, number) for key in some for number in pair] for pair in ((0, 1), (2, 3)))
        )
    finished = nodes.finished("keyed")
    assert {row.status for row, _ in finished} == {"completed"}
    assert sorted(row.id for row, _ in finished) == sorted(ids)
    runs_of = {
        key: [run for row, runs in finished if row.key == key for run in runs]
        for key in ("crowd", *keys)
    }
    assert {most_at_once(runs) for runs in runs_of.values()} <= {1, PLACES}
    assert most_at_once(runs_of["crowd"]) == PLACES
    outcomes = [[run.outcome for run in runs] for row, runs in finished if row.action == "flaky"]
    assert outcomes == [["failed", "completed"]] * (len(crowd) // 10 + len(keys))
    done = max(run.ended_at for key in keys for run in runs_of[key])
    waiting = [run for run in runs_of["crowd"] if run.started_at > done]
    assert len(waiting) > len(crowd) / 4, "the crowd that came first was passed by"


NOTE_CLAIMS = """
CREATE TABLE claims (id text PRIMARY KEY, moment double precision NOT NULL);
CREATE FUNCTION note_claim() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO claims SELECT NEW.id, refilled_at FROM queues WHERE name = NEW.queue
        ON CONFLICT (id) DO UPDATE SET moment = excluded.moment;
    RETURN NULL;
END $$;
CREATE TRIGGER note_claim AFTER UPDATE ON tasks FOR EACH ROW
    WHEN (OLD.status = 'queued' AND NEW.status = 'running' AND NEW.queue = 'limited')
    EXECUTE FUNCTION note_claim();
"""
"""Notes when each task was claimed for the run it had, by the clock that its limit goes by: it
begins later, by as much as the machine has else to do."""


def test_the_rate_limit_holds_over_all_nodes_and_is_used(nodes: Nodes) -> None:
    sums = [{"action": "sum", "queue": "limited"}] * 80
    with psycopg.connect(nodes.url, autocommit=True) as connection:
        connection.execute(NOTE_CLAIMS)
        nodes.publish(sums[::2], sums[1::2])
        finished = nodes.finished("limited")
        claims = connection.execute("SELECT moment FROM claims ORDER BY moment").fetchall()
    assert [row.status for row, _ in finished] == ["completed"] * len(sums)
    starts = [moment for (moment,) in claims]
    assert len(starts) == sum(len(runs) for _, runs in finished) == len(sums)
    bucket = bucket_size(RATE)
    for (first, since), (last, until) in combinations_with_replacement(enumerate(starts), 2):
        assert last - first + 1 <= RATE * (until - since) + bucket + ROUNDING, (first, last)
    assert (len(starts) - bucket) / (starts[-1] - starts[0]) >= USED * RATE

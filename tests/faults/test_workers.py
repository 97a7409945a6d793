"""Workers in three languages, killed at random under load: nothing is lost, nothing done twice."""

import os
import random
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from itertools import pairwise
from pathlib import Path

import pytest

from tests.faults.stored import Stored
from tests.harness import ROOT, ServerProcess, eventually, free_port

pytestmark = pytest.mark.system

EXAMPLES = ROOT / "docs" / "examples" / "workers"
COMMANDS = {
    "python": ([sys.executable, "python/worker.py"], ()),
    "node": (["node", "node/worker.mjs"], ("node",)),
    "shell": (["sh", "shell/worker.sh"], ("curl", "jq")),
}
WORKERS = 20
TASKS = 200
KILLS = 20
BATCH = 50
SETTINGS = (
    "actions.resize.external=true",
    "queues.tasks.max_attempts=50",
    "queues.tasks.backoff_base_seconds=0.05",
    "queues.tasks.backoff_cap_seconds=0.2",
    "log.level=WARNING",
)
Serve = Callable[..., ServerProcess]


class Crew:
    """Workers of the kinds that can run here; what is killed is replaced."""

    def __init__(self, url: str, directory: Path, chance: random.Random) -> None:
        self._url = url
        self._log = (directory / "workers.log").open("w")
        self._chance = chance
        self._living: list[subprocess.Popen[bytes]] = []
        self._groups: list[int] = []
        self._kinds = [
            command for command, needs in COMMANDS.values() if all(map(shutil.which, needs))
        ]

    def hire(self) -> None:
        number = len(self._groups)
        environ = {
            "TASK_QUEUE_URL": self._url,
            "WORKER_NAME": f"worker-{number}",
            "LEASE_SECONDS": "2",
            "no_proxy": "127.0.0.1",
        }
        process = subprocess.Popen(
            self._kinds[number % len(self._kinds)],
            cwd=EXAMPLES,
            env={**os.environ, **environ},
            stdout=self._log,
            stderr=self._log,
            start_new_session=True,  # so that what a killed shell leaves behind can be ended, too
        )
        self._living.append(process)
        self._groups.append(process.pid)

    def kill_one(self) -> None:
        process = self._living.pop(self._chance.randrange(len(self._living)))
        process.kill()
        process.wait()
        self.hire()

    def end(self) -> None:
        for group in self._groups:
            with suppress(ProcessLookupError):
                os.killpg(group, signal.SIGKILL)
        for process in self._living:
            process.wait()
        self._log.close()


@contextmanager
def crew(url: str, directory: Path, chance: random.Random) -> Iterator[Crew]:
    hired = Crew(url, directory, chance)
    try:
        for _ in range(WORKERS):
            hired.hire()
        yield hired
    finally:
        hired.end()


def kill_workers_under_load(serve: Serve, directory: Path, url: str, seed: int) -> None:
    chance, port = random.Random(seed), free_port()
    server = serve(f"database.url={url}", f"http.port={port}", *SETTINGS).start()
    stored, published = Stored(url), dict[str, int]()

    def publish(count: int) -> None:
        for _ in range(count // BATCH):
            sizes = [chance.randint(1, 100) for _ in range(BATCH)]
            tasks = [
                {
                    "action": "resize",
                    "data": {"width": size, "height": 2, "seconds": chance.random() / 2},
                }
                for size in sizes
            ]
            answer = server.client.post("/tasks/batch", json={"tasks": tasks})
            published.update(zip(answer.json()["ids"], sizes, strict=True))

    with crew(f"http://127.0.0.1:{port}", directory, chance) as hired:
        publish(TASKS // 2)
        for kill in range(KILLS):
            done = TASKS * kill // KILLS
            eventually(lambda done=done: stored.completed("resize") >= done, "some are done", 60)  # type: ignore[misc]
            hired.kill_one()
            if kill == KILLS // 2 - 2:
                server.kill()
                server.start()
                publish(TASKS // 2)
        rows = stored.wait_until_finished(90)
        runs = stored.runs()
    assert rows.keys() == published.keys()
    for task_id, size in published.items():
        row = rows[task_id]
        assert (row.status, row.result) == ("completed", f'{{"area":{2 * size}}}')
        of_task = runs[task_id]
        assert [run.number for run in of_task] == list(range(1, row.attempt + 1))
        assert [run.outcome for run in of_task] == ["lost"] * (row.attempt - 1) + ["completed"]
        # Each began when the lease before it was over: none was recorded beside another one.
        assert all(one.ended_at <= next_one.started_at for one, next_one in pairwise(of_task))
    assert sum(row.attempt for row in rows.values()) > TASKS  # some were killed at work
    stored.check_counts()


@pytest.mark.timeout(300)
def test_workers_killed_under_load_lose_invent_and_repeat_nothing(
    serve: Serve, tmp_path: Path
) -> None:
    kill_workers_under_load(serve, tmp_path, f"sqlite:///{tmp_path}/tasks.db", seed=1)


@pytest.mark.timeout(300)
def test_workers_killed_under_load_lose_invent_and_repeat_nothing_on_postgresql(
    serve: Serve, tmp_path: Path, postgres_url: str
) -> None:
    kill_workers_under_load(serve, tmp_path, postgres_url, seed=2)

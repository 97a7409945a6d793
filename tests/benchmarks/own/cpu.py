"""Tasks that compute: one at a time, two in processes, two in threads."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import httpx

from tests.benchmarks import measures
from tests.benchmarks.own.database import Seen, path_in
from tests.benchmarks.own.server import Server, serving
from tests.benchmarks.own.variants import NAME
from tests.benchmarks.system import Measure, Sample, Size
from tests.faults.stored import Stored
from tests.harness import DEADLINE_SECONDS

_TASKS = 200
_TURNS = 2
_SECONDS = 0.05
_SPIN = "tests.benchmarks.own.spinning:spin"
_SETTINGS = (
    "queues.one.concurrency=1",
    "queues.two.concurrency=2",
    f"actions.process.python={_SPIN}",
    "actions.process.cpu=true",
    f"actions.thread.python={_SPIN}",
)


class _Way(NamedTuple):
    """How the tasks are run: on which queue, by which action; and what comes of it."""

    queue: str
    action: str
    measure: Measure


_ONE = _Way("one", "process", measures.CPU_ONE_PROCESS)
_TWO = _Way("two", "process", measures.CPU_TWO_PROCESSES)
_THREADS = _Way("two", "thread", measures.CPU_TWO_THREADS)
_WAYS = (_ONE, _TWO, _THREADS)


def measure(directory: Path, size: Size) -> Iterator[Sample]:
    """Half of the tasks each way in turn, twice, by one server with warm processes."""
    with serving(directory, *_SETTINGS) as server:
        count = size.of(_TASKS // _TURNS)
        _elapsed(server, _TWO, 2)  # starts both processes
        seconds = dict.fromkeys(_WAYS, 0.0)
        for _ in range(_TURNS):
            for way in _WAYS:
                seconds[way] += _elapsed(server, way, count)
    for way in _WAYS:
        yield Sample(NAME, way.measure.key, _TURNS * count / seconds[way])
    yield Sample(NAME, measures.CPU_TWO_TO_ONE.key, seconds[_ONE] / seconds[_TWO])


def _elapsed(server: Server, way: _Way, count: int) -> float:
    """The seconds from the start of the first of so many tasks to the end of the last."""
    task = {"action": way.action, "queue": way.queue, "data": {"seconds": _SECONDS}}
    with Seen(server.directory) as seen:
        before = seen.newest()
        url = f"http://127.0.0.1:{server.port}/tasks/batch"
        answer = httpx.post(url, json={"tasks": [task] * count}, timeout=DEADLINE_SECONDS)
        answer.raise_for_status()
        seen.wait_for(count, before)
    stored = Stored(f"sqlite:///{path_in(server.directory)}").rows()
    rows = [stored[task_id] for task_id in answer.json()["ids"]]
    ended = max(row.ended_at for row in rows if row.ended_at)
    return ended - min(row.started_at for row in rows if row.started_at)

"""Huey: tasks and results in one SQLite file."""

import logging
from collections.abc import Callable, Sequence

from huey import SqliteHuey
from huey.api import Result

from tests.benchmarks.peers.task import add
from tests.benchmarks.system import WORKERS


def work(filename: str) -> None:
    """Run two workers.

    Two processes drained 2,400 to 3,400 tasks/s, two threads 2,600 to 2,950. The default of 0.1 s
    between looks at an empty queue would be in every latency; less than a millisecond changed
    nothing more.
    """
    logging.getLogger("huey").setLevel(logging.WARNING)
    huey, _ = _connected(filename)
    huey.create_consumer(
        workers=WORKERS,
        worker_type="process",
        initial_delay=0.001,
        max_delay=0.01,
        periodic=False,
    ).run()


class Client:
    """Publishes, and sees results without taking them away, which is the default."""

    def __init__(self, filename: str) -> None:
        self._huey, self._add = _connected(filename)

    def publish(self, numbers: Sequence[int]) -> Result:
        return self._add(list(numbers))

    def wait(self, published: Result, seconds: float) -> None:
        published.get(blocking=True, timeout=seconds, max_delay=0.0002, preserve=True)

    def has_result(self, task_id: str) -> bool:
        return self._huey.result(task_id, preserve=True) is not None

    def finished(self) -> int:
        return int(self._huey.result_count())

    def close(self) -> None:
        self._huey.storage.close()


def _connected(filename: str) -> tuple[SqliteHuey, Callable[[list[int]], Result]]:
    # A task is lost if its result waits longer for the file's lock: the default is 5 s.
    huey = SqliteHuey(filename=filename, fsync=True, timeout=30)
    return huey, huey.task()(add)

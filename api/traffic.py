"""What is counted of the requests, from the start of the process."""

from collections import Counter
from collections.abc import Callable
from threading import Lock
from typing import NamedTuple

from task_queue.actors.tasks.meters import OTHER, Histogram

OPERATION = "task_queue.operation"
"""Where the name of a request's operation stands in its environment."""
SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0)
"""The upper bounds of the buckets: an answer may wait for work or for a task's end."""


class Pool(NamedTuple):
    """The threads that answer requests, and the connections, at this moment.

    Attributes:
        threads: How many threads there are.
        busy: How many of them work on a request.
        queued: How many requests wait for one.
        connections: How many connections there are on which no answer is waited for.
        waiting: How many there are whose answer waits for work or for a task's end.
    """

    threads: int = 0
    busy: int = 0
    queued: int = 0
    connections: int = 0
    waiting: int = 0


class Traffic:
    """Counts requests by operation and status; many threads do.

    Attributes:
        answered: How many requests were answered, by operation and status.
        seconds: How long they took, by operation.
        pool: Returns what the threads and connections of the server do.
    """

    def __init__(self) -> None:
        self.answered: Counter[tuple[str, int]] = Counter()
        self.seconds: dict[str, Histogram] = {}
        self._lock = Lock()
        self.watch(Pool)

    def watch(self, pool: Callable[[], Pool]) -> None:
        """Have this say what the threads and connections of the server do.

        Args:
            pool: Called by any thread.
        """
        self.pool = pool

    def note(self, operation: str, status: int, seconds: float) -> None:
        """Count an answer.

        Args:
            operation: The name of the operation; of a request for none, `OTHER`.
            status: The status of the answer.
            seconds: How long it took.
        """
        with self._lock:
            self.answered[operation, status] += 1
            histogram = self.seconds.get(operation)
            if histogram is None:
                histogram = self.seconds[operation] = Histogram(SECONDS)
            histogram.note(seconds)

    def refused(self, status: int) -> None:
        """Count a request that was refused before it was known what it is for."""
        with self._lock:
            self.answered[OTHER, status] += 1

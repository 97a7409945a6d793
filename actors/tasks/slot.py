"""How a running action and its queue reach each other, while its consumer's thread is busy."""

from math import inf
from typing import NamedTuple

from task_queue.actors.tasks.claim import Lease


class Progress(NamedTuple):
    """How far an action is.

    Attributes:
        lease: Of which task.
        fraction: From 0 to 1.
        message: What it says about it; None: nothing.
    """

    lease: Lease
    fraction: float
    message: str | None


class Slot:
    """One value each way, written by one side and read by the other, the newest only.

    Not messages: the consumer's inbox is not read while its action runs, and an action that reports
    a million times must not fill the queue's. The queue looks at it at every tick, which is what
    limits the rate of writes. A consumer has one for all its tasks, so each value names its lease.

    Attributes:
        queue: The queue's name.
        stop: The task that is asked to stop.
        progress: How far the task is that runs.
        running: The task that runs, once the next two are its own.
        timeout_seconds: What it may take.
        overdue_at: From when on it does not come back by itself any more, on the clock
            `time.monotonic`: some time after its deadline, so that it may notice; infinite if it
            has none.
        thread_id: In which thread it runs.
    """

    __slots__ = (
        "_taken",
        "overdue_at",
        "progress",
        "queue",
        "running",
        "stop",
        "thread_id",
        "timeout_seconds",
    )

    def __init__(self, queue: str = "") -> None:
        self.queue = queue
        self.stop: Lease | None = None
        self.progress: Progress | None = None
        self.running: Lease | None = None
        self.timeout_seconds = 0.0
        self.overdue_at = inf
        self.thread_id = 0
        self._taken: Progress | None = None

    def take_progress(self, lease: Lease) -> Progress | None:
        """What this task reported since the last look, if anything."""
        progress = self.progress
        if progress is None or progress is self._taken or progress.lease != lease:
            return None
        self._taken = progress  # and not cleared there: a report made meanwhile would be lost
        return progress

    def is_overdue(self, lease: Lease, now: float) -> bool:
        """Whether the deadline of this task is so long over that nobody waits any more.

        Args:
            lease: Of the task that is thought to run.
            now: On the clock `time.monotonic`.
        """
        # In the other order than they are written: then both are this task's, or none is.
        return self.running == lease and now >= self.overdue_at

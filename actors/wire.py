"""How a running action and its queue reach each other, while its consumer's thread is busy."""

from typing import NamedTuple

from actors.task import Lease


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


class Deadline(NamedTuple):
    """Until when a run may take.

    Attributes:
        lease: Of which task.
        timeout_seconds: What it was given.
        overdue_at: From when on it does not come back by itself any more, on the clock
            `time.monotonic`: some time after the deadline, so that it may notice.
    """

    lease: Lease
    timeout_seconds: float
    overdue_at: float


class Wire:
    """One value each way, written by one side and read by the other, the newest only.

    Not messages: the consumer's inbox is not read while its action runs, and an action that reports
    a million times must not fill the queue's. The queue looks at it at every tick, which is what
    limits the rate of writes. A consumer has one for all its tasks, so each value names its lease.

    Attributes:
        queue: The queue's name.
        stop: The task that is asked to stop.
        progress: How far the task is that runs.
        deadline: Until when the task may take that runs; None: for ever.
        thread_id: In which thread it runs.
    """

    __slots__ = ("_taken", "deadline", "progress", "queue", "stop", "thread_id")

    def __init__(self, queue: str = "") -> None:
        self.queue = queue
        self.stop: Lease | None = None
        self.progress: Progress | None = None
        self.deadline: Deadline | None = None
        self.thread_id = 0
        self._taken: Progress | None = None

    def take_progress(self, lease: Lease) -> Progress | None:
        """What this task reported since the last look, if anything."""
        progress = self.progress
        if progress is None or progress is self._taken or progress.lease != lease:
            return None
        self._taken = progress  # and not cleared there: a report made meanwhile would be lost
        return progress

    def overdue(self, lease: Lease, now: float) -> Deadline | None:
        """The deadline of this task, if that is so long over that nobody waits any more.

        Args:
            lease: Of the task that is thought to run.
            now: On the clock `time.monotonic`.
        """
        deadline = self.deadline
        if deadline is None or deadline.lease != lease or now < deadline.overdue_at:
            return None
        return deadline

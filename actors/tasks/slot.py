"""What a consumer's running action and its queue share in memory."""

from math import inf
from typing import NamedTuple

from task_queue.actors.tasks.claim import Lease


def _nothing() -> str | None:
    return None


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
    """The memory that a consumer and its queue share; everything else between actors is a message.

    Messages would not do here: a consumer's inbox is not read while its action runs, and an action
    that reports a million times must not fill the queue's. The queue looks at every tick, which is
    also what limits the rate of writes to the database. A consumer has one slot for all its tasks
    and sends it with `Ready`; the one that replaces it brings its own, so what a thread that was
    left behind still writes, nobody reads.

    It needs no lock. Each attribute has one side that writes it, and a write is one store of an
    immutable value, which the GIL makes atomic. Only the newest value counts, so none is missed.
    What may be of a former task names its lease, `running` for the two attributes after it, and
    whoever reads compares it with the task that it means: a lease is never given twice.

    Attributes:
        queue: The queue's name. Set once, before the slot is shared.
        thread_id: The thread that the actions run in. Set by the consumer before it sends `Ready`;
            the queue reads it to log what a stuck thread does.
        stop: The task that is asked to stop. Written by the queue, which never clears it; read by
            the action, through `Call`, and by the consumer.
        progress: The newest report. Written by the action, from whichever of its threads reports;
            read by the queue. A thread that outlived its task can replace a report of the next
            task, which is then missing until that task reports again.
        running: The task that runs. Written by the consumer before each run, after
            `timeout_seconds` and `overdue_at`; read by the queue.
        timeout_seconds: What that task may take.
        overdue_at: When nobody waits for that task any more, on the clock `time.monotonic`: some
            time after its deadline, so that it can notice by itself; infinite if it has none.
        printed: Returns the last of what that task has printed so far; None: nothing. Written by
            the consumer before each run; called by the queue for a task that it leaves behind.
    """

    __slots__ = (
        "_taken",
        "overdue_at",
        "printed",
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
        self.printed = _nothing
        self.thread_id = 0
        self._taken: Progress | None = None  # the reader's own

    def take_progress(self, lease: Lease) -> Progress | None:
        """Return what this task has reported since the last look, if anything."""
        progress = self.progress
        if progress is None or progress is self._taken or progress.lease != lease:
            return None
        self._taken = progress  # not cleared there: a report made meanwhile would be lost
        return progress

    def is_overdue(self, lease: Lease, now: float) -> bool:
        """Return whether this task's deadline is so long over that nobody waits any more.

        Args:
            lease: Of the task that is thought to run.
            now: On the clock `time.monotonic`.
        """
        # Read in the opposite order of the writes: the moment is this task's, or a later one's if
        # the next task began in between, which is not over yet.
        return self.running == lease and now >= self.overdue_at

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


class Wire:
    """One value each way, written by one side and read by the other, the newest only.

    Not messages: the consumer's inbox is not read while its action runs, and an action that reports
    a million times must not fill the queue's. The queue looks at it at every tick, which is what
    limits the rate of writes. A consumer has one for all its tasks, so each value names its lease.

    Attributes:
        stop: The task that is asked to stop.
        progress: How far the task is that runs.
    """

    __slots__ = ("_taken", "progress", "stop")

    def __init__(self) -> None:
        self.stop: Lease | None = None
        self.progress: Progress | None = None
        self._taken: Progress | None = None

    def take_progress(self, lease: Lease) -> Progress | None:
        """What this task reported since the last look, if anything."""
        progress = self.progress
        if progress is None or progress is self._taken or progress.lease != lease:
            return None
        self._taken = progress  # and not cleared there: a report made meanwhile would be lost
        return progress

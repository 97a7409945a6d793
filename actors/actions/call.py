"""One run of an action: of which task, until when, and whether it shall stop."""

import time
from collections.abc import Callable
from math import inf

from task_queue.actors.errors import Cancelled, TimedOut
from task_queue.actors.tasks.claim import ClaimedTask
from task_queue.actors.tasks.slot import Slot

SLICE_SECONDS = 0.1
"""How long whoever waits for an action's process or connection looks at nothing else: what a
cancel or a deadline may come too late by."""


class Call:
    """What runs an action knows this of the run.

    Attributes:
        claimed: The task.
        slot: How it is reached while it runs.
        timeout_seconds: What it may take; 0: as long as it likes.
        deadline: When that is over, on the clock it was given.
    """

    __slots__ = ("_monotonic", "claimed", "deadline", "slot", "timeout_seconds")

    def __init__(
        self,
        claimed: ClaimedTask,
        slot: Slot,
        timeout_seconds: float = 0.0,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Begin now.

        Args:
            claimed: The task.
            slot: How it is reached while it runs.
            timeout_seconds: What it may take; 0: as long as it likes.
            monotonic: Seconds that never go backwards.
        """
        self.claimed = claimed
        self.slot = slot
        self.timeout_seconds = timeout_seconds
        self.deadline = monotonic() + timeout_seconds if timeout_seconds else inf
        self._monotonic = monotonic

    def restart(self) -> None:
        """Let its time begin now: what went before was not the action's doing."""
        if self.timeout_seconds:
            self.deadline = self._monotonic() + self.timeout_seconds

    @property
    def cancelled(self) -> bool:
        """Whether somebody asked to stop it."""
        return self.slot.stop == self.claimed.lease

    @property
    def remaining_seconds(self) -> float:
        """How long it may still take; infinite if it has no deadline."""
        return self.deadline - self._monotonic()

    def interrupt(self) -> None:
        """Go on, unless it has to stop.

        Raises:
            Cancelled: Somebody asked for it.
            TimedOut: The deadline is over.
        """
        if self.cancelled:
            text = "cancelled"
            raise Cancelled(text)
        if self.remaining_seconds <= 0:
            raise self.timed_out()

    def timed_out(self) -> TimedOut:
        """The error of an attempt that took too long."""
        return TimedOut(f"timed out after {self.timeout_seconds:g} s")

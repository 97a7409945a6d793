"""One run of an action: its task, its deadline, and whether it has to stop."""

import time
from collections.abc import Callable
from math import inf

from task_queue.actors.errors import Cancelled, TimedOut
from task_queue.actors.tasks.claim import ClaimedTask
from task_queue.actors.tasks.slot import Slot

SLICE_SECONDS = 0.1
"""How long a wait for an action's process or connection lasts before cancel and deadline are looked
at: how late either may take effect."""


class Call:
    """What an action's runner knows of the run.

    Attributes:
        claimed: The task.
        slot: Shared with its queue while it runs.
        timeout_seconds: How long it may take; 0: no limit.
        deadline: When that is over, on the clock it was given; infinite if there is no limit.
        is_cleaning_up: Whether the action has been told that it has to stop, and does.
    """

    __slots__ = (
        "_monotonic",
        "claimed",
        "deadline",
        "is_cleaning_up",
        "slot",
        "timeout_seconds",
    )

    def __init__(
        self,
        claimed: ClaimedTask,
        slot: Slot,
        timeout_seconds: float = 0.0,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Begin the run now.

        Args:
            claimed: The task.
            slot: See the class.
            timeout_seconds: See the class.
            monotonic: Seconds that never go backwards.
        """
        self.claimed = claimed
        self.slot = slot
        self.timeout_seconds = timeout_seconds
        self.deadline = monotonic() + timeout_seconds if timeout_seconds else inf
        self.is_cleaning_up = False
        self._monotonic = monotonic

    def restart(self) -> None:
        """Let its time begin now: what happened before was not the action's work."""
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
        """Raise if it has to stop.

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
        """Return the error of an attempt that took too long."""
        return TimedOut(f"timed out after {self.timeout_seconds:g} s")

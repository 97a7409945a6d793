"""The states of a task, and how an attempt can end."""

from enum import StrEnum


class Status(StrEnum):
    """Where a task is in its life; the last three are final."""

    SCHEDULED = "scheduled"
    BLOCKED = "blocked"
    """Queued, but as many tasks with its key as may run at once are ahead of it. Users see
    `queued`: this state exists only so that no claim has to skip such tasks, however many."""
    QUEUED = "queued"
    RUNNING = "running"
    COMPLETED = "completed"
    DEAD = "dead"
    CANCELLED = "cancelled"

    @property
    def shown(self) -> str:
        """The state that users see."""
        return "queued" if self is Status.BLOCKED else self.value


FINAL = (Status.COMPLETED, Status.DEAD, Status.CANCELLED)
"""The final states."""


class Outcome(StrEnum):
    """How an attempt ended."""

    COMPLETED = "completed"
    FAILED = "failed"
    TIMED_OUT = "timed_out"
    """It took longer than it may."""
    CRASHED = "crashed"
    """Whatever ran it died: its own process, or the consumer."""
    LOST = "lost"
    """The node that ran it died, or did not renew its lease in time."""
    CANCELLED = "cancelled"
    DRAINED = "drained"
    """The node shut down; the attempt does not count."""

"""The states of a task, and how an attempt can end."""

from enum import StrEnum


class Status(StrEnum):
    """Where a task is in its life; the last three are final."""

    SCHEDULED = "scheduled"
    BLOCKED = "blocked"
    """Queued, but as many tasks with its key as may are ahead of it. Users see `queued`: it is
    kept apart only so that no claim has to pass over such tasks, however many they are."""
    QUEUED = "queued"
    RUNNING = "running"
    COMPLETED = "completed"
    DEAD = "dead"
    CANCELLED = "cancelled"

    @property
    def shown(self) -> str:
        """What users see."""
        return "queued" if self is Status.BLOCKED else self.value


FINAL = (Status.COMPLETED, Status.DEAD, Status.CANCELLED)


class Outcome(StrEnum):
    """How an attempt ended."""

    COMPLETED = "completed"
    FAILED = "failed"
    TIMED_OUT = "timed_out"
    """It took longer than it may."""
    CRASHED = "crashed"
    """What ran it died: its own process, or the consumer."""
    LOST = "lost"
    """The process that ran it died, or was not heard of for longer than its lease."""
    CANCELLED = "cancelled"
    DRAINED = "drained"
    """The process shut down; the attempt does not count."""

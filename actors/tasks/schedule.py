"""A schedule: a task that is published at certain times. Pure."""

from dataclasses import dataclass

from task_queue.actors.tasks.interval import Interval
from task_queue.actors.tasks.recurrence import Missed, Recurrence


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """A task and the times at which it is published.

    Attributes:
        name: The schedule's name.
        recurrence: The times.
        missed: What becomes of occurrences that passed while no node ran.
        task: The members of a publish, a JSON object as text.
        expires_after_seconds: How long after its occurrence a task may still be started; None: for
            ever.
        configured: Whether it comes from the settings.
        next_at: The next occurrence, Unix seconds.
        last_at: The last occurrence that was published, Unix seconds.
        set_back: How often `next_at` was set back, because the clock was.
        created_at: When it was created, whole Unix seconds.
    """

    name: str
    recurrence: Recurrence | Interval
    missed: Missed
    task: str
    next_at: float
    created_at: int
    expires_after_seconds: float | None = None
    configured: bool = False
    last_at: float | None = None
    set_back: int = 0

    def same_as(self, other: "Schedule") -> bool:
        """Return whether both publish the same task at the same times."""
        return (self.recurrence, self.missed, self.task, self.expires_after_seconds) == (
            other.recurrence,
            other.missed,
            other.task,
            other.expires_after_seconds,
        )

    def occurrence_key(self, moment: float) -> str:
        """Return the text that is unique to the occurrence at this moment, Unix seconds.

        There is one task for each. After the clock was set back, times that come again begin anew.
        """
        key = f"{self.name}@{moment:.0f}"
        return f"{key}+{self.set_back}" if self.set_back and self.recurrence.comes_again else key

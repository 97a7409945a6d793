"""A schedule: a task that is published at certain times. Pure."""

from dataclasses import dataclass

from task_queue.actors.tasks.recurrence import Missed, Recurrence


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """A task and the times at which it is published.

    Attributes:
        name: The schedule's name.
        recurrence: The times.
        missed: What becomes of occurrences that passed while no node ran.
        task: The members of a publish, a JSON object as text.
        configured: Whether it comes from the settings.
        next_at: The next occurrence, Unix seconds.
        last_at: The last occurrence that was published, Unix seconds.
        created_at: When it was created, whole Unix seconds.
    """

    name: str
    recurrence: Recurrence
    missed: Missed
    task: str
    next_at: float
    created_at: int
    configured: bool = False
    last_at: float | None = None

    def same_as(self, other: "Schedule") -> bool:
        """Return whether both publish the same task at the same times."""
        return (self.recurrence, self.missed, self.task) == (
            other.recurrence,
            other.missed,
            other.task,
        )

"""A schedule: a task that is published at certain times. Pure."""

from dataclasses import dataclass

from task_queue.actors.tasks.recurrence import Missed, Recurrence


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """What is published when.

    Attributes:
        name: Its name.
        recurrence: When.
        missed: What becomes of occurrences that came while nobody was there.
        task: What: the members of a publish, a JSON object as text.
        configured: Whether it comes from the settings.
        next_at: The next occurrence, Unix seconds.
        last_at: The last one that was published, Unix seconds.
        created_at: When it was made, whole Unix seconds.
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
        """Whether both publish the same at the same times."""
        return (self.recurrence, self.missed, self.task) == (
            other.recurrence,
            other.missed,
            other.task,
        )

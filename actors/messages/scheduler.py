"""What the database writer tells the scheduler."""

from dataclasses import dataclass

from task_queue.actors.messages.base import Notice
from task_queue.actors.messages.writer import Fire
from task_queue.actors.tasks.schedule import Schedule


@dataclass(frozen=True, slots=True)
class SchedulesLoaded(Notice):
    """The schedules that are due.

    Attributes:
        schedules: The schedules, by name.
    """

    schedules: tuple[Schedule, ...]


@dataclass(frozen=True, slots=True)
class Fired(Notice):
    """A schedule was advanced to its next occurrence.

    Attributes:
        fire: The write that did it.
    """

    fire: Fire

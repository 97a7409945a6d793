"""What the scheduler is told by the database writer."""

from dataclasses import dataclass

from task_queue.actors.messages.base import Notice
from task_queue.actors.messages.writer import Fire
from task_queue.actors.tasks.schedule import Schedule


@dataclass(frozen=True, slots=True)
class SchedulesLoaded(Notice):
    """The schedules that are due.

    Attributes:
        schedules: By name.
    """

    schedules: tuple[Schedule, ...]


@dataclass(frozen=True, slots=True)
class Fired(Notice):
    """A schedule has gone on to its next occurrence.

    Attributes:
        fire: From where to where, and with which task.
    """

    fire: Fire

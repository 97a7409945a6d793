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
        all: Whether these are all there are, and not only those that are due.
    """

    schedules: tuple[Schedule, ...]
    all: bool = False


@dataclass(frozen=True, slots=True)
class Fired(Notice):
    """A schedule was advanced to its next occurrence, or set back to it.

    Attributes:
        fire: The write that did it.
        is_new: Whether its task, if any, was published: there was none for the occurrence, or with
            its unique key.
    """

    fire: Fire
    is_new: bool

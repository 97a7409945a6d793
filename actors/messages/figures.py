"""What the database writer can be told of the figures of the queues."""

from dataclasses import dataclass

from task_queue.actors.messages.base import Command
from task_queue.actors.messages.writer import Write
from task_queue.actors.tasks.figures import Figures, Row


@dataclass(frozen=True, slots=True)
class NoteFigures(Command):
    """Add what happened on a queue that keeps its tasks in memory: the writer cannot see it.

    Attributes:
        queue: The queue's name.
        figures: What happened since the last time.
    """

    queue: str
    figures: Figures


@dataclass(frozen=True, slots=True)
class AddFigures(Write):
    """Store what happened on the queues. Nobody is told, unless it fails.

    Attributes:
        rows: By queue and minute, in this order.
    """

    rows: tuple[Row, ...]

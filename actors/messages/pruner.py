"""What the pruner is told by the database writer."""

from dataclasses import dataclass

from task_queue.actors.messages.base import Notice
from task_queue.actors.tasks.filters import Cursor


@dataclass(frozen=True, slots=True)
class Pruned(Notice):
    """A step of housekeeping is done.

    Attributes:
        removed: How many rows are gone or changed.
        swept_to: Where it ended among the tasks; None: at the end.
        terms_to: Up to which `keep_result_seconds` it looked; -1: at all.
    """

    removed: int
    swept_to: Cursor | None
    terms_to: int = -1

"""What the database writer tells the pruner."""

from dataclasses import dataclass

from task_queue.actors.messages.base import Notice
from task_queue.actors.tasks.filters import Cursor


@dataclass(frozen=True, slots=True)
class Pruned(Notice):
    """A step of housekeeping is done.

    Attributes:
        removed: How many rows were deleted or changed.
        swept_to: Where it ended among the tasks; None: at the end.
        terms_to: The `keep_result_seconds` up to which it looked; -1: at all.
    """

    removed: int
    swept_to: Cursor | None
    terms_to: int = -1

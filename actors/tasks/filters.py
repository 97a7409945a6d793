"""The filters of a listing of tasks. Pure."""

from dataclasses import dataclass
from typing import NamedTuple

from task_queue.actors.tasks.states import Status

Cursor = tuple[int, int]
"""A place in a listing: `created_at` and row number of the task before it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Filters:
    """Which tasks a listing shows, and in which order.

    Attributes:
        statuses: Only those in one of these states; none given: in any.
        queue: Only those of this queue.
        queues: Only those of these queues, which are all that the caller sees; None: of any.
        action: Only those with this action.
        actions: Only those with one of these actions; None: with any.
        unique_key: Only those with this unique key.
        created_after: Only those created at this moment or later, whole Unix seconds.
        created_before: Only those created before this moment, whole Unix seconds.
        error_contains: Only those whose error has this text in it.
        oldest_first: Whether the oldest come first, instead of the newest.
    """

    statuses: tuple[Status, ...] = ()
    queue: str | None = None
    queues: frozenset[str] | None = None
    action: str | None = None
    actions: tuple[str, ...] | None = None
    unique_key: str | None = None
    created_after: int | None = None
    created_before: int | None = None
    error_contains: str | None = None
    oldest_first: bool = False

    def take(self, queue: str) -> bool:
        """Return whether tasks of this queue can pass."""
        return self.queue in {None, queue} and (self.queues is None or queue in self.queues)


class LeftOut(NamedTuple):
    """How many dead tasks that match a redrive were left out of it, and why."""

    quarantined: int = 0
    """What ran them died the last time."""
    unknown: int = 0
    """Their action is not known."""


ALL = Filters()
"""The filters that every task passes."""

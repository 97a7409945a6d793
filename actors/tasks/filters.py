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
        key: Only those with this key.
        created_after: Only those created at this moment or later, whole Unix seconds.
        created_before: Only those created before this moment, whole Unix seconds.
        error_contains: Only those whose error has this text in it.
        error_group: Only dead ones whose error is of this group, see `tasks.error_group`.
        data: Only those whose data has all of these members, each with this value: names with dots
            between, and a text, or JSON.
        oldest_first: Whether the oldest come first, instead of the newest.
    """

    statuses: tuple[Status, ...] = ()
    queue: str | None = None
    queues: frozenset[str] | None = None
    action: str | None = None
    actions: tuple[str, ...] | None = None
    unique_key: str | None = None
    key: str | None = None
    created_after: int | None = None
    created_before: int | None = None
    error_contains: str | None = None
    error_group: str | None = None
    data: tuple[tuple[str, str], ...] = ()
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


class DeadGroup(NamedTuple):
    """The dead tasks of a queue and an action that have the same error.

    Attributes:
        queue: Their queue.
        action: Their action.
        error_group: Their error without ids and numbers.
        number: How many there are.
        first_at: When the first of them died, whole Unix seconds; None: that is not known.
        last_at: When the last of them did.
    """

    queue: str
    action: str
    error_group: str
    number: int
    first_at: int | None
    last_at: int | None


ALL = Filters()
"""The filters that every task passes."""

"""Which change that somebody waits for is which statement."""

from collections.abc import Callable, Mapping
from typing import Any

import sqlalchemy as sa

from task_queue.actors.messages.changes import (
    CancelTask,
    Change,
    DeleteSchedule,
    DeleteTask,
    Purge,
    PutSchedule,
    Redrive,
    RetryTask,
)
from task_queue.actors.store import changes, schedules

_Do = Callable[[sa.Connection, Any], object]

_CHANGES: Mapping[type[Change[Any]], _Do] = {
    CancelTask: lambda connection, c: changes.cancel(connection, c.task_id, c.now),
    RetryTask: lambda connection, c: changes.retry(connection, c.task_id, c.now),
    DeleteTask: lambda connection, c: changes.delete(connection, c.task_id),
    Redrive: lambda connection, c: changes.redrive(connection, c.run_at, c.now),
    Purge: lambda connection, c: changes.purge(
        connection, c.queue, c.limit, c.created_until, c.now
    ),
    PutSchedule: lambda connection, c: schedules.put(connection, c.schedule),
    DeleteSchedule: lambda connection, c: schedules.delete(connection, c.name),
}


def make(connection: sa.Connection, change: Change[Any]) -> object:
    """Make the change, and return its answer.

    Raises:
        TaskQueueError: It cannot be made, which was found before anything was changed.
    """
    return _CHANGES[type(change)](connection, change)

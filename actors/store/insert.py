"""Adds tasks, many with one statement."""

from collections.abc import Sequence

import sqlalchemy as sa

from task_queue.actors.store.columns import ATTRIBUTES
from task_queue.actors.store.schema import tasks
from task_queue.actors.store.session import Prepared
from task_queue.actors.tasks.task import PLAIN, Task

_PLAIN = (
    "id",
    "queue",
    "action",
    "data",
    "status",
    "priority",
    "rank",
    "max_attempts",
    "run_at",
    "created_at",
)
_INSERT_PLAIN = Prepared(
    sa.insert(tasks).inline().values(attempt=sa.literal_column("0"), losses=sa.literal_column("0")),
    {name: ATTRIBUTES[name] for name in _PLAIN},
)
_INSERT = Prepared(sa.insert(tasks).inline(), ATTRIBUTES)


def insert(connection: sa.Connection, rows: Sequence[Task]) -> None:
    """Add the tasks, in this order."""
    plain = all(row.is_new_and_plain for row in rows)
    (_INSERT_PLAIN if plain else _INSERT).execute(connection, rows)


def rehearse(connection: sa.Connection, row: Task) -> None:
    """Add a task like this one and delete it again: that fails where an insert would.

    With its commit it writes to the disk, which one that changes nothing does not.
    """
    insert(connection, [row._replace(data="{}", options=PLAIN)])
    connection.execute(sa.delete(tasks).where(tasks.c.id == row.id))

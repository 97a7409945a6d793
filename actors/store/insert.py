"""Adds tasks, many with one statement."""

from collections.abc import Sequence

import sqlalchemy as sa

from task_queue.actors.store.columns import ATTRIBUTES
from task_queue.actors.store.schema import tasks
from task_queue.actors.store.session import Prepared
from task_queue.actors.tasks.task import Task

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

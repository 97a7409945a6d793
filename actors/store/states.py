"""The states of tasks that are known by their ids."""

from collections.abc import Sequence

import sqlalchemy as sa

from task_queue.actors.store.schema import tasks
from task_queue.actors.tasks.states import Status

_STATES = sa.select(tasks.c.id, tasks.c.status).where(
    tasks.c.id.in_(sa.bindparam("ids", expanding=True))
)


def of(connection: sa.Connection, task_ids: Sequence[str]) -> dict[str, Status]:
    """Return the states of those of these tasks that there are, by id."""
    rows = connection.execute(_STATES, {"ids": list(task_ids)})
    return {row.id: Status(row.status) for row in rows}

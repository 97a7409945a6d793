"""Groups of dead tasks with the same error; triggers keep count of them.

On SQLite the row of a group goes with its last task. On PostgreSQL a group has a row for each
connection that ever counted in it, whose sum is zero then, and these are deleted from time to time.
"""

import sqlalchemy as sa

from task_queue.actors.store.schema import dead_groups
from task_queue.actors.tasks.filters import DeadGroup, Filters

PRUNE_GROUPS = 100
"""How many empty groups one step deletes."""

_g = dead_groups.c
_GROUP = (_g.queue, _g.action, _g.error_group)
_number = sa.func.sum(_g.number)
_COUNTED = sa.select(*_GROUP, _number, sa.func.min(_g.first_at), sa.func.max(_g.last_at)).group_by(
    *_GROUP
)
_EMPTY = sa.select(*_GROUP).group_by(*_GROUP).having(_number == 0).limit(PRUNE_GROUPS)


def groups(
    connection: sa.Connection, filters: Filters, limit: int | None = None
) -> list[DeadGroup]:
    """Return the groups with any task, the greatest first.

    Args:
        connection: Inside a transaction.
        filters: Of which queues, action and error group.
        limit: At most so many; None: all of them.
    """
    query = _COUNTED.having(_number > 0).order_by(_number.desc(), *_GROUP).limit(limit)
    for column, value in (
        (_g.queue, filters.queue),
        (_g.action, filters.action),
        (_g.error_group, filters.error_group),
    ):
        if value is not None:
            query = query.where(column == value)
    if filters.queues is not None:
        query = query.where(_g.queue.in_(sorted(filters.queues)))
    return [
        DeadGroup(queue, action, group, int(number), first_at, last_at)
        for queue, action, group, number, first_at, last_at in connection.execute(query)
    ]


def prune(connection: sa.Connection) -> int:
    """Delete rows of groups that are empty; return of how many groups."""
    if connection.dialect.name == "sqlite":
        return 0
    return sum(_delete(connection, *group) for group in connection.execute(_EMPTY).all())


def _delete(connection: sa.Connection, queue: str, action: str, group: str) -> bool:
    """Delete the rows of this group if it is still empty and nobody counts in it right now."""
    this = sa.and_(_g.queue == queue, _g.action == action, _g.error_group == group)
    # Without waiting: whoever counts may hold what this transaction is going to need.
    mine = sa.select(_g.slot, _g.number).where(this).with_for_update(skip_locked=True)
    rows = connection.execute(mine).all()
    here = sa.select(sa.func.count()).select_from(dead_groups).where(this)
    if sum(row.number for row in rows) or len(rows) != connection.scalar(here):
        return False
    slots = [row.slot for row in rows]
    connection.execute(sa.delete(dead_groups).where(this, _g.slot.in_(slots)))
    return True

"""Marks the tasks that workers over HTTP do, where the settings have changed since they came.

An action may become external, or stop being so. Its tasks that wait then are marked anew, once: the
row of the action remembers how its tasks are marked. What another node, whose settings are older,
adds later is found as well: by consumers, which leave to workers what is theirs, and among the
ready external tasks, where an index finds those of other actions.
"""

from collections.abc import Collection
from typing import NamedTuple

import sqlalchemy as sa

from task_queue.actors.messages.writer import Mark
from task_queue.actors.store.external_actions import ready_actions
from task_queue.actors.store.schema import in_state, is_final, is_inner, own_actions, tasks
from task_queue.actors.tasks.states import Status

STEP_ROWS = 5_000
"""How many row numbers one commit looks at: some milliseconds."""
STRAY_ROWS = 500
"""How many ready tasks that are not external any more one commit finds."""

_names = sa.bindparam("names", type_=sa.Text, expanding=True)
_IS_MARKED = sa.select(own_actions.c.name).where(own_actions.c.external)
_REMEMBER = sa.update(own_actions).where(own_actions.c.name.in_(_names))
_NEXT = sa.select(sa.func.min(tasks.c.seq)).where(tasks.c.seq > sa.bindparam("after"))
_waits = sa.and_(
    tasks.c.seq > sa.bindparam("after"),
    tasks.c.seq <= sa.bindparam("until"),
    tasks.c.action.in_(_names),
    sa.not_(is_final),
    # What runs is settled by whoever runs it.
    sa.not_(in_state(Status.RUNNING)),
)
_BEGIN = sa.update(tasks).where(_waits, is_inner).values(external=sa.true())
_END = sa.update(tasks).where(_waits, tasks.c.external).values(external=sa.false())
_strays = (
    sa.select(tasks.c.seq)
    .where(
        in_state(Status.QUEUED),
        tasks.c.external,
        tasks.c.queue == sa.bindparam("queue_name"),
        tasks.c.action == sa.bindparam("stray"),
    )
    .order_by(tasks.c.rank, tasks.c.seq)
    .limit(STRAY_ROWS)
    .with_for_update(skip_locked=True)
    .cte("strays")
)
_TAKE_BACK = (
    sa.update(tasks)
    .where(tasks.c.seq.in_(sa.select(_strays.c.seq)))
    .values(external=sa.false())
    .returning(tasks.c.seq)
)


class Step(NamedTuple):
    """How far a step came.

    Attributes:
        after: The row number where it ended; None: there is nothing more to walk through.
        more: Whether to go on at once.
    """

    after: int | None
    more: bool


def mark(connection: sa.Connection, write: Mark) -> Step:
    """Mark the next tasks that wait, as their actions are by now.

    Args:
        connection: Inside a transaction.
        write: The actions, and where the last step ended.
    """
    strays = _take_back(connection, write)
    marked = set(connection.scalars(_IS_MARKED))
    begun, ended = set(write.external) - marked, marked.intersection(write.inner)
    if not begun and not ended:
        return Step(None, more=strays >= STRAY_ROWS)
    after = -1 if write.after is None else write.after
    first = connection.scalar(_NEXT, {"after": after})
    if first is not None:
        until = first - 1 + STEP_ROWS
        rows = {"after": first - 1, "until": until}
        for statement, names in ((_BEGIN, begun), (_END, ended)):
            if names:
                connection.execute(statement, {**rows, "names": sorted(names)})
        return Step(until, more=True)
    _remember(connection, begun, external=True)
    _remember(connection, ended, external=False)
    return Step(None, more=strays >= STRAY_ROWS)


def _take_back(connection: sa.Connection, write: Mark) -> int:
    """Mark ready tasks whose actions are not external any more; return how many."""
    count = 0
    for queue in write.queues:
        for action in ready_actions(connection, queue):
            if action in write.inner:
                stray = {"queue_name": queue, "stray": action}
                count += len(connection.execute(_TAKE_BACK, stray).all())
    return count


def _remember(connection: sa.Connection, names: Collection[str], *, external: bool) -> None:
    if names:
        connection.execute(_REMEMBER.values(external=external), {"names": sorted(names)})

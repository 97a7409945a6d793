"""Which actions have external tasks that are ready."""

from collections.abc import Iterator

import sqlalchemy as sa

from task_queue.actors.store.schema import in_state, tasks
from task_queue.actors.tasks.states import Status

# One action at a time, by the index of external tasks: for lists of queues and actions SQLite takes
# another one, by which it would read every ready task. So it does for a place of (queue, action),
# which the index has. PostgreSQL is asked for that place: it could go through the index of all
# actions for an action alone, and takes it where its statistics are old or few tasks are left.
_queue, _after = sa.bindparam("queue_name", type_=sa.Text), sa.bindparam("after", type_=sa.Text)
_NEXT = {
    dialect: sa.select(tasks.c.queue, tasks.c.action)
    .where(in_state(Status.QUEUED), tasks.c.external, *place)
    .order_by(tasks.c.queue, tasks.c.action, tasks.c.rank, tasks.c.seq)
    .limit(1)
    for dialect, place in {
        "sqlite": (tasks.c.queue == _queue, tasks.c.action > _after),
        "postgresql": (sa.tuple_(tasks.c.queue, tasks.c.action) > sa.tuple_(_queue, _after),),
    }.items()
}


def ready_actions(connection: sa.Connection, queue: str) -> Iterator[str]:
    """Yield the name of every action of which an external task of the queue is ready, in order.

    Args:
        connection: Inside a transaction. Each name costs one statement, said when it is asked for.
        queue: Whose tasks.
    """
    place, find = {"queue_name": queue, "after": ""}, _NEXT[connection.dialect.name]
    while (found := connection.execute(find, place).first()) is not None and found.queue == queue:
        yield found.action
        place["after"] = found.action

"""Which actions have external tasks that are ready."""

from collections.abc import Iterator

import sqlalchemy as sa

from task_queue.actors.store.schema import in_state, tasks
from task_queue.actors.tasks.states import Status

# One action at a time, by the index of external tasks: for lists of queues and actions SQLite takes
# another one, by which it would read every ready task. The place is one of (queue, action), as the
# index has it: PostgreSQL could go through the one of all actions for an action alone, and takes it
# where its statistics are old or few tasks are left.
_place = sa.tuple_(tasks.c.queue, tasks.c.action)
_NEXT = (
    sa.select(tasks.c.queue, tasks.c.action)
    .where(
        in_state(Status.QUEUED),
        tasks.c.external,
        _place > sa.tuple_(sa.bindparam("queue_name"), sa.bindparam("after")),
    )
    .order_by(tasks.c.queue, tasks.c.action, tasks.c.rank, tasks.c.seq)
    .limit(1)
)


def ready_actions(connection: sa.Connection, queue: str) -> Iterator[str]:
    """Yield the name of every action of which an external task of the queue is ready, in order.

    Args:
        connection: Inside a transaction. Each name costs one statement, said when it is asked for.
        queue: Whose tasks.
    """
    place = {"queue_name": queue, "after": ""}
    while (found := connection.execute(_NEXT, place).first()) is not None and found.queue == queue:
        yield found.action
        place["after"] = found.action

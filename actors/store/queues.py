"""The row of a queue: what all nodes must agree on about it."""

import sqlalchemy as sa

from task_queue.actors.store.schema import queues
from task_queue.actors.store.session import insert_into

_IS_PAUSED = sa.select(queues.c.paused).where(queues.c.name == sa.bindparam("queue_name"))


def ensure_queue(connection: sa.Connection, queue: str) -> None:
    """Add a row for the queue, unless there is one."""
    connection.execute(
        insert_into(connection, queues)
        .values(name=queue, paused=False, tokens=1.0, refilled_at=0.0)
        .on_conflict_do_nothing()
    )


def set_paused(connection: sa.Connection, queue: str, *, paused: bool) -> None:
    """Store whether the queue is paused."""
    ensure_queue(connection, queue)
    connection.execute(sa.update(queues).where(queues.c.name == queue).values(paused=paused))


def is_paused(connection: sa.Connection, queue: str) -> bool:
    """Return whether the queue is paused."""
    return bool(connection.scalar(_IS_PAUSED, {"queue_name": queue}))


def paused_queues(connection: sa.Connection) -> set[str]:
    """Return the names of the queues that are paused."""
    return set(connection.scalars(sa.select(queues.c.name).where(queues.c.paused)))

"""What all nodes must agree on about a queue."""

import sqlalchemy as sa

from task_queue.actors.store.dialect import insert_into
from task_queue.actors.store.schema import queues


def ensure_queue(connection: sa.Connection, queue: str) -> None:
    """Have a row for the queue."""
    connection.execute(
        insert_into(queues, connection)
        .values(name=queue, paused=False, tokens=1.0, refilled_at=0.0)
        .on_conflict_do_nothing()
    )


def set_paused(connection: sa.Connection, queue: str, *, paused: bool) -> None:
    """Keep whether the queue is paused."""
    ensure_queue(connection, queue)
    connection.execute(sa.update(queues).where(queues.c.name == queue).values(paused=paused))


def paused_queues(connection: sa.Connection) -> set[str]:
    """The names of the queues that are paused."""
    return set(connection.scalars(sa.select(queues.c.name).where(queues.c.paused)))

"""The token bucket of a queue's `rate_limit`, kept in a row so that all nodes share it."""

import sqlalchemy as sa

from task_queue.actors.store.queues import ensure_queue
from task_queue.actors.store.schema import queues
from task_queue.actors.tasks.limits import refilled

_BUCKET = (
    sa.select(queues.c.tokens, queues.c.refilled_at)
    .where(queues.c.name == sa.bindparam("queue_name"))
    .with_for_update()  # until the commit: two nodes never spend the same token
)
_REFILL = (
    sa.update(queues)
    .where(queues.c.name == sa.bindparam("queue_name"))
    .values(tokens=sa.bindparam("left"), refilled_at=sa.bindparam("now"))
)
_TAKE = (
    sa.update(queues)
    .where(queues.c.name == sa.bindparam("queue_name"))
    .values(tokens=queues.c.tokens - sa.bindparam("taken"))
)
_CLOCK = sa.select(sa.cast(sa.extract("epoch", sa.func.clock_timestamp()), sa.Double))


def allowed(connection: sa.Connection, queue: str, rate_limit: float, now: float) -> int:
    """Refill the bucket, and return how many tasks of the queue may be started now.

    Args:
        connection: Inside a transaction.
        queue: Whose tasks.
        rate_limit: How many starts per second it allows.
        now: The present moment, Unix seconds.
    """
    ensure_queue(connection, queue)
    row = connection.execute(_BUCKET, {"queue_name": queue}).one()
    now = _now(connection, now)  # after the lock, or a refill before it would count twice
    tokens = refilled(row.tokens, now - row.refilled_at, rate_limit)
    connection.execute(_REFILL, {"queue_name": queue, "left": tokens, "now": now})
    return int(tokens)


def take(connection: sa.Connection, queue: str, started: int) -> None:
    """Take the tokens of so many starts out of the bucket."""
    connection.execute(_TAKE, {"queue_name": queue, "taken": started})


def _now(connection: sa.Connection, now: float) -> float:
    """Return PostgreSQL's own time, or nodes would refill by different clocks."""
    if connection.dialect.name == "sqlite":
        return now
    return float(connection.scalar(_CLOCK) or now)

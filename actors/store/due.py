"""Makes scheduled tasks ready when they are due."""

import sqlalchemy as sa

from task_queue.actors.store.schema import in_state, tasks
from task_queue.actors.tasks.states import Status

PROMOTE_LIMIT = 1_000
"""How many due tasks become ready in one commit; the next tick takes the next ones."""

_due = (
    sa.select(tasks.c.seq)
    .where(
        in_state(Status.SCHEDULED),
        tasks.c.run_at <= sa.bindparam("now"),
        tasks.c.queue == sa.bindparam("queue_name"),
    )
    .order_by(tasks.c.run_at)
    .limit(PROMOTE_LIMIT)
    .with_for_update(skip_locked=True)
    .cte("due")
)
_PROMOTE = (
    sa.update(tasks)
    .where(tasks.c.seq.in_(sa.select(_due.c.seq)))
    .values(
        status=sa.case(
            (
                sa.and_(
                    tasks.c.key.is_not(None), sa.bindparam("keys_are_limited", type_=sa.Boolean)
                ),
                Status.BLOCKED.value,
            ),
            else_=Status.QUEUED.value,
        )
    )
    .returning(tasks.c.key)  # counted by hand: SQLite's driver does not count after a WITH
)


def promote(
    connection: sa.Connection, queue: str, now: float, *, keys_are_limited: bool
) -> list[str | None]:
    """Make scheduled tasks whose time has come ready, at most `PROMOTE_LIMIT`.

    Those with a key, where keys are limited, become blocked: see `actors.store.concurrency`.

    Returns:
        The key of each, or None.
    """
    parameters = {"queue_name": queue, "now": now, "keys_are_limited": keys_are_limited}
    return list(connection.scalars(_PROMOTE, parameters))

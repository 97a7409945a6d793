"""At most so many tasks with the same key at once: `concurrency_per_key`.

A task with a key enters its queue as `blocked`. Each key has so many places among the queued and
running tasks. Whatever may have freed a place, or added a task for a free one, ends with `unblock`
in the same commit. So a claim never meets a task that may not run, and a key with a million tasks
does not delay those of other keys.
"""

from collections.abc import Iterable

import sqlalchemy as sa

from task_queue.actors.store import advisory_locks
from task_queue.actors.store.schema import in_state, is_final, tasks
from task_queue.actors.tasks.states import Status

SWEEP_KEYS = 20
"""How many keys one step of a sweep looks at."""
NO_LIMIT = 1_000
"""How many tasks become ready at once where a limit was lifted."""

_this_key = sa.and_(
    tasks.c.queue == sa.bindparam("queue_name"),
    tasks.c.key == sa.bindparam("key_name"),
    sa.not_(is_final),  # or the databases would not see that the index of keys fits
)


def _count(status: Status) -> sa.ScalarSelect[int]:
    return sa.select(sa.func.count()).where(in_state(status), _this_key).scalar_subquery()


_TAKEN = sa.select(_count(Status.QUEUED) + _count(Status.RUNNING))
_first = (
    sa.select(tasks.c.seq)
    .where(in_state(Status.BLOCKED), _this_key)
    .order_by(tasks.c.rank, tasks.c.seq)
    .limit(sa.bindparam("places", type_=sa.Integer))
    .with_for_update(skip_locked=True)
    .cte("first")
)
_UNBLOCK = (
    sa.update(tasks)
    .where(tasks.c.seq.in_(sa.select(_first.c.seq)))
    .values(status=Status.QUEUED.value)
    .returning(tasks.c.seq)
)
# One key at a time: a list of distinct ones would read every task of each.
_NEXT_KEY = sa.select(sa.func.min(tasks.c.key)).where(
    in_state(Status.BLOCKED),
    tasks.c.queue == sa.bindparam("queue_name"),
    tasks.c.key > sa.bindparam("after"),
    sa.not_(is_final),
)


def lock(connection: sa.Connection, places: Iterable[tuple[str, str, int]]) -> None:
    """Take the advisory locks of these keys, or two nodes would count the same free place.

    Args:
        connection: Inside a transaction, before the first `unblock`.
        places: Queue, key and limit of each place that the transaction may free or fill.
    """
    names = [f"{queue}/{key}" for queue, key, limit in places if limit]
    advisory_locks.take(connection, advisory_locks.Kind.KEY, names)


def unblock(connection: sa.Connection, queue: str, key: str, limit: int) -> int:
    """Make as many blocked tasks with the key ready as there are free places.

    Args:
        connection: Under `lock`, after everything that the transaction does to tasks with this key.
        queue: Whose tasks.
        key: Which key.
        limit: How many places there are; 0: any number.

    Returns:
        How many became ready.
    """
    this = {"queue_name": queue, "key_name": key}
    places = NO_LIMIT
    if limit:
        places = limit - int(connection.execute(_TAKEN, this).scalar_one())
    if places <= 0:
        return 0
    return len(connection.execute(_UNBLOCK, {**this, "places": places}).all())


def blocked(connection: sa.Connection, queue: str, after: str) -> tuple[list[str], str]:
    """Return the next few keys that have blocked tasks.

    For a sweep, since not only commits of the queue itself free places: a task is cancelled, or a
    limit raised or lifted.

    Args:
        connection: Inside a transaction.
        queue: Whose tasks.
        after: The key where the last step ended; empty: from the first on.

    Returns:
        The keys, and the key where this step ended; empty: at the last one.
    """
    found: list[str] = []
    while len(found) < SWEEP_KEYS:
        key = connection.scalar(_NEXT_KEY, {"queue_name": queue, "after": after})
        if key is None:
            return found, ""
        found.append(key)
        after = key
    return found, after

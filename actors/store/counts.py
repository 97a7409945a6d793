"""How many tasks there are: triggers keep count, so that only the running ones are counted here."""

import sqlalchemy as sa

from task_queue.actors.store.schema import counts as kept
from task_queue.actors.store.schema import in_state, is_inner, tasks
from task_queue.actors.tasks.states import Status

_KEPT = ("scheduled", "blocked", "active", "completed", "dead", "cancelled")

# A queue's number is the sum over its slots.
_COUNTS = sa.select(kept.c.queue, *(sa.func.sum(kept.c[name]) for name in _KEPT)).group_by(
    kept.c.queue
)
# Few run at a time, as many as the nodes have claimed: these are counted now.
_RUNNING = (
    sa.select(tasks.c.queue, sa.func.count().label("number"))
    .where(in_state(Status.RUNNING))
    .group_by(tasks.c.queue)
)
_UNFINISHED = sa.select(
    sa.func.sum(kept.c.scheduled + kept.c.blocked + kept.c.active), sa.func.sum(kept.c.bytes)
).where(kept.c.queue == sa.bindparam("queue_name"))
# No index gives the longest-ready task. These two approximate it: the oldest, which may have become
# ready late, and the next to be claimed, which may have a high priority.
_oldest, _next = (
    sa.select(tasks.c.run_at)
    .where(in_state(Status.QUEUED), condition, tasks.c.queue == sa.bindparam("queue_name"))
    .order_by(order, tasks.c.seq)
    .limit(1)
    for condition, order in ((sa.true(), tasks.c.created_at), (is_inner, tasks.c.rank))
)
_candidates = [_oldest.subquery(), _next.subquery()]
_OLDEST_READY = sa.select(sa.func.min(sa.column("run_at", sa.Double))).select_from(
    sa.union_all(*map(sa.select, _candidates)).subquery()
)


def by_state(connection: sa.Connection) -> dict[str, dict[Status, int]]:
    """Count the tasks by queue and state; only queues that ever had a task."""
    running = {row.queue: row.number for row in connection.execute(_RUNNING)}
    counted = {}
    for queue, *numbers in connection.execute(_COUNTS):
        # PostgreSQL returns sums as decimals.
        number = {name: int(each) for name, each in zip(_KEPT, numbers, strict=True)}
        # A task may have been claimed or settled between the two queries.
        number["running"] = min(running.get(queue, 0), number["active"])
        number["queued"] = number["active"] - number["running"]
        counted[queue] = {status: number[status.value] for status in Status}
    return counted


def unfinished(connection: sa.Connection, queue: str) -> tuple[int, int]:
    """Return how many tasks of the queue are not final, and the bytes of their data."""
    number, size = connection.execute(_UNFINISHED, {"queue_name": queue}).one()
    return int(number or 0), int(size or 0)


def next_ready(connection: sa.Connection, queue: str) -> float | None:
    """Return since when the task could run that a consumer is to claim next, Unix seconds.

    None if none is ready: those that workers over HTTP do are nothing to it.
    """
    run_at = connection.scalar(_next, {"queue_name": queue})
    return None if run_at is None else float(run_at)


def oldest_ready(connection: sa.Connection, queue: str) -> float | None:
    """Return since when the longest-ready task could run, Unix seconds; None if none is ready."""
    run_at = connection.scalar(_OLDEST_READY, {"queue_name": queue})
    return None if run_at is None else float(run_at)

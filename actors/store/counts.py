"""How many tasks there are, from what is kept of it: only those that run are looked at."""

import sqlalchemy as sa

from task_queue.actors.store.schema import counts as kept
from task_queue.actors.store.schema import in_state, tasks
from task_queue.actors.tasks.states import Status

_KEPT = ("scheduled", "blocked", "active", "completed", "dead", "cancelled")

# Each queue's numbers are those of all its slots together.
_COUNTS = sa.select(kept.c.queue, *(sa.func.sum(kept.c[name]) for name in _KEPT)).group_by(
    kept.c.queue
)
# Few run at a time, as many as their workers claim: these are counted now.
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
_candidates = [
    sa.select(tasks.c.run_at)
    .where(in_state(Status.QUEUED), tasks.c.queue == sa.bindparam("queue_name"))
    .order_by(*order)
    .limit(1)
    .subquery()
    for order in ((tasks.c.created_at, tasks.c.seq), (tasks.c.rank, tasks.c.seq))
]
_OLDEST_READY = sa.select(sa.func.min(sa.column("run_at", sa.Double))).select_from(
    sa.union_all(*map(sa.select, _candidates)).subquery()
)


def by_state(connection: sa.Connection) -> dict[str, dict[Status, int]]:
    """How many tasks there are in each state, by queue; only queues that ever had a task."""
    running = {row.queue: row.number for row in connection.execute(_RUNNING)}
    counted = {}
    for queue, *numbers in connection.execute(_COUNTS):
        # PostgreSQL's sums are decimals.
        number = {name: int(each) for name, each in zip(_KEPT, numbers, strict=True)}
        # Between the two looks a task may have been claimed or settled.
        number["running"] = min(running.get(queue, 0), number["active"])
        number["queued"] = number["active"] - number["running"]
        counted[queue] = {status: number[status.value] for status in Status}
    return counted


def unfinished(connection: sa.Connection, queue: str) -> tuple[int, int]:
    """How many tasks of the queue are not final, and the bytes of their data."""
    number, size = connection.execute(_UNFINISHED, {"queue_name": queue}).one()
    return int(number or 0), int(size or 0)


def oldest_ready(connection: sa.Connection, queue: str) -> float | None:
    """Since when the next task of the queue could run, Unix seconds; None if none is ready."""
    run_at = connection.scalar(_OLDEST_READY, {"queue_name": queue})
    return None if run_at is None else float(run_at)

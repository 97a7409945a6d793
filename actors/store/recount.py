"""Counts anew what was counted from the time of a clock that was ahead: waits, leases, ranks.

A wait or a lease that says it began later than now was made by such a clock. It is taken as begun
now, and ends as long after as it was to. What a publisher named, `run_at` and `expires_at`, stays.
"""

import sqlalchemy as sa

from task_queue.actors.store.external_actions import ready_actions
from task_queue.actors.store.schema import in_state, is_inner, tasks
from task_queue.actors.tasks.clock import TOLERANCE_SECONDS
from task_queue.actors.tasks.states import Status
from task_queue.actors.tasks.task import PRIORITY_SECONDS

RECOUNT_LIMIT = 1_000
"""How many tasks of each kind are counted anew in one commit."""

_now = sa.bindparam("now", type_=sa.Double)
_ahead = sa.bindparam("ahead", type_=sa.Double)
_of_queue = tasks.c.queue == sa.bindparam("queue_name")


def _first(condition: sa.ColumnElement[bool], order: sa.ColumnElement[float]) -> sa.Select[int]:
    found = (
        sa.select(tasks.c.seq)
        .where(condition, _of_queue)
        .order_by(order.desc())
        .limit(RECOUNT_LIMIT)
        .with_for_update(skip_locked=True)
        .cte("found")
    )
    return sa.select(found.c.seq)


def _recount(status: Status, end: sa.Column[float]) -> sa.Update:
    """Return the statement for tasks of the state whose wait or lease ends at this column."""
    started = tasks.c.counted_from
    ahead = sa.and_(in_state(status), started.is_not(None), started > _ahead)
    return (
        sa.update(tasks)
        .where(tasks.c.seq.in_(_first(ahead, started)))
        .values({end: end - (started - _now), started: _now})
        .returning(tasks.c.seq)
    )


def _rerank(found: sa.ColumnElement[bool], order: sa.ColumnElement[float]) -> sa.Update:
    """Return the statement for ready tasks that would starve behind what is published now."""
    queued = sa.and_(in_state(Status.QUEUED), found)
    return (
        sa.update(tasks)
        .where(tasks.c.seq.in_(_first(queued, order)), _ranks_ahead)
        .values(rank=_now - tasks.c.priority * PRIORITY_SECONDS)
        .returning(tasks.c.seq)
    )


_ranks_ahead = tasks.c.rank + tasks.c.priority * PRIORITY_SECONDS > _ahead
_STATEMENTS = (
    _recount(Status.SCHEDULED, tasks.c.run_at),
    _recount(Status.RUNNING, tasks.c.leased_until),
    _rerank(sa.and_(tasks.c.created_at > _ahead, _ranks_ahead), tasks.c.created_at),
    # Those that were put back are older than that. They are looked for among the last in the order
    # of claims only, as what has a low priority ranks behind now in its own right.
    _rerank(sa.and_(is_inner, tasks.c.rank > _ahead), tasks.c.rank),
)
# Of external ones each action has an order of its own.
_is_external = sa.and_(
    in_state(Status.QUEUED), tasks.c.external, tasks.c.action == sa.bindparam("action_name")
)
_RERANK_EXTERNAL = _rerank(sa.and_(_is_external, tasks.c.rank > _ahead), tasks.c.rank)


def recount(connection: sa.Connection, queue: str, now: float) -> int:
    """Count anew what began more than `TOLERANCE_SECONDS` later than now.

    Args:
        connection: Inside a transaction.
        queue: Whose tasks, at most `RECOUNT_LIMIT` of each kind.
        now: The present moment, Unix seconds.

    Returns:
        How many tasks were.
    """
    ahead = now + TOLERANCE_SECONDS
    parameters: dict[str, object] = {"queue_name": queue, "now": now, "ahead": ahead}
    count = sum(len(connection.execute(each, parameters).all()) for each in _STATEMENTS)
    for action in ready_actions(connection, queue):
        parameters["action_name"] = action
        count += len(connection.execute(_RERANK_EXTERNAL, parameters).all())
    return count

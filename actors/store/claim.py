"""Claims: leases ready tasks, and counts an attempt for each."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import sqlalchemy as sa

from task_queue.actors.store import rate_limit
from task_queue.actors.store.columns import LEASED_COLUMNS, claimed_in
from task_queue.actors.store.schema import in_state, is_inner, is_suspect, literal, queues, tasks
from task_queue.actors.store.session import Prepared
from task_queue.actors.tasks.claim import PLAIN_TERMS, Claimant, ClaimedTask
from task_queue.actors.tasks.error_group import error_group
from task_queue.actors.tasks.settlement import EXPIRED
from task_queue.actors.tasks.states import Status

Tell = Callable[[Sequence[str]], None]
"""Called with the ids of tasks that were too late to start, and have become dead."""


def tell_nobody(_task_ids: Sequence[str]) -> None:
    """Do nothing: who claims knows that nobody waits for that."""


class _Parameters(NamedTuple):
    claimant: Claimant
    limit: int


def _first_ready(condition: sa.ColumnElement[bool]) -> Prepared:
    """Return the claim of the first ready tasks that meet the condition, unless paused."""
    this_queue = sa.bindparam("queue_name", type_=sa.Text)
    # SKIP LOCKED lets nodes claim side by side; SQLite, which has one writer, leaves it out. In a
    # CTE because PostgreSQL may evaluate a subquery with LIMIT more than once.
    first = (
        sa.select(tasks.c.seq)
        .where(
            in_state(Status.QUEUED),
            is_inner,
            tasks.c.queue == this_queue,
            condition,
            sa.not_(sa.exists().where(queues.c.name == this_queue, queues.c.paused)),
        )
        .order_by(tasks.c.rank, tasks.c.seq)
        .limit(sa.bindparam("at_most", type_=sa.Integer))
        .offset(sa.literal_column("0"))  # or SQLite's dialect adds it as a parameter
        .with_for_update(skip_locked=True, of=tasks)
        .cte("first")
    )
    claim = (
        sa.update(tasks)
        .where(tasks.c.seq.in_(sa.select(first.c.seq)))
        .values(
            status=literal(Status.RUNNING),
            attempt=tasks.c.attempt + sa.literal_column("1"),
            lease_id=sa.bindparam("new_lease_id"),
            leased_until=sa.bindparam("new_leased_until"),
            counted_from=sa.bindparam("now"),
            started_at=sa.bindparam("now"),
            worker=sa.bindparam("node"),
            # Of a former attempt.
            ended_at=sa.null(),
            progress=sa.null(),
            progress_message=sa.null(),
        )
        .returning(*LEASED_COLUMNS)
    )
    return Prepared(
        claim,
        {
            "queue_name": "claimant.queue",
            "at_most": "limit",
            "new_lease_id": "claimant.lease_id",
            "new_leased_until": "claimant.leased_until",
            "now": "claimant.now",
            "node": "claimant.node",
        },
    )


_CLAIM = _first_ready(sa.not_(is_suspect))
_CLAIM_SUSPECT = _first_ready(is_suspect)


def claim(
    connection: sa.Connection,
    claimant: Claimant,
    *,
    limit: int,
    free: int,
    tell: Tell = tell_nobody,
) -> tuple[list[ClaimedTask], bool]:
    """Lease the next ready tasks of the queue, by rank, and count an attempt for each.

    Suspects are left to `claim_suspect`; a paused queue has no ready tasks. Expired tasks become
    `dead` instead.

    What is claimed counts as running from now on, so it has to start in a moment.

    Args:
        connection: Inside a transaction.
        claimant: Who claims.
        limit: At most so many.
        free: How many consumers are free: a task that must not wait is claimed only among the
            first so many, and nothing behind one that cannot be claimed.
        tell: Called with those that have expired.

    Returns:
        The tasks in the order in which they are to run, and whether there may be more.
    """
    if claimant.rate_limit:
        limit = min(limit, _allowed(connection, claimant))
        if limit == 0:
            return [], False  # at the next tick
    rows = _CLAIM.fetch(connection, _Parameters(claimant, limit))
    claimed = startable(connection, rows, claimant.now, tell)
    taken = next(
        (i for i, task in enumerate(claimed) if i >= free and task.must_not_wait), len(claimed)
    )
    if given_back := claimed[taken:]:
        _undo(connection, given_back, Status.QUEUED)
    if claimant.rate_limit:
        rate_limit.take(connection, claimant.queue, taken)
    return claimed[:taken], len(rows) == limit or bool(given_back)


def claim_suspect(
    connection: sa.Connection, claimant: Claimant, *, tell: Tell = tell_nobody
) -> ClaimedTask | None:
    """Lease the first ready suspect of the queue, as `claim` does; None if there is none."""
    if claimant.rate_limit and not _allowed(connection, claimant):
        return None
    rows = _CLAIM_SUSPECT.fetch(connection, _Parameters(claimant, 1))
    claimed = startable(connection, rows, claimant.now, tell)
    if claimant.rate_limit:
        rate_limit.take(connection, claimant.queue, len(claimed))
    return claimed[0] if claimed else None


def _allowed(connection: sa.Connection, claimant: Claimant) -> int:
    return rate_limit.allowed(connection, claimant.queue, claimant.rate_limit, claimant.now)


def startable(
    connection: sa.Connection, rows: Sequence[tuple[Any, ...]], now: float, tell: Tell
) -> list[ClaimedTask]:
    """Return the claimed tasks in order, without those that it is too late to start."""
    claimed = [claimed_in(row) for row in sorted(rows)]  # by rank and row number
    if all(task.terms is PLAIN_TERMS for task in claimed):
        return claimed
    if expired := [task for task in claimed if task.has_expired(now)]:
        _undo(
            connection,
            expired,
            Status.DEAD,
            error=EXPIRED,
            error_group=error_group(EXPIRED),
            processed_at=int(now),
        )
        tell([task.lease.task_id for task in expired])
    return [task for task in claimed if task not in expired]


def _undo(
    connection: sa.Connection, claimed: Sequence[ClaimedTask], status: Status, **columns: object
) -> None:
    """Undo the claim, and put the tasks into this state."""
    connection.execute(
        sa.update(tasks)
        .where(tasks.c.id.in_([task.lease.task_id for task in claimed]))
        .values(
            status=status.value,
            attempt=tasks.c.attempt - 1,
            lease_id=None,
            leased_until=None,
            counted_from=None,
            started_at=None,
            worker=None,
            **columns,
        )
    )

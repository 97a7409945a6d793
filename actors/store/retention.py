"""Housekeeping in small steps: expired tasks become dead, old ones are deleted."""

from collections.abc import Mapping, Sequence

import sqlalchemy as sa

from task_queue.actors.store import dead_groups
from task_queue.actors.store.schema import attempts, idempotency_keys, is_final, tasks
from task_queue.actors.tasks.clock import TOLERANCE_SECONDS
from task_queue.actors.tasks.conditions import REMEMBERED_SECONDS
from task_queue.actors.tasks.error_group import error_group
from task_queue.actors.tasks.filters import Cursor
from task_queue.actors.tasks.settlement import EXPIRED
from task_queue.actors.tasks.states import Status

STEP_ROWS = 200
"""How many tasks one step changes, deletes or looks at, at most: some milliseconds."""
STEP_PAGES = 200
"""How many free pages of the file one step gives back to the file system."""
RESERVE_PAGES = 1_000
"""How many free pages the file keeps: 4 MiB."""

_expired = (
    sa.select(tasks.c.seq)
    .where(
        tasks.c.expires_at.is_not(None),
        sa.not_(is_final),
        tasks.c.expires_at <= sa.bindparam("now"),
        tasks.c.lease_id.is_(None),
    )
    .order_by(tasks.c.expires_at)
    .limit(STEP_ROWS)
    .with_for_update(skip_locked=True)
    .cte("expired")
)
_EXPIRE = (
    sa.update(tasks)
    .where(tasks.c.seq.in_(sa.select(_expired.c.seq)))
    .values(
        status=Status.DEAD.value,
        error=EXPIRED,
        error_group=error_group(EXPIRED),
        processed_at=sa.bindparam("second"),
    )
    .returning(tasks.c.id, tasks.c.queue)
)
_FORGET = sa.delete(idempotency_keys).where(
    idempotency_keys.c.key.in_(
        sa.select(idempotency_keys.c.key)
        .where(idempotency_keys.c.expires_at <= sa.bindparam("now"))
        .limit(STEP_ROWS)
    )
)
_SHORTEN = (
    sa.update(idempotency_keys)
    .where(
        idempotency_keys.c.key.in_(
            sa.select(idempotency_keys.c.key)
            .where(idempotency_keys.c.expires_at > sa.bindparam("ahead"))
            .limit(STEP_ROWS)
        )
    )
    .values(expires_at=sa.bindparam("until"))
)
_kept = sa.and_(tasks.c.keep_result_seconds.is_not(None), is_final)
_NEXT_TERM = sa.select(sa.func.min(tasks.c.keep_result_seconds)).where(
    _kept, tasks.c.keep_result_seconds > sa.bindparam("after")
)
_OUT_OF_TERM = (
    sa.select(tasks.c.id)
    .where(
        _kept,
        tasks.c.keep_result_seconds == sa.bindparam("term"),
        tasks.c.processed_at <= sa.bindparam("until"),
    )
    .limit(sa.bindparam("at_most", type_=sa.Integer))
)
_OLD = (
    sa.select(
        tasks.c.created_at,
        tasks.c.seq,
        tasks.c.id,
        tasks.c.status,
        tasks.c.processed_at,
        tasks.c.keep_result_seconds,
    )
    .where(
        tasks.c.created_at <= sa.bindparam("until"),
        sa.tuple_(tasks.c.created_at, tasks.c.seq)
        > sa.tuple_(sa.bindparam("after_second"), sa.bindparam("after_seq")),
    )
    .order_by(tasks.c.created_at, tasks.c.seq)
    .limit(STEP_ROWS)
)
MAX_TERMS = 100
"""How many different `keep_result_seconds` one step looks at."""


def expire(connection: sa.Connection, now: float) -> dict[str, str]:
    """Make tasks that were not started in time dead; return the queue of each, by id."""
    rows = connection.execute(_EXPIRE, {"now": now, "second": int(now)})
    return {row.id: row.queue for row in rows}


def forget_keys(connection: sa.Connection, now: float) -> int:
    """Delete idempotency keys whose time is over; return how many.

    Those that a clock ahead has made are kept as if they had come now.
    """
    until = now + REMEMBERED_SECONDS
    connection.execute(_SHORTEN, {"ahead": until + TOLERANCE_SECONDS, "until": until})
    return connection.execute(_FORGET, {"now": now}).rowcount


def delete_out_of_term(connection: sa.Connection, now: float, after: int = -1) -> tuple[int, int]:
    """Delete tasks whose `keep_result_seconds` are over.

    Args:
        connection: Inside a transaction.
        now: The present moment, Unix seconds.
        after: Up to which `keep_result_seconds` the last step looked; -1: from the shortest on.

    Returns:
        How many, and up to which term this step looked; -1: at all.
    """
    ids: list[str] = []
    for _ in range(MAX_TERMS):
        term = connection.scalar(_NEXT_TERM, {"after": after})
        if term is None:
            return _delete(connection, ids), -1
        found = {"term": term, "until": int(now) - term, "at_most": STEP_ROWS - len(ids)}
        ids += connection.scalars(_OUT_OF_TERM, found)
        if len(ids) == STEP_ROWS:
            break  # there may be more of this term
        after = term
    return _delete(connection, ids), after


def sweep(
    connection: sa.Connection, now: float, retention: Mapping[Status, int], after: Cursor | None
) -> tuple[int, Cursor | None]:
    """Look at the next oldest tasks, and delete those that were kept long enough.

    Args:
        connection: Inside a transaction.
        now: The present moment, Unix seconds.
        retention: Seconds that tasks are kept, by their final state.
        after: Where the last step ended; None: from the oldest on.

    Returns:
        How many were deleted, and where the step ended; None: there are no older ones.
    """
    if after is None:
        dead_groups.prune(connection)
    second, seq = after or (-1, -1)
    until = int(now) - min(retention.values())
    rows = connection.execute(
        _OLD, {"until": until, "after_second": second, "after_seq": seq}
    ).all()
    old = [
        row.id
        for row in rows
        if row.processed_at is not None
        and row.keep_result_seconds is None
        and row.processed_at <= now - retention[Status(row.status)]
    ]
    end = (rows[-1].created_at, rows[-1].seq) if len(rows) == STEP_ROWS else None
    return _delete(connection, old), end


def vacuum(connection: sa.Connection) -> None:
    """Give free pages of a SQLite file back to the file system, some at a time.

    All but a reserve: pages that are used again soon are not worth the work.
    """
    if connection.dialect.name == "sqlite":
        free = connection.exec_driver_sql("PRAGMA freelist_count").scalar_one()
        for _ in range(min(free - RESERVE_PAGES, STEP_PAGES)):
            # One page each: the driver takes only one step of a statement without columns.
            connection.exec_driver_sql("PRAGMA incremental_vacuum(1)")


def _delete(connection: sa.Connection, task_ids: Sequence[str]) -> int:
    if not task_ids:
        return 0
    # With the condition again: another node may have redriven one meanwhile.
    gone = sa.delete(tasks).where(tasks.c.id.in_(task_ids), is_final).returning(tasks.c.id)
    deleted = list(connection.scalars(gone))
    connection.execute(sa.delete(attempts).where(attempts.c.task_id.in_(deleted)))
    return len(deleted)

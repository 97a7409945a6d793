"""Every statement the task queue says to its database, built once, on every database alike."""

from typing import Any

import sqlalchemy as sa

from actors.store.schema import in_state, is_suspect, tasks
from actors.task import Status

PROMOTE_LIMIT = 1_000
"""How many due tasks become ready in one commit; the next tick takes the next ones."""

COLUMNS = (
    tasks.c.id,
    tasks.c.queue,
    tasks.c.action,
    tasks.c.data,
    tasks.c.status,
    tasks.c.result,
    tasks.c.error,
    tasks.c.priority,
    tasks.c.attempt,
    tasks.c.losses,
    tasks.c.max_attempts,
    tasks.c.run_at,
    tasks.c.created_at,
    tasks.c.started_at,
    tasks.c.processed_at,
)
_LEASED_COLUMNS = (
    tasks.c.seq,
    tasks.c.id,
    tasks.c.lease_id,
    tasks.c.action,
    tasks.c.data,
    tasks.c.attempt,
    tasks.c.max_attempts,
    tasks.c.losses,
)

INSERT = sa.insert(tasks).inline()
"""To be said for many rows, with `INSERT_ATTRIBUTES`."""
INSERT_ATTRIBUTES = {column.name: column.name for column in COLUMNS} | {"status": "status.value"}
"""Each column's attribute of `Task`."""


def _claim_of(condition: sa.ColumnElement[bool]) -> sa.Executable:
    """The claim of the oldest ready tasks of a queue that meet the condition."""
    # SKIP LOCKED lets nodes claim side by side; SQLite, which has one writer, leaves it out. In a
    # CTE because PostgreSQL may evaluate a subquery with LIMIT more than once.
    next_ready = (
        sa.select(tasks.c.seq)
        .where(in_state(Status.QUEUED), tasks.c.queue == sa.bindparam("queue_name"), condition)
        .order_by(tasks.c.seq)
        .limit(sa.bindparam("at_most", type_=sa.Integer))
        .with_for_update(skip_locked=True)
        .cte("next_ready")
    )
    return (
        sa.update(tasks)
        .where(tasks.c.seq.in_(sa.select(next_ready.c.seq)))
        .values(
            status=Status.RUNNING.value,
            attempt=tasks.c.attempt + 1,
            lease_id=sa.bindparam("new_lease_id"),
            leased_until=sa.bindparam("new_leased_until"),
            started_at=sa.bindparam("now"),
        )
        .returning(*_LEASED_COLUMNS)
    )


CLAIM = _claim_of(sa.not_(is_suspect))
CLAIM_SUSPECT = _claim_of(is_suspect)

_held = sa.and_(
    tasks.c.id == sa.bindparam("held_id"), tasks.c.lease_id == sa.bindparam("held_lease_id")
)
SETTLE = (
    sa.update(tasks)
    .where(_held)
    .values(
        status=sa.bindparam("new_status"),
        attempt=sa.bindparam("new_attempt"),
        losses=sa.bindparam("new_losses"),
        run_at=sa.bindparam("new_run_at"),
        result=sa.bindparam("new_result"),
        # What is given back unrun keeps the error of its last failure.
        error=sa.case(
            (
                sa.bindparam("new_status", type_=sa.Text)
                == sa.literal_column(f"'{Status.QUEUED.value}'"),
                tasks.c.error,
            ),
            else_=sa.bindparam("new_error", type_=sa.Text),
        ),
        processed_at=sa.bindparam("new_processed_at"),
        lease_id=sa.null(),
        leased_until=sa.null(),
    )
)
"""To be said for many settlements, with `SETTLE_ATTRIBUTES`."""
SETTLE_ATTRIBUTES = {
    "held_id": "lease.task_id",
    "held_lease_id": "lease.lease_id",
    "new_status": "status.value",
    "new_attempt": "attempt",
    "new_losses": "losses",
    "new_run_at": "run_at",
    "new_result": "result",
    "new_error": "error",
    "new_processed_at": "processed_at",
}
"""Each parameter's attribute of `Settlement`."""
RENEW = sa.update(tasks).where(_held).values(leased_until=sa.bindparam("new_leased_until"))

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
PROMOTE = (
    sa.update(tasks)
    .where(tasks.c.seq.in_(sa.select(_due.c.seq)))
    .values(status=Status.QUEUED.value)
    .returning(tasks.c.seq)  # counted by hand: SQLite's driver does not count after a WITH
)
LAPSED = (
    sa.select(*_LEASED_COLUMNS)
    .where(
        in_state(Status.RUNNING),
        tasks.c.leased_until <= sa.bindparam("now"),
        tasks.c.queue == sa.bindparam("queue_name"),
    )
    .order_by(tasks.c.leased_until)
)
GET = sa.select(*COLUMNS).where(tasks.c.id == sa.bindparam("task_id"))
OLDEST_READY = (
    sa.select(tasks.c.run_at)
    .where(in_state(Status.QUEUED), tasks.c.queue == sa.bindparam("queue_name"))
    .order_by(tasks.c.seq)
    .limit(1)
)
COUNT = sa.select(tasks.c.status, sa.func.count()).group_by(tasks.c.status)


def page(*, limit: int, status: Status | None, before: int | None) -> sa.Select[Any]:
    """The newest rows, with their row number in front: see `Store.list_tasks`."""
    query = sa.select(tasks.c.seq, *COLUMNS).order_by(tasks.c.seq.desc()).limit(limit)
    if status is not None:
        query = query.where(in_state(status))
    if before is not None:
        query = query.where(tasks.c.seq < before)
    return query

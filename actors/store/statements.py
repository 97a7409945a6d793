"""Every statement the task queue says to its database, built once, on every database alike."""

import sqlalchemy as sa

from task_queue.actors.store.schema import attempts, in_state, is_suspect, queues, tasks
from task_queue.actors.tasks.states import Status

PROMOTE_LIMIT = 1_000
"""How many due tasks become ready in one commit; the next tick takes the next ones."""

COLUMNS = (
    tasks.c.id,
    tasks.c.queue,
    tasks.c.action,
    tasks.c.data,
    tasks.c.max_attempts,
    tasks.c.run_at,
    tasks.c.created_at,
    tasks.c.rank,
    tasks.c.status,
    tasks.c.result,
    tasks.c.error,
    tasks.c.priority,
    tasks.c.attempt,
    tasks.c.losses,
    tasks.c.started_at,
    tasks.c.processed_at,
)
"""The fields of `Task`, in this order."""
OPTION_COLUMNS = (
    tasks.c.unique_key,
    tasks.c.key,
    tasks.c.expires_at,
    tasks.c.keep_result_seconds,
    tasks.c.backoff,
    tasks.c.occurrence,
    tasks.c.timeout_seconds,
)
"""Each a field of `Options`."""
COURSE_COLUMNS = (
    tasks.c.worker,
    tasks.c.ended_at,
    tasks.c.postponed,
    tasks.c.cancel_requested_at,
    tasks.c.progress,
    tasks.c.progress_message,
)
"""Each a field of `Course`."""
_LEASED_COLUMNS = (
    tasks.c.rank,
    tasks.c.seq,
    tasks.c.id,
    tasks.c.lease_id,
    tasks.c.action,
    tasks.c.data,
    tasks.c.attempt,
    tasks.c.max_attempts,
    tasks.c.losses,
    tasks.c.key,
    tasks.c.expires_at,
    tasks.c.backoff,
    tasks.c.postponed,
    tasks.c.timeout_seconds,
)

_PLAIN = ("id", "queue", "action", "data", "status", "priority", "rank", "max_attempts")
_PLAIN_TIMES = ("run_at", "created_at")
INSERT_PLAIN = (
    sa.insert(tasks).inline().values(attempt=sa.literal_column("0"), losses=sa.literal_column("0"))
)
"""For new tasks that ask for nothing special; to be said for many, with `PLAIN_ATTRIBUTES`."""
PLAIN_ATTRIBUTES = {name: name for name in (*_PLAIN, *_PLAIN_TIMES)} | {"status": "status.value"}
"""Each column's attribute of `Task`."""
INSERT = sa.insert(tasks).inline()
"""For any task; to be said for many, with `INSERT_ATTRIBUTES`."""
INSERT_ATTRIBUTES = (
    {column.name: column.name for column in COLUMNS}
    | {"status": "status.value"}
    | {column.name: f"options.{column.name}" for column in OPTION_COLUMNS}
    | {column.name: f"course.{column.name}" for column in COURSE_COLUMNS}
)
"""Each column's attribute of `Task`."""


def _is_paused() -> sa.ColumnElement[bool]:
    return sa.exists().where(queues.c.name == sa.bindparam("queue_name"), queues.c.paused)


def _claim_of(condition: sa.ColumnElement[bool]) -> sa.Executable:
    """The claim of the first ready tasks that meet the condition, of a queue that is not paused."""
    # SKIP LOCKED lets nodes claim side by side; SQLite, which has one writer, leaves it out. In a
    # CTE because PostgreSQL may evaluate a subquery with LIMIT more than once.
    next_ready = (
        sa.select(tasks.c.seq)
        .where(
            in_state(Status.QUEUED),
            tasks.c.queue == sa.bindparam("queue_name"),
            condition,
            sa.not_(_is_paused()),
        )
        .order_by(tasks.c.rank, tasks.c.seq)
        .limit(sa.bindparam("at_most", type_=sa.Integer))
        .with_for_update(skip_locked=True, of=tasks)
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
            worker=sa.bindparam("new_worker"),
        )
        .returning(*_LEASED_COLUMNS)
    )


CLAIM = _claim_of(sa.not_(is_suspect))
CLAIM_SUSPECT = _claim_of(is_suspect)

_held = sa.and_(
    tasks.c.id == sa.bindparam("held_id"), tasks.c.lease_id == sa.bindparam("held_lease_id")
)
COMPLETE = (
    sa.update(tasks)
    .where(_held)
    .values(
        status=sa.literal_column(f"'{Status.COMPLETED.value}'"),
        result=sa.bindparam("new_result"),
        error=sa.null(),
        processed_at=sa.bindparam("new_processed_at"),
        started_at=sa.bindparam("new_started_at"),
        ended_at=sa.bindparam("new_ended_at"),
        lease_id=sa.null(),
        leased_until=sa.null(),
    )
)
"""The settlement of nearly all tasks; to be said for many, with `COMPLETE_ATTRIBUTES`."""
COMPLETE_ATTRIBUTES = {
    "held_id": "lease.task_id",
    "held_lease_id": "lease.lease_id",
    "new_result": "result",
    "new_processed_at": "processed_at",
    "new_started_at": "started_at",
    "new_ended_at": "ended_at",
}
"""Each parameter's attribute of `Settlement`."""
_new_status = sa.bindparam("new_status", type_=sa.Text)
# What somebody asked to cancel while it ran is not started again.
_is_over = sa.and_(
    tasks.c.cancel_requested_at.is_not(None),
    sa.or_(
        _new_status == sa.literal_column(f"'{Status.QUEUED.value}'"),
        _new_status == sa.literal_column(f"'{Status.SCHEDULED.value}'"),
    ),
)
SETTLE = (
    sa.update(tasks)
    .where(_held)
    .values(
        status=sa.case(
            (_is_over, sa.literal_column(f"'{Status.CANCELLED.value}'")), else_=_new_status
        ),
        attempt=sa.bindparam("new_attempt"),
        losses=sa.bindparam("new_losses"),
        run_at=sa.func.coalesce(sa.bindparam("new_run_at", type_=sa.Double), tasks.c.run_at),
        result=sa.bindparam("new_result"),
        # What is given back unrun keeps the error of its last failure.
        error=sa.case(
            (_new_status == sa.literal_column(f"'{Status.QUEUED.value}'"), tasks.c.error),
            else_=sa.bindparam("new_error", type_=sa.Text),
        ),
        processed_at=sa.case(
            (
                _is_over,
                sa.func.coalesce(
                    sa.bindparam("new_ended_second", type_=sa.BigInteger),
                    sa.cast(tasks.c.cancel_requested_at, sa.BigInteger),
                ),
            ),
            else_=sa.bindparam("new_processed_at", type_=sa.BigInteger),
        ),
        started_at=sa.func.coalesce(
            sa.bindparam("new_started_at", type_=sa.Double), tasks.c.started_at
        ),
        ended_at=sa.bindparam("new_ended_at"),
        postponed=sa.bindparam("new_postponed"),
        lease_id=sa.null(),
        leased_until=sa.null(),
    )
)
"""Any other settlement; to be said for many, with `SETTLE_ATTRIBUTES`."""
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
    "new_started_at": "started_at",
    "new_ended_at": "ended_at",
    "new_ended_second": "ended_second",
    "new_postponed": "postponed",
}
"""Each parameter's attribute of `Settlement`."""
RECORD = sa.insert(attempts).from_select(
    [
        "task_id",
        "number",
        "started_at",
        "ended_at",
        "worker",
        "outcome",
        "error",
        "traceback",
        "stderr",
    ],
    sa.select(
        tasks.c.id,
        tasks.c.attempt,
        sa.func.coalesce(sa.bindparam("started", type_=sa.Double), tasks.c.started_at),
        sa.cast(sa.bindparam("ended"), sa.Double),
        tasks.c.worker,
        sa.cast(sa.bindparam("outcome_name"), sa.Text),
        sa.cast(sa.bindparam("why"), sa.Text),
        sa.cast(sa.bindparam("where"), sa.Text),
        sa.cast(sa.bindparam("said"), sa.Text),
    )
    .where(_held)
    .with_for_update(),  # or another node could settle it between this and the settlement
)
"""Keeps an attempt that ends; to be said before the settlement, while the lease is held."""
RENEW = sa.update(tasks).where(_held).values(leased_until=sa.bindparam("new_leased_until"))
REPORT = (
    sa.update(tasks)
    .where(_held)
    .values(progress=sa.bindparam("fraction"), progress_message=sa.bindparam("message"))
)

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
LAPSED = (
    sa.select(*_LEASED_COLUMNS, tasks.c.cancel_requested_at, tasks.c.leased_until)
    .where(
        in_state(Status.RUNNING),
        tasks.c.queue == sa.bindparam("queue_name"),
        # Those to be cancelled too, whoever holds them: their queue must hear of it.
        sa.or_(
            tasks.c.leased_until <= sa.bindparam("now"), tasks.c.cancel_requested_at.is_not(None)
        ),
    )
    .order_by(tasks.c.leased_until)
)
PAUSED = sa.select(queues.c.paused).where(queues.c.name == sa.bindparam("queue_name"))
_last_attempt = (
    sa.select(sa.func.max(attempts.c.seq)).where(attempts.c.task_id == tasks.c.id).scalar_subquery()
)
GET = sa.select(
    *COLUMNS, *OPTION_COLUMNS, *COURSE_COLUMNS, _last_attempt.label("last_attempt")
).where(tasks.c.id == sa.bindparam("task_id"))
ATTEMPTS = (
    sa.select(
        attempts.c.number,
        attempts.c.started_at,
        attempts.c.ended_at,
        attempts.c.worker,
        attempts.c.outcome,
        attempts.c.error,
        attempts.c.traceback,
        attempts.c.stderr,
    )
    .where(
        attempts.c.task_id == sa.bindparam("task_id"),
        attempts.c.seq <= sa.bindparam("last_attempt"),
    )
    .order_by(attempts.c.seq)
)
# Of a queue's ready tasks none is known by index to be ready for longest; these two are next to it:
# the oldest, which may have become ready late, and the next to be claimed, which may have a high
# priority.
_next_to_oldest = [
    sa.select(tasks.c.run_at)
    .where(in_state(Status.QUEUED), tasks.c.queue == sa.bindparam("queue_name"))
    .order_by(*order)
    .limit(1)
    .subquery()
    for order in ((tasks.c.created_at, tasks.c.seq), (tasks.c.rank, tasks.c.seq))
]
OLDEST_READY = sa.select(sa.func.min(sa.column("run_at", sa.Double))).select_from(
    sa.union_all(*map(sa.select, _next_to_oldest)).subquery()
)

"""Settlements: writes what became of claimed tasks, each only if its lease is still held."""

from collections.abc import Sequence
from operator import attrgetter

import sqlalchemy as sa

from task_queue.actors.errors import BadRowError
from task_queue.actors.store.leases import is_held
from task_queue.actors.store.schema import attempts, literal, tasks
from task_queue.actors.store.session import Prepared
from task_queue.actors.tasks.claim import Lease
from task_queue.actors.tasks.settlement import Failure, Settlement
from task_queue.actors.tasks.states import Outcome, Status

_COMPLETE = Prepared(
    sa.update(tasks)
    .where(is_held)
    .values(
        status=literal(Status.COMPLETED),
        result=sa.bindparam("new_result"),
        error=sa.null(),
        processed_at=sa.bindparam("new_processed_at"),
        started_at=sa.bindparam("new_started_at"),
        ended_at=sa.bindparam("new_ended_at"),
        lease_id=sa.null(),
        leased_until=sa.null(),
    ),
    {
        "held_id": "lease.task_id",
        "held_lease_id": "lease.lease_id",
        "new_result": "result",
        "new_processed_at": "processed_at",
        "new_started_at": "started_at",
        "new_ended_at": "ended_at",
    },
)
"""The settlement of nearly all tasks."""

_new_status = sa.bindparam("new_status", type_=sa.Text)
# A task that somebody asked to cancel while it ran is not started again.
_is_over = sa.and_(
    tasks.c.cancel_requested_at.is_not(None),
    sa.or_(
        _new_status == literal(Status.QUEUED),
        _new_status == literal(Status.SCHEDULED),
    ),
)
_never_began = sa.cast(sa.bindparam("new_ended_at"), sa.Double).is_(None)
_SETTLE = Prepared(
    sa.update(tasks)
    .where(is_held)
    .values(
        status=sa.case((_is_over, literal(Status.CANCELLED)), else_=_new_status),
        attempt=sa.bindparam("new_attempt"),
        losses=sa.bindparam("new_losses"),
        run_at=sa.func.coalesce(sa.bindparam("new_run_at", type_=sa.Double), tasks.c.run_at),
        result=sa.bindparam("new_result"),
        # A task that is given back unrun keeps the error of its last failure.
        error=sa.case(
            (_new_status == literal(Status.QUEUED), tasks.c.error),
            else_=sa.bindparam("new_error", type_=sa.Text),
        ),
        error_group=sa.bindparam("new_error_group", type_=sa.Text),
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
        # The claim wrote these, for a run that never began.
        started_at=sa.case(
            (_never_began, sa.null()),
            else_=sa.func.coalesce(
                sa.bindparam("new_started_at", type_=sa.Double), tasks.c.started_at
            ),
        ),
        worker=sa.case((_never_began, sa.null()), else_=tasks.c.worker),
        ended_at=sa.bindparam("new_ended_at"),
        postponed=sa.bindparam("new_postponed"),
        external=sa.or_(tasks.c.external, sa.bindparam("new_external", type_=sa.Boolean)),
        counted_from=sa.bindparam("new_ended_at"),
        lease_id=sa.null(),
        leased_until=sa.null(),
    ),
    {
        "held_id": "lease.task_id",
        "held_lease_id": "lease.lease_id",
        "new_status": "status.value",
        "new_attempt": "attempt",
        "new_losses": "losses",
        "new_run_at": "run_at",
        "new_result": "result",
        "new_error": "error",
        "new_error_group": "error_group",
        "new_processed_at": "processed_at",
        "new_started_at": "started_at",
        "new_ended_at": "ended_at",
        "new_ended_second": "ended_second",
        "new_postponed": "postponed",
        "new_external": "external",
    },
)
"""Any other settlement."""

_RECORD = sa.insert(attempts).from_select(
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
        sa.cast(sa.bindparam("written"), sa.Text),
    )
    .where(is_held)
    .with_for_update(),  # or another node could settle it between this and the settlement
)
"""Records an attempt that ends, before the settlement, while the lease is held."""


def settle(connection: sa.Connection, settlements: Sequence[Settlement]) -> list[Lease]:
    """Write what became of claimed tasks, each only if its lease is still held.

    Returns:
        The leases that are no longer held; of those nothing was written. Only one settlement alone
        can be answered so.

    Raises:
        BadRowError: Some of several leases are no longer held. The transaction must be rolled back
            and each settled alone: a count over all does not say which.
    """
    # One order on every node, so that two of them never wait for each other.
    in_order = sorted(settlements, key=attrgetter("lease.task_id"))
    if recorded := [
        each for each in in_order if each.failure is not None or each.stderr is not None
    ]:
        _record(connection, recorded)
    completed = [each for each in in_order if each.status is Status.COMPLETED]
    written = _COMPLETE.execute(connection, completed) if completed else 0
    if len(completed) < len(in_order):
        others = [each for each in in_order if each.status is not Status.COMPLETED]
        written += _SETTLE.execute(connection, others)
    if written == len(settlements):
        return []
    if len(settlements) > 1:
        message = f"{len(settlements) - written} of {len(settlements)} leases are not held"
        raise BadRowError(message)
    return [settlements[0].lease]


def _record(connection: sa.Connection, settlements: Sequence[Settlement]) -> None:
    rows = []
    for each in settlements:
        ending = each.failure or Failure("", Outcome.COMPLETED)
        rows.append(
            {
                "held_id": each.lease.task_id,
                "held_lease_id": each.lease.lease_id,
                "started": each.started_at,
                "ended": each.ended_at,
                "outcome_name": ending.outcome.value,
                "why": ending.error,
                "where": ending.traceback,
                "written": each.stderr,
            }
        )
    connection.execute(_RECORD, rows)

"""Leases: renewed and reported on while they are held, and found when they have lapsed."""

from collections.abc import Sequence

import sqlalchemy as sa

from task_queue.actors.store.columns import LEASED_COLUMNS, claimed_in
from task_queue.actors.store.schema import in_state, tasks
from task_queue.actors.tasks.claim import ClaimedTask, Lease
from task_queue.actors.tasks.states import Status

LAPSED_LIMIT = 1_000
"""How many leases one step finds: as many workers as there may be over HTTP may have gone at once.
The next step finds the next ones."""

is_held = sa.and_(
    tasks.c.id == sa.bindparam("held_id"), tasks.c.lease_id == sa.bindparam("held_lease_id")
)
"""The condition that the lease of these two parameters is held."""

_RENEW = (
    sa.update(tasks)
    .where(is_held)
    .values(leased_until=sa.bindparam("new_leased_until"), counted_from=sa.bindparam("now"))
)
_REPORT = (
    sa.update(tasks)
    .where(is_held)
    .values(progress=sa.bindparam("fraction"), progress_message=sa.bindparam("message"))
)
_LAPSED = (
    sa.select(*LEASED_COLUMNS, tasks.c.cancel_requested_at, tasks.c.leased_until)
    .where(
        in_state(Status.RUNNING),
        tasks.c.queue == sa.bindparam("queue_name"),
        # Also those to be cancelled, whoever holds them: their queue must hear of it.
        sa.or_(
            tasks.c.leased_until
            <= sa.case(
                (tasks.c.external, sa.bindparam("now", type_=sa.Double)),
                else_=sa.bindparam("inner_until", type_=sa.Double),
            ),
            tasks.c.cancel_requested_at.is_not(None),
        ),
    )
    .order_by(tasks.c.leased_until)
    .limit(LAPSED_LIMIT)
)


def renew(
    connection: sa.Connection, leases: Sequence[Lease], leased_until: float, now: float
) -> list[Lease]:
    """Let the leases last from now until the given moment, Unix seconds.

    Returns:
        Those that are no longer held.
    """
    moments = {"new_leased_until": leased_until, "now": now}
    return [
        lease
        for lease in sorted(leases, key=lambda lease: lease.task_id)
        if connection.execute(_RENEW, _held(lease) | moments).rowcount == 0
    ]


def report(connection: sa.Connection, lease: Lease, fraction: float, message: str | None) -> None:
    """Store how far a task is, if its lease is still held."""
    connection.execute(_REPORT, {**_held(lease), "fraction": fraction, "message": message})


def lapsed(
    connection: sa.Connection, queue: str, now: float, inner_until: float | None = None
) -> tuple[list[ClaimedTask], list[Lease]]:
    """Find running tasks whose lease has lapsed, and leases of those that are to be cancelled.

    Args:
        connection: Inside a transaction.
        queue: Whose tasks.
        now: Leases that end up to this moment have lapsed, Unix seconds.
        inner_until: So have those of nodes that end up to this one; None: the same. A node that has
            the database for itself knows which of its own it holds; of those of workers over HTTP
            the time alone says.

    Returns:
        At most `LAPSED_LIMIT` in all, those that end first.
    """
    inner_until = now if inner_until is None else inner_until
    moments = {"inner_until": inner_until, "now": now}
    rows = connection.execute(_LAPSED, {"queue_name": queue, **moments}).all()
    lapsed = [
        claimed_in(row[:-2])
        for row in rows
        if row.leased_until <= (now if row.external else inner_until)
    ]
    cancelling = [Lease(row.id, row.lease_id) for row in rows if row.cancel_requested_at]
    return lapsed, cancelling


def _held(lease: Lease) -> dict[str, object]:
    return {"held_id": lease.task_id, "held_lease_id": lease.lease_id}

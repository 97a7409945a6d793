"""Leases: renewed and reported on while they are held, and found when they have lapsed."""

from collections.abc import Sequence

import sqlalchemy as sa

from task_queue.actors.store.columns import LEASED_COLUMNS, claimed_in
from task_queue.actors.store.schema import in_state, tasks
from task_queue.actors.tasks.claim import ClaimedTask, Lease
from task_queue.actors.tasks.states import Status

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
            tasks.c.leased_until <= sa.bindparam("now"), tasks.c.cancel_requested_at.is_not(None)
        ),
    )
    .order_by(tasks.c.leased_until)
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
    connection: sa.Connection, queue: str, now: float
) -> tuple[list[ClaimedTask], list[Lease]]:
    """Find the running tasks whose lease ended before the given moment, oldest first.

    And the leases of those that somebody asked to cancel. As many as their nodes had claimed, which
    `prefetch` bounds.
    """
    rows = connection.execute(_LAPSED, {"queue_name": queue, "now": now}).all()
    lapsed = [claimed_in(row[:-2]) for row in rows if row.leased_until <= now]
    cancelling = [Lease(row.id, row.lease_id) for row in rows if row.cancel_requested_at]
    return lapsed, cancelling


def _held(lease: Lease) -> dict[str, object]:
    return {"held_id": lease.task_id, "held_lease_id": lease.lease_id}

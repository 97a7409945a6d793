"""Changes that users make to stored tasks: cancel, retry, delete, one or many; redrive, purge.

`queues` are those that the user sees; None: all. A task of another is one that there is not.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

import sqlalchemy as sa

from task_queue.actors.errors import ConflictError, NotFoundError
from task_queue.actors.store.schema import attempts, holds_unique_key, in_state, tasks
from task_queue.actors.tasks.clock import TOLERANCE_SECONDS
from task_queue.actors.tasks.states import FINAL, Status
from task_queue.actors.tasks.task import rank

WAITING = (Status.SCHEDULED, Status.BLOCKED, Status.QUEUED)

_this = tasks.c.id == sa.bindparam("task_id")


class _Found(NamedTuple):
    """The columns of a task that a change needs."""

    id: str
    queue: str
    status: str
    priority: int
    unique_key: str | None
    key: str | None
    cancel_requested_at: float | None


_COLUMNS = [tasks.c[name] for name in _Found._fields]


class Cancelled(NamedTuple):
    """What became of tasks that were to be cancelled.

    Attributes:
        number: How many are cancelled, or now asked to stop.
        ended: The ids of those that are cancelled.
    """

    number: int
    ended: list[str]


_FIND = (
    sa.select(*_COLUMNS)
    .where(_this)
    .with_for_update()  # nobody changes the state between the check and the change
)
_HOLDS_KEY = sa.select(tasks.c.id).where(
    tasks.c.queue == sa.bindparam("queue_name"),
    tasks.c.unique_key == sa.bindparam("wanted"),
    holds_unique_key,
)


def cancel(
    connection: sa.Connection, task_id: str, now: float, queues: Collection[str] | None = None
) -> Status:
    """Cancel the task at once, or record that it is to stop if it runs.

    Returns:
        `cancelled`, or `running`.

    Raises:
        NotFoundError: There is no such task.
        ConflictError: It is final.
    """
    row = _found(connection, task_id, queues)
    status = Status(row.status)
    if status in FINAL:
        message = (
            f"the task is {status.shown}; only scheduled, queued and running ones can be cancelled"
        )
        raise ConflictError(message)
    if status is Status.RUNNING:
        if row.cancel_requested_at is None:
            # Its settlement then does not let it start again.
            _update(connection, task_id, cancel_requested_at=int(now))
        return status
    _update(
        connection,
        task_id,
        status=Status.CANCELLED.value,
        cancel_requested_at=int(now),
        processed_at=int(now),
    )
    return Status.CANCELLED


def retry(
    connection: sa.Connection, task_id: str, now: float, queues: Collection[str] | None = None
) -> Status:
    """Put a dead or cancelled task back on its queue, with all its attempts.

    Raises:
        NotFoundError: There is no such task.
        ConflictError: It is in another state, or its unique key has gone to another task.
    """
    row = _found(connection, task_id, queues)
    status = Status(row.status)
    if status not in {Status.DEAD, Status.CANCELLED}:
        message = f"the task is {status.shown}; only dead and cancelled ones can be retried"
        raise ConflictError(message)
    if (holder := _holder(connection, row)) is not None:
        message = f"its unique key {row.unique_key!r} has gone to the task {holder}"
        raise ConflictError(message)
    return _put_back(connection, row, run_at=now, now=now)


def redrive(
    connection: sa.Connection,
    run_at: Mapping[str, float],
    now: float,
    statuses: Collection[Status] = (Status.DEAD,),
    queues: Collection[str] | None = None,
) -> int:
    """Put those of these tasks that are in one of the states back on their queues, at their times.

    Returns:
        How many; a task whose unique key has gone to another stays as it is.
    """
    count = 0
    for task_id, moment in sorted(run_at.items()):
        row = _look(connection, task_id, queues)
        if row is not None and row.status in statuses and _holder(connection, row) is None:
            _put_back(connection, row, run_at=moment, now=now)
            count += 1
    return count


def cancel_many(
    connection: sa.Connection,
    task_ids: Sequence[str],
    now: float,
    statuses: Collection[Status],
    queues: Collection[str] | None = None,
) -> Cancelled:
    """Cancel those of these tasks that are in one of the states, or ask them to stop if they run.

    Args:
        connection: Inside a transaction.
        task_ids: Their ids.
        now: The present moment, Unix seconds.
        statuses: None of them final.
        queues: See the module.
    """
    rows = [
        row
        for row in _locked(connection, task_ids, statuses, queues)
        if row.status != Status.RUNNING or row.cancel_requested_at is None
    ]
    waiting = [row.id for row in rows if row.status != Status.RUNNING]
    running = [row.id for row in rows if row.status == Status.RUNNING]
    moment: dict[str, object] = {"cancel_requested_at": int(now)}
    _update_many(connection, running, **moment)
    _update_many(
        connection, waiting, status=Status.CANCELLED.value, processed_at=int(now), **moment
    )
    return Cancelled(len(rows), waiting)


def delete_many(
    connection: sa.Connection,
    task_ids: Sequence[str],
    statuses: Collection[Status],
    queues: Collection[str] | None = None,
) -> int:
    """Delete those of these tasks that are in one of these final states; return how many."""
    ids = [row.id for row in _locked(connection, task_ids, statuses, queues)]
    connection.execute(sa.delete(attempts).where(attempts.c.task_id.in_(ids)))
    connection.execute(sa.delete(tasks).where(tasks.c.id.in_(ids)))
    return len(ids)


def delete(connection: sa.Connection, task_id: str, queues: Collection[str] | None = None) -> None:
    """Delete the task and its attempts.

    Raises:
        NotFoundError: There is no such task.
        ConflictError: It is not final.
    """
    status = Status(_found(connection, task_id, queues).status)
    if status not in FINAL:
        message = (
            f"the task is {status.shown}; only completed, dead and cancelled ones can be deleted"
        )
        raise ConflictError(message)
    connection.execute(sa.delete(attempts).where(attempts.c.task_id == task_id))
    connection.execute(sa.delete(tasks).where(tasks.c.id == task_id))


def purge(
    connection: sa.Connection, queue: str, limit: int, created_until: int, now: float
) -> list[str]:
    """Cancel tasks that wait on the queue.

    Args:
        connection: Inside a transaction.
        queue: Whose tasks.
        limit: At most so many.
        created_until: Only those created up to this moment, whole Unix seconds.
        now: The present moment, Unix seconds.

    Returns:
        The ids of those that were cancelled.
    """
    cancelled: list[str] = []
    for status in WAITING:
        some = (
            sa.select(tasks.c.seq)
            .where(
                in_state(status),
                tasks.c.queue == queue,
                # Or by a clock that was ahead.
                sa.or_(
                    tasks.c.created_at <= created_until,
                    tasks.c.created_at > now + TOLERANCE_SECONDS,
                ),
            )
            .order_by(tasks.c.created_at, tasks.c.seq)
            .limit(limit - len(cancelled))
            .with_for_update(skip_locked=True)
            .cte("some")
        )
        change = (
            sa.update(tasks)
            .where(tasks.c.seq.in_(sa.select(some.c.seq)))
            .values(
                status=Status.CANCELLED.value, cancel_requested_at=int(now), processed_at=int(now)
            )
            .returning(tasks.c.id)
        )
        cancelled += connection.scalars(change)
    return cancelled


def _look(
    connection: sa.Connection, task_id: str, queues: Collection[str] | None = None
) -> _Found | None:
    find = _FIND if queues is None else _FIND.where(tasks.c.queue.in_(queues))
    row = connection.execute(find, {"task_id": task_id}).first()
    return None if row is None else _Found(*row)


def _locked(
    connection: sa.Connection,
    task_ids: Sequence[str],
    statuses: Collection[Status],
    queues: Collection[str] | None,
) -> list[_Found]:
    """Return those of these tasks that are in one of the states, and stay so until the commit."""
    find = sa.select(*_COLUMNS).where(
        tasks.c.id.in_(task_ids), tasks.c.status.in_([each.value for each in statuses])
    )
    if queues is not None:
        find = find.where(tasks.c.queue.in_(queues))
    # One order on every node, so that two of them never wait for each other.
    locked = find.order_by(tasks.c.id).with_for_update()
    return [_Found(*row) for row in connection.execute(locked)]


def _found(connection: sa.Connection, task_id: str, queues: Collection[str] | None) -> _Found:
    row = _look(connection, task_id, queues)
    if row is None:
        message = "task not found"
        raise NotFoundError(message)
    return row


def _holder(connection: sa.Connection, row: _Found) -> str | None:
    """Return the id of the task that keeps this one's unique key from it, if there is one."""
    if row.unique_key is None:
        return None
    held = {"queue_name": row.queue, "wanted": row.unique_key}
    return connection.scalar(_HOLDS_KEY, held)


def _put_back(connection: sa.Connection, row: _Found, *, run_at: float, now: float) -> Status:
    # With a key, by way of `scheduled`: only its queue knows whether it has to wait, and makes it
    # ready at the next tick.
    ready = run_at <= now and row.key is None
    _update(
        connection,
        row.id,
        status=(Status.QUEUED if ready else Status.SCHEDULED).value,
        attempt=0,
        postponed=0,
        run_at=run_at,
        counted_from=now if run_at > now else None,
        rank=rank(now, row.priority),
        processed_at=None,
        error_group=None,
        cancel_requested_at=None,
        expires_at=None,
        progress=None,
        progress_message=None,
    )
    return Status.SCHEDULED if run_at > now else Status.QUEUED


def _update(connection: sa.Connection, task_id: str, **columns: object) -> None:
    connection.execute(sa.update(tasks).where(tasks.c.id == task_id).values(**columns))


def _update_many(connection: sa.Connection, task_ids: Sequence[str], **columns: object) -> None:
    connection.execute(sa.update(tasks).where(tasks.c.id.in_(task_ids)).values(**columns))

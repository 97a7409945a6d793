"""Schedules as rows: each occurrence is published once, by whichever node is first."""

from collections.abc import Collection, Iterable
from typing import Any

import sqlalchemy as sa

from task_queue.actors.errors import ConflictError, NotFoundError
from task_queue.actors.store.conditional import insert_occurrence
from task_queue.actors.store.schema import schedules
from task_queue.actors.store.session import insert_into
from task_queue.actors.tasks.interval import Interval
from task_queue.actors.tasks.recurrence import ClockBack, ClockForward, Missed, Recurrence
from task_queue.actors.tasks.schedule import Schedule
from task_queue.actors.tasks.task import Task

_ALL = sa.select(schedules).order_by(schedules.c.name)
_DUE = _ALL.where(schedules.c.next_at <= sa.bindparam("now"))
_ONE = sa.select(schedules).where(schedules.c.name == sa.bindparam("wanted")).with_for_update()
_ADVANCE = (
    sa.update(schedules)
    .where(
        schedules.c.name == sa.bindparam("wanted"), schedules.c.next_at == sa.bindparam("due_at")
    )
    .values(
        next_at=sa.bindparam("new_next_at"),
        last_at=sa.func.coalesce(sa.bindparam("fired_at", type_=sa.Double), schedules.c.last_at),
        set_back=sa.case(
            (sa.bindparam("anew", type_=sa.Boolean), schedules.c.set_back + 1),
            else_=schedules.c.set_back,
        ),
    )
)


def every(connection: sa.Connection) -> list[Schedule]:
    """Return all schedules, by name."""
    return [_schedule(row) for row in connection.execute(_ALL)]


def due(connection: sa.Connection, now: float) -> list[Schedule]:
    """Return those whose next occurrence is at this moment or was before it, Unix seconds."""
    return [_schedule(row) for row in connection.execute(_DUE, {"now": now})]


def put(
    connection: sa.Connection, schedule: Schedule, queues: Collection[str] | None = None
) -> Schedule:
    """Store the schedule; one that stays the same keeps an occurrence that it has missed.

    Args:
        connection: Inside a transaction.
        schedule: The schedule.
        queues: Those that the caller sees; None: all.

    Returns:
        The schedule as stored.

    Raises:
        ConflictError: One of another queue has the name.
    """
    new = insert_into(connection, schedules).on_conflict_do_nothing()
    # By a returned row, as PostgreSQL's driver has no row count for this insert.
    if connection.execute(new.returning(schedules.c.name), _columns(schedule)).first() is not None:
        return schedule
    present = _schedule(connection.execute(_ONE, {"wanted": schedule.name}).one())
    if queues is not None and present.queue not in queues:
        message = f"the name {schedule.name} is taken; choose another one"
        raise ConflictError(message)
    columns = _columns(schedule) | {
        "last_at": present.last_at,
        "set_back": present.set_back,
        "created_at": present.created_at,
    }
    if present.same_as(schedule):
        columns["next_at"] = present.next_at
    change = sa.update(schedules).where(schedules.c.name == schedule.name).values(**columns)
    connection.execute(change)
    return _schedule(connection.execute(_ONE, {"wanted": schedule.name}).one())


def delete(connection: sa.Connection, name: str, queues: Collection[str] | None = None) -> None:
    """Delete the schedule; what it published stays.

    Args:
        connection: Inside a transaction.
        name: The schedule's name.
        queues: Those that the caller sees; None: all.

    Raises:
        NotFoundError: There is none, or it is of another queue.
    """
    row = connection.execute(_ONE, {"wanted": name}).first()
    if row is None or (queues is not None and _schedule(row).queue not in queues):
        message = "schedule not found"
        raise NotFoundError(message)
    connection.execute(sa.delete(schedules).where(schedules.c.name == name))


def configure(connection: sa.Connection, configured: Iterable[Schedule]) -> None:
    """Store the schedules of the settings, in place of those that came from settings before."""
    names = {put(connection, schedule).name for schedule in configured}
    connection.execute(
        sa.delete(schedules).where(schedules.c.configured, schedules.c.name.not_in(names))
    )


def fire(
    connection: sa.Connection,
    name: str,
    step: tuple[float, float, float | None],
    task: Task | None,
    *,
    anew: bool = False,
) -> tuple[bool, bool]:
    """Advance the schedule to its next occurrence, and publish the task of the one that is due.

    Both or neither, and only if the schedule is still where the caller saw it. The task's
    occurrence is unique as well. Or the schedule is set back, because the clock was.

    Args:
        connection: Inside a transaction.
        name: The schedule's name.
        step: Its next occurrence as it was seen, the one from now on, and the one that is
            published, if any; Unix seconds.
        task: The task to publish, if any.
        anew: Whether its times are other ones from now on, as the clock was set back.

    Returns:
        Whether this call advanced it, and not another node; whether the task was published.
    """
    due_at, next_at, fired_at = step
    advanced = connection.execute(
        _ADVANCE,
        {
            "wanted": name,
            "due_at": due_at,
            "new_next_at": next_at,
            "fired_at": fired_at,
            "anew": anew,
        },
    ).rowcount
    is_new = bool(advanced) and task is not None and insert_occurrence(connection, task)
    return bool(advanced), is_new


def _columns(schedule: Schedule) -> dict[str, Any]:
    times: dict[str, str | None]
    forward: ClockForward | None = None
    back: ClockBack | None = None
    match schedule.recurrence:
        case Interval(every):
            times = {"cron": None, "every": every}
        case Recurrence(cron, _, forward, back):
            times = {"cron": cron, "every": None}
    return times | {
        "timezone": schedule.recurrence.timezone,
        "clock_forward": forward and forward.value,
        "clock_back": back and back.value,
        "name": schedule.name,
        "missed": schedule.missed.value,
        "task": schedule.task,
        "configured": schedule.configured,
        "next_at": schedule.next_at,
        "last_at": schedule.last_at,
        "created_at": schedule.created_at,
        "expires_after_seconds": schedule.expires_after_seconds,
        "set_back": schedule.set_back,
    }


def _schedule(row: sa.Row[Any]) -> Schedule:
    return Schedule(
        name=row.name,
        recurrence=_recurrence(row),
        missed=Missed(row.missed),
        task=row.task,
        configured=row.configured,
        next_at=row.next_at,
        last_at=row.last_at,
        created_at=row.created_at,
        expires_after_seconds=row.expires_after_seconds,
        set_back=row.set_back,
    )


def _recurrence(row: sa.Row[Any]) -> Recurrence | Interval:
    if row.every is not None:
        return Interval(row.every, row.timezone)
    return Recurrence(
        row.cron,
        row.timezone,
        None if row.clock_forward is None else ClockForward(row.clock_forward),
        None if row.clock_back is None else ClockBack(row.clock_back),
    )

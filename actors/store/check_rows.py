"""Rows that contradict themselves or have lost what they belong to."""

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from task_queue.actors.store import concurrency
from task_queue.actors.store.schema import attempts, in_state, schedules, tasks
from task_queue.actors.store.session import Session
from task_queue.actors.tasks.states import FINAL, Status

STEP_ROWS = 500
"""How many rows one transaction of a repair changes: some milliseconds."""
LAST_MOMENT = 253_402_300_800.0
"""The end of the year 9999, Unix seconds: no schedule is so rare."""
_LEASE_BITS = 62

Repair = Callable[[Session, Session], None]


@dataclass(frozen=True, slots=True)
class Check:
    """One thing to look at.

    Attributes:
        what: What is wrong, if anything is found.
        count: Returns how often it is found.
        repair: Mends all of it: looks in the first session, so that nobody has to wait, and changes
            in short transactions of the second. None: only a human can.
        advice: What to do where it cannot be repaired.
    """

    what: str
    count: Callable[[sa.Connection], int]
    repair: Repair | None = None
    advice: str = ""


t = tasks.c
_known = t.status.in_([status.value for status in Status])
_is_final = t.status.in_([status.value for status in FINAL])
_orphan = sa.not_(sa.exists().where(tasks.c.id == attempts.c.task_id))
_other = tasks.alias("other")
_holder = (
    sa.exists()
    .where(_other.c.queue == t.queue, _other.c.key == t.key, _other.c.processed_at.is_(None))
    .where(_other.c.status.in_([Status.QUEUED.value, Status.RUNNING.value]))
)
_stranded = sa.and_(in_state(Status.BLOCKED), sa.or_(t.key.is_(None), sa.not_(_holder)))
_final_without_end = sa.and_(_is_final, t.processed_at.is_(None))
_ended_early = sa.and_(_known, sa.not_(_is_final), t.processed_at.is_not(None))
_needless_lease = sa.and_(
    t.status != Status.RUNNING.value, sa.or_(t.lease_id.is_not(None), t.leased_until.is_not(None))
)
_no_lease = sa.and_(
    in_state(Status.RUNNING), sa.or_(t.lease_id.is_(None), t.leased_until.is_(None))
)
_timeless = sa.not_(schedules.c.next_at.between(0.0, LAST_MOMENT))
del t


def count_of(
    connection: sa.Connection, condition: sa.ColumnElement[bool], table: sa.Table = tasks
) -> int:
    """Return how many rows meet the condition."""
    query = sa.select(sa.func.count()).select_from(table).where(condition)
    return int(connection.execute(query).scalar_one())


def _counts(
    condition: sa.ColumnElement[bool], table: sa.Table = tasks
) -> Callable[[sa.Connection], int]:
    return lambda connection: count_of(connection, condition, table)


def _sets(condition: sa.ColumnElement[bool], **values: Any) -> Repair:  # noqa: ANN401
    """Return what changes the rows of the condition."""
    return _some_at_a_time(sa.update(tasks).values(**values), tasks.c.seq, condition)


def _some_at_a_time(
    change: sa.Update | sa.Delete, seq: sa.Column[int], condition: sa.ColumnElement[bool]
) -> Repair:
    find = sa.select(seq).where(condition).limit(STEP_ROWS)
    # The condition again: somebody else may have changed the row between the look and the change.
    change = change.where(condition, seq.in_(sa.bindparam("found", expanding=True)))

    def repair(reader: Session, writer: Session) -> None:
        changed = -1
        while changed:
            with reader.transaction():
                found = list(reader.connection.scalars(find))
            if not found:
                return
            with writer.transaction():
                changed = writer.connection.execute(change, {"found": found}).rowcount

    return repair


def _unblock(reader: Session, writer: Session) -> None:
    """Let one task of each key that nobody holds be ready, as a sweep of its queue would."""
    found = sa.select(tasks.c.queue, tasks.c.key).where(_stranded, tasks.c.key.is_not(None))
    with reader.transaction():
        keys = reader.connection.execute(found.distinct()).all()
    for queue, key in keys:
        with writer.transaction():
            concurrency.lock(writer.connection, [(queue, key, 1)])
            concurrency.unblock(writer.connection, queue, key, 1)
    keyless = sa.and_(in_state(Status.BLOCKED), tasks.c.key.is_(None))
    _sets(keyless, status=Status.QUEUED.value)(reader, writer)


CHECKS = (
    Check(
        "attempts of tasks that are not there",
        _counts(_orphan, attempts),
        _some_at_a_time(sa.delete(attempts), attempts.c.seq, _orphan),
    ),
    Check(
        "tasks in a state that there is not",
        _counts(sa.not_(_known)),
        None,
        "nobody can tell what they were: delete them, or set their status, in SQL",
    ),
    Check(
        "final tasks without the time of their end",
        _counts(_final_without_end),
        _sets(
            _final_without_end,
            processed_at=sa.cast(
                sa.func.coalesce(tasks.c.ended_at, tasks.c.created_at), sa.BigInteger
            ),
        ),
    ),
    Check(
        "unfinished tasks with a time of their end",
        _counts(_ended_early),
        _sets(_ended_early, processed_at=None),
    ),
    Check(
        "leases of tasks that do not run",
        _counts(_needless_lease),
        _sets(_needless_lease, lease_id=None, leased_until=None),
    ),
    Check(
        # A lease that has lapsed and nobody holds: a server takes it back by the usual rules.
        "running tasks without a lease",
        _counts(_no_lease),
        _sets(_no_lease, lease_id=secrets.randbits(_LEASE_BITS), leased_until=0.0),
    ),
    Check(
        "blocked tasks whose key no ready or running task has",
        _counts(_stranded),
        _unblock,
    ),
    Check(
        "schedules whose next time is impossible",
        _counts(_timeless, schedules),
        None,
        "put or delete them: PUT /schedules/{name}",
    ),
)

"""Whether the numbers that triggers keep are those of the rows.

How far a number is off does not change while tasks come and go, since every change is counted. So
it is found without a lock, in one statement that sees one state of rows and numbers, and then added
in a short transaction: a repair beside running nodes is exact.
"""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from task_queue.actors.store.check_rows import Check
from task_queue.actors.store.schema import counts, dead_groups, in_state, tasks
from task_queue.actors.store.session import Session, insert_into
from task_queue.actors.tasks.states import Status

_NAMES = ("scheduled", "blocked", "active", "completed", "dead", "cancelled", "bytes")


def _one_if(condition: sa.ColumnElement[bool]) -> sa.ColumnElement[int]:
    return sa.case((condition, 1), else_=0)


def _counts_off(connection: sa.Connection) -> Sequence[sa.Row[Any]]:
    """Return for each queue whose numbers are wrong what has to be added to them."""
    states = {
        name: in_state(Status(name)) for name in _NAMES if name not in {"active", "bytes"}
    } | {"active": sa.or_(in_state(Status.QUEUED), in_state(Status.RUNNING))}
    size = sa.func.octet_length(tasks.c.data)
    if connection.dialect.name == "sqlite":
        size = sa.func.length(sa.cast(tasks.c.data, sa.LargeBinary))
    amounts = {name: _one_if(states[name]) for name in _NAMES if name != "bytes"}
    amounts["bytes"] = sa.case((tasks.c.processed_at.is_(None), size), else_=0)
    both = sa.union_all(
        sa.select(tasks.c.queue, *(amounts[name].label(name) for name in _NAMES)),
        sa.select(counts.c.queue, *((-counts.c[name]).label(name) for name in _NAMES)),
    ).subquery()
    sums = {name: sa.func.sum(both.c[name]) for name in _NAMES}
    return connection.execute(
        sa.select(both.c.queue, *(sums[name].label(name) for name in _NAMES))
        .group_by(both.c.queue)
        .having(sa.or_(*(each != 0 for each in sums.values())))
    ).all()


def _add_counts(reader: Session, writer: Session) -> None:
    with reader.transaction():
        off = _counts_off(reader.connection)
    for row in off:
        numbers = {name: int(getattr(row, name)) for name in _NAMES}
        with writer.transaction():
            new = insert_into(writer.connection, counts).values(queue=row.queue, slot=0, **numbers)
            changed = {name: counts.c[name] + new.excluded[name] for name in _NAMES}
            writer.connection.execute(
                new.on_conflict_do_update(index_elements=["queue", "slot"], set_=changed)
            )


def _groups_off(connection: sa.Connection) -> list[dict[str, Any]]:
    """Return what to add to each group whose number is wrong, and the times of its rows."""
    group = sa.func.coalesce(tasks.c.error_group, "").label("error_group")
    at = tasks.c.processed_at
    names = ("queue", "action", "error_group")
    both = sa.union_all(
        sa.select(tasks.c.queue, tasks.c.action, group, sa.literal(1).label("number"), at).where(
            in_state(Status.DEAD)
        ),
        sa.select(*(dead_groups.c[name] for name in names), -dead_groups.c.number, sa.null()),
    ).subquery()
    number = sa.func.sum(both.c.number)
    found = connection.execute(
        sa.select(
            *(both.c[name] for name in names),
            number.label("number"),
            sa.func.min(both.c.processed_at).label("first_at"),
            sa.func.max(both.c.processed_at).label("last_at"),
        )
        .group_by(*(both.c[name] for name in names))
        .having(number != 0)
    )
    return [dict(row) for row in found.mappings()]


def _add_groups(reader: Session, writer: Session) -> None:
    with reader.transaction():
        off = _groups_off(reader.connection)
    for row in off:
        with writer.transaction():
            new = insert_into(writer.connection, dead_groups).values(
                **row | {"number": int(row["number"]), "slot": 0}
            )
            kept = dead_groups.c
            writer.connection.execute(
                new.on_conflict_do_update(
                    index_elements=["queue", "action", "error_group", "slot"],
                    set_={
                        "number": kept.number + new.excluded.number,
                        "first_at": sa.func.coalesce(kept.first_at, new.excluded.first_at),
                        "last_at": sa.func.coalesce(kept.last_at, new.excluded.last_at),
                    },
                )
            )
            if writer.connection.dialect.name == "sqlite":  # with one slot it is a group's only row
                writer.connection.execute(sa.delete(dead_groups).where(kept.number == 0))


CHECKS = (
    Check(
        "queues whose counts are not those of their tasks",
        lambda connection: len(_counts_off(connection)),
        _add_counts,
    ),
    Check(
        "groups of dead tasks whose number is not that of their tasks",
        lambda connection: len(_groups_off(connection)),
        _add_groups,
    ),
)

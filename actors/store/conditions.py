"""The conditions of a listing that are checked in the rows."""

from collections.abc import Collection, Sequence
from typing import Any

import orjson
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from task_queue.actors.store.schema import tasks
from task_queue.actors.tasks.filters import Filters
from task_queue.actors.tasks.states import Status

Condition = sa.ColumnElement[bool]

_TEXTS = postgresql.ARRAY(sa.Text)
_JSONB = postgresql.JSONB()
_INTEGERS = range(-(2**63), 2**63)
"""Those that data can hold."""


def states(filters: Filters) -> list[Status]:
    """Return the states asked for, with queued also blocked; none if it is all of them."""
    asked = set(filters.statuses)
    if Status.QUEUED in asked:
        asked.add(Status.BLOCKED)
    return [] if len(asked) == len(Status) else [each for each in Status if each in asked]


def conditions(
    connection: sa.Connection, filters: Filters, but: Collection[sa.Column[str]] = ()
) -> list[Condition]:
    """Return the conditions on other columns than these."""
    t = tasks.c
    wanted: dict[sa.Column[Any], list[str | None]] = {
        t.queue: [filters.queue],
        t.action: [filters.action],
        t.unique_key: [filters.unique_key],
        t.key: [filters.key],
        t.error_group: [filters.error_group],
        t.status: [*(status.value for status in states(filters))] or [None],
    }
    found = [
        sa.or_(*(looked_up(column) == value for value in values))
        for column, values in wanted.items()
        if values != [None] and column not in but
    ]
    if filters.actions is not None:
        found.append(looked_up(t.action).in_(filters.actions))
    is_sqlite = connection.dialect.name == "sqlite"
    if filters.error_contains is not None:
        # Unlike LIKE, these are case-sensitive everywhere, and have no wildcards.
        position = sa.func.instr if is_sqlite else sa.func.strpos
        found.append(position(t.error, filters.error_contains) > 0)
    has_member = _has_member_on_sqlite if is_sqlite else _has_member_on_postgresql
    found += [has_member(path.split("."), value) for path, value in filters.data]
    return found


def looked_up(column: sa.Column[str]) -> sa.ColumnElement[str]:
    """Return the column as an expression, so that no database uses an index on it."""
    return column.concat(sa.literal_column("''"))


def _has_member_on_sqlite(path: Sequence[str], text: str) -> Condition:
    """Return the condition that the data has this member with this value.

    A text is compared as it is, and what is JSON also as that: `17` is the number and the text.
    """
    # Names as JSON has them: SQLite compares them with what is between the quotes in the data.
    where = "$" + "".join(f".{orjson.dumps(name).decode()}" for name in path)
    kind, value = sa.func.json_type(tasks.c.data, where), sa.func.json_extract(tasks.c.data, where)
    same: Condition = sa.and_(kind == "text", value == text)
    match _scalar(text):
        case (bool() | None) as scalar:
            same |= kind == orjson.dumps(scalar).decode()
        case (int() | float()) as number:
            same |= sa.and_(kind.in_(["integer", "real"]), value == number)
    # Data that is no JSON, or none that SQLite can read, would be an error.
    return sa.case((sa.func.json_valid(tasks.c.data) == 1, same), else_=sa.false())


def _has_member_on_postgresql(path: Sequence[str], text: str) -> Condition:
    """Return the same, with a function of ours: a cast of data that is no JSON is an error."""
    value = sa.func.task_queue_member(tasks.c.data, sa.cast(list(path), _TEXTS))
    wanted = [orjson.dumps(text).decode()]
    scalar = _scalar(text)
    if not isinstance(scalar, str):
        wanted.append(orjson.dumps(scalar).decode())
    return sa.or_(*(value == sa.cast(sa.literal(each), _JSONB) for each in wanted))


def _scalar(text: str) -> str | float | bool | None:
    """Return the number, truth value or null that the text is as JSON; else the text."""
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError:
        return text
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, int):
        return value if value in _INTEGERS else text
    return value if isinstance(value, float) else text

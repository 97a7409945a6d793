"""The audit log as rows: stored before what they tell of is done."""

from typing import Any

import sqlalchemy as sa

from task_queue.actors.store.schema import audit
from task_queue.actors.tasks.audit import AuditEntry, AuditFilters

MAX_WALK = 10_000
"""A page ends early, even empty, where it had to look at so many entries."""
STEP_ROWS = 200
"""How many entries one step of housekeeping deletes, at most."""

_RECORD = sa.insert(audit).returning(audit.c.seq)
_NOTE = (
    sa.update(audit)
    .where(audit.c.seq == sa.bindparam("number"))
    .values(
        status=sa.bindparam("answered"),
        target=sa.func.coalesce(sa.bindparam("found", type_=sa.Text), audit.c.target),
    )
)
_FORGET = sa.delete(audit).where(
    audit.c.seq.in_(
        sa.select(audit.c.seq)
        .where(audit.c.at <= sa.bindparam("until"))
        .order_by(audit.c.at)
        .limit(STEP_ROWS)
    )
)


def record(connection: sa.Connection, entry: AuditEntry) -> int:
    """Store an entry; return its number."""
    columns = {
        "at": entry.at,
        "who": entry.who,
        "what": entry.what,
        "target": entry.target,
        "source": entry.source,
        "status": entry.status,
    }
    return int(connection.execute(_RECORD, columns).scalar_one())


def note_status(
    connection: sa.Connection, seq: int, status: int, target: str | None = None
) -> None:
    """Add to an entry how it was answered, and its target, if it is known better by now."""
    connection.execute(_NOTE, {"number": seq, "answered": status, "found": target})


def page(
    connection: sa.Connection, filters: AuditFilters, limit: int, before: int | None
) -> tuple[list[AuditEntry], int | None]:
    """Return the newest entries.

    Args:
        connection: Inside a transaction.
        filters: Which ones.
        limit: At most so many.
        before: Only those before this number; None: from the newest on.

    Returns:
        The entries, and the number before which to go on, if there may be more. There are fewer
        than asked for, or none, where they are far between (`MAX_WALK`).
    """
    newest = sa.select(audit.c.seq).order_by(audit.c.seq.desc())
    query = sa.select(audit).order_by(audit.c.seq.desc()).limit(limit + 1)
    if before is not None:
        newest, query = newest.where(audit.c.seq < before), query.where(audit.c.seq < before)
    end = None
    if filters != AuditFilters():
        end = connection.scalar(newest.offset(MAX_WALK).limit(1))
    if end is not None:
        query = query.where(audit.c.seq > end)
    if filters.who is not None:
        named = audit.c.who.startswith(f"{filters.who} (", autoescape=True)
        query = query.where(sa.or_(audit.c.who == filters.who, named))
    if filters.what is not None:
        query = query.where(audit.c.what == filters.what)
    found = [_entry(row) for row in connection.execute(query)]
    if len(found) > limit:
        return found[:limit], found[limit - 1].seq
    return found, None if end is None else end + 1


def forget(connection: sa.Connection, now: float, kept_seconds: int) -> int:
    """Delete the oldest entries that were kept long enough, some at a time; return how many."""
    return connection.execute(_FORGET, {"until": now - kept_seconds}).rowcount


def _entry(row: sa.Row[Any]) -> AuditEntry:
    return AuditEntry(
        at=row.at,
        who=row.who,
        what=row.what,
        target=row.target,
        source=row.source,
        status=row.status,
        seq=row.seq,
    )

"""Locks by name, so that nodes take turns; SQLite has but one writer."""

from collections.abc import Iterable

import sqlalchemy as sa

_LOCK = sa.select(
    sa.func.pg_advisory_xact_lock(
        sa.func.hashtextextended(sa.bindparam("lock_name", type_=sa.Text), sa.literal_column("0"))
    )
)


def take(connection: sa.Connection, names: Iterable[str]) -> None:
    """Hold these locks until the commit.

    Always in the same order, so that two nodes never wait for each other. That holds for the names
    of one call; who needs several must know them all before.
    """
    if connection.dialect.name == "postgresql":
        for name in sorted(set(names)):
            connection.execute(_LOCK, {"lock_name": name})

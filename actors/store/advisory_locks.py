"""Locks by name, so that nodes take turns; SQLite has but one writer."""

from collections.abc import Iterable
from enum import IntEnum
from zlib import crc32

import sqlalchemy as sa

LOCKS = 256
"""How many there are of each kind. Names that share one only take turns more often; one for each
name would use up PostgreSQL's table of locks, of which a batch could want a thousand."""

_TAKE = sa.text(
    "SELECT pg_advisory_xact_lock(:kind, number) FROM unnest(CAST(:numbers AS int[])) AS number"
)


class Kind(IntEnum):
    """What is locked; a transaction takes all it needs of one before any of the next."""

    PUBLISH = 1
    KEY = 2


def take(connection: sa.Connection, kind: Kind, names: Iterable[str]) -> None:
    """Hold these locks until the commit.

    Always in the same order, so that two nodes never wait for each other. That holds for the names
    of one call; who needs several must know them all before.
    """
    if connection.dialect.name == "postgresql":
        numbers = sorted({crc32(name.encode()) % LOCKS for name in names})
        if numbers:
            connection.execute(_TAKE, {"kind": kind.value, "numbers": numbers})

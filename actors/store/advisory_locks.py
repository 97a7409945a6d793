"""Locks by name, so that nodes take turns; SQLite has only one writer and needs none."""

from collections.abc import Iterable
from enum import IntEnum
from zlib import crc32

import sqlalchemy as sa

LOCKS = 256
"""How many locks of each kind there are. Names that share one only take turns more often; a lock of
each name's own would use up PostgreSQL's lock table, as one batch may need a thousand."""

_TAKE = sa.text(
    "SELECT pg_advisory_xact_lock(:kind, number) FROM unnest(CAST(:numbers AS int[])) AS number"
)


class Kind(IntEnum):
    """What is locked; a transaction takes all locks of one kind before any of the next."""

    PUBLISH = 1
    KEY = 2


def take(connection: sa.Connection, kind: Kind, names: Iterable[str]) -> None:
    """Take these locks, and hold them until the commit.

    Always in the same order, so that two nodes never wait for each other. That holds within one
    call, so a transaction must know all its names before it calls.
    """
    if connection.dialect.name == "postgresql":
        numbers = sorted({crc32(name.encode()) % LOCKS for name in names})
        if numbers:
            connection.execute(_TAKE, {"kind": kind.value, "numbers": numbers})

"""How large the database is."""

import sqlalchemy as sa

_SIZE = sa.text("SELECT pg_database_size(current_database())")


def size(connection: sa.Connection) -> int:
    """Return how large the database is on PostgreSQL, in bytes; of SQLite the files tell."""
    return int(connection.scalar(_SIZE) or 0)

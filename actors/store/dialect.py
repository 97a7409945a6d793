"""What SQLAlchemy has once for each database, with the same interface."""

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite


def insert_into(table: sa.Table, connection: sa.Connection) -> sqlite.Insert | postgresql.Insert:
    """An insert that knows `on_conflict_do_nothing`."""
    if connection.dialect.name == "sqlite":
        return sqlite.insert(table)
    return postgresql.insert(table)

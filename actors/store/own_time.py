"""What the clock of the database's machine says."""

import sqlalchemy as sa

from task_queue.actors.errors import StoreUnavailableError
from task_queue.actors.store.database import Database

_NOW = sa.text("SELECT extract(epoch FROM clock_timestamp())")


def own_time(database: Database) -> float | None:
    """Return the time of a PostgreSQL server in Unix seconds; None: it is a file of this machine.

    Raises:
        StoreUnavailableError: It cannot be asked.
    """
    if database.is_sqlite:
        return None
    try:
        with database.engine(read_only=True).connect() as connection:
            return float(connection.scalar(_NOW) or 0.0)
    except sa.exc.SQLAlchemyError as error:
        message = f"cannot ask the database {database.shown} for its time"
        raise StoreUnavailableError(message) from error

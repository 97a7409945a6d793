"""Whether a SQLite file is whole, and a database has all that this version makes."""

import re
import sqlite3
from contextlib import closing

import sqlalchemy as sa

from task_queue.actors.errors import StoreUnavailableError
from task_queue.actors.store.database import Database
from task_queue.actors.store.file_copy import open_to_read
from task_queue.actors.store.file_lock import FileLock
from task_queue.actors.store.schema import metadata

RESTORE = "stop the server and restore a backup: task-queue restore FILE"
MAX_LINES = 100
"""How many damages SQLite lists."""
TRIGGERS = frozenset(
    f"tasks_{what}_{event}"
    for what in ("count", "dead")
    for event in ("insert", "update", "delete")
)
"""Those that the migrations make on both databases."""
_OF_AN_INDEX = re.compile(
    r"(row \d+ missing from|wrong # of entries in|non-unique entry in) index ", re.IGNORECASE
)


def damage(database: Database) -> list[str]:
    """Return what is wrong in the file, a line each; nothing of PostgreSQL, see `pg_amcheck`."""
    if not database.is_sqlite:
        return []
    try:
        with closing(open_to_read(database.path)) as connection:
            found = connection.execute(f"PRAGMA integrity_check({MAX_LINES})")
            return [line for (line,) in found if line != "ok"]
    except sqlite3.DatabaseError as error:
        return [str(error)]


def is_in_indexes(lines: list[str]) -> bool:
    """Return whether only indexes are damaged, which hold nothing that is not in the rows."""
    return all(_OF_AN_INDEX.match(line) for line in lines)


def make_indexes_anew(database: Database) -> None:
    """Make all indexes of a SQLite file anew; that may take minutes, so nobody else may use it.

    Raises:
        DatabaseInUseError: A server does.
        StoreUnavailableError: It cannot be done.
    """
    lock = FileLock(database.path)
    lock.acquire()
    try:
        with database.engine().connect() as connection, connection.begin():
            connection.exec_driver_sql("REINDEX")
    except sa.exc.SQLAlchemyError as error:
        message = f"the indexes cannot be made anew: {error.__cause__}"
        raise StoreUnavailableError(message) from error
    finally:
        lock.release()


def missing(connection: sa.Connection) -> list[str]:
    """Return the tables, indexes and triggers that should be there and are not."""
    inspector = sa.inspect(connection)
    tables = set(inspector.get_table_names())
    lost = [f"the table {name}" for name in sorted(metadata.tables.keys() - tables)]
    for name, table in metadata.tables.items():
        if name in tables:
            there = {index["name"] for index in inspector.get_indexes(name)}
            lost += sorted(
                f"the index {each.name}" for each in table.indexes if each.name not in there
            )
    listed = "SELECT name FROM sqlite_schema WHERE type = 'trigger'"
    if connection.dialect.name != "sqlite":
        listed = "SELECT tgname FROM pg_trigger WHERE tgenabled <> 'D' AND NOT tgisinternal"
    triggers = set(connection.scalars(sa.text(listed)))
    return lost + [f"the trigger {name}" for name in sorted(TRIGGERS - triggers)]

"""Brings a database's schema to what this version of the code needs."""

import os
import sqlite3
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from glob import escape
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from task_queue.actors.errors import MigrationError, StoreUnavailableError
from task_queue.actors.store.database import Database
from task_queue.actors.store.database_file import LOG
from task_queue.actors.store.file_copy import copy_to
from task_queue.actors.store.revisions import REVISIONS, STEPS, check_is_known, known
from task_queue.config.logger import get_logger

ADVISORY_LOCK = 7_461_736_173
"""Held while migrating on PostgreSQL, so that processes that start at once take turns."""
_log = get_logger()

STEP_SECONDS = 3_600.0
"""How long one statement of a migration may take, as one over a large table does, and how long to
wait for another process that migrates."""
_PATIENT = tuple(
    f"SET LOCAL {name} = '{seconds:.0f}s'"
    for name, seconds in {
        "statement_timeout": STEP_SECONDS,
        "lock_timeout": STEP_SECONDS,
        "idle_in_transaction_session_timeout": 60.0,
    }.items()
)


def migrate(database: Database) -> None:
    """Bring the schema to head, in one transaction; do nothing if it is there.

    Raises:
        StoreUnavailableError: The database cannot be opened.
        MigrationError: A step failed (nothing of it is left), or the database is newer.
    """
    if database.is_sqlite:
        _check_log_has_its_file(database.path)
    try:
        with database.engine(create=True).connect() as connection, connection.begin():
            try:
                if _revisions(connection) != [known()[-1]]:
                    _upgrade(connection, database)
            except sa.exc.SQLAlchemyError as error:
                message = f"cannot migrate the database {database.shown}: {_first_line(error)}"
                raise MigrationError(message) from error
        if database.is_sqlite:
            _make_shrinkable(database)
    except sa.exc.SQLAlchemyError as error:
        message = f"cannot open the database {database.shown}: {_why_not_open(database, error)}"
        raise StoreUnavailableError(message) from error


def is_at_head(database: Database) -> bool:
    """Return whether the database is there, with the schema that this version needs.

    Raises:
        StoreUnavailableError: It cannot be opened; so of `has_table`.
    """
    return _looked_at(database, lambda connection: _revisions(connection) == [known()[-1]])


def has_table(database: Database, name: str) -> bool:
    """Return whether the database is there, with this table, whichever version has made it.

    Raises:
        MigrationError: A newer one has.
    """

    def look(connection: sa.Connection) -> bool:
        check_is_known(_revisions(connection), database.shown)
        return sa.inspect(connection).has_table(name)

    return _looked_at(database, look)


def _looked_at(database: Database, look: Callable[[sa.Connection], bool]) -> bool:
    if database.is_sqlite and not database.path.exists():
        return False
    try:
        with database.engine(read_only=True).connect() as connection:
            return look(connection)
    except sa.exc.SQLAlchemyError as error:
        message = f"cannot open the database {database.shown}: {_why_not_open(database, error)}"
        raise StoreUnavailableError(message) from error


def _revisions(connection: sa.Connection) -> list[str]:
    """Return at which revision the database is, as Alembic has noted it there."""
    if not sa.inspect(connection).has_table(REVISIONS):
        return []
    return list(connection.scalars(sa.text(f"SELECT version_num FROM {REVISIONS}")))  # noqa: S608


def _upgrade(connection: sa.Connection, database: Database) -> None:
    if not database.is_sqlite:  # first: to load Alembic may take longer than is allowed else
        raw: Any = connection.connection.driver_connection
        raw.limit_seconds = STEP_SECONDS + database.connect_timeout_seconds
        for statement in _PATIENT:
            connection.exec_driver_sql(statement)
    # Alembic takes a tenth of a start, and most find nothing to do.
    from alembic import command  # noqa: PLC0415
    from alembic.config import Config  # noqa: PLC0415
    from alembic.script import ScriptDirectory  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", str(STEPS))
    config.attributes["connection"] = connection
    scripts = ScriptDirectory.from_config(config)
    revisions = _revisions(connection)
    check_is_known(revisions, database.shown)
    if database.is_sqlite and database.copy_before_migration and revisions:
        pending = [step for step in scripts.walk_revisions() if step.revision > max(revisions)]
        if any(getattr(step.module, "rewrites", False) for step in pending):
            _copy_beside(database, max(revisions))
    if not database.is_sqlite:
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(ADVISORY_LOCK)))
    command.upgrade(config, "head")


def _copy_beside(database: Database, revision: str) -> None:
    """Copy the file, as it is committed, before its rows are rewritten: a way back.

    One of each revision: starts that are killed again and again while they migrate fill no disk.
    """
    path = database.path
    former = sorted(path.parent.glob(f"{escape(path.name)}.{revision}-*.bak"))
    for begun in path.parent.glob(f"{escape(path.name)}.{revision}-*.bak.*.part"):
        begun.unlink(missing_ok=True)  # whoever made it was killed, or it would have the lock
    moment = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    copy = path.with_name(f"{path.name}.{revision}-{moment}.bak")
    try:
        copied = copy_to(path, copy, replace=True)
    except StoreUnavailableError as error:
        message = (
            f"not migrated, since the copy that is made before could not be: {error}."
            " To do without it, set database.backup_before_migration = false"
        )
        raise MigrationError(message) from error
    for each in former:
        if each != copy:
            each.unlink(missing_ok=True)
    _log.info("database copied before its migration", file=str(copy), size=copied.size)


def _check_log_has_its_file(path: Path) -> None:
    """Refuse to make a new file beside the log of one that is gone: SQLite would delete the log."""
    log = path.with_name(f"{path.name}{LOG}")
    if not path.exists() and log.exists() and log.stat().st_size:
        raise StoreUnavailableError(
            f"the database file {path} is not there, but its write-ahead log {log.name} is, with"
            " tasks in it: put the file back, or delete the log to begin with an empty database"
        )


def _make_shrinkable(database: Database) -> None:
    """Rewrite a file of a former version once, so that it can give free pages back."""
    engine = database.engine()
    with engine.connect() as connection:
        raw = connection.connection.driver_connection
        if raw is not None and raw.execute("PRAGMA auto_vacuum").fetchone() == (0,):
            # Without room for it the file works as before, until the next start. Outside of
            # transactions; applies the `auto_vacuum` that each new connection asks for.
            with suppress(sqlite3.Error):
                raw.execute("VACUUM")


def _why_not_open(database: Database, error: sa.exc.SQLAlchemyError) -> str:
    line = _first_line(error)
    if database.is_sqlite and line == "unable to open database file":  # that is all it says
        try:
            os.close(os.open(database.path, os.O_RDWR))
        except OSError as reason:
            line += f": {reason.strerror}"
    return line


def _first_line(error: sa.exc.SQLAlchemyError) -> str:
    return str(getattr(error, "orig", None) or error).strip().splitlines()[0]

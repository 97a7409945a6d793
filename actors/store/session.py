"""The connection of an actor: its transactions, and statements that are compiled once."""

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from operator import attrgetter
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from task_queue.actors.errors import (
    BadRowError,
    ConnectionLostError,
    LockedError,
    QueryFailedError,
    StoreUnavailableError,
    TaskQueueError,
)
from task_queue.actors.store.database import Database, fold_log, log_is_whole
from task_queue.actors.store.database_file import DatabaseFile

if TYPE_CHECKING:
    from task_queue.actors.store.postgresql import Connection

_LOCKED_SQLSTATES = ("40", "55P03")
"""How PostgreSQL's codes begin for what a neighbour is to blame for: a deadlock, a lock that was
not to be had in time."""
_LOST_SQLSTATES = ("08", "25P03", "57P")
"""How those begin with which the server, or a pooler before it, ends a connection."""


class Session:
    """One connection to the database, opened when first needed and again after it broke.

    Used by one thread only.

    Attributes:
        openings: How often it was opened.
    """

    def __init__(
        self, database: Database, *, read_only: bool = False, file: DatabaseFile | None = None
    ) -> None:
        """Store which database to use, without touching it.

        Args:
            database: Where it is and how to connect.
            read_only: Whether this connection may not write.
            file: SQLite: the file that is meant, of which no other by its name is opened.
        """
        self.openings = 0
        self._file = file
        self._engine = database.engine(read_only=read_only)
        self._open: sa.Connection | None = None

    @property
    def is_open(self) -> bool:
        """Whether there is a connection."""
        return self._open is not None

    @property
    def connection(self) -> sa.Connection:
        """The connection, inside a transaction."""
        if self._open is None:
            message = "statements belong inside a transaction"
            raise RuntimeError(message)
        return self._open

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Run the block in a transaction: committed and on disk at its end, or rolled back.

        Raises:
            BadRowError: The database refuses what was written, and keeps nothing of it. Other
                writes may be tried at once.
            LockedError: Another session is in the way; nothing was kept.
            ConnectionLostError: It broke during the block, or had been closed from outside before;
                nothing was kept.
            StoreUnavailableError: The database cannot be reached or cannot write. If it was the
                commit that failed, whether it took effect is unknown. The connection is closed.
        """
        is_commit = False
        try:
            if self._open is None:
                if self._file is not None:
                    self._file.check_is_same()
                self._open = self._engine.connect()
                self.openings += 1
            with self._open.begin():
                yield
                is_commit = True
        except sa.exc.SQLAlchemyError as error:
            told = _told(error)
            if type(told) is StoreUnavailableError:
                if self._open is not None and not is_commit and _is_lost(error):
                    told = ConnectionLostError(str(told))
                self.close()
            raise told from error

    @contextmanager
    def savepoint(self) -> Iterator[None]:
        """Run the block as a part of the transaction that may fail alone.

        Raises:
            BadRowError: The database refuses this part; the transaction goes on without it.
            LockedError: Another session is in the way of this part; so it does.
        """
        try:
            with self.connection.begin_nested():
                yield
        except sa.exc.DBAPIError as error:
            told = _told(error)
            if type(told) is StoreUnavailableError:
                raise
            raise told from error

    @property
    def risks(self) -> tuple[str, ...]:
        """Sentences on what PostgreSQL does not promise as it is set up."""
        driver = _of_postgresql(self.connection)
        return () if driver is None else driver.risks

    def fold_log(self) -> bool:
        """Give the space of SQLite's log back, outside of transactions; return whether it is."""
        driver = self._sqlite
        return driver is not None and fold_log(driver)

    @property
    def log_is_whole(self) -> bool:
        """Whether SQLite finds in its log what it has written there; outside of transactions."""
        driver = self._sqlite
        return driver is not None and log_is_whole(driver)

    @property
    def _sqlite(self) -> sqlite3.Connection | None:
        driver = None if self._open is None else self._open.connection.driver_connection
        return driver if isinstance(driver, sqlite3.Connection) else None

    def wait_for_no_lock(self) -> None:
        """Have statements fail at once until the end of the transaction, instead of waiting."""
        if self.connection.dialect.name == "postgresql":
            self.connection.exec_driver_sql("SET LOCAL lock_timeout = 1")  # ms, the least there is

    @contextmanager
    def asking(self) -> Iterator[sa.Connection]:
        """Run the block's queries, and distinguish one that fails from a database that is gone.

        Raises:
            QueryFailedError: The database is there but could not answer.
        """
        try:
            yield self.connection
        except (sa.exc.ProgrammingError, sa.exc.OperationalError) as error:
            # SQLite reports "no such table" with the error class of "disk full"; its code differs.
            code = getattr(error.orig, "sqlite_errorcode", None)
            if isinstance(error, sa.exc.OperationalError) and code != sqlite3.SQLITE_ERROR:
                raise
            raise QueryFailedError(_reason(error)) from error

    def close(self) -> None:
        """Close the connection, if it is open; the next transaction opens a new one."""
        if self._open is not None:
            connection, self._open = self._open, None
            try:
                connection.invalidate()
            finally:
                connection.close()


class Prepared:
    """A statement that is compiled once for each kind of database, and executed by its driver.

    SQLAlchemy Core looks a statement up in its cache and works through its parameters by name at
    every execution: some 30 µs a statement and 7 µs a row on top of what SQLite needs, which is
    4 µs a row. So the hot statements are compiled when they are first executed, and their
    parameters are read off our own objects, by position. Core's execution of plain text still takes
    10 µs a statement, so the driver executes it; errors are SQLAlchemy's all the same.
    """

    def __init__(self, statement: sa.Executable, attributes: Mapping[str, str]) -> None:
        """Store the statement.

        Args:
            statement: The statement; it has literals instead of constant parameters.
            attributes: Parameter to the dotted name of the attribute it is read from, at least
                two; of an insert, also which columns it has.
        """
        self._statement: Any = statement  # the compilers of statements have no common type
        self._attributes = attributes
        self._compiled: dict[str, tuple[str, Callable[[Any], tuple[Any, ...]]]] = {}

    def execute(self, connection: sa.Connection, rows: Iterable[object]) -> int:
        """Execute it once for each of the objects, and return how many rows it found."""
        text, parameters = self._compiled_for(connection.dialect)
        values = list(map(parameters, rows))
        # psycopg pipelines many, after which PostgreSQL's limit for idle transactions does not act
        # until the next statement.
        many = len(values) != 1
        return _execute(connection, text, values if many else values[0], many=many)[1]

    def fetch(self, connection: sa.Connection, row: object) -> Sequence[tuple[Any, ...]]:
        """Execute it for this object, and return the rows that it returns."""
        text, parameters = self._compiled_for(connection.dialect)
        return _execute(connection, text, parameters(row), many=False)[0]

    def _compiled_for(self, dialect: sa.Dialect) -> tuple[str, Callable[[Any], tuple[Any, ...]]]:
        if (compiled := self._compiled.get(dialect.name)) is None:
            # Each driver's own mark for a parameter; psycopg would otherwise have them by name.
            style = "qmark" if dialect.name == "sqlite" else "format"
            by_position = type(dialect)(paramstyle=style)  # type: ignore[call-arg] # all take it
            made = self._statement.compile(dialect=by_position, column_keys=list(self._attributes))
            names = (self._attributes[name] for name in made.positiontup)
            compiled = self._compiled[dialect.name] = str(made), attrgetter(*names)
        return compiled


def _of_postgresql(connection: sa.Connection) -> "Connection | None":
    """Return the driver's connection, if it is one to PostgreSQL."""
    driver = connection.connection.driver_connection
    return None if isinstance(driver, sqlite3.Connection) else driver


def insert_into(connection: sa.Connection, table: sa.Table) -> sqlite.Insert | postgresql.Insert:
    """Return an insert that has `on_conflict_do_nothing`, which each dialect has on its own."""
    return sqlite.insert(table) if connection.dialect.name == "sqlite" else postgresql.insert(table)


def _execute(
    connection: sa.Connection,
    text: str,
    parameters: Any,  # noqa: ANN401 - one row's, or those of many
    *,
    many: bool,
) -> tuple[Sequence[tuple[Any, ...]], int]:
    """Execute a compiled statement, and return its rows, and how many it found."""
    try:
        cursor = connection.connection.cursor()
        try:
            if many:
                cursor.executemany(text, parameters)
            else:
                cursor.execute(text, parameters)
            return cursor.fetchall() if cursor.description else (), cursor.rowcount
        finally:
            cursor.close()  # or a closed connection would keep its locks
    except connection.dialect.loaded_dbapi.Error as error:
        errors = connection.dialect.loaded_dbapi.Error
        told = sa.exc.DBAPIError.instance(text, None, error, errors, dialect=connection.dialect)
        if _is_lost(told):  # or the rollback would fail, and say less
            connection.invalidate(error)
        raise told from error


def _told(error: sa.exc.SQLAlchemyError) -> TaskQueueError:
    """Return what those who wrote are told."""
    if isinstance(error, sa.exc.IntegrityError | sa.exc.DataError):
        return BadRowError(_reason(error))
    sqlstate = getattr(getattr(error, "orig", None), "sqlstate", None) or ""
    if sqlstate.startswith(_LOCKED_SQLSTATES):
        return LockedError(_reason(error))
    return StoreUnavailableError(_reason(error))


def _is_lost(error: sa.exc.SQLAlchemyError) -> bool:
    """Return whether PostgreSQL's connection broke, instead of a statement being refused.

    Not whether it is closed: behind a pooler it may be of no use some time before.
    """
    sqlstate = getattr(getattr(error, "orig", None), "sqlstate", "")
    return sqlstate is None or sqlstate.startswith(_LOST_SQLSTATES)  # none: the driver's own error


def _reason(error: sa.exc.SQLAlchemyError) -> str:
    """Return the database's message, in one line, without the statement and its parameters."""
    original = getattr(error, "orig", None) or error
    return next(iter(str(original).strip().splitlines()), type(original).__name__)

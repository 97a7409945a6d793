"""Where the database is, and how each connection to it is set up."""

import sqlite3
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa

SQLITE_CACHE_KIB = 8_192


@dataclass(frozen=True, slots=True)
class Database:
    """A database, and how long to wait for it.

    Attributes:
        url: `sqlite:///path` or `postgresql+psycopg://…`.
        busy_timeout_seconds: SQLite: how long to wait for a lock of another process.
        connect_timeout_seconds: PostgreSQL: how long to wait for a connection.
        statement_timeout_seconds: PostgreSQL: how long one statement may take.
    """

    url: str
    busy_timeout_seconds: float = 5.0
    connect_timeout_seconds: int = 5
    statement_timeout_seconds: float = 30.0

    @property
    def is_sqlite(self) -> bool:
        """Whether it is a file that belongs to one process."""
        return sa.make_url(self.url).get_backend_name() == "sqlite"

    @property
    def path(self) -> Path:
        """The SQLite file."""
        return Path(sa.make_url(self.url).database or "")

    @property
    def shown(self) -> str:
        """The URL without its password."""
        return sa.make_url(self.url).render_as_string(hide_password=True)

    def engine(self, *, read_only: bool = False) -> sa.Engine:
        """Make an engine without a pool: every actor keeps the one connection it opens."""
        if self.is_sqlite:
            engine = sa.create_engine(
                self.url,
                poolclass=sa.NullPool,
                connect_args={"timeout": self.busy_timeout_seconds},
            )
            sa.event.listen(engine, "connect", _sqlite_setup(read_only=read_only))
            # A reader's transaction is one statement, which sees one state anyway.
            if not read_only:
                # Not as an event, which would be half of a transaction's overhead.
                engine.dialect.do_begin = _sqlite_begin  # type: ignore[assignment, method-assign]
            return engine
        milliseconds = int(self.statement_timeout_seconds * 1000)
        return sa.create_engine(
            self.url,
            poolclass=sa.NullPool,
            connect_args={
                "connect_timeout": self.connect_timeout_seconds,
                # How long until a server that does not answer counts as gone.
                "tcp_user_timeout": self.connect_timeout_seconds * 1000,
                "application_name": "task-queue",
                "options": f"-c statement_timeout={milliseconds} -c lock_timeout={milliseconds}"
                f" -c default_transaction_read_only={'on' if read_only else 'off'}"
                # A commit is on disk when it returns, whatever the server's own default is.
                " -c synchronous_commit=on",
            },
        )


def _sqlite_setup(*, read_only: bool) -> Callable[[sqlite3.Connection, Any], None]:
    def setup(connection: sqlite3.Connection, _record: Any) -> None:  # noqa: ANN401
        connection.isolation_level = None  # transactions begin where `_sqlite_begin` says
        if not read_only:
            # Before the first table, or the file has to be rewritten: see `migrate`. Only once,
            # as it would be a write each time.
            if connection.execute("PRAGMA auto_vacuum").fetchone() == (0,):
                connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
            # Readers do not block the writer, and one fsync makes a whole group commit durable.
            connection.execute("PRAGMA journal_mode = WAL").fetchall()
            _fold_log(connection)
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute(f"PRAGMA cache_size = -{SQLITE_CACHE_KIB}")
        connection.execute(f"PRAGMA query_only = {'ON' if read_only else 'OFF'}")

    return setup


def _fold_log(connection: sqlite3.Connection) -> None:
    """Move the pages in the write-ahead log into the file, and give the log's space back.

    SQLite does that after a commit. But where the log took the last space of a disk, no commit
    succeeds any more: without this the writer could not recover by itself.
    """
    with suppress(sqlite3.OperationalError):  # no room for that either: the next commit fails
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()


def _sqlite_begin(connection: Any) -> None:  # noqa: ANN401 - SQLAlchemy's name for a driver's
    # IMMEDIATE takes the write lock at once: a transaction that read first and then wanted to
    # write could be refused half-way.
    connection.execute("BEGIN IMMEDIATE")

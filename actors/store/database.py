"""Where the database is, and how each connection to it is set up."""

import sqlite3
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

import sqlalchemy as sa

from task_queue.actors.errors import StoreUnavailableError

SQLITE_CACHE_KIB = 8_192
LOG_BYTES = 8 * 2**20
"""How large SQLite's write-ahead log stays: twice what it usually needs between two checkpoints."""
LOCK_SECONDS = 1.0
"""How long a statement waits for a lock that another session holds. Then the writes that need it
are made apart from the others of their commit, which do not have to wait as well."""
IDLE_SECONDS = 1.5
"""How long the server lets one of our transactions wait for its next statement. A node that hangs
or is frozen holds locks that all others need; a healthy one takes milliseconds."""
_SQLITE = "sqlite:///"


@dataclass(frozen=True, slots=True)
class Database:
    """A database, and how long to wait for it.

    Attributes:
        url: `sqlite:///path`, or as libpq has it: `postgresql://…`.
        busy_timeout_seconds: SQLite: how long to wait for a lock of another process.
        connect_timeout_seconds: PostgreSQL: how long to wait for a connection.
        statement_timeout_seconds: PostgreSQL: how long one statement may take.
        lock_timeout_seconds: PostgreSQL: how long one statement may wait for a lock.
        idle_timeout_seconds: PostgreSQL: how long a transaction may wait for its next statement.
        options: PostgreSQL: settings of the server that the URL asks for, by name.
        environment: PostgreSQL: what libpq's environment variables say besides, by parameter.
        copy_before_migration: SQLite: whether a copy is made before a migration rewrites rows.
    """

    url: str
    busy_timeout_seconds: float = 5.0
    connect_timeout_seconds: int = 5
    statement_timeout_seconds: float = 30.0
    lock_timeout_seconds: float = LOCK_SECONDS
    idle_timeout_seconds: float = IDLE_SECONDS
    options: Mapping[str, str] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
    copy_before_migration: bool = False

    @property
    def is_sqlite(self) -> bool:
        """Whether it is a file that belongs to one process."""
        return self.url.startswith(_SQLITE)

    @property
    def path(self) -> Path:
        """The SQLite file."""
        return Path(sa.make_url(self.url).database or "")

    @property
    def shown(self) -> str:
        """The URL without its password and parameters."""
        if self.is_sqlite:
            return self.url
        from psycopg.conninfo import conninfo_to_dict  # noqa: PLC0415 - see `engine`

        parts = conninfo_to_dict(self.url)
        user = f"{parts['user']}@" if "user" in parts else ""
        port = f":{parts['port']}" if "port" in parts else ""
        return f"postgresql://{user}{parts.get('host', '')}{port}/{parts.get('dbname', '')}"

    def engine(self, *, read_only: bool = False, create: bool = False) -> sa.Engine:
        """Make an engine without a pool: every actor keeps the one connection it opens.

        Args:
            read_only: Whether its connections may not write.
            create: Whether a SQLite file that is not there is made.
        """
        if self.is_sqlite:
            # Never a new, empty file in place of one that was lost.
            mode = "rwc" if create else "rw"
            engine = sa.create_engine(
                _SQLITE,
                poolclass=sa.NullPool,
                creator=lambda: sqlite3.connect(
                    f"file:{quote(str(self.path))}?mode={mode}",
                    uri=True,
                    timeout=self.busy_timeout_seconds,
                    check_same_thread=False,  # an actor's, but closed by whoever is last
                ),
            )
            sa.event.listen(engine, "connect", _sqlite_setup(read_only=read_only))
            # A reader's transaction is one statement, which sees one state anyway.
            if not read_only:
                # Not as an event, which would be half of a transaction's overhead.
                engine.dialect.do_begin = _sqlite_begin  # type: ignore[assignment, method-assign]
            return engine
        # Its driver takes a twentieth of a start, and SQLite does without.
        from task_queue.actors.store import postgresql  # noqa: PLC0415

        terms = postgresql.Terms(
            read_only=read_only,
            connect_timeout_seconds=self.connect_timeout_seconds,
            statement_timeout_seconds=self.statement_timeout_seconds,
            lock_timeout_seconds=self.lock_timeout_seconds,
            idle_timeout_seconds=self.idle_timeout_seconds,
            options=self.options,
            environment=self.environment,
        )
        # libpq reads the URL: all that its documentation says of URLs holds.
        engine = sa.create_engine(
            "postgresql+psycopg://",
            poolclass=sa.NullPool,
            creator=partial(postgresql.connect, self.url, terms),
        )
        engine.dialect.do_begin = postgresql.begin  # type: ignore[assignment, method-assign]
        return engine


def environment(url: str) -> Mapping[str, str]:
    """Return what the environment of this process says of the database now."""
    if url.startswith(_SQLITE):
        return {}
    from task_queue.actors.store import postgresql  # noqa: PLC0415 - see `engine`

    return postgresql.from_environment(url)


def absolute_url(url: str) -> str:
    """Return the URL with the path of a SQLite file from the root on.

    Raises:
        StoreUnavailableError: No URL can hold this path.
    """
    if not url.startswith(_SQLITE):
        return url
    made = sa.make_url(url)
    absolute = made.set(database=str(Path(made.database or "").absolute()))
    try:
        return absolute.render_as_string(hide_password=False)
    except UnicodeEncodeError as error:
        message = f"the path of the database, {absolute.database!a}, must be UTF-8"
        raise StoreUnavailableError(message) from error


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
            connection.execute(f"PRAGMA journal_size_limit = {LOG_BYTES}").fetchall()
            fold_log(connection)
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute(f"PRAGMA cache_size = -{SQLITE_CACHE_KIB}")
        connection.execute(f"PRAGMA query_only = {'ON' if read_only else 'OFF'}")

    return setup


def fold_log(connection: sqlite3.Connection) -> bool:
    """Move the pages in the write-ahead log into the file, and give the log's space back.

    SQLite does that after a commit. But where the log took the last space of a disk, no commit
    succeeds any more: without this the writer could not recover by itself.

    Returns:
        Whether it is done: not while somebody reads what is in the log, as nobody is waited for.
    """
    ((patience,),) = connection.execute("PRAGMA busy_timeout").fetchall()
    connection.execute("PRAGMA busy_timeout = 0").fetchall()
    try:
        ((busy, _, _),) = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    except sqlite3.OperationalError:  # no room for that either: the next commit fails
        return False
    finally:
        connection.execute(f"PRAGMA busy_timeout = {patience}").fetchall()
    return not busy


def log_is_whole(connection: sqlite3.Connection) -> bool:
    """Return whether what the write-ahead log should hold is there, by moving it into the file.

    Unlike `fold_log` it is no matter of who else reads or writes.
    """
    try:
        connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
    except sqlite3.OperationalError:
        return False
    return True


def _sqlite_begin(connection: Any) -> None:  # noqa: ANN401 - SQLAlchemy's name for a driver's
    # IMMEDIATE takes the write lock at once: a transaction that read first and then wanted to
    # write could be refused half-way.
    connection.execute("BEGIN IMMEDIATE")

"""Puts a backup in the place of a SQLite database that nobody uses."""

import os
import secrets
import sqlite3
from collections.abc import Collection
from contextlib import closing, suppress
from datetime import UTC, datetime
from pathlib import Path

from task_queue.actors.errors import StoreUnavailableError
from task_queue.actors.store.database_file import INDEX, LOG
from task_queue.actors.store.file_copy import Copied, copy_file, part_of, sync_directory
from task_queue.actors.store.file_lock import FileLock

LEASE_BITS = 62
"""As those that are drawn by a claim."""
_JOURNAL = "-journal"


def restore(
    database: Path, backup: Path, *, replace: bool, paused: Collection[str] | None
) -> tuple[Copied, Path | None]:
    """Put a copy of the backup in the place of the database, whole or not at all.

    What ran when the backup was made is given back by the next server, as after a crash: each lease
    is replaced by one that has lapsed and that nobody holds, so that no worker of then settles it.

    Args:
        database: Where the database is to be.
        backup: A copy as `file_copy` makes it, of this version or a former one.
        replace: Whether a database that is there is replaced; it is kept under another name.
        paused: The queues to pause, besides all that the backup knows; None: none is paused.

    Returns:
        What was restored, and where the former database is now.

    Raises:
        DatabaseInUseError: A server has the database.
        StoreUnavailableError: It cannot be restored; all is as it was.
        MigrationError: The backup is not a database of ours, or is newer than this version.
    """
    real = Path(os.path.realpath(database))
    lock = FileLock(database)
    lock.acquire()
    made = part_of(real)
    try:
        if _is_there(real) and not replace:
            message = (
                f"there is a database {database} already: give --force to replace it; it is kept"
                " under another name"
            )
            raise StoreUnavailableError(message)
        copied = copy_file(backup, made)
        _forget_the_running(made, paused)
        return copied, _put(made, real)
    except OSError as error:
        message = f"cannot write in the directory {real.parent}: {error.strerror}"
        raise StoreUnavailableError(message) from error
    finally:
        made.unlink(missing_ok=True)
        lock.release()


def _is_there(real: Path) -> bool:
    """Whether there is a database, or the log of one that is gone, which has tasks in it."""
    log = _beside(real, LOG)
    return real.exists() or (log.exists() and log.stat().st_size > 0)


def _forget_the_running(made: Path, paused: Collection[str] | None) -> None:
    try:
        with closing(sqlite3.connect(made, isolation_level=None)) as copy:
            copy.execute("PRAGMA synchronous = FULL")
            copy.execute("BEGIN IMMEDIATE")
            copy.execute(
                "UPDATE tasks SET lease_id = ?, leased_until = 0 WHERE status = 'running'",
                [secrets.randbits(LEASE_BITS)],
            )
            tables = {name for (name,) in copy.execute("SELECT name FROM sqlite_schema")}
            if "nodes" in tables:  # they are gone, and nobody is to be warned of them
                copy.execute("DELETE FROM nodes")
            if paused is not None:
                _pause(copy, paused)
            copy.execute("COMMIT")
    except sqlite3.Error as error:
        raise StoreUnavailableError(f"cannot prepare the file {made}: {error}") from error


def _pause(copy: sqlite3.Connection, names: Collection[str]) -> None:
    found = copy.execute("SELECT queue FROM counts UNION SELECT name FROM queues").fetchall()
    copy.executemany(
        "INSERT INTO queues (name, paused, tokens, refilled_at) VALUES (?, 1, 1, 0)"
        " ON CONFLICT (name) DO UPDATE SET paused = 1",
        [(name,) for name in {*names, *(name for (name,) in found)}],
    )


def _put(made: Path, real: Path) -> Path | None:
    """Replace the database; after a crash between any two steps the one or the other is there.

    A log must never meet another database than its own: SQLite would write the one over the other.
    """
    kept = None
    if _is_there(real):
        moment = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
        kept = real.with_name(f"{real.name}.{moment}.old")
        _fold(real)
        for suffix in ("", LOG, _JOURNAL):  # a log that could not be folded, of a damaged file
            if _beside(real, suffix).exists():
                os.link(_beside(real, suffix), _beside(kept, suffix))
    sync_directory(real.parent)
    for suffix in (LOG, _JOURNAL, INDEX):
        _beside(real, suffix).unlink(missing_ok=True)
    made.replace(real)
    sync_directory(real.parent)
    return kept


def _fold(real: Path) -> None:
    """Have all of a database in its one file, if it is not damaged."""
    with suppress(sqlite3.Error), closing(sqlite3.connect(real, isolation_level=None)) as former:
        former.execute("PRAGMA journal_mode = DELETE").fetchall()


def _beside(path: Path, suffix: str) -> Path:
    return path.with_name(f"{path.name}{suffix}")

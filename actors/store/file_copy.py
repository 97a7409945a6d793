"""Copies a SQLite database, also while others write to it, and checks the copy."""

import os
import shutil
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from glob import escape
from pathlib import Path
from urllib.parse import quote

from task_queue.actors.errors import StoreUnavailableError
from task_queue.actors.store.database_file import LOG
from task_queue.actors.store.revisions import check_is_ours, revision_of

STEP_PAGES = 256
"""How many pages are copied at once: 1 MiB, some milliseconds. With 64 a copy takes twice as long,
and publishes beside it are not faster."""
REST = 3.0
"""How long a copy beside a server rests after each step, in times that the step took: it leaves
three quarters of the disk and of a processor to the server."""
MAX_REST_SECONDS = 0.1
HURRY_BYTES = 64 * 2**20
"""From which size of the write-ahead log on a copy rests no more: what is in the log cannot be
moved into the database as long as an older state of it is read."""
MAX_LOG_BYTES = 2**30
"""At which size of the log a copy gives up."""
WAIT_SECONDS = 5.0
"""How long to wait for a lock, as while a server starts."""
_MIB = 2**20
_SIDES = (LOG, "-journal")
_MAGIC = b"SQLite format 3\0"
"""How each file of SQLite begins (https://www.sqlite.org/fileformat.html, section 1.3)."""


@dataclass(frozen=True, slots=True)
class Copied:
    """A copy that was checked.

    Attributes:
        size: Bytes.
        revision: Of its schema.
        tasks: How many there are in it.
    """

    size: int
    revision: str
    tasks: int


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast to copy.

    Attributes:
        rest: How long to rest after each step, in times that the step took.
        spare_bytes: What has to stay free on the disk.
        max_log_bytes: At which size of the source's log to give up.
        wait: Waits so many seconds.
    """

    rest: float = 0.0
    spare_bytes: int = 0
    max_log_bytes: int = MAX_LOG_BYTES
    wait: Callable[[float], None] = time.sleep


AT_ONCE = Pace()


def copy_to(source: Path, target: Path, pace: Pace = AT_ONCE, *, replace: bool = False) -> Copied:
    """Copy one state of a database to another file, which is there once the copy is on disk.

    The source is read in one transaction, so that writes go on meanwhile, and do not make the copy
    begin anew.

    Args:
        source: The database; its log is read as well.
        target: Where the copy goes.
        pace: How fast.
        replace: Whether a file that is there is replaced.

    Returns:
        What was copied, as the copy says.

    Raises:
        StoreUnavailableError: It could not be copied; nothing is left of the copy.
        MigrationError: It is not a database of ours, or that of a newer version.
    """
    check_is_free(target, replace=replace)
    made = part_of(target)
    try:
        copied = copy_file(source, made, pace)
        check_is_free(target, replace=replace)
        made.replace(target)
        sync_directory(target.parent)
    except OSError as error:
        message = f"cannot write the file {target}: {error.strerror}"
        raise StoreUnavailableError(message) from error
    finally:
        made.unlink(missing_ok=True)
    return copied


def part_of(target: Path) -> Path:
    """Return the name under which a file is made; what killed processes have left of it goes."""
    for left in target.parent.glob(f"{escape(target.name)}.*.part"):
        process = left.name.removeprefix(f"{target.name}.").removesuffix(".part")
        if process.isdigit() and not _is_another(int(process)):
            left.unlink(missing_ok=True)
    return target.with_name(f"{target.name}.{os.getpid()}.part")


def _is_another(process: int) -> bool:
    """Return whether this is the number of another process that lives."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):  # of another user; or a name that is none of ours
        return True
    return process != os.getpid()


def check_is_free(target: Path, *, replace: bool) -> None:
    """Accept a name for a new file.

    Raises:
        StoreUnavailableError: There is a file, which may not be replaced.
    """
    if not target.parent.is_dir():
        raise StoreUnavailableError(f"there is no directory {target.parent}")
    if target.is_dir():
        raise StoreUnavailableError(f"{target} is a directory: give the name of a file in it")
    for suffix in _SIDES:
        side = target.with_name(f"{target.name}{suffix}")
        if side.exists():  # SQLite would take it for a part of the new file
            message = f"{target} is in use, or was left by a crash: there is {side.name} beside it"
            raise StoreUnavailableError(message)
    if target.exists() and not replace:
        message = f"{target} is there already: take another name, or give --force to replace it"
        raise StoreUnavailableError(message)
    if target.exists() and not _is_a_database(target):
        message = f"{target} is no SQLite database, and only such a file is replaced"
        raise StoreUnavailableError(message)


def _is_a_database(path: Path) -> bool:
    """Return whether a file is one of SQLite, or empty."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(len(_MAGIC)) in {_MAGIC, b""}


def copy_file(source: Path, target: Path, pace: Pace = AT_ONCE) -> Copied:
    """Copy one state of a database to a new file, on disk when this returns; look through the copy.

    Raises:
        StoreUnavailableError: It could not be copied; the target may be there in part.
        MigrationError: It is not a database of ours, or that of a newer version.
        OSError: The target cannot be made.
    """
    with _explained(f"cannot copy the database {source}"):
        with closing(open_to_read(source)) as reader:
            reader.execute("BEGIN")
            revision = check_is_ours(reader, source)
            before = _rows(reader)
            _copy_pages(reader, source, target, pace)
        return _looked_through(target, before, revision)


def open_to_read(path: Path) -> sqlite3.Connection:
    """Return a connection that writes nothing, as nobody who reads it leaves anything behind.

    Raises:
        sqlite3.Error: It cannot be opened.
    """
    real = Path(os.path.realpath(path))
    # "rw", or SQLite would leave the log that it makes for a reader.
    connection = sqlite3.connect(
        f"file:{quote(str(real))}?mode=rw", uri=True, timeout=WAIT_SECONDS, isolation_level=None
    )
    try:
        connection.execute("PRAGMA query_only = ON")
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def sync_directory(directory: Path) -> None:
    """Have the names in it survive a power cut."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _copy_pages(reader: sqlite3.Connection, source: Path, target: Path, pace: Pace) -> None:
    ((pages,),) = reader.execute("PRAGMA page_count").fetchall()
    ((page_size,),) = reader.execute("PRAGMA page_size").fetchall()
    _check_room(target.parent, pages * page_size, pace.spare_bytes)
    log = Path(f"{os.path.realpath(source)}{LOG}")
    mode = source.stat().st_mode & 0o777  # whoever may not read the tasks there may not here
    descriptor = os.open(target, os.O_CREAT | os.O_EXCL | os.O_RDWR, mode)
    began = time.monotonic()

    def after_step(_status: int, _remaining: int, _total: int) -> None:
        nonlocal began
        # Bit by bit: to write all of it at the end would hold up the server's own commits.
        os.fdatasync(descriptor)
        _check_room(target.parent, 0, pace.spare_bytes)
        grown = log.stat().st_size if log.exists() else 0
        if grown > pace.max_log_bytes:
            message = (
                f"the copy takes too long: as long as it reads {source}, the write-ahead log grows,"
                f" {grown // _MIB} MiB by now. Try again when less is published"
            )
            raise StoreUnavailableError(message)
        if pace.rest and grown < HURRY_BYTES:
            pace.wait(min(pace.rest * (time.monotonic() - began), MAX_REST_SECONDS))
        began = time.monotonic()

    try:
        with closing(sqlite3.connect(target, isolation_level=None)) as writer:
            # Nobody else sees the file before it is whole.
            writer.execute("PRAGMA journal_mode = OFF").fetchall()
            writer.execute("PRAGMA synchronous = OFF")
            writer.execute("PRAGMA cache_size = -512")  # what is copied goes to the file soon
            reader.backup(writer, pages=STEP_PAGES, progress=after_step)
            writer.execute("PRAGMA journal_mode = DELETE").fetchall()  # one file, without a log
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _looked_through(target: Path, before: dict[str, int], revision: str) -> Copied:
    with closing(open_to_read(target)) as copy:
        wrong = [line for (line,) in copy.execute("PRAGMA integrity_check(1)")]
        rows = _rows(copy)
        if wrong != ["ok"]:
            message = f"the database is damaged, so the copy would be, too: {wrong[0]}"
            raise StoreUnavailableError(message)
        if rows != before or revision_of(copy) != revision:
            raise StoreUnavailableError("the copy is not what was copied")
    return Copied(target.stat().st_size, revision, rows["tasks"])


def _rows(connection: sqlite3.Connection) -> dict[str, int]:
    """Return how many rows each table has."""
    names = connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'").fetchall()
    return {
        name: connection.execute(f'SELECT count(*) FROM "{name}"').fetchone()[0]  # noqa: S608
        for (name,) in names
    }


def _check_room(directory: Path, size: int, spare: int) -> None:
    free = shutil.disk_usage(directory).free
    if free < size + spare:
        kept = f" besides the {spare // _MIB} MiB that have to stay free" if spare else ""
        message = (
            f"there is no room in {directory}: {free // _MIB} MiB are free, and"
            f" {max(size // _MIB, 1)} MiB are needed{kept}"
        )
        raise StoreUnavailableError(message)


@contextmanager
def _explained(what: str) -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise StoreUnavailableError(f"{what}: {error}") from error

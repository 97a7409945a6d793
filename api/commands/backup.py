"""`task-queue backup`: a copy of the database, while the server runs or not."""

import os
import shlex
import signal
import sys
import time
from pathlib import Path
from types import FrameType

from task_queue.actors.errors import StoreUnavailableError
from task_queue.actors.store.database import Database
from task_queue.actors.store.file_copy import REST, Pace, copy_to
from task_queue.api.standard_streams import say
from task_queue.config.settings import SettingsError

NICE = 10
"""How far the command stands back where processors are short."""
_MIB = 2**20


def backup(target: Database, file: Path, min_free_bytes: int, *, force: bool) -> None:
    """Copy the database to a file, checked and on disk, or leave nothing.

    Args:
        target: The database.
        file: Where the copy goes.
        min_free_bytes: What the server needs free on its disk.
        force: Whether a file that is there is replaced.

    Raises:
        SettingsError: PostgreSQL has a program of its own for this.
        TaskQueueError: It could not be copied.
    """
    if not target.is_sqlite:
        options = _options(target)
        raise SettingsError(
            f"the database {target.shown} is PostgreSQL's, which backs it up itself, while the"
            f" servers run: pg_dump {options} --format=custom --file={shlex.quote(str(file))}"
        )
    if not target.path.exists():
        raise StoreUnavailableError(f"there is no database {target.shown}")
    if file.exists() and file.samefile(target.path):
        raise StoreUnavailableError(f"{file} is the database itself: take another name")
    # So that a copy that was begun is taken away again.
    signal.signal(signal.SIGTERM, _end)
    os.nice(NICE)
    on_same_disk = file.parent.is_dir() and file.parent.stat().st_dev == target.path.stat().st_dev
    pace = Pace(rest=REST, spare_bytes=min_free_bytes if on_same_disk else 0)
    began = time.monotonic()
    copied = copy_to(target.path, file, pace, replace=force)
    say(
        f"{file}: {copied.size / _MIB:.1f} MiB, {copied.tasks} tasks, revision {copied.revision},"
        f" checked, in {time.monotonic() - began:.1f} s"
    )


def refuse_restore(target: Database, file: Path) -> None:
    """Say how PostgreSQL restores a database, if it is one of its.

    Raises:
        SettingsError: It is.
    """
    if not target.is_sqlite:
        raise SettingsError(
            f"the database {target.shown} is PostgreSQL's, which restores it itself, when all"
            f" servers are stopped: pg_restore {_options(target)} --clean --if-exists"
            f" --single-transaction {shlex.quote(str(file))}"
        )


def _options(target: Database) -> str:
    """Return what leads PostgreSQL's programs to the database, without its password."""
    from psycopg.conninfo import conninfo_to_dict  # noqa: PLC0415 - as in `Database.engine`

    parts = conninfo_to_dict(target.url)
    named = {"host": "host", "port": "port", "user": "username", "dbname": "dbname"}
    return " ".join(
        f"--{option}={shlex.quote(str(parts[name]))}"
        for name, option in named.items()
        if parts.get(name)
    )


def _end(number: int, _frame: FrameType | None) -> None:
    sys.exit(128 + number)

"""Which revision a database is at, and whether this version knows it."""

import sqlite3
from functools import cache
from pathlib import Path

from task_queue.actors.errors import MigrationError

REVISIONS = "alembic_version"
"""The table in which Alembic notes what has been done."""
STEPS = Path(__file__).parent / "migrations"


@cache
def known() -> tuple[str, ...]:
    """Return all revisions, the oldest first: the steps' files begin with theirs."""
    found = (STEPS / "versions").glob("[0-9]*_*.py")
    return tuple(sorted(step.name.partition("_")[0] for step in found))


def check_is_known(revisions: list[str], shown: str) -> None:
    """Accept a database that is not newer than this version.

    Args:
        revisions: What Alembic has noted there.
        shown: The database, for the error.

    Raises:
        MigrationError: It is.
    """
    if unknown := sorted(set(revisions) - set(known())):
        message = (
            f"the database {shown} was made by a newer version of task-queue"
            f" (revision {', '.join(unknown)}); upgrade task-queue, or use another"
        )
        raise MigrationError(message)


def check_is_ours(connection: sqlite3.Connection, path: Path) -> str:
    """Accept a SQLite file with the tables of some version up to this one; return its revision.

    Raises:
        MigrationError: It is none, or it is newer.
        sqlite3.Error: It is no SQLite file, or cannot be read.
    """
    found = "SELECT name FROM sqlite_schema WHERE type = 'table'"
    if not {REVISIONS, "tasks"} <= {name for (name,) in connection.execute(found)}:
        raise MigrationError(f"{path} is not a database of task-queue: it has no tasks")
    revision = revision_of(connection)
    check_is_known([revision], str(path))
    return revision


def revision_of(connection: sqlite3.Connection) -> str:
    """Return what Alembic has noted; empty if nothing."""
    rows = connection.execute(f"SELECT version_num FROM {REVISIONS}").fetchall()  # noqa: S608
    return ", ".join(revision for (revision,) in rows)

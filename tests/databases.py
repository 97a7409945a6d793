"""What tests do to a database behind the back of the service."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import sqlalchemy as sa

from actors.store.connect import Database
from actors.task import Status
from tests.fakes import NOW


def execute(database: Database, *statements: str) -> None:
    """Say these statements in one transaction."""
    with database.engine().connect() as connection, connection.begin():
        for statement in statements:
            connection.execute(sa.text(statement))


def impatient(database: Database) -> Database:
    """The same database, for those who do not wait for a lock."""
    return replace(database, busy_timeout_seconds=0.05, statement_timeout_seconds=0.5)


@contextmanager
def held(database: Database) -> Iterator[None]:
    """Let nobody write until the end of the block: they wait, or give up."""
    with database.engine().connect() as connection, connection.begin():  # SQLite: locks the file
        if not database.is_sqlite:
            connection.execute(sa.text("LOCK TABLE tasks IN EXCLUSIVE MODE"))
        yield


def fill(database: Database, status: Status, count: int) -> None:
    """Add so many tasks in this state, a million in seconds."""
    if database.is_sqlite:
        numbers = (
            "(WITH RECURSIVE number (n) AS"  # noqa: S608 - all of it is made here
            f" (SELECT 1 UNION ALL SELECT n + 1 FROM number WHERE n < {count})"
            " SELECT n FROM number) AS number"
        )
    else:
        numbers = f"generate_series(1, {count}) AS number (n)"
    execute(
        database,
        "INSERT INTO tasks"  # noqa: S608 - all of it is made here
        " (id, queue, action, data, status, priority, attempt, losses, max_attempts,"
        " run_at, created_at, lease_id, leased_until)"
        f" SELECT '{status}-' || ({10 * count} + n), 'tasks', 'uppercase', '{{}}', '{status}',"
        f" 0, 0, 0, 5, {NOW}, {int(NOW)}, 1, {NOW} FROM {numbers}",
    )


def refuse(database: Database, column: str, value: str) -> None:
    """Let the database refuse every row that has this value there, as it does bad data."""
    if database.is_sqlite:
        execute(
            database,
            *(
                f"CREATE TRIGGER refuse_{column}_{event} BEFORE {event} ON tasks"
                f" WHEN NEW.{column} = '{value}' BEGIN SELECT RAISE(ABORT, 'refused'); END"
                for event in ("INSERT", "UPDATE")
            ),
        )
    else:
        execute(
            database,
            f"ALTER TABLE tasks ADD CONSTRAINT refuse_{column} CHECK ({column} <> '{value}')",
        )

"""What tests do to a database behind the back of the service."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import sqlalchemy as sa

from task_queue.actors.store import session
from task_queue.actors.store.database import Database
from task_queue.actors.store.session import Session
from task_queue.actors.tasks.states import FINAL, Status
from tests.fakes import NOW


def execute(database: Database, *statements: str) -> None:
    """Say these statements in one transaction."""
    with patient(database).engine().connect() as connection, connection.begin():
        for statement in statements:
            connection.execute(sa.text(statement))


def impatient(database: Database) -> Database:
    """The same database, for those who do not wait for a lock."""
    return replace(database, busy_timeout_seconds=0.05, lock_timeout_seconds=0.05)


def patient(database: Database) -> Database:
    """The same database, for those who take their time, wait for a lock, or hold one."""
    return replace(
        database,
        statement_timeout_seconds=600.0,
        lock_timeout_seconds=30.0,
        idle_timeout_seconds=60.0,
    )


@contextmanager
def held(database: Database) -> Iterator[None]:
    """Let nobody write until the end of the block: they wait, or give up."""
    engine = patient(database).engine()
    with engine.connect() as connection, connection.begin():  # SQLite: locks the file
        if not database.is_sqlite:
            connection.execute(sa.text("LOCK TABLE tasks IN EXCLUSIVE MODE"))
        yield


def fill(database: Database, status: Status, count: int, *, queue: str = "tasks") -> None:
    """Add so many tasks in this state, a million in seconds."""
    if database.is_sqlite:
        numbers = (
            "(WITH RECURSIVE number (n) AS"  # noqa: S608 - all of it is made here
            f" (SELECT 1 UNION ALL SELECT n + 1 FROM number WHERE n < {count})"
            " SELECT n FROM number) AS number"
        )
    else:
        numbers = f"generate_series(1, {count}) AS number (n)"
    processed_at = int(NOW) if status in FINAL else "NULL"
    group = "''" if status is Status.DEAD else "NULL"
    insert = (
        "INSERT INTO tasks"  # noqa: S608 - all of it is made here
        " (id, queue, action, data, status, priority, attempt, losses, max_attempts,"
        " run_at, created_at, rank, processed_at, lease_id, leased_until, error_group)"
        f" SELECT '{queue}-{status}-' || ({10 * count} + n), '{queue}', 'uppercase', '{{}}',"
        f" '{status}', 0, 0, 0, 5, {NOW}, {int(NOW)}, {NOW}, {processed_at}, 1, {NOW}, {group}"
        f" FROM {numbers}"
    )
    if database.is_sqlite:
        execute(database, insert)
        return
    # A trigger that counts a million rows in one transaction would pass a million old versions
    # of the one count.
    column = "active" if status in (Status.QUEUED, Status.RUNNING) else status.value
    size = 0 if status in FINAL else count * len("{}")
    execute(
        database,
        "ALTER TABLE tasks DISABLE TRIGGER USER",
        insert,
        f"INSERT INTO counts (queue, slot, {column}, bytes)"  # noqa: S608 - as above
        f" VALUES ('{queue}', 0, {count}, {size}) ON CONFLICT (queue, slot) DO UPDATE"
        f" SET {column} = counts.{column} + excluded.{column},"
        " bytes = counts.bytes + excluded.bytes",
        "ALTER TABLE tasks ENABLE TRIGGER USER",
    )


def count_groups(database: Database) -> None:
    """Count the groups of dead tasks anew, behind whose back they were changed."""
    execute(
        database,
        "DELETE FROM dead_groups",
        "INSERT INTO dead_groups (queue, action, error_group, slot, number, first_at, last_at)"
        " SELECT queue, action, error_group, 0, count(*), min(processed_at), max(processed_at)"
        " FROM tasks WHERE status = 'dead' GROUP BY queue, action, error_group",
    )


def insist_on_groups(database: Database) -> None:
    """Let the database refuse a dead task without a group, and any other one with a group.

    So whatever makes a task dead, or lets it live again, and forgets its group fails its tests. A
    released schema has no such rule: nodes of former versions know nothing of groups.
    """
    is_wrong = "(NEW.status = 'dead') = (NEW.error_group IS NULL)"
    if database.is_sqlite:
        execute(
            database,
            *(
                f"CREATE TRIGGER insist_on_group_{event} BEFORE {event} ON tasks"
                f" WHEN {is_wrong} BEGIN SELECT RAISE(ABORT, 'not with its group'); END"
                for event in ("INSERT", "UPDATE")
            ),
        )
    else:
        execute(
            database,
            "ALTER TABLE tasks ADD CONSTRAINT insist_on_group"
            " CHECK ((status = 'dead') = (error_group IS NOT NULL))",
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


def overhear(store: Session, note: Callable[[str, Any], None]) -> Callable[[], None]:
    """Have every statement of the store noted, with its parameters; what is returned ends that."""
    execute = session._execute

    def noted(connection: sa.Connection, text: str, rows: Any, *, many: bool) -> Any:  # noqa: ANN401
        if connection.engine is store._engine:
            note(text, rows)
        return execute(connection, text, rows, many=many)

    def heard(*args: Any) -> None:  # noqa: ANN401 - SQLAlchemy's: statement and parameters inside
        note(args[2], args[3])

    def end() -> None:
        vars(session)["_execute"] = execute
        sa.event.remove(store._engine, "before_cursor_execute", heard)

    vars(session)["_execute"] = noted  # the prepared ones, past SQLAlchemy's events
    sa.event.listen(store._engine, "before_cursor_execute", heard)
    return end

"""What does not go together in a database is found, counted and mended."""

import sqlite3
from contextlib import closing

import pytest
import sqlalchemy as sa

from task_queue.actors.errors import MigrationError, StoreUnavailableError
from task_queue.actors.store import check_file, check_numbers
from task_queue.actors.store.check import Found, check
from task_queue.actors.store.database import Database
from task_queue.actors.store.file_lock import FileLock
from task_queue.actors.store.leases import lapsed
from task_queue.actors.store.session import Session
from task_queue.actors.tasks.settlement import ack
from task_queue.actors.tasks.states import Status
from tests.actors.store.calls import claim, put, settle
from tests.databases import execute, fill
from tests.fakes import a_task

ONLY_SQLITE = pytest.mark.parametrize("database", ["sqlite"], indirect=True)


@pytest.fixture
def filled(database: Database) -> Database:
    """A database with tasks in all states, an attempt, a schedule."""
    for status in Status:
        fill(database, status, 3)
    fill(database, Status.DEAD, 2, queue="mail")
    execute(
        database,
        "UPDATE tasks SET lease_id = NULL, leased_until = NULL WHERE status <> 'running'",
        "UPDATE tasks SET key = 'k' WHERE status IN ('blocked', 'queued')",
        "INSERT INTO attempts (task_id, number, ended_at, outcome, error)"
        " SELECT id, 1, 1, 'failed', 'e' FROM tasks WHERE status = 'dead'",
        "INSERT INTO schedules (name, cron, timezone, missed, task, configured, next_at,"
        " created_at) VALUES ('s', '@daily', 'UTC', 'skip', '{}', FALSE, 2000000000, 1)",
    )
    # Rows that `fill` adds to PostgreSQL are past its triggers.
    with closing(Session(database)) as session:
        for each in check_numbers.CHECKS:
            assert each.repair is not None
            each.repair(session, session)
    return database


MENDED = {
    "attempts of tasks that are not there": (
        (2, "UPDATE attempts SET task_id = 'gone' WHERE task_id LIKE 'mail-%'"),
    ),
    "final tasks without the time of their end": (
        (3, "UPDATE tasks SET processed_at = NULL WHERE status = 'completed'"),
    ),
    "unfinished tasks with a time of their end": (
        (3, "UPDATE tasks SET processed_at = 1 WHERE status = 'scheduled'"),
    ),
    "leases of tasks that do not run": (
        (3, "UPDATE tasks SET lease_id = 7 WHERE status = 'completed'"),
    ),
    "running tasks without a lease": (
        (3, "UPDATE tasks SET leased_until = NULL WHERE status = 'running'"),
    ),
    "blocked tasks whose key no ready or running task has": (
        (3, "UPDATE tasks SET key = 'free' WHERE status = 'blocked'"),
        (2, "UPDATE tasks SET key = NULL WHERE status = 'blocked'"),
    ),
    "queues whose counts are not those of their tasks": (
        (2, "UPDATE counts SET dead = dead + 5, active = 0, bytes = bytes - 1"),
        (1, "DELETE FROM counts WHERE queue = 'mail'"),
        (1, "INSERT INTO counts (queue, slot, dead) VALUES ('gone', 3, 4)"),
    ),
    "groups of dead tasks whose number is not that of their tasks": (
        (2, "UPDATE dead_groups SET number = number + 1 WHERE number <> 0"),
        (2, "DELETE FROM dead_groups"),
        (1, "INSERT INTO dead_groups VALUES ('tasks', 'gone', 'e', 0, 4, NULL, NULL)"),
    ),
}
"""What a repair mends: how often it is wrong after which statement."""
LEFT = {
    "tasks in a state that there is not": (
        "UPDATE tasks SET status = 'lost' WHERE id = 'tasks-completed-31'"
    ),
    "schedules whose next time is impossible": "UPDATE schedules SET next_at = 1e300",
}


def test_where_all_is_right_nothing_is_found(filled: Database) -> None:
    assert check(filled, repair=False) == ([], 3 * len(Status) + 2)


def test_what_is_wrong_is_found_counted_and_mended(filled: Database) -> None:
    for what, damages in MENDED.items():
        for number, statement in damages:
            execute(filled, statement)
            assert Found(what, number) in check(filled, repair=False)[0], statement
            assert Found(what, number, repaired=True) in check(filled, repair=True)[0], statement
            assert check(filled, repair=False)[0] == [], statement


def test_what_only_a_human_can_mend_is_left_with_what_to_do(filled: Database) -> None:
    execute(filled, *LEFT.values())
    found, _ = check(filled, repair=True)
    assert [(each.what, each.number, each.repaired) for each in found] == [
        (what, 1, False) for what in LEFT
    ]
    assert all(each.advice for each in found)


def test_groups_that_are_counted_anew_have_their_times(filled: Database) -> None:
    def groups() -> list[tuple[object, ...]]:
        columns = "queue, action, error_group, number, first_at, last_at"
        query = f"SELECT {columns} FROM dead_groups WHERE number <> 0 ORDER BY queue"  # noqa: S608
        with filled.engine().connect() as connection:
            return [tuple(row) for row in connection.execute(sa.text(query))]

    before = groups()
    assert len(before) == 2
    execute(filled, "DELETE FROM dead_groups")
    check(filled, repair=True)
    assert groups() == before


def test_of_blocked_tasks_one_of_each_key_becomes_ready(filled: Database) -> None:
    execute(filled, "UPDATE tasks SET key = 'free' WHERE status = 'blocked'")
    check(filled, repair=True)
    with filled.engine().connect() as connection:
        query = "SELECT count(*) FROM tasks WHERE key = 'free' AND status = 'queued'"
        assert connection.scalar(sa.text(query)) == 1


def test_a_running_task_without_a_lease_is_found_by_the_usual_rules_then(filled: Database) -> None:
    execute(filled, "UPDATE tasks SET lease_id = NULL WHERE status = 'running'")
    check(filled, repair=True)
    with closing(Session(filled)) as session, session.transaction():
        found, _ = lapsed(session.connection, queue="tasks", now=1.0)
    assert len(found) == 3


def test_a_repair_of_counts_is_exact_whatever_happens_meanwhile(
    session: Session, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(session, a_task(), a_task())
    execute(database, "UPDATE counts SET active = active + 7, bytes = 0")
    look = check_numbers._counts_off

    def look_and_go_on(connection: sa.Connection) -> object:
        off = look(connection)
        put(session, a_task(), a_task())  # before what was found is added
        (task, *_), _ = claim(session)
        settle(session, ack(task, "1", 1.0, 2.0))
        return off

    monkeypatch.setattr(check_numbers, "_counts_off", look_and_go_on)
    with closing(Session(database, read_only=True)) as reader:
        check_numbers._add_counts(reader, session)
    monkeypatch.undo()
    assert check(database, repair=False) == ([], 4)


def test_what_is_missing_of_the_schema_is_named(database: Database) -> None:
    on = "" if database.is_sqlite else " ON tasks"
    execute(database, "DROP INDEX tasks_ready", f"DROP TRIGGER tasks_count_insert{on}")
    found, _ = check(database, repair=True)
    assert [(each.what, each.repaired) for each in found] == [
        ("missing: the index tasks_ready", False),
        ("missing: the trigger tasks_count_insert", False),
    ]
    assert {each.advice for each in found} == {check_file.RESTORE}


def test_a_database_without_our_tables_is_not_looked_at(empty_database: Database) -> None:
    with pytest.raises(StoreUnavailableError, match="there is no database"):
        check(empty_database, repair=False)


def test_a_database_of_a_former_version_is_not_looked_at(database: Database) -> None:
    execute(database, "UPDATE alembic_version SET version_num = '0003'")
    with pytest.raises(MigrationError, match="of a former version: task-queue migrate"):
        check(database, repair=False)


def spoil_index(database: Database) -> None:
    """Let an index lack rows, as a bug or a bad disk may."""
    fill(database, Status.QUEUED, 5)
    execute(database, "UPDATE tasks SET lease_id = NULL, leased_until = NULL")
    with closing(sqlite3.connect(database.path, isolation_level=None)) as connection:
        ((sql,),) = connection.execute("SELECT sql FROM sqlite_schema WHERE name = 'tasks_created'")
        connection.execute("PRAGMA writable_schema = ON")
        spoilt = f"{sql} WHERE seq > 2"
        connection.execute("UPDATE sqlite_schema SET sql = ? WHERE sql = ?", [spoilt, sql])
    with closing(sqlite3.connect(database.path, isolation_level=None)) as connection:
        connection.execute("REINDEX tasks_created")
        connection.execute("PRAGMA writable_schema = ON")
        connection.execute("UPDATE sqlite_schema SET sql = ? WHERE sql = ?", [sql, spoilt])


@ONLY_SQLITE
def test_an_index_that_lacks_rows_is_made_anew_where_nobody_else_has_the_file(
    database: Database,
) -> None:
    spoil_index(database)
    (found,) = check(database, repair=False)[0]
    assert "row 1 missing from index tasks_created" in found.what
    lock = FileLock(database.path)
    lock.acquire()
    (found,) = check(database, repair=True)[0]
    assert not found.repaired
    assert "in use by another task-queue" in found.advice
    lock.release()
    (found,) = check(database, repair=True)[0]
    assert found.repaired
    assert check(database, repair=False) == ([], 5)


@ONLY_SQLITE
def test_of_a_damaged_file_nothing_else_is_said(database: Database) -> None:
    fill(database, Status.QUEUED, 2_000)
    with database.path.open("r+b") as file:
        file.seek(database.path.stat().st_size // 2)
        file.write(b"\xff" * 8_192)
    (found,) = check(database, repair=True)[0]
    assert found.what.startswith("the file is damaged: ")
    assert (found.repaired, found.advice) == (False, check_file.RESTORE)

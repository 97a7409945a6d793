"""What every connection is told before it is used."""

from dataclasses import replace

import pytest
import sqlalchemy as sa

from task_queue.actors.errors import StoreUnavailableError
from task_queue.actors.store.database import Database
from task_queue.actors.store.insert import insert
from task_queue.actors.store.session import Session
from tests.actors.store.calls import find, put
from tests.databases import held, impatient
from tests.fakes import a_task


def value(database: Database, statement: str, *, read_only: bool = False) -> object:
    with database.engine(read_only=read_only).connect() as connection:
        return connection.exec_driver_sql(statement).scalar_one()


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
@pytest.mark.parametrize("read_only", [False, True])
def test_sqlite_writes_ahead_and_is_on_disk_at_every_commit(
    database: Database, *, read_only: bool
) -> None:
    def pragma(name: str) -> object:
        patient = replace(database, busy_timeout_seconds=1.25)
        return value(patient, f"PRAGMA {name}", read_only=read_only)

    assert pragma("journal_mode") == "wal"
    assert pragma("synchronous") == 2  # FULL
    assert pragma("busy_timeout") == 1250
    assert pragma("foreign_keys") == 1
    assert pragma("query_only") == int(read_only)
    assert pragma("auto_vacuum") == 2  # incremental


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_a_sqlite_transaction_takes_the_write_lock_before_its_first_statement(
    database: Database,
) -> None:
    first, second = Session(impatient(database)), Session(impatient(database))
    with first.transaction():
        with pytest.raises(StoreUnavailableError, match="locked"), second.transaction():
            pytest.fail("two transactions began")
        reader = Session(impatient(database), read_only=True)
        assert find(reader, "nobody") is None  # readers are not held up
        reader.close()
    first.close()


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_to_connect_writes_nothing_and_waits_for_nobody(database: Database) -> None:
    with held(database), impatient(database).engine().connect() as connection:
        assert not connection.closed


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
@pytest.mark.parametrize("read_only", [False, True])
def test_postgresql_is_on_disk_at_every_commit_and_its_statements_end(
    database: Database, *, read_only: bool
) -> None:
    def shown(name: str) -> object:
        short = replace(database, statement_timeout_seconds=1.5)
        return value(short, f"SHOW {name}", read_only=read_only)

    assert shown("synchronous_commit") == "on"
    assert shown("statement_timeout") == "1500ms"
    assert shown("lock_timeout") == "1s"
    assert shown("idle_in_transaction_session_timeout") == "1500ms"
    assert shown("application_name") == "task-queue"


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_postgresql_keeps_to_synchronous_commits_whatever_the_databases_default(
    database: Database,
) -> None:
    with database.engine().connect() as connection, connection.begin():
        name = connection.scalar(sa.text("SELECT current_database()"))
        connection.execute(sa.text(f'ALTER DATABASE "{name}" SET synchronous_commit = off'))
    assert value(database, "SHOW synchronous_commit") == "on"


def test_a_lock_held_for_too_long_makes_the_database_unavailable_until_it_is_free(
    database: Database,
) -> None:
    session, task = Session(impatient(database)), a_task()
    with held(database), pytest.raises(StoreUnavailableError), session.transaction():
        insert(session.connection, [task])
    assert find(session, task.id) is None
    put(session, task)
    session.close()


def test_a_shown_url_hides_the_password() -> None:
    database = Database("postgresql://me:secret@host:5432/tasks?password=x")
    assert database.shown == "postgresql://me@host:5432/tasks"

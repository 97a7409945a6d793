"""What holds a database back: SQLite's log is given back, and who is in the way is named."""

import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import psycopg
import pytest
import sqlalchemy as sa

from task_queue.actors.store.database import Database
from task_queue.actors.store.database_file import DatabaseFile
from task_queue.actors.store.migrate import migrate
from task_queue.actors.store.session import Session
from task_queue.actors.store.upkeep import FileUpkeep, ServerUpkeep
from tests.actors.store.calls import put
from tests.databases import execute, patient
from tests.fakes import NOW, a_task

SMALL = 100_000
READER = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN")
connection.execute("SELECT count(*) FROM tasks").fetchall()
print("reading", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def sqlite_database(tmp_path_factory: pytest.TempPathFactory) -> Database:
    database = Database(f"sqlite:///{tmp_path_factory.mktemp('data')}/tasks.db")
    migrate(database)
    return database


@contextmanager
def another_process_reads(database: Database) -> Iterator[int]:
    """The id of a process that reads all the while."""
    with subprocess.Popen(
        [sys.executable, "-c", READER, str(database.path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "reading\n"
        yield process.pid
        process.communicate(timeout=30)


def fill(session: Session) -> None:
    for _ in range(20):
        put(session, *(a_task(data=f'"{"x" * 1_000}"') for _ in range(20)))


def test_a_log_that_grew_behind_a_reader_is_given_back_once_it_has_gone(
    sqlite_database: Database,
) -> None:
    session, file = Session(sqlite_database), DatabaseFile(sqlite_database.path)
    upkeep = FileUpkeep(session, file, held_back_seconds=60, log_bytes=SMALL)
    put(session, a_task())
    with another_process_reads(sqlite_database) as reader:
        fill(session)
        assert upkeep.look(NOW) == ()
        assert file.log_bytes > SMALL
        assert upkeep.look(NOW + 59) == ()
        (warning,) = upkeep.look(NOW + 60)
        who = f"process {reader}" if Path("/proc/locks").exists() else "something"
        assert warning.startswith(f"{who} has been reading the database for at least 60 s")
    assert upkeep.look(NOW + 61) == ()
    assert file.log_bytes == 0
    put(session, a_task())
    session.close()


def test_nobody_is_waited_for_to_give_the_log_back(sqlite_database: Database) -> None:
    session = Session(sqlite_database)
    put(session, a_task())
    with closing(sqlite3.connect(sqlite_database.path, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM tasks").fetchall()
        fill(session)
        assert not session.fold_log()
    assert session.fold_log()
    with session.transaction():  # and the writer waits for others as before
        assert session.connection.exec_driver_sql("PRAGMA busy_timeout").scalar_one() == 5_000
    session.close()


def transactions(upkeep: ServerUpkeep, now: float) -> list[str]:
    """What it says of transactions: slots and settings are the whole server's, and others' too."""
    return [each for each in upkeep.look(now) if each.startswith("a transaction")]


def test_what_holds_back_the_vacuum_is_named(postgres_only: Database) -> None:
    session = Session(patient(postgres_only))
    upkeep = ServerUpkeep(session, held_back_seconds=0.0)
    assert transactions(upkeep, NOW) == []
    with psycopg.connect(postgres_only.url, application_name="report") as other:
        other.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        other.execute("SELECT count(*) FROM tasks")
        assert transactions(upkeep, NOW + 59) == [], "asked once a minute"
        (warning,) = transactions(upkeep, NOW + 60)
        assert f"(report, process {other.info.backend_pid}, idle in transaction)" in warning
        assert warning.endswith("holds back the vacuum")
    assert transactions(upkeep, NOW + 120) == []
    session.close()


def test_a_slot_that_nobody_uses_is_named_at_the_second_look(postgres_only: Database) -> None:
    session = Session(patient(postgres_only))
    upkeep = ServerUpkeep(session)
    name = postgres_only.url.rpartition("/")[2][-20:]
    execute(postgres_only, f"SELECT pg_create_physical_replication_slot('{name}', true)")
    try:
        assert not [each for each in upkeep.look(NOW) if name in each]
        assert [each for each in upkeep.look(NOW + 60) if name in each]
    finally:
        execute(postgres_only, f"SELECT pg_drop_replication_slot('{name}')")
    session.close()


def test_a_server_that_does_not_sync_is_named(
    postgres_only: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = Session(postgres_only)
    with session.transaction():
        driver = session.connection.connection.driver_connection
        assert session.connection.scalar(sa.text("SHOW fsync")) in {"on", "off"}
    monkeypatch.setattr(driver, "risks", ("fsync is off",))
    assert "fsync is off" in ServerUpkeep(session).look(NOW)
    session.close()

"""A connection to PostgreSQL: what is in force on it, and how it is given up."""

import time
from dataclasses import replace

import psycopg
import pytest
import sqlalchemy as sa

from task_queue.actors.errors import ConnectionLostError, LockedError, StoreUnavailableError
from task_queue.actors.store import postgresql
from task_queue.actors.store.database import Database, environment
from task_queue.actors.store.insert import insert
from task_queue.actors.store.migrate import migrate
from task_queue.actors.store.session import Session
from tests import pgbouncer
from tests.actors.store.calls import find, put
from tests.databases import execute, held, patient
from tests.fakes import a_task
from tests.silence import Proxy, proxy

CONTRARY = {
    "default_transaction_isolation": "serializable",
    "default_transaction_read_only": "on",
    "synchronous_commit": "off",
    "lock_timeout": "3h",
    "statement_timeout": "3h",
    "idle_in_transaction_session_timeout": "0",
    "idle_session_timeout": "3h",
    "client_encoding": "LATIN1",
    "extra_float_digits": "-10",
    "standard_conforming_strings": "off",
    "TimeZone": "Asia/Tokyo",
    "DateStyle": "German",
    "IntervalStyle": "sql_standard",
    "bytea_output": "escape",
}
IN_FORCE = {
    "transaction_isolation": "read committed",
    "transaction_read_only": "off",
    "synchronous_commit": "on",
    "lock_timeout": "1000",
    "statement_timeout": "30000",
    "idle_in_transaction_session_timeout": "1500",
    "idle_session_timeout": "0",
    "TimeZone": "UTC",
    "extra_float_digits": "1",
    "standard_conforming_strings": "on",
    "client_encoding": "UTF8",
}
SETTINGS = sa.text("SELECT name, setting FROM pg_settings WHERE name = ANY(:names)")


def in_force(database: Database, *names: str) -> dict[str, str]:
    """The settings in a transaction of a session."""
    session = Session(database)
    with session.transaction():
        rows = session.connection.execute(SETTINGS, {"names": [*names]}).all()
    session.close()
    return dict(tuple(row) for row in rows)


def make_contrary(database: Database) -> None:
    """Give the database defaults that nobody would want."""
    name = database.url.rpartition("/")[2]
    execute(database, *(f"ALTER DATABASE {name} SET {k} = '{v}'" for k, v in CONTRARY.items()))


def at(database: Database, port: int) -> Database:
    """The same database through another port."""
    user, name = database.url.partition("@")[0], database.url.rpartition("/")[2]
    return replace(database, url=f"{user}@127.0.0.1:{port}/{name}")


def port_of(database: Database) -> int:
    return int(str(psycopg.conninfo.conninfo_to_dict(database.url)["port"]))


def test_nothing_depends_on_the_defaults_of_the_database(postgres_only: Database) -> None:
    make_contrary(postgres_only)
    assert in_force(postgres_only, *IN_FORCE) == IN_FORCE
    session, task = Session(postgres_only), a_task(data='{"a":"\N{SNOWMAN}"}', run_at=1e9 + 1e-6)
    put(session, task)
    assert find(session, task.id) == task
    session.close()


def test_a_reader_may_not_write_and_needs_no_server_that_refuses_writes(
    postgres_only: Database,
) -> None:
    reader = Session(
        replace(postgres_only, url=f"{postgres_only.url}?target_session_attrs=read-write"),
        read_only=True,
    )
    with pytest.raises(StoreUnavailableError, match="read-only transaction"):
        put(reader, a_task())
    reader.close()


def test_what_the_url_asks_for_is_in_force(postgres_only: Database) -> None:
    asked = replace(postgres_only, options={"work_mem": "8MB", "search_path": "tq, public"})
    shown = in_force(asked, "work_mem", "search_path")
    assert shown == {"work_mem": "8192", "search_path": "tq, public"}


def test_an_option_that_the_server_does_not_take_is_named(postgres_only: Database) -> None:
    session = Session(replace(postgres_only, options={"work_men": "8MB"}))
    with pytest.raises(StoreUnavailableError, match='"work_men"'), session.transaction():
        pytest.fail("it connected")


@pytest.mark.parametrize(
    "variables",
    [
        {"PGSSLMODE": "require"},
        {"PGHOSTADDR": "127.0.0.9", "PGHOST": "nowhere"},
        {"PGREQUIREAUTH": "scram-sha-256", "PGCHANNELBINDING": "require"},
        {"PGOPTIONS": "-c nothing.at=all -c work_mem=wrong", "PGPASSWORD": "another"},
        {"PGSSLMINPROTOCOLVERSION": "0", "PGLOADBALANCEHOSTS": "wrong"},
    ],
    ids=lambda variables: next(iter(variables)),
)
def test_what_an_action_tells_libpq_by_its_environment_later_does_not_count(
    postgres_only: Database, monkeypatch: pytest.MonkeyPatch, variables: dict[str, str]
) -> None:
    database = replace(postgres_only, environment=environment(postgres_only.url))
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert in_force(database, *IN_FORCE) == IN_FORCE


def test_what_libpq_was_told_by_its_environment_at_the_start_counts(
    postgres_only: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGOPTIONS", "-c work_mem=5MB")
    monkeypatch.setenv("PGSSLMODE", "disable")
    database = replace(postgres_only, environment=environment(postgres_only.url))
    monkeypatch.delenv("PGOPTIONS")
    monkeypatch.delenv("PGSSLMODE")
    assert database.environment["sslmode"] == "disable"
    assert in_force(database, "work_mem") == {"work_mem": "5120"}


def test_a_database_that_cannot_keep_every_text_is_refused(postgres_only: Database) -> None:
    name = f"{postgres_only.url.rpartition('/')[2]}_latin"
    admin = postgres_only.engine().execution_options(isolation_level="AUTOCOMMIT")
    made = f"CREATE DATABASE {name} TEMPLATE template0 ENCODING 'LATIN1' LOCALE 'C'"
    with admin.connect() as connection:
        connection.execute(sa.text(made))
        try:
            with pytest.raises(StoreUnavailableError, match="encoding LATIN1; it has to be UTF8"):
                migrate(replace(postgres_only, url=f"{postgres_only.url}_latin"))
        finally:
            connection.execute(sa.text(f"DROP DATABASE {name}"))


def test_a_setting_that_is_not_in_force_is_refused(
    postgres_only: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgresql, "_APPLY", "SELECT %s::text[], %s::text[]")
    execute_fails = pytest.raises(
        StoreUnavailableError, match=r"the server has \w+ = \S+ although \S+ was asked for"
    )
    session = Session(postgres_only)
    with execute_fails, session.transaction():
        pytest.fail("it connected")


def test_a_transaction_that_waits_for_its_next_statement_is_ended_and_frees_its_locks(
    postgres_only: Database,
) -> None:
    frozen, other = Session(postgres_only), Session(patient(postgres_only))
    put(frozen, a_task())  # connected, and the statement compiled: from now on it does not wait
    task = a_task()

    def hang() -> None:
        with frozen.transaction():
            insert(frozen.connection, [task])
            frozen.connection.execute(sa.text("LOCK TABLE tasks"))
            put(other, a_task(id="other"))  # as soon as the lock is free
            insert(frozen.connection, [a_task()])

    with pytest.raises(StoreUnavailableError, match=r"closed the connection|idle-in-transaction"):
        hang()
    assert find(frozen, task.id) is None
    assert find(frozen, "other") is not None
    frozen.close()
    other.close()


def test_a_transaction_that_waits_after_one_row_is_ended_as_well(postgres_only: Database) -> None:
    frozen, other = Session(postgres_only), Session(patient(postgres_only))
    task = a_task()

    def hang() -> None:
        with frozen.transaction():
            insert(frozen.connection, [task])
            put(other, task)  # as soon as that row is gone
            insert(frozen.connection, [a_task()])

    with pytest.raises(StoreUnavailableError, match=r"closed the connection|idle-in-transaction"):
        hang()
    assert find(other, task.id) is not None
    frozen.close()
    other.close()


def test_a_lock_that_is_not_to_be_had_in_time_leaves_the_connection_as_it_is(
    postgres_only: Database,
) -> None:
    session = Session(replace(postgres_only, lock_timeout_seconds=0.05))
    with session.transaction():
        pid = session.connection.scalar(sa.text("SELECT pg_backend_pid()"))
    with held(postgres_only), pytest.raises(LockedError):
        put(session, a_task())
    with session.transaction():
        assert session.connection.scalar(sa.text("SELECT pg_backend_pid()")) == pid
    session.close()


# --- a server that says nothing any more ----------------------------------------------------

LIMIT_SECONDS = 2.0


def brief(database: Database, port: int) -> Database:
    """The database behind the proxy, with little time."""
    return replace(at(database, port), statement_timeout_seconds=1.0, connect_timeout_seconds=1)


def ask_and_never_hear(session: Session, between: Proxy, *, read_only: bool) -> None:
    with session.transaction():
        between.silent.set()
        if read_only:
            session.connection.execute(sa.text("SELECT 1"))
        else:  # not by way of SQLAlchemy
            insert(session.connection, [a_task()])


def commit_and_never_hear(session: Session, between: Proxy) -> None:
    with session.transaction():
        insert(session.connection, [a_task()])
        between.silent.set()


@pytest.mark.parametrize("read_only", [False, True])
def test_a_statement_that_is_never_answered_is_given_up_with_its_connection(
    postgres_only: Database, *, read_only: bool
) -> None:
    with proxy("127.0.0.1", port_of(postgres_only)) as between:
        session = Session(brief(postgres_only, between.port), read_only=read_only)
        with session.transaction():
            start = time.monotonic()
        with pytest.raises(StoreUnavailableError, match="not answered for 2 s"):
            ask_and_never_hear(session, between, read_only=read_only)
        # The statement, not its rollback and the end of the connection as well.
        assert LIMIT_SECONDS <= time.monotonic() - start < 2 * LIMIT_SECONDS
        between.silent.clear()
        with session.transaction():
            assert session.connection.scalar(sa.text("SELECT 1")) == 1
        session.close()


def test_a_commit_that_is_never_answered_is_given_up(postgres_only: Database) -> None:
    with proxy("127.0.0.1", port_of(postgres_only)) as between:
        session = Session(brief(postgres_only, between.port))
        with pytest.raises(StoreUnavailableError, match="not answered for 2 s"):
            commit_and_never_hear(session, between)


def test_a_server_that_accepts_and_says_nothing_is_given_up(postgres_only: Database) -> None:
    with proxy("127.0.0.1", port_of(postgres_only)) as between:
        between.silent.set()
        start = time.monotonic()
        with pytest.raises(StoreUnavailableError, match="timeout expired"):
            migrate(brief(postgres_only, between.port))
        # Dividing the timeout by the hosts' addresses is psycopg's: it never waits less than 2 s.
        assert time.monotonic() - start < 2 * LIMIT_SECONDS


# --- behind a pooler ------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["transaction", "session"])
@pytest.mark.parametrize("ignored", ["", "options"])
def test_behind_a_pooler_each_transaction_has_what_it_needs(
    postgres_only: Database, mode: str, ignored: str
) -> None:
    make_contrary(postgres_only)
    with pgbouncer.running(postgres_only.url, mode, ignored) as port:
        pooled = replace(at(postgres_only, port), options={"work_mem": "8MB"})
        one, two = Session(pooled), Session(pooled)
        for _ in range(10):  # more often than psycopg executes a statement unprepared
            for session in (one, two):
                with session.transaction():
                    task = a_task()
                    insert(session.connection, [task])
                    rows = session.connection.execute(SETTINGS, {"names": [*IN_FORCE, "work_mem"]})
                    assert dict(tuple(row) for row in rows) == IN_FORCE | {"work_mem": "8192"}
                assert find(session, task.id) == task
        execute(
            postgres_only,
            "CREATE FUNCTION end_itself() RETURNS trigger LANGUAGE plpgsql AS"
            " 'BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NULL; END'",
            "CREATE TRIGGER end_itself AFTER INSERT ON tasks EXECUTE FUNCTION end_itself()",
        )
        with pytest.raises(ConnectionLostError), one.transaction():  # though not closed as yet
            insert(one.connection, [a_task()])
        one.close()
        two.close()


def test_a_pooler_that_has_no_transactions_is_refused_in_one_line(postgres_only: Database) -> None:
    refused = pytest.raises(StoreUnavailableError, match="statement pooling mode")
    with pgbouncer.running(postgres_only.url, "statement", "") as port, refused:
        migrate(at(postgres_only, port))

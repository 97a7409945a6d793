"""Transactions, and what goes wrong in them."""

from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa

from task_queue.actors.errors import BadRowError, QueryFailedError, StoreUnavailableError
from task_queue.actors.store import counts, queues
from task_queue.actors.store.database import Database
from task_queue.actors.store.insert import insert
from task_queue.actors.store.session import Prepared, Session
from tests.actors.store.calls import find, get, put
from tests.fakes import a_task


def test_a_bad_row_takes_its_transaction_with_it(session: Session) -> None:
    (task_id,) = put(session, a_task())
    fresh = a_task()
    with pytest.raises(BadRowError):
        put(session, fresh, a_task(id=task_id))
    assert find(session, fresh.id) is None


def test_a_bad_row_in_a_savepoint_fails_alone(session: Session) -> None:
    before, bad, after = a_task(), a_task(), a_task()
    with session.transaction():
        insert(session.connection, [before])
        with pytest.raises(BadRowError), session.savepoint():
            insert(session.connection, [bad, before])
        insert(session.connection, [after])
    assert [find(session, row.id) for row in (before, bad, after)] == [before, None, after]


def test_an_error_in_the_block_rolls_back(session: Session) -> None:
    task = a_task()

    def fail_half_way() -> None:
        with session.transaction():
            insert(session.connection, [task])
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail_half_way()
    assert find(session, task.id) is None


@pytest.mark.parametrize("url", ["sqlite:////{}/missing/tasks.db", "postgresql://x@127.0.0.1:1/x"])
def test_a_database_that_is_not_there_is_unavailable(tmp_path: Path, url: str) -> None:
    session = Session(Database(url.format(tmp_path), connect_timeout_seconds=2))
    with pytest.raises(StoreUnavailableError), session.transaction():
        queues.is_paused(session.connection, "tasks")


def test_a_broken_connection_is_replaced(postgres_only: Database) -> None:
    session, other = Session(postgres_only), postgres_only.engine()
    (task_id,) = put(session, a_task())
    with other.connect() as connection:
        connection.execute(
            sa.text(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        )
    with pytest.raises(StoreUnavailableError):
        get(session, task_id)
    assert get(session, task_id).id == task_id
    session.close()


def test_a_read_only_store_reads_and_cannot_write(database: Database, session: Session) -> None:
    (task_id,) = put(session, a_task())
    reader = Session(database, read_only=True)
    assert get(reader, task_id).id == task_id
    with pytest.raises(StoreUnavailableError):
        put(reader, a_task())
    reader.close()


def test_a_query_without_its_table_fails(empty_database: Database) -> None:
    session = Session(empty_database)
    with pytest.raises(QueryFailedError), session.transaction(), session.asking() as connection:
        counts.by_state(connection)
    session.close()


def test_a_query_that_the_database_gives_up_is_not_taken_for_a_bad_one(
    postgres_only: Database,
) -> None:
    session = Session(replace(postgres_only, statement_timeout_seconds=0.05))
    with (
        pytest.raises(StoreUnavailableError),
        session.transaction(),
        session.asking() as connection,
    ):
        connection.execute(sa.text("SELECT pg_sleep(30)"))
    session.close()


def test_a_statement_is_prepared_once_for_all_sessions(
    database: Database, session: Session
) -> None:
    parts = [sa.cast(sa.bindparam(name), sa.Integer) for name in ("over", "under")]
    attributes = {"over": "numerator", "under": "denominator"}
    prepared, other = Prepared(sa.select(*parts), attributes), Session(database)
    compiled = []
    for each in (session, other):
        with each.transaction():
            assert list(prepared.fetch(each.connection, 7)) == [(7, 1)]
            compiled.append(prepared._compiled_for(each.connection.dialect))
    assert compiled[0] is compiled[1]
    other.close()


def test_statements_outside_a_transaction_are_a_defect(database: Database) -> None:
    with pytest.raises(RuntimeError, match="inside a transaction"):
        queues.is_paused(Session(database).connection, "tasks")

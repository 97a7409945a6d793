"""From nothing to the schema, once, whole or not at all."""

import threading

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from actors.errors import MigrationError, StoreUnavailableError, TaskQueueError
from actors.store.connect import Database
from actors.store.migrate import migrate
from actors.store.schema import metadata
from tests.databases import execute
from tests.fakes import DEADLINE_SECONDS


def described(connection: sa.Connection) -> dict[str, list[str]]:
    """Every table as the database itself describes it: columns, keys, indexes and conditions."""
    inspector = sa.inspect(connection)
    return {
        name: [
            *map(str, inspector.get_columns(name)),
            str(inspector.get_pk_constraint(name)),
            *map(str, inspector.get_unique_constraints(name)),
            *sorted(
                f"{index['name']} {index['unique']} {index['column_names']}"
                f" {[str(option) for option in index.get('dialect_options', {}).values()]}"
                for index in inspector.get_indexes(name)
            ),
        ]
        for name in inspector.get_table_names()
    }


def tables(database: Database) -> dict[str, list[str]]:
    with database.engine().connect() as connection:
        return described(connection)


def test_the_migrations_make_what_the_schema_says(database: Database) -> None:
    with database.engine().connect() as connection, connection.begin():
        context = MigrationContext.configure(connection)
        assert compare_metadata(context, metadata) == []
        migrated = described(connection)
        del migrated["alembic_version"]
        metadata.drop_all(connection)
        metadata.create_all(connection)
        made = described(connection)
        del made["alembic_version"]
    assert migrated == made
    assert any("tasks_queued" in line and "'queued'" in line for line in migrated["tasks"])


def test_migrating_again_changes_nothing(database: Database) -> None:
    execute(
        database,
        "INSERT INTO tasks (id, queue, action, data, status, priority, attempt, losses,"
        " max_attempts, run_at, created_at)"
        " VALUES ('a', 'tasks', 'x', '{}', 'queued', 0, 0, 0, 1, 0, 0)",
    )
    before = tables(database)
    migrate(database)
    assert tables(database) == before
    with database.engine().connect() as connection:
        assert connection.scalar(sa.text("SELECT count(*) FROM tasks")) == 1


def test_a_newer_database_is_refused_and_left_alone(database: Database) -> None:
    execute(database, "UPDATE alembic_version SET version_num = '9999'")
    before = tables(database)
    with pytest.raises(MigrationError, match=r"newer version.*9999"):
        migrate(database)
    assert tables(database) == before


def test_a_foreign_table_of_tasks_is_refused_and_left_alone(empty_database: Database) -> None:
    execute(empty_database, "CREATE TABLE tasks (theirs INTEGER)")
    before = tables(empty_database)
    with pytest.raises(MigrationError, match="already exists"):
        migrate(empty_database)
    assert tables(empty_database) == before


def test_of_a_step_that_fails_half_way_nothing_is_left(empty_database: Database) -> None:
    # The table can be created; the last of its indexes cannot.
    execute(empty_database, "CREATE TABLE other (x INTEGER)")
    execute(empty_database, "CREATE INDEX tasks_cancelled ON other (x)")
    before = tables(empty_database)
    with pytest.raises(MigrationError, match="tasks_cancelled"):
        migrate(empty_database)
    assert tables(empty_database) == before
    execute(empty_database, "DROP TABLE other")
    migrate(empty_database)
    assert set(tables(empty_database)) == {"tasks", "alembic_version"}


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_several_that_start_at_once_on_one_postgresql_take_turns(
    empty_database: Database,
) -> None:
    together = threading.Barrier(4)
    done: list[TaskQueueError | None] = []

    def start() -> None:
        together.wait(DEADLINE_SECONDS)
        try:
            migrate(empty_database)
        except TaskQueueError as error:
            done.append(error)
        else:
            done.append(None)

    threads = [threading.Thread(target=start) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(DEADLINE_SECONDS)
    assert done == [None] * 4
    assert set(tables(empty_database)) == {"tasks", "alembic_version"}


@pytest.mark.parametrize(
    "url", ["sqlite:////proc/nowhere/tasks.db", "postgresql+psycopg://me:secret@127.0.0.1:1/x"]
)
def test_a_database_that_cannot_be_opened_is_named_without_its_password(url: str) -> None:
    with pytest.raises(StoreUnavailableError, match="cannot open the database") as caught:
        migrate(Database(url, connect_timeout_seconds=2))
    assert url.replace("secret", "***") in str(caught.value)

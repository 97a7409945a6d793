"""From nothing, or from any former version, to the schema: once, whole or not at all."""

import resource
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

import task_queue.actors.store.migrate
from task_queue.actors.errors import MigrationError, StoreUnavailableError, TaskQueueError
from task_queue.actors.store import changes, due, leases, listing
from task_queue.actors.store.counts import unfinished
from task_queue.actors.store.database import Database
from task_queue.actors.store.migrate import migrate
from task_queue.actors.store.revisions import known
from task_queue.actors.store.schema import metadata, tasks
from task_queue.actors.store.session import Session
from task_queue.actors.tasks.filters import ALL
from task_queue.actors.tasks.settlement import ack
from task_queue.actors.tasks.states import Status
from tests.actors.store.calls import call, claim, claimed_ids, counts, get, ids, put, settle
from tests.databases import execute
from tests.fakes import DEADLINE_SECONDS, NOW, a_task

TABLES = {*metadata.tables, "alembic_version"}
SECOND = int(NOW)
MIB = 2**20


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


def migrate_to(database: Database, revision: str) -> None:
    """Bring the database to where a former version left it."""
    config = Config()
    steps = Path(task_queue.actors.store.migrate.__file__).parent / "migrations"
    config.set_main_option("script_location", str(steps))
    with database.engine().connect() as connection, connection.begin():
        config.attributes["connection"] = connection
        command.upgrade(config, revision)


def add_old(database: Database, *rows: tuple[str, str, str, int | None]) -> None:
    """Add rows as version 0001 wrote them: id, queue, status, and when it was processed."""
    for number, (task_id, queue, status, processed_at) in enumerate(rows):
        running = status == "running"
        lease = f"7, {NOW + 60}" if running else "NULL, NULL"
        execute(
            database,
            "INSERT INTO tasks (id, queue, action, data, status, result, error, priority, attempt,"  # noqa: S608 - all of it is made here
            " losses, max_attempts, run_at, lease_id, leased_until, created_at, started_at,"
            " processed_at) VALUES"
            f" ('{task_id}', '{queue}', 'sum', '{{\"a\"\\:\"é\"}}', '{status}',"
            f" {'NULL' if processed_at is None else repr('1')}, NULL, 0, {int(running)}, 0, 5,"
            f" {NOW}, {lease}, {SECOND + number // 2}, {SECOND if running else 'NULL'},"
            f" {'NULL' if processed_at is None else processed_at})",
        )


OLD_ROWS = (
    # Ids that sort against the order show that it is not theirs.
    ("z", "tasks", "queued", None),
    ("y", "tasks", "queued", None),
    ("x", "tasks", "running", None),
    ("w", "tasks", "scheduled", None),
    ("v", "tasks", "queued", None),
    ("u", "tasks", "completed", SECOND + 5),
    ("t", "tasks", "dead", SECOND + 6),
    ("s", "tasks", "cancelled", SECOND + 7),
    ("r", "other", "queued", None),
    ("q", "tasks", "queued", None),
)


@pytest.fixture
def old(empty_database: Database) -> Database:
    """A database of version 0001 with rows in every state."""
    migrate_to(empty_database, "0001")
    add_old(empty_database, *OLD_ROWS)
    return empty_database


@pytest.fixture
def upgraded(old: Database) -> Iterator[Session]:
    """That database, brought to the present version."""
    migrate(old)
    session = Session(old)
    yield session
    session.close()


def all_rows(database: Database, *columns: str) -> list[tuple[object, ...]]:
    with database.engine().connect() as connection:
        rows = connection.execute(sa.text(f"SELECT {', '.join(columns)} FROM tasks ORDER BY seq"))  # noqa: S608
        return [tuple(row) for row in rows]


def test_the_migrations_make_what_the_schema_says(database: Database) -> None:
    with database.engine().connect() as connection, connection.begin():
        context = MigrationContext.configure(connection)
        assert compare_metadata(context, metadata) == []
        assert context.get_current_heads() == (known()[-1],)
        migrated = described(connection)
        del migrated["alembic_version"]
        metadata.drop_all(connection)
        metadata.create_all(connection)
        made = described(connection)
        del made["alembic_version"]
    assert migrated == made
    assert any("tasks_ready" in line and "'queued'" in line for line in migrated["tasks"])


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


# --- from version 0001 ----------------------------------------------------------------------


def test_an_old_row_keeps_all_that_it_held(old: Database) -> None:
    with old.engine().connect() as connection:
        columns = [column["name"] for column in sa.inspect(connection).get_columns("tasks")]
    before = all_rows(old, *columns)
    migrate(old)
    assert len(before) == len(OLD_ROWS)
    assert all_rows(old, *columns) == before


def test_an_upgraded_database_has_the_schema_of_a_new_one(old: Database) -> None:
    migrate(old)
    with old.engine().connect() as connection, connection.begin():
        upgraded = described(connection)
        metadata.drop_all(connection)
        metadata.create_all(connection)
        assert described(connection) == upgraded


def test_old_rows_are_counted_and_every_change_to_them_from_then_on(upgraded: Session) -> None:
    assert counts(upgraded) == {
        Status.SCHEDULED: 1,
        Status.QUEUED: 4,
        Status.RUNNING: 1,
        Status.COMPLETED: 1,
        Status.DEAD: 1,
        Status.CANCELLED: 1,
    }
    assert counts(upgraded, "other") == {Status.QUEUED: 1}
    in_bytes = len('{"a":"é"}'.encode())
    assert call(upgraded, lambda connection: unfinished(connection, "tasks")) == (
        6,
        6 * in_bytes,
    )
    (first, *_), _ = claim(upgraded)
    settle(upgraded, ack(first, "1", NOW, NOW))
    put(upgraded, a_task(), a_task(queue="new"))
    call(upgraded, lambda connection: changes.cancel(connection, "w", NOW))
    call(upgraded, lambda connection: changes.delete(connection, "u"))
    call(upgraded, lambda connection: changes.retry(connection, "t", NOW))
    for queue in ("tasks", "other", "new"):
        found = call(upgraded, lambda connection: list(connection.execute(_BY_STATE)))
        rows = {Status(row.status): row.number for row in found if row.queue == queue}
        assert counts(upgraded, queue) == rows


_BY_STATE = sa.select(tasks.c.queue, tasks.c.status, sa.func.count().label("number")).group_by(
    tasks.c.queue, tasks.c.status
)


def test_old_tasks_are_claimed_in_their_order_and_before_new_ones(upgraded: Session) -> None:
    (new,) = put(upgraded, a_task(created_at=SECOND + 60))
    claimed, more = claim(upgraded)
    assert (claimed_ids(claimed), more) == (["z", "y", "v", "q", new], False)
    assert claimed_ids(claim(upgraded, queue="other")[0]) == ["r"]
    assert {task.attempt for task in claimed} == {1}


def test_an_old_task_that_is_due_later_becomes_ready_at_its_time(upgraded: Session) -> None:
    with upgraded.transaction():
        assert due.promote(upgraded.connection, queue="tasks", now=NOW, keys_are_limited=False) == [
            None
        ]
    assert "w" in claimed_ids(claim(upgraded)[0])


def test_what_an_old_process_left_running_is_found_and_can_be_settled(upgraded: Session) -> None:
    with upgraded.transaction():
        (lost,), cancelling = leases.lapsed(upgraded.connection, queue="tasks", now=float("inf"))
    assert (lost.lease.task_id, lost.attempt, cancelling) == ("x", 1, [])
    assert settle(upgraded, ack(lost, "1", NOW + 0.5, NOW + 1)) == []
    assert get(upgraded, "x").started_at == NOW + 0.5


def test_an_old_dead_task_can_be_put_back_and_waits_its_turn(upgraded: Session) -> None:
    call(upgraded, lambda connection: changes.retry(connection, "t", NOW + 100))
    assert claimed_ids(claim(upgraded)[0]) == ["z", "y", "v", "q", "t"]


def test_old_tasks_are_listed_the_newest_first(upgraded: Session) -> None:
    page, _ = call(upgraded, lambda connection: listing.page(connection, ALL, limit=100))
    assert ids(page) == [task_id for task_id, *_ in reversed(OLD_ROWS)]


def old_file(tmp_path: Path) -> Database:
    """A SQLite file as version 0001 made it, which could not give pages back."""
    database = Database(f"sqlite:///{tmp_path}/tasks.db")
    with sa.create_engine(database.url, poolclass=sa.NullPool).connect() as connection:
        connection.exec_driver_sql("PRAGMA auto_vacuum = NONE")
        connection.exec_driver_sql("CREATE TABLE first (x INTEGER)")
        connection.exec_driver_sql("DROP TABLE first")
        connection.commit()
    migrate_to(database, "0001")
    add_old(database, *OLD_ROWS)
    assert auto_vacuum(database) == 0
    return database


def auto_vacuum(database: Database) -> int:
    with sa.create_engine(database.url, poolclass=sa.NullPool).connect() as connection:
        return int(connection.exec_driver_sql("PRAGMA auto_vacuum").scalar_one())


def test_an_old_sqlite_file_is_made_to_shrink_once(tmp_path: Path) -> None:
    database = old_file(tmp_path)
    migrate(database)
    assert auto_vacuum(database) == 2  # incremental
    assert [task_id for (task_id,) in all_rows(database, "id")] == [row[0] for row in OLD_ROWS]
    modified = database.path.stat().st_mtime_ns
    migrate(database)
    assert database.path.stat().st_mtime_ns == modified


@contextmanager
def no_file_grows_beyond(size: int) -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_an_old_sqlite_file_that_there_is_no_room_to_rewrite_can_be_used_all_the_same(
    tmp_path: Path,
) -> None:
    database = old_file(tmp_path)
    # A result, because rows of completed tasks are not changed by the migration itself.
    execute(database, f"UPDATE tasks SET result = '{'x' * 9 * MIB}' WHERE status = 'completed'")  # noqa: S608 - as above
    with no_file_grows_beyond(8 * MIB):
        migrate(database)
    session = Session(database)
    assert len(claim(session)[0]) == 4
    session.close()
    migrate(database)
    assert auto_vacuum(database) == 2


# --- what goes wrong ------------------------------------------------------------------------


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
    assert set(tables(empty_database)) == TABLES


def test_of_a_step_that_fails_half_way_an_old_database_is_left_as_it_was(old: Database) -> None:
    execute(old, "CREATE TABLE other (x INTEGER)", "CREATE INDEX tasks_action ON other (x)")
    before = tables(old), all_rows(old, "*")
    with pytest.raises(MigrationError, match="tasks_action"):
        migrate(old)
    assert (tables(old), all_rows(old, "*")) == before
    execute(old, "DROP TABLE other")
    migrate(old)
    assert set(tables(old)) == TABLES


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
    assert set(tables(empty_database)) == TABLES


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_to_load_the_steps_may_take_longer_than_transactions_may_otherwise_wait(
    empty_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    load = ScriptDirectory.from_config
    seen: list[str] = []

    def look_and_load(config: Config) -> ScriptDirectory:
        in_force = sa.text("SHOW idle_in_transaction_session_timeout")
        seen.append(config.attributes["connection"].scalar(in_force))
        return load(config)

    monkeypatch.setattr(ScriptDirectory, "from_config", look_and_load)
    migrate(empty_database)
    assert set(seen) == {"1min"}


@pytest.mark.parametrize(
    "url", ["sqlite:////proc/nowhere/tasks.db", "postgresql://me:secret@127.0.0.1:1/x"]
)
def test_a_database_that_cannot_be_opened_is_named_without_its_password(url: str) -> None:
    with pytest.raises(StoreUnavailableError, match="cannot open the database") as caught:
        migrate(Database(url, connect_timeout_seconds=2))
    assert url.replace(":secret", "") in str(caught.value)

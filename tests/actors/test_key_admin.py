"""Keys on the database itself."""

from pathlib import Path

import pytest

from task_queue.actors import key_admin
from task_queue.actors.errors import DatabaseInUseError, MigrationError
from task_queue.actors.store.database import Database
from task_queue.actors.store.file_lock import FileLock
from task_queue.actors.store.migrate import migrate
from task_queue.actors.tasks.keys import StoredKey
from tests.databases import execute
from tests.fakes import NOW

KEY = StoredKey(
    id="0" * 16, name="shop", hash="0" * 64, scopes=("read",), queues=None, created_at=int(NOW)
)


def test_no_database_has_no_key(empty_database: Database) -> None:
    assert not key_admin.has_valid_key(empty_database, NOW)


def test_a_key_counts_also_if_a_former_version_has_made_the_schema(database: Database) -> None:
    assert not key_admin.has_valid_key(database, NOW)
    key_admin.create(database, KEY)
    execute(database, "UPDATE alembic_version SET version_num = '0001'")
    assert key_admin.has_valid_key(database, NOW)


def test_a_database_of_a_newer_version_is_refused(database: Database) -> None:
    execute(database, "UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(MigrationError, match="made by a newer version of task-queue"):
        key_admin.has_valid_key(database, NOW)


def test_a_process_that_makes_the_database_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = Database(f"sqlite:///{tmp_path / 'tasks.db'}")

    def made_meanwhile(_lock: FileLock) -> None:
        migrate(database)
        raise DatabaseInUseError("the database is in use")

    monkeypatch.setattr(FileLock, "acquire", made_meanwhile)
    key_admin.create(database, KEY)
    assert key_admin.every(database) == [KEY]

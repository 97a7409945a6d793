"""Before a migration rewrites rows of a SQLite file, the file is copied: the way back."""

import shutil
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from structlog.testing import capture_logs

from task_queue.actors.errors import MigrationError
from task_queue.actors.store.database import Database
from task_queue.actors.store.migrate import is_at_head, migrate
from task_queue.actors.store.restore import restore
from task_queue.actors.store.revisions import STEPS, known
from tests.actors.store.test_migrate import OLD_ROWS, add_old, migrate_to


@pytest.fixture
def old(tmp_path: Path) -> Database:
    """A file of version 0001, with rows, that is to be copied first."""
    database = Database(f"sqlite:///{tmp_path}/tasks.db", copy_before_migration=True)
    database.path.touch()
    migrate_to(database, "0001")
    add_old(database, *OLD_ROWS)
    return database


def copies(database: Database) -> list[Path]:
    return sorted(database.path.parent.glob("*.bak*"))


def revision(path: Path) -> str:
    with closing(sqlite3.connect(path)) as connection:
        return str(connection.execute("SELECT version_num FROM alembic_version").fetchone()[0])


def test_the_copy_is_the_file_as_it_was_and_restores(old: Database) -> None:
    with capture_logs() as log:
        migrate(old)
    (copy,) = copies(old)
    assert copy.name.startswith("tasks.db.0001-")
    (line,) = [each for each in log if each["event"] == "database copied before its migration"]
    assert line["file"] == str(copy)
    assert (revision(copy), revision(old.path)) == ("0001", known()[-1])
    restored, kept = restore(old.path, copy, replace=True, paused=None)
    assert (restored.tasks, revision(old.path)) == (len(OLD_ROWS), "0001")
    assert kept is not None
    assert revision(kept) == known()[-1]
    assert not is_at_head(old)


def test_without_room_it_is_not_migrated_and_the_way_out_is_named(
    old: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=0))
    with pytest.raises(
        MigrationError, match=r"no room in .*set database\.backup_before_migration = false"
    ):
        migrate(old)
    assert (copies(old), revision(old.path)) == ([], "0001")
    migrate(replace(old, copy_before_migration=False))
    assert (copies(old), is_at_head(old)) == ([], True)


def test_starts_that_are_killed_while_they_migrate_fill_no_disk(old: Database) -> None:
    beside = old.path.with_name
    for name in ("tasks.db.0001-20260101T000000Z.bak", "tasks.db.0001-20260102T000000Z.bak.7.part"):
        beside(name).write_bytes(b"left")
    others = {beside(name) for name in ("tasks.db.0000-x.bak", "other.db.0001-x.bak")}
    for each in others:
        each.write_bytes(b"another one's")
    migrate(old)
    (copy,) = set(copies(old)) - others
    assert revision(copy) == "0001"
    assert others < set(copies(old))


def test_a_new_database_is_not_copied(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path}/tasks.db", copy_before_migration=True)
    migrate(database)
    migrate(database)
    assert copies(database) == []


def test_the_steps_that_change_rows_say_so() -> None:
    for step in sorted((STEPS / "versions").glob("[0-9]*.py")):
        text = step.read_text()
        changes = "UPDATE tasks" in text or "batch_alter_table" in text
        assert ("\nrewrites = True\n" in text) is changes, step.name

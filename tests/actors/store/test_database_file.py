"""A SQLite file that is removed, moved, replaced or emptied while it is open."""

import os
import shutil
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from task_queue.actors.errors import StoreUnavailableError
from task_queue.actors.store.database import Database
from task_queue.actors.store.database_file import INDEX, LOG, DatabaseFile
from task_queue.actors.store.file_lock import FileLock
from task_queue.actors.store.migrate import migrate
from task_queue.actors.store.session import Session
from task_queue.actors.store.upkeep import FileUpkeep
from tests.actors.store.calls import find, put
from tests.fakes import a_task

FILES = ("", LOG, INDEX)


class Open:
    """A database that is open, with a row in it."""

    def __init__(self, directory: Path) -> None:
        self.path = directory / "tasks.db"
        self.database = Database(f"sqlite:///{self.path}")
        migrate(self.database)
        self.file = DatabaseFile(self.path)
        self.file.adopt()
        self.session = Session(self.database, file=self.file)
        self.upkeep = FileUpkeep(self.session, self.file)
        self.now = time.time()  # as the file system has it
        self.task = a_task()
        put(self.session, self.task)
        self.check()
        self.upkeep.look(self.now)

    def check(self) -> None:
        self.now += 1
        self.upkeep.check(self.now)

    def at(self, suffix: str) -> Path:
        return Path(f"{self.path}{suffix}")

    def is_lost(self, match: str) -> None:
        with pytest.raises(StoreUnavailableError, match=match):
            self.check()


@pytest.fixture
def opened(tmp_path: Path) -> Open:
    directory = tmp_path / "data"
    directory.mkdir()
    return Open(directory)


def remove(opened: Open) -> None:
    for suffix in FILES:
        opened.at(suffix).unlink()


def move(opened: Open) -> None:
    opened.path.rename(opened.at(".away"))


def move_directory(opened: Open) -> None:
    opened.path.parent.rename(opened.path.parent.with_name("away"))


def restore(opened: Open) -> None:
    """Put a backup in its place."""
    copy = opened.at(".copy")
    with closing(sqlite3.connect(opened.path)) as source, closing(sqlite3.connect(copy)) as target:
        source.backup(target)
    copy.replace(opened.path)


def empty(opened: Open) -> None:
    os.truncate(opened.path, 0)


@pytest.mark.parametrize(
    ("lose", "match"),
    [
        (remove, "is not there any more"),
        (move, "is not there any more"),
        (move_directory, "is not there any more"),
        (restore, "is another one than was opened"),
        (empty, "is empty"),
    ],
)
def test_a_file_that_is_lost_is_noticed_within_a_second_and_not_made_anew(
    opened: Open, lose: Callable[[Open], None], match: str
) -> None:
    lose(opened)
    opened.is_lost(match)
    opened.session.close()
    with pytest.raises(StoreUnavailableError, match=match):
        put(opened.session, a_task())
    reader = Session(opened.database, read_only=True, file=opened.file)
    with pytest.raises(StoreUnavailableError, match=match):
        find(reader, opened.task.id)
    assert opened.path.exists() == (lose in {restore, empty})


@pytest.mark.parametrize("suffix", [LOG, INDEX])
def test_a_log_that_is_removed_is_noticed_and_saved_by_a_clean_end(
    opened: Open, suffix: str
) -> None:
    opened.at(suffix).unlink()
    opened.is_lost(f"{suffix}, a part of the database, is not there any more")
    opened.session.close()
    migrate(opened.database)
    session = Session(opened.database)
    assert find(session, opened.task.id) == opened.task
    session.close()


@pytest.mark.parametrize("commits", [0, 1])
def test_a_log_that_was_emptied_is_noticed_before_or_after_the_next_commit(
    opened: Open, commits: int
) -> None:
    os.truncate(opened.at(LOG), 0)
    for _ in range(commits):
        put(opened.session, a_task())
    opened.is_lost("was emptied by something else")
    opened.is_lost("was emptied by something else")
    opened.session.close()


def test_a_log_that_another_program_has_folded_is_no_loss_even_while_one_writes(
    opened: Open,
) -> None:
    with closing(sqlite3.connect(opened.path)) as other:
        assert other.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone() == (0, 0, 0)
    assert not opened.at(LOG).stat().st_size
    with closing(sqlite3.connect(opened.path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        opened.check()
    for _ in range(2):
        opened.check()
        put(opened.session, task := a_task())
        assert find(opened.session, task.id) == task
    opened.session.close()


def test_a_file_that_is_back_is_used_again(opened: Open) -> None:
    move(opened)
    opened.is_lost("not there")
    opened.at(".away").rename(opened.path)
    opened.check()
    put(opened.session, task := a_task())
    assert find(opened.session, task.id) == task
    opened.session.close()


def test_a_file_that_is_back_and_was_written_to_meanwhile_is_not(opened: Open) -> None:
    move(opened)
    opened.is_lost("not there")
    opened.at(".away").rename(opened.path)
    later = opened.now + 1
    os.utime(opened.path, (later, later))
    opened.is_lost("was written to meanwhile")
    opened.session.close()


@pytest.mark.parametrize("restarted", [False, True])
def test_what_sqlite_itself_deletes_at_the_end_of_its_connections_is_not_missed(
    opened: Open, *, restarted: bool
) -> None:
    opened.session.close()
    assert not opened.at(LOG).exists()
    if restarted:  # the writer, in its next life
        opened.session = Session(opened.database, file=opened.file)
        opened.upkeep = FileUpkeep(opened.session, opened.file)
    for _ in range(2):
        opened.check()
        put(opened.session, a_task())
        opened.upkeep.look(opened.now)
    opened.at(LOG).unlink()
    opened.is_lost("a part of the database")
    opened.session.close()


def test_it_is_looked_at_once_a_second(opened: Open) -> None:
    move(opened)
    opened.upkeep.check(opened.now + 0.9)
    with pytest.raises(StoreUnavailableError):
        opened.upkeep.check(opened.now + 1.0)
    with pytest.raises(StoreUnavailableError):
        opened.upkeep.check(opened.now + 1.1)
    opened.session.close()


def test_a_log_without_its_file_is_not_begun_anew(opened: Open) -> None:
    shutil.copy(opened.at(LOG), opened.at(".saved"))
    opened.session.close()
    opened.path.unlink()
    opened.at(".saved").rename(opened.at(LOG))
    with pytest.raises(StoreUnavailableError, match="put the file back, or delete the log"):
        migrate(opened.database)
    assert not opened.path.exists()


def test_a_lock_whose_file_was_removed_is_taken_again(tmp_path: Path) -> None:
    ours, theirs = (FileLock(tmp_path / "tasks.db") for _ in range(2))
    ours.acquire()
    (tmp_path / "tasks.db.lock").unlink()
    ours.keep()
    with pytest.raises(StoreUnavailableError, match="in use by another"):
        theirs.acquire()
    (tmp_path / "tasks.db.lock").unlink()
    theirs.acquire()
    with pytest.raises(StoreUnavailableError, match="in use by another"):
        ours.keep()
    ours.release()
    theirs.release()


def test_by_a_link_the_log_is_looked_at_where_it_is(tmp_path: Path) -> None:
    real = tmp_path / "real"
    real.mkdir()
    (tmp_path / "tasks.db").symlink_to(real / "tasks.db")
    opened = Open(tmp_path)
    assert opened.file.log_bytes > 0
    (real / f"tasks.db{LOG}").unlink()
    opened.is_lost(f"{real}/tasks.db{LOG}.* is not there any more")

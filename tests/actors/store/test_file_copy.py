"""Copies of a SQLite file: one state, checked, whole or not at all."""

import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from task_queue.actors.errors import MigrationError, StoreUnavailableError
from task_queue.actors.store import file_copy
from task_queue.actors.store.database import Database
from task_queue.actors.store.file_copy import AT_ONCE, Pace, copy_to
from task_queue.actors.store.revisions import known
from task_queue.actors.store.session import Session
from task_queue.actors.tasks.states import Status
from tests.actors.store.calls import put
from tests.actors.store.test_migrate import no_file_grows_beyond
from tests.databases import execute, fill
from tests.fakes import a_task

pytestmark = pytest.mark.parametrize("database", ["sqlite"], indirect=True)


def count(path: Path) -> int:
    with closing(sqlite3.connect(path)) as connection:
        return int(connection.execute("SELECT count(*) FROM tasks").fetchone()[0])


def files(directory: Path) -> set[str]:
    return {path.name for path in directory.iterdir()}


def after_each_step(do: Callable[[], object]) -> Pace:
    """Has something happen where the copy rests."""

    def wait(_seconds: float) -> None:
        do()

    return Pace(rest=1.0, wait=wait)


def test_what_a_killed_copy_has_left_goes_and_that_of_one_that_lives_stays(
    database: Database, tmp_path: Path
) -> None:
    killed = subprocess.Popen([sys.executable, "-c", ""])
    killed.wait()
    left = {
        number: tmp_path / f"copy.db.{number}.part"
        for number in (killed.pid, os.getpid(), os.getppid(), "x")
    }
    for path in left.values():
        path.write_bytes(b"left")
    copy_to(database.path, tmp_path / "copy.db")
    there = {number for number, path in left.items() if path.exists()}
    assert there == {os.getppid(), "x"}


def test_a_copy_is_one_state_whatever_is_written_meanwhile(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file_copy, "STEP_PAGES", 10)
    fill(database, Status.QUEUED, 500)
    with closing(Session(database)) as session:
        put(session, a_task())  # in the log, and not in the file yet
        written: list[object] = []
        pace = after_each_step(lambda: written.append(put(session, a_task())))
        copied = copy_to(database.path, tmp_path / "copy.db", pace)
    assert len(written) > 1
    assert count(database.path) == 501 + len(written)
    assert (count(tmp_path / "copy.db"), copied.tasks, copied.revision) == (501, 501, known()[-1])
    assert copied.size == (tmp_path / "copy.db").stat().st_size
    # A file alone, so that it can be moved.
    assert {name for name in files(tmp_path) if "copy" in name} == {"copy.db"}


def test_a_copy_leaves_nothing_beside_a_database_that_nobody_uses(
    database: Database, tmp_path: Path
) -> None:
    before = files(tmp_path)
    copy_to(database.path, tmp_path / "copy.db")
    assert files(tmp_path) == before | {"copy.db"}


def test_a_copy_may_be_read_by_those_who_may_read_the_database(
    database: Database, tmp_path: Path
) -> None:
    database.path.chmod(0o600)
    copy_to(database.path, tmp_path / "copy.db")
    assert (tmp_path / "copy.db").stat().st_mode & 0o777 == 0o600


def test_a_file_that_is_there_is_replaced_only_where_that_is_asked_for(
    database: Database, tmp_path: Path
) -> None:
    copy = tmp_path / "copy.db"
    with closing(sqlite3.connect(copy)) as mine:
        mine.execute("CREATE TABLE mine (x)")
    before = copy.read_bytes()
    with pytest.raises(StoreUnavailableError, match=r"copy\.db is there already.*--force"):
        copy_to(database.path, copy)
    assert copy.read_bytes() == before
    copy_to(database.path, copy, replace=True)
    assert count(copy) == 0


def test_a_file_that_is_no_database_is_never_replaced(database: Database, tmp_path: Path) -> None:
    settings = tmp_path / "settings.toml"
    settings.write_text("[http]\nport = 8080\n")
    with pytest.raises(StoreUnavailableError, match="is no SQLite database, and only such a file"):
        copy_to(database.path, settings, replace=True)
    assert settings.read_text() == "[http]\nport = 8080\n"


def test_a_database_in_use_is_never_replaced_by_a_copy(database: Database, tmp_path: Path) -> None:
    used = tmp_path / "used.db"
    copy_to(database.path, used)
    with closing(Session(Database(f"sqlite:///{used}"))) as session:
        put(session, a_task())
        with pytest.raises(StoreUnavailableError, match=r"used\.db is in use"):
            copy_to(database.path, used, replace=True)
    assert count(used) == 1


@pytest.mark.parametrize(
    ("pace", "problem"),
    [
        (Pace(spare_bytes=2**50), "no room in .* MiB that have to stay free"),
        (Pace(max_log_bytes=-1), "the copy takes too long: .* the write-ahead log grows"),
    ],
)
def test_of_a_copy_that_was_given_up_nothing_is_left(
    database: Database, tmp_path: Path, pace: Pace, problem: str
) -> None:
    before = files(tmp_path)
    with pytest.raises(StoreUnavailableError, match=problem):
        copy_to(database.path, tmp_path / "copy.db", pace)
    assert files(tmp_path) == before


def test_a_copy_hurries_when_the_log_has_grown(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file_copy, "STEP_PAGES", 10)
    monkeypatch.setattr(file_copy, "HURRY_BYTES", 100_000)
    fill(database, Status.QUEUED, 2_000)
    rests: list[float] = []
    with closing(Session(database)) as session:

        def write() -> None:
            rests.append(len(rests))
            put(session, *[a_task() for _ in range(300)])

        copy_to(database.path, tmp_path / "copy.db", after_each_step(write))
    pages = (tmp_path / "copy.db").stat().st_size // 4096
    assert 0 < len(rests) < pages // 10


def test_a_damaged_database_is_not_copied(database: Database, tmp_path: Path) -> None:
    fill(database, Status.QUEUED, 2_000)
    with database.path.open("r+b") as file:
        file.seek(database.path.stat().st_size // 2)
        file.write(b"\xff" * 8_192)
    with pytest.raises(StoreUnavailableError, match=r"damaged|malformed"):
        copy_to(database.path, tmp_path / "copy.db")
    assert "copy.db" not in files(tmp_path)


def test_what_is_not_ours_or_newer_is_refused(database: Database, tmp_path: Path) -> None:
    other = tmp_path / "other.db"
    other.write_text("something else altogether, of more than a few bytes")
    with pytest.raises(StoreUnavailableError, match=r"cannot copy .*other\.db: file is not a"):
        copy_to(other, tmp_path / "copy.db")
    with closing(sqlite3.connect(tmp_path / "theirs.db")) as connection:
        connection.execute("CREATE TABLE tasks (theirs)")
    with pytest.raises(MigrationError, match=r"theirs\.db is not a database of task-queue"):
        copy_to(tmp_path / "theirs.db", tmp_path / "copy.db")
    execute(database, "UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(MigrationError, match=r"newer version.*9999"):
        copy_to(database.path, tmp_path / "copy.db", AT_ONCE)
    assert "copy.db" not in files(tmp_path)


def test_of_a_copy_for_which_the_disk_is_too_small_nothing_is_left(
    database: Database, tmp_path: Path
) -> None:
    fill(database, Status.QUEUED, 5_000)
    before = files(tmp_path)
    with no_file_grows_beyond(400_000), pytest.raises(StoreUnavailableError) as raised:
        copy_to(database.path, tmp_path / "copy.db")
    assert f"cannot copy the database {database.path}: " in str(raised.value)
    assert files(tmp_path) == before

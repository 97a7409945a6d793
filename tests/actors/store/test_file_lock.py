"""One process on one SQLite file."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from task_queue.actors.errors import StoreUnavailableError
from task_queue.actors.store.file_lock import FileLock
from tests.fakes import DEADLINE_SECONDS

HOLD = """
import sys
from pathlib import Path
from task_queue.actors.store.file_lock import FileLock
lock = FileLock(Path(sys.argv[1]))
lock.acquire()
print("held", flush=True)
sys.stdin.read()
"""


def test_a_second_owner_is_refused_and_told_who_the_first_is(tmp_path: Path) -> None:
    database = tmp_path / "tasks.db"
    first, second = FileLock(database), FileLock(database)
    first.acquire()
    with pytest.raises(StoreUnavailableError, match=rf"tasks\.db.*process {os.getpid()}\)"):
        second.acquire()
    first.release()
    assert (tmp_path / "tasks.db.lock").read_text() == ""
    second.acquire()
    second.release()


def test_a_second_owner_by_a_link_is_refused(tmp_path: Path) -> None:
    (tmp_path / "links").mkdir()
    link = tmp_path / "links" / "other.db"
    link.symlink_to(tmp_path / "tasks.db")
    first, second = FileLock(tmp_path / "tasks.db"), FileLock(link)
    first.acquire()
    with pytest.raises(StoreUnavailableError, match=rf"process {os.getpid()}\)"):
        second.acquire()
    first.release()


def test_a_file_with_several_names_is_refused(tmp_path: Path) -> None:
    database, other = tmp_path / "tasks.db", tmp_path / "other.db"
    database.touch()
    other.hardlink_to(database)
    for each in (database, other):
        with pytest.raises(StoreUnavailableError, match="several names"):
            FileLock(each).acquire()
    other.unlink()
    lock = FileLock(database)
    lock.acquire()
    lock.release()


def test_a_killed_process_leaves_no_lock_behind(tmp_path: Path) -> None:
    database = tmp_path / "tasks.db"
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(database)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        lock = FileLock(database)
        with pytest.raises(StoreUnavailableError, match=rf"process {process.pid}\)"):
            lock.acquire()
        process.send_signal(signal.SIGKILL)
        process.wait(DEADLINE_SECONDS)
        lock.acquire()
        lock.release()


def test_a_missing_directory_is_made(tmp_path: Path) -> None:
    lock = FileLock(tmp_path / "a" / "b" / "tasks.db")
    lock.acquire()
    lock.release()
    assert (tmp_path / "a" / "b").is_dir()


def test_a_directory_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreUnavailableError, match=f"directory {tmp_path}/file"):
        FileLock(tmp_path / "file" / "tasks.db").acquire()


def test_a_lock_that_is_not_held_can_be_released(tmp_path: Path) -> None:
    lock = FileLock(tmp_path / "tasks.db")
    lock.release()
    lock.acquire()
    lock.release()
    lock.release()


def test_a_new_directory_is_there_after_a_power_cut(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[Path] = []

    def fsync(descriptor: int) -> None:
        synced.append(Path(f"/proc/self/fd/{descriptor}").readlink())

    monkeypatch.setattr(os, "fsync", fsync)
    lock = FileLock(tmp_path / "new" / "data" / "tasks.db")
    lock.acquire()
    lock.release()
    assert set(synced) == {tmp_path, tmp_path / "new"}

"""Keeps a second process off a SQLite file: one writer by construction."""

import fcntl
import os
from io import FileIO
from pathlib import Path

from task_queue.actors.errors import DatabaseInUseError, StoreUnavailableError
from task_queue.actors.runtime.forked import kept_from_forked


class FileLock:
    """A lock file beside the database, held while the process lives.

    The kernel releases it however the process ends, so a `kill -9` leaves nothing to clean up.
    """

    def __init__(self, database: Path) -> None:
        """Store where the file is.

        Args:
            database: The SQLite file.
        """
        self._database = database.absolute()
        # Beside the file itself, as its log: several links may lead to it, or one nowhere.
        real = Path(os.path.realpath(database))
        real = real if real.parent.is_dir() else self._database
        self._path = real.with_name(real.name + ".lock")
        self._file: FileIO | None = None

    def acquire(self) -> None:
        """Take the lock.

        Raises:
            DatabaseInUseError: Another process has it.
            StoreUnavailableError: It cannot be written, or would not keep off a process that uses
                the database by another name.
        """
        path = self._path
        if self._database.is_file() and self._database.stat().st_nlink > 1:
            message = (
                f"the database file {self._database} has several names (hard links), and by each of"
                " them SQLite would keep another log, which loses tasks: delete the other names,"
                " or put a copy in its place"
            )
            raise StoreUnavailableError(message)
        try:
            _make_directory(path.parent)
            file = FileIO(os.open(path, os.O_RDWR | os.O_CREAT, 0o644), "r+")
        except OSError as error:
            message = f"cannot write in the directory {path.parent}: {error.strerror}"
            raise StoreUnavailableError(message) from error
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            file.truncate(0)
            file.write(f"{os.getpid()}\n".encode())
        except BlockingIOError as error:
            with file:
                owner = (file.read(20) or b"").decode(errors="replace").strip() or "unknown"
            message = f"{self._database} is in use by another task-queue (process {owner})"
            raise DatabaseInUseError(message) from error
        except OSError as error:  # such as a full disk, or a file system without locks
            file.close()
            message = f"cannot lock the file {path}: {error.strerror}"
            raise StoreUnavailableError(message) from error
        self._file = kept_from_forked(file)

    def keep(self) -> None:
        """Take the lock again if its file was removed, or a second process could take it.

        Raises:
            StoreUnavailableError: As of `acquire`.
        """
        if self._file is None:
            return
        mine = os.fstat(self._file.fileno())
        try:
            found = self._path.stat()
        except OSError:
            found = None
        if found is None or (found.st_dev, found.st_ino) != (mine.st_dev, mine.st_ino):
            former = self._file
            self.acquire()
            former.close()

    def release(self) -> None:
        """Release the lock, if it is held."""
        if self._file is not None:
            self._file.truncate(0)  # the process id is somebody else's soon
            self._file.close()
            self._file = None


def _make_directory(directory: Path) -> None:
    """Make the directory so that it survives a power cut.

    SQLite syncs the directory of its files, but not its parent.
    """
    missing = [each for each in (directory, *directory.parents) if not each.exists()]
    directory.mkdir(parents=True, exist_ok=True)
    for made in missing:
        descriptor = os.open(made.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

"""Keeps a second process off a SQLite file: one writer by construction."""

import fcntl
import os
from pathlib import Path

from task_queue.actors.errors import StoreUnavailableError

_held: set[int] = set()
"""The descriptors of all locks of this process."""


def _leave_to_parent() -> None:
    """Close them in a process that was forked, or it would hold the locks beyond its parent."""
    for descriptor in _held:
        os.close(descriptor)
    _held.clear()


os.register_at_fork(after_in_child=_leave_to_parent)


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
        self._path = self._database.with_name(self._database.name + ".lock")
        self._descriptor: int | None = None

    def acquire(self) -> None:
        """Take the lock.

        Raises:
            StoreUnavailableError: Another process has it, or the directory cannot be written.
        """
        path = self._path
        try:
            _make_directory(path.parent)
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            message = f"cannot write in the directory {path.parent}: {error.strerror}"
            raise StoreUnavailableError(message) from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            owner = os.read(descriptor, 20).decode(errors="replace").strip() or "unknown"
            os.close(descriptor)
            message = f"{self._database} is in use by another task-queue (process {owner})"
            raise StoreUnavailableError(message) from error
        os.ftruncate(descriptor, 0)
        os.write(descriptor, f"{os.getpid()}\n".encode())
        self._descriptor = descriptor
        _held.add(descriptor)

    def keep(self) -> None:
        """Take the lock again if its file was removed, or a second process could take it.

        Raises:
            StoreUnavailableError: As of `acquire`.
        """
        if self._descriptor is None:
            return
        mine = os.fstat(self._descriptor)
        try:
            found = self._path.stat()
        except OSError:
            found = None
        if found is None or (found.st_dev, found.st_ino) != (mine.st_dev, mine.st_ino):
            former = self._descriptor
            self.acquire()
            _close(former)

    def release(self) -> None:
        """Release the lock, if it is held."""
        if self._descriptor is not None:
            os.ftruncate(self._descriptor, 0)  # the process id is somebody else's soon
            _close(self._descriptor)
            self._descriptor = None


def _close(descriptor: int) -> None:
    _held.discard(descriptor)
    os.close(descriptor)


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

"""Whether the path of a SQLite database still names the file that is open."""

import os
from collections.abc import Callable
from pathlib import Path

from task_queue.actors.errors import StoreUnavailableError

LOG, INDEX = "-wal", "-shm"
"""What SQLite appends to the path for the write-ahead log and its index."""
_LOG_BEGINS = b"\x37\x7f\x06"
"""How a write-ahead log begins; one that was emptied under SQLite has a hole there."""


class DatabaseFile:
    """The files of a SQLite database, as they were when they were opened.

    A process that has a file open can write to it when it has long been removed, moved or replaced;
    all of that is lost. Paths are compared with what is open by `stat` alone: to open the file once
    more and close it would drop SQLite's locks.
    """

    def __init__(self, path: Path, keep_lock: Callable[[], None] = lambda: None) -> None:
        """Store where the files are.

        Args:
            path: The database.
            keep_lock: Takes the lock file again if it was removed.
        """
        self._path = path.absolute()
        self._real = Path(os.path.realpath(path))  # where SQLite has the log and its index
        self._keep_lock = keep_lock
        self._known: dict[str, tuple[int, int]] = {}  # suffix to device and inode
        self._lost_at: float | None = None

    @property
    def log_bytes(self) -> int:
        """How large the write-ahead log is; 0 if there is none."""
        found = self._stat(LOG)
        return 0 if found is None else found.st_size

    @property
    def log_is_cut(self) -> bool:
        """Whether the write-ahead log was emptied and written to since: it begins with nothing."""
        try:
            with Path(f"{self._real}{LOG}").open("rb") as log:  # no locks of SQLite's are on it
                return not _LOG_BEGINS.startswith(log.read(len(_LOG_BEGINS)))
        except OSError:  # not there: `check` tells so
            return False

    @property
    def index_inode(self) -> int | None:
        """The inode of the index, on which readers hold locks."""
        found = self._stat(INDEX)
        return None if found is None else found.st_ino

    def adopt(self) -> None:
        """Take the file that is there, just migrated, for the one that this process uses."""
        self._remember("")

    def opened(self) -> None:
        """Take the log and its index that are there for those that are open now."""
        for suffix in (LOG, INDEX):
            self._remember(suffix)

    def closed(self) -> None:
        """Forget the log and its index: SQLite deletes them with the last connection."""
        for suffix in (LOG, INDEX):
            self._known.pop(suffix, None)

    def check_is_same(self) -> None:
        """Accept the file that is about to be opened.

        Raises:
            StoreUnavailableError: It is not the one that this process uses.
        """
        if problem := self._problem(""):
            raise StoreUnavailableError(problem)

    def check(self, now: float) -> None:
        """Accept what is there as what is open, or as what is back unchanged.

        Args:
            now: The present moment, Unix seconds.

        Raises:
            StoreUnavailableError: It is something else; the text says what to do.
        """
        if problem := next(filter(None, map(self._problem, ("", LOG, INDEX))), None):
            if self._lost_at is None:
                self._lost_at = now
            raise StoreUnavailableError(problem)
        if self._lost_at is not None and self._is_changed(self._lost_at):
            raise StoreUnavailableError(
                f"the database file {self._path} is back, but was written to meanwhile, which does"
                " not go together with what is open: stop the server and start it again"
            )
        self._lost_at = None
        self._keep_lock()

    def log_was_emptied(self) -> StoreUnavailableError:
        """Return what to say if the log does not hold any more what was written to it."""
        return StoreUnavailableError(
            f"the file {self._real}{LOG}, a part of the database, was emptied by something else:"
            " what was in it is lost, and nothing is written. End the server by SIGKILL, as SIGTERM"
            f" would write the rest of it to {self._path.name}, and start it again"
        )

    def _problem(self, suffix: str) -> str | None:
        known = self._known.get(suffix)
        if known is None:
            return None
        found = self._stat(suffix)
        if found is not None and _identity(found) == known and (suffix or found.st_size):
            return None
        what = "is not there any more"
        if found is not None:
            what = "is empty" if _identity(found) == known else "is another one than was opened"
        if suffix:
            return (
                f"the file {self._real}{suffix}, a part of the database, {what}: nothing is"
                " written. Stop the server by SIGTERM, which saves what is in it, and start it anew"
            )
        return (
            f"the database file {self._path} {what}: nothing is written. Put it back, with its"
            f" {LOG} and {INDEX} files, or stop the server and start it again with what is there"
        )

    def _is_changed(self, since: float) -> bool:
        found = self._stat("")
        return found is None or found.st_mtime > since

    def _remember(self, suffix: str) -> None:
        if (found := self._stat(suffix)) is not None:
            self._known[suffix] = _identity(found)

    def _stat(self, suffix: str) -> os.stat_result | None:
        try:
            return (Path(f"{self._real}{suffix}") if suffix else self._path).stat()
        except OSError:  # not there, or its directory not readable: it cannot be seen
            return None


def _identity(found: os.stat_result) -> tuple[int, int]:
    return found.st_dev, found.st_ino

"""A Unix socket in place of a port: a file that is there while somebody listens on it."""

import fcntl
import os
import socket
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from task_queue.actors.errors import BootError

MODE = 0o660
"""The process's user and group may connect."""
MAX_PATH_BYTES = 107
"""Linux has 108 bytes for it, with the NUL at its end: `unix(7)`."""
LOCK_SECONDS = 5.0
"""How long another server in the same folder may take to make its own socket."""

_BACKLOG = 1_024  # as waitress takes for a port
_LOOK_SECONDS = 0.01


class UnixListener(socket.socket):
    """A socket that listens on a path, in place of one that a dead server has left there.

    Unlike a port it listens from the beginning, since another server can tell only by connecting
    whether this one lives. Who connects before everything is up waits for that.
    """

    def __init__(self, path: Path) -> None:
        """Listen there; the folder is made.

        Args:
            path: Absolute, so that it stays the same wherever an action leads the process.

        Raises:
            BootError: It is in use, or nothing can be made there.
        """
        self._path = path
        if len(os.fsencode(path)) > MAX_PATH_BYTES:
            raise self._cannot_be(f"the path has more than {MAX_PATH_BYTES} bytes")
        super().__init__(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with _alone_in(path.parent):
                self._make_room()
                self.bind(os.fspath(path))
                self._file: os.stat_result | None = path.lstat()
                path.chmod(MODE)
                self.listen(_BACKLOG)
        except OSError as error:
            self.close()
            raise self._cannot_be(error.strerror or str(error)) from error
        except BootError:
            self.close()
            raise

    def withdraw(self) -> None:
        """Let no further connection begin: remove the file, if it is still the one of this socket.

        Connections that have begun can still be accepted.
        """
        mine, self._file = self._file, None  # later another file may have its number
        with suppress(OSError):
            if mine is not None and os.path.samestat(mine, self._path.lstat()):
                self._path.unlink()

    def _make_room(self) -> None:
        """Remove the file if nobody listens on it.

        Raises:
            BootError: Somebody does, or it is no socket.
        """
        try:
            kind = self._path.lstat().st_mode
        except FileNotFoundError:
            return
        if not stat.S_ISSOCK(kind):
            raise self._cannot_be("the file there is no socket")
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
            probe.settimeout(0)
            try:
                probe.connect(os.fspath(self._path))
            except ConnectionRefusedError:
                self._path.unlink()
                return
            except BlockingIOError:  # as many wait there as may
                pass
        raise self._cannot_be("another server listens there")

    def _cannot_be(self, reason: str) -> BootError:
        return BootError(f"cannot listen on the Unix socket {self._path} (http.socket): {reason}")


@contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """Keep other servers from making a socket in this folder.

    Or two of them could find the same one dead, and one remove what the other has just made.
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        deadline = time.monotonic() + LOCK_SECONDS
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(_LOOK_SECONDS)
        yield
    finally:
        os.close(descriptor)

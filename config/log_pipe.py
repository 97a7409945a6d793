"""Where the log goes if somebody has to read it: a pipe, a socket, a terminal."""

import os
import select
import stat
from io import RawIOBase
from typing import Any

WAIT_SECONDS = 1.0
"""How long whoever logs waits for a reader that does not read."""
PIECE_BYTES = select.PIPE_BUF
"""How much can be written at once without a wait, if anything can."""
NEWLINE = ord("\n")


def is_read(descriptor: int) -> bool:
    """Return whether what is written there waits for a reader."""
    mode = os.fstat(descriptor).st_mode
    return stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode) or os.isatty(descriptor)


class LogPipe(RawIOBase):
    """Loses what nobody reads in time, so that a log that is stuck does not stop the service.

    Attributes:
        lost: How many lines were, and nobody was told.
        is_stuck: Whether nobody reads now.
    """

    def __init__(self, descriptor: int) -> None:
        """Store it.

        Args:
            descriptor: Is its own from now on.
        """
        self.lost = 0
        self.is_stuck = False
        self._descriptor = descriptor
        self._is_in_line = self._is_torn = False  # what was written last has no end, or has lost it
        self._poll = select.poll()
        self._poll.register(descriptor, select.POLLOUT)

    def write(self, data: Any) -> int:  # noqa: ANN401 - whatever bytes are in
        """Write it, or as much of it as is read; it counts as written in any case."""
        left = memoryview(data).cast("B")
        size = len(left)
        try:
            while left and self._is_ready():
                if self._is_torn:
                    os.write(self._descriptor, b"\n")
                    self._is_torn = self._is_in_line = False
                    continue
                written = os.write(self._descriptor, left[:PIECE_BYTES])
                self._is_in_line = left[written - 1] != NEWLINE
                left = left[written:]
        except OSError:  # nobody will ever read it
            self.is_stuck = True
        if left:
            self.lost += bytes(left).count(b"\n")
            self._is_torn = self._is_in_line
        return size

    def _is_ready(self) -> bool:
        self.is_stuck = not self._poll.poll(0 if self.is_stuck else WAIT_SECONDS * 1000)
        return not self.is_stuck

    def take_lost(self) -> int:
        """Return how many lines were lost since the last call, as soon as somebody reads again."""
        if self.is_stuck:
            return 0
        lost, self.lost = self.lost, 0
        return lost

    def fileno(self) -> int:
        """Return the descriptor."""
        return self._descriptor

    def isatty(self) -> bool:
        """Return whether it is a terminal."""
        return os.isatty(self._descriptor)

    def writable(self) -> bool:
        """Return whether it takes anything."""
        return True

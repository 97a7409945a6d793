"""The standard streams of a program: all of its input, and as much of its output as is kept."""

import os
import selectors
from typing import IO, Any

from task_queue.actors.actions.process.child import Child
from task_queue.actors.actions.result import too_long
from task_queue.actors.tasks.text import MAX_STDERR_CHARS, printable

CHUNK_BYTES = 65_536
FULL_PIPE_CHUNKS = 16
"""What a pipe can hold at most: Linux allows a MiB."""


class Pipes:
    """Moves data through the pipes of a program, without ever waiting for one of them alone."""

    def __init__(self, child: Child, data: bytes, max_bytes: int) -> None:
        """Begin to watch them.

        Args:
            child: Was started with three pipes.
            data: What goes to its standard input.
            max_bytes: How much it may write to its standard output.

        Raises:
            OSError: There is no descriptor left to watch them with.
        """
        self._child = child
        self._max_bytes = max_bytes
        self._stdin, self._out, self._err = (
            child.process.stdin,
            child.process.stdout,
            child.process.stderr,
        )
        self._left = memoryview(data)
        self._stdout = bytearray()
        self._stderr = bytearray()
        self._selector = selectors.DefaultSelector()
        for stream, event in (
            (self._stdin, selectors.EVENT_WRITE),
            (self._out, selectors.EVENT_READ),
            (self._err, selectors.EVENT_READ),
        ):
            assert stream is not None  # noqa: S101 - asked for
            os.set_blocking(stream.fileno(), False)
            self._selector.register(stream, event)
        if (pidfd := child.pidfd) is not None:  # looked at once, as others may kill it
            self._selector.register(pidfd, selectors.EVENT_READ)

    @property
    def stdout(self) -> bytes:
        """Its standard output, all of it."""
        return bytes(self._stdout)

    @property
    def stderr(self) -> str | None:
        """The last of its standard error; None: nothing."""
        text = self._stderr.decode("utf-8", "replace")[-MAX_STDERR_CHARS:]
        return printable(text, MAX_STDERR_CHARS) or None

    def step(self, seconds: float) -> bool:
        """Move what can be moved now; return whether the program has ended.

        The end of its streams would not tell: what it has started may hold them.

        Args:
            seconds: How long to wait at most.

        Raises:
            Reject: There is too much output.
        """
        for key, _ in self._selector.select(seconds):
            stream: Any = key.fileobj
            if self._stdin is not None and stream is self._stdin:
                self._write(self._stdin)
            elif stream in {self._out, self._err}:
                self._read(stream)
        return self._child.has_ended

    def read_rest(self) -> None:
        """Read what is left in the pipes, once the program and its group have ended."""
        self._read_all(self._out)
        self.read_last_words()

    def read_last_words(self) -> None:
        """Read what is left of its standard error, with what it wrote when it was asked to end."""
        self._read_all(self._err)

    def close(self) -> None:
        """Close all of them."""
        self._selector.close()
        for stream in (self._stdin, self._out, self._err):
            if stream is not None:
                stream.close()

    def _read_all(self, stream: "IO[bytes] | None") -> None:
        for _ in range(FULL_PIPE_CHUNKS):  # a process that left the group may write for ever
            if stream is None or stream.closed or not self._read(stream):
                break

    def _write(self, stream: "IO[bytes]") -> None:
        try:
            written = os.write(stream.fileno(), self._left[:CHUNK_BYTES])
        except BlockingIOError:
            return
        except BrokenPipeError:  # it does not read it
            written = len(self._left)
        self._left = self._left[written:]
        if not self._left:
            self._close(stream)

    def _read(self, stream: Any) -> bool:  # noqa: ANN401 - one of the two
        """Read what there is; return whether there was anything."""
        try:
            chunk = os.read(stream.fileno(), CHUNK_BYTES)
        except BlockingIOError:
            return False
        if not chunk:
            self._close(stream)
            return False
        if stream is self._out:
            self._stdout += chunk
            if len(self._stdout) > self._max_bytes:
                raise too_long(None, self._max_bytes)
        else:
            self._stderr += chunk
            del self._stderr[: -4 * MAX_STDERR_CHARS]  # a character has four bytes at most
        return True

    def _close(self, stream: "IO[bytes]") -> None:
        self._selector.unregister(stream)
        stream.close()

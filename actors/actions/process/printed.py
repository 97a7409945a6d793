"""What a worker, and all that it starts, write to their standard output and error."""

import codecs
import contextlib
import os
from collections.abc import Collection, Iterator, Mapping
from multiprocessing.connection import Connection, Pipe
from typing import Any

from task_queue.actors.actions.prints import output

CHUNK_BYTES = 65_536
FULL_PIPE_CHUNKS = 16
"""What a pipe can hold at most: Linux allows a MiB."""


class Printed:
    """The two pipes, from the end at which they are read, without ever waiting for them."""

    def __init__(self) -> None:
        """Open them."""
        self._open: dict[Connection, tuple[str, codecs.IncrementalDecoder]] = {}
        self._theirs: dict[str, Connection] = {}
        for name in ("stdout", "stderr"):
            ours, self._theirs[name] = Pipe(duplex=False)
            os.set_blocking(ours.fileno(), False)
            self._open[ours] = name, codecs.getincrementaldecoder("utf-8")("replace")

    @property
    def streams(self) -> Mapping[str, Any]:
        """The other ends, as `Popen` takes them."""
        return self._theirs

    def started(self) -> None:
        """Leave the other ends to who has been started with them."""
        for each in self._theirs.values():
            each.close()

    @property
    def sources(self) -> Collection[Connection]:
        """What to wait for: those pipes to which somebody can still write."""
        return self._open.keys()

    def pass_on(self) -> None:
        """Print here what was printed there: the streams here know the task of this thread."""
        for pipe, (name, decoder) in list(self._open.items()):
            for chunk in _chunks(pipe):
                if not chunk:
                    del self._open[pipe]
                    pipe.close()
                    break
                with contextlib.suppress(OSError, ValueError, AttributeError):  # nobody reads it
                    stream: Any = output(name)
                    stream.write(decoder.decode(chunk))
                    stream.flush()

    def close(self) -> None:
        """Close them."""
        self.started()
        for pipe in self._open:
            pipe.close()
        self._open = {}


def _chunks(pipe: Connection) -> Iterator[bytes]:
    """Yield what is in the pipe now; empty bytes if nobody can write any more."""
    for _ in range(FULL_PIPE_CHUNKS):  # somebody may write for ever
        try:
            yield os.read(pipe.fileno(), CHUNK_BYTES)
        except BlockingIOError:
            return

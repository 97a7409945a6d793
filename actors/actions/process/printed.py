"""What a worker, and all that it starts, write to their standard output and error."""

import codecs
import contextlib
import os
from collections.abc import Collection, Iterator, Mapping
from contextvars import Context
from multiprocessing.connection import Connection, Pipe
from typing import Any

from task_queue.actors.actions.prints import output

STREAMS = ("stdout", "stderr")
CHUNK_BYTES = 65_536
FULL_PIPE_CHUNKS = 16
"""What a pipe can hold at most: Linux allows a MiB."""


class Printed:
    """The two pipes, from the end at which they are read, without ever waiting for them."""

    def __init__(self) -> None:
        """Open them."""
        self._open: dict[Connection, str] = {}
        self._theirs: dict[str, Connection] = {}
        self._decoders: dict[str, codecs.IncrementalDecoder] = {}
        self._waiting = {name: bytearray() for name in STREAMS}  # read, and not passed on
        self._passed_on = dict.fromkeys(STREAMS, 0)  # bytes of the present task
        for name in STREAMS:
            ours, self._theirs[name] = Pipe(duplex=False)
            os.set_blocking(ours.fileno(), False)
            self._open[ours] = name
            self._decoders[name] = codecs.getincrementaldecoder("utf-8")("replace")

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

    def begin(self) -> None:
        """Pass on for nobody what came late from former tasks, and count from here."""
        Context().run(self.pass_on)
        self._passed_on = dict.fromkeys(STREAMS, 0)

    def read(self) -> None:
        """Read what is there, and keep it until it is passed on."""
        for pipe, name in list(self._open.items()):
            for chunk in _chunks(pipe):
                if not chunk:
                    del self._open[pipe]
                    pipe.close()
                    break
                self._waiting[name] += chunk

    def pass_on(self, until: Mapping[str, int] | None = None) -> None:
        """Print here what was printed there: the streams here know the task of this thread.

        Args:
            until: Only up to so many bytes of each stream since the task began; None: all.
        """
        self.read()
        for name, waiting in self._waiting.items():
            size = len(waiting)
            if until is not None:
                size = max(0, min(size, until[name] - self._passed_on[name]))
            if size:
                text = self._decoders[name].decode(waiting[:size])
                del waiting[:size]
                self._passed_on[name] += size
                with contextlib.suppress(OSError, ValueError, AttributeError):  # nobody reads it
                    stream: Any = output(name)
                    stream.write(text)
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

"""What actions print and log, told apart by task: kept with the attempt, and it breaks no log."""

import io
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from typing import Any, TextIO

from task_queue.actors.actions.log_line import log_line
from task_queue.actors.tasks.claim import ClaimedTask
from task_queue.actors.tasks.text import MAX_STDERR_CHARS, cut, printable
from task_queue.actors.tasks.trace import span_id_of, trace_id_of
from task_queue.config.logger import get_logger

MAX_LINES = 100
"""How many lines of a task are logged."""
MAX_LINE_CHARS = 2_000
"""What is logged of each of them."""

_log = get_logger()
_lock = threading.RLock()
"""For all of them: an action may have threads, and a lock for each task would cost more than all
else of it. Reentrant: a finalizer that is run in between may print, too."""
_of_thread = threading.local()
"""Whether this thread logs what was printed: an action may have told structlog to print."""

_STREAMS = ("stdout", "stderr", "__stdout__", "__stderr__")
_caught: dict[str, Any] = {}
"""What tells tasks apart, by the name of the stream."""


class Prints:
    """What is printed and logged while one task runs, or printed by a thread that runs for none.

    The last of it is kept. The lines that are printed are logged, as many as `MAX_LINES` of a task.
    """

    __slots__ = ("_claimed", "_in_span", "_kept", "_lines", "_rest")

    def __init__(self, claimed: ClaimedTask | None) -> None:
        """Begin with nothing; it is made for every task, and most print nothing.

        Args:
            claimed: The task; None: there is none, and nothing has to be kept.
        """
        self._claimed = claimed
        self._in_span = False
        self._kept = self._rest = ""
        self._lines = 0

    @property
    def fields(self) -> dict[str, object]:
        """What a log line says of the task."""
        if self._claimed is None:
            return {}
        fields = fields_of(self._claimed)
        if self._in_span and self._claimed.terms.traceparent is not None:
            fields["span_id"] = span_id_of(self._claimed.terms.traceparent)
        return fields

    def belong_to(self, claimed: ClaimedTask) -> None:
        """Let the lines be those of a span.

        Args:
            claimed: The task, whose trace names that span.
        """
        self._claimed = claimed
        self._in_span = True

    def write(self, text: str) -> None:
        """Take what was printed; its lines are logged as soon as they end."""
        with _lock:
            if self._claimed is not None:
                self._kept = (self._kept + text)[-MAX_STDERR_CHARS:]
                if self._lines >= MAX_LINES:
                    self._lines += text.count("\n")
                    return
            *lines, self._rest = f"{self._rest}{text}".split("\n")
            if len(self._rest) > MAX_LINE_CHARS:
                lines, self._rest = [*lines, self._rest], ""
            lines = self._to_be_logged(lines)
        self._show(lines)

    def log(self, line: str) -> None:
        """Keep a line of the log, in the order of what is printed."""
        with _lock:
            begin = "" if self._kept.endswith("\n") or not self._kept else "\n"
            self._kept = f"{self._kept}{begin}{line}"[-MAX_STDERR_CHARS:]

    def close(self) -> str | None:
        """Log what is left; return the last of all that is kept, None if there is nothing."""
        if not self._kept:
            return None
        if self._rest and self._lines < MAX_LINES:
            self._show(self._to_be_logged([self._rest]))
        if self._lines > MAX_LINES:
            _log.warning("not all that it printed is logged", lines=self._lines, **self.fields)
        return self.so_far()

    def so_far(self) -> str | None:
        """Return the last of all that is kept until now, None if there is nothing."""
        return printable(self._kept, MAX_STDERR_CHARS) if self._kept else None

    def _to_be_logged(self, lines: list[str]) -> list[str]:
        if self._claimed is None:
            return lines
        before, self._lines = self._lines, self._lines + len(lines)
        return lines[: max(0, MAX_LINES - before)]

    def _show(self, lines: list[str]) -> None:
        _of_thread.logs = True
        try:
            for line in filter(str.strip, lines):
                text = printable(cut(line.rstrip("\r"), MAX_LINE_CHARS), MAX_LINE_CHARS + 1)
                _log.info("printed", text=text, **self.fields)
        finally:
            _of_thread.logs = False


PRINTS: ContextVar[Prints | None] = ContextVar("prints", default=None)
"""Of the task that runs here: in its thread, its coroutines, and threads that get their context."""


def fields_of(claimed: ClaimedTask) -> dict[str, object]:
    """Return what a log line says of a task."""
    fields: dict[str, object] = {
        "id": claimed.lease.task_id,
        "action": claimed.action,
        "attempt": claimed.attempt,
    }
    if claimed.terms.traceparent is not None:
        fields["trace_id"] = trace_id_of(claimed.terms.traceparent)
    return fields


def fields_of_present_task() -> Mapping[str, object]:
    """Return what a log line says of the task that runs here; nothing if none does."""
    prints = PRINTS.get()
    return {} if prints is None else prints.fields


def keep_log_line(event: Mapping[str, Any]) -> None:
    """Keep a line of the log with the task that runs here, if one does.

    Args:
        event: Its members. Lines that show what was printed are none: that is kept already.
    """
    prints = PRINTS.get()
    if prints is not None and not getattr(_of_thread, "logs", False):
        prints.log(log_line(event))


@contextmanager
def output_is_caught() -> Iterator[None]:
    """Let `sys.stdout` and `sys.stderr` be streams that tell tasks apart, and `sys.__stdout__` too.

    What is written to the descriptors themselves passes them by.
    """
    former = {name: getattr(sys, name) for name in _STREAMS}
    _caught.update({name: _Output(former[name]) for name in ("stdout", "stderr")})
    for name in _STREAMS:
        setattr(sys, name, _caught[name.strip("_")])
    try:
        yield
    finally:
        _caught.clear()
        for name, stream in former.items():
            setattr(sys, name, stream)


def output(name: str) -> TextIO | None:
    """Return what tells tasks apart, wherever an action has led `sys.stdout` and `sys.stderr`.

    Args:
        name: One of these two; if they are not caught, it is what they are now.
    """
    stream: TextIO | None = _caught.get(name) or getattr(sys, name)
    return stream


class _Output(io.TextIOBase):
    """A standard stream for all threads; closing it does nothing."""

    def __init__(self, stream: TextIO | None) -> None:
        self._stream = stream
        self._of_thread = threading.local()
        self.buffer = _Bytes(self)

    encoding = "utf-8"
    errors = "backslashreplace"

    @property
    def name(self) -> str:
        return "<output>" if self._stream is None else self._stream.name

    def write(self, text: Any) -> int:  # noqa: ANN401 - what an action gives it
        if not isinstance(text, str):
            message = f"write() takes a str, not {type(text).__name__}"
            raise TypeError(message)
        if getattr(_of_thread, "logs", False):
            return 0 if self._stream is None else self._stream.write(text)
        prints = PRINTS.get()
        if prints is None:
            prints = vars(self._of_thread).setdefault("prints", Prints(None))
        prints.write(text)
        return len(text)

    def flush(self) -> None:
        if self._stream is not None:
            with suppress(OSError, ValueError):  # nobody reads it any more
                self._stream.flush()

    def fileno(self) -> int:
        if self._stream is None:
            raise io.UnsupportedOperation
        return self._stream.fileno()

    def writable(self) -> bool:
        return True

    def reconfigure(self, **_options: object) -> None:
        """Accept what libraries ask of a standard stream."""

    def close(self) -> None:
        pass


class _Bytes(io.RawIOBase):
    """What is under a standard stream."""

    def __init__(self, output: _Output) -> None:
        self._output = output

    def write(self, data: "bytes | bytearray | memoryview") -> int:  # type: ignore[override]
        self._output.write(bytes(data).decode("utf-8", "replace"))
        return len(data)

    def fileno(self) -> int:
        return self._output.fileno()

    def writable(self) -> bool:
        return True

    def close(self) -> None:
        pass

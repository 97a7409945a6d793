"""What runs in a worker's process: Python actions, one after the other, as the parent asks.

`process.worker` starts it, and it imports as little as it can. What its actions print goes into
pipes that the parent reads. It talks with its parent over a socket of their own, in JSON, so that
nothing an action returns or raises has to be pickled.
"""

import io
import logging
import os
import signal
import sys
import threading
from collections.abc import Mapping, MutableMapping
from contextvars import copy_context
from multiprocessing.connection import Connection
from queue import SimpleQueue
from types import FrameType
from typing import Any, NoReturn

import orjson
import structlog

from task_queue.actors.actions.call import Call
from task_queue.actors.actions.process.surroundings import Surroundings
from task_queue.actors.actions.python.function import PythonFunction, imported
from task_queue.actors.actions.python.thread import keep_output_open
from task_queue.actors.actions.result import result_text
from task_queue.actors.tasks.claim import ClaimedTask, Lease, Terms
from task_queue.actors.tasks.failures import failure_of
from task_queue.actors.tasks.slot import Slot
from task_queue.actors.tasks.text import printable
from task_queue.config.logger import get_logger, keep_set_up

_LEVELS = {"debug", "info", "warning", "error", "critical"}
_log = get_logger()

_ENDED = 128 + signal.SIGTERM
"""The exit code of a process that has ended as it was asked to."""
REPORT_SECONDS = 0.1
"""How often progress is passed on."""


class _Interrupted(BaseException):
    """The parent ends this process. Raised in the action, so that it can clean up."""


class Runner:
    """Runs what the parent asks for in one thread; another one listens to the parent meanwhile."""

    def __init__(self, line: Connection, streams: "Mapping[str, _Counted]") -> None:
        """Store it.

        Args:
            line: To the parent.
            streams: The standard streams, by name.
        """
        self._line = line
        self._streams = streams
        self._before: Mapping[str, int] = {}  # the bytes that former tasks have printed
        self._sending = threading.Lock()
        self._requests: SimpleQueue[dict[str, Any]] = SimpleQueue()
        self._functions: dict[str, PythonFunction] = {}
        self._is_ending = False
        self._call: Call | None = None
        signal.signal(signal.SIGTERM, self._interrupt)
        self._surroundings = Surroundings()
        self._pid = os.getpid()

    def listen(self) -> NoReturn:
        """Take requests and stops, pass on progress; kill the group when the parent has died."""
        while True:
            call = self._call
            try:
                if not self._line.poll(None if call is None else REPORT_SECONDS):
                    self._report(call)
                    continue
                message = orjson.loads(self._line.recv_bytes())
            except (EOFError, OSError):
                os.killpg(os.getpgrp(), signal.SIGKILL)
            if "run" in message:
                request = message["run"]
                traceparent, tracestate = request["trace"]
                claimed = ClaimedTask(Lease(*request["lease"]), *request["task"])._replace(
                    terms=Terms(traceparent=traceparent, tracestate=tracestate)
                )
                slot = Slot(request["queue"])
                self._call = Call(claimed, slot, request["timeout_seconds"])
                self._requests.put(request)
            elif (call := self._call) is not None:
                call.slot.stop = call.claimed.lease
                self.send({"stopping": list(call.claimed.lease)})

    def work(self) -> NoReturn:
        """Run one request after the other."""
        while True:
            request = self._requests.get()
            self._before = {name: each.count for name, each in self._streams.items()}
            call = self._call
            assert call is not None  # noqa: S101 - set before the request was put
            answer = self._answer(request, call)
            if os.getpid() != self._pid:  # the action has forked, and this is the other one
                os._exit(0)
            call.is_cleaning_up = False  # before the look: a signal that comes later interrupts
            if self._is_ending:
                os._exit(_ENDED)
            is_clean = self._surroundings.put_back() and not _has_children()
            self._report(call)
            self._call = None
            self.send({**answer, "clean": is_clean})

    @property
    def printed(self) -> dict[str, int]:
        """How many bytes the task has printed so far, by stream: its log lines come after them."""
        return {
            name: each.count - self._before.get(name, 0) for name, each in self._streams.items()
        }

    def send(self, message: dict[str, Any]) -> None:
        """Send the parent a message."""
        with self._sending:
            self._line.send_bytes(orjson.dumps(message, default=_text))

    def _answer(self, request: dict[str, Any], call: Call) -> dict[str, Any]:
        try:
            function = self._function(request)
            # What it sets for itself, as the context of `decimal`, ends with it.
            result = copy_context().run(_called, function, call)
            return {"done": result_text(result, request["max_result_bytes"])}
        except _Interrupted:
            os._exit(_ENDED)
        except BaseException as error:  # noqa: BLE001 - the action's failure, whatever it is
            failure = failure_of(error, None, asked_to_stop=call.cancelled)
            return {
                "failed": {
                    "error": failure.error,
                    "outcome": failure.outcome,
                    "permanent": failure.permanent,
                    "retry_after": failure.retry_after,
                    "traceback": failure.traceback,
                }
            }

    def _interrupt(self, _number: int, _frame: FrameType | None) -> None:
        """Interrupt the action, but for one that cleans up already: the process ends after that."""
        if (call := self._call) is None or not call.is_cleaning_up:
            raise _Interrupted
        self._is_ending = True

    def _function(self, request: dict[str, Any]) -> PythonFunction:
        target = request["target"]
        if target not in self._functions:
            self._functions[target] = imported(f"actions.{request['task'][0]}", target)
            self._surroundings.take()
        return self._functions[target]

    def _report(self, call: Call | None) -> None:
        if call is None:
            return
        with self._sending:  # looked at there too: both threads report, and the newest goes last
            progress = call.slot.take_progress(call.claimed.lease)
            if progress is not None:
                lease, fraction, message = progress
                self._line.send_bytes(orjson.dumps({"progress": [list(lease), fraction, message]}))


def _called(function: PythonFunction, call: Call) -> Any:  # noqa: ANN401 - whatever it returns
    """Call the function, in the trace of its task if it has OpenTelemetry imported."""
    terms = call.claimed.terms
    if terms.traceparent is not None and "opentelemetry.trace" in sys.modules:
        from opentelemetry import context, propagate  # noqa: PLC0415 - an extra

        carrier = {"traceparent": terms.traceparent, "tracestate": terms.tracestate or ""}
        context.attach(propagate.extract(carrier))
    return function.call(call)


def main(descriptor: int) -> NoReturn:
    """Work for the parent at the other end of this socket."""
    streams = {name: _counted(name, number) for name, number in (("stdout", 1), ("stderr", 2))}
    keep_output_open()
    runner = Runner(Connection(descriptor), streams)

    def forward(_logger: object, level: str, event: MutableMapping[str, Any]) -> NoReturn:
        line = {"log": level, "printed": runner.printed, "fields": event}
        try:
            runner.send(line)
        except TypeError:  # a number beyond 64 bits, a lone surrogate, a circle
            plain = {printable(key): _sendable(value) for key, value in event.items()}
            runner.send({**line, "fields": plain})
        raise structlog.DropEvent

    structlog.configure(processors=[structlog.processors.format_exc_info, forward])
    keep_set_up()
    logging.basicConfig(level=logging.INFO, handlers=[_Handler()])
    threading.Thread(target=runner.listen, daemon=True).start()
    runner.send({"ready": True})
    try:
        runner.work()
    except _Interrupted:  # while it waited for a task
        os._exit(0)


class _Counted(io.FileIO):
    """A standard stream that counts the bytes that are written to it.

    Attributes:
        count: How many there have been.
    """

    count = 0

    def write(self, data: Any) -> int:  # noqa: ANN401 - whatever bytes are in
        """Write and count them."""
        written = super().write(data)
        self.count += written or 0
        return written


def _counted(name: str, descriptor: int) -> _Counted:
    """Replace a standard stream by one that counts, and takes any text, as in a thread."""
    counted = _Counted(descriptor, "w", closefd=False)
    counted.name = f"<{name}>"
    text = io.TextIOWrapper(
        counted,  # unbuffered, as with -u
        encoding="utf-8",
        errors="backslashreplace",
        write_through=True,
    )
    setattr(sys, name, text)
    setattr(sys, f"__{name}__", text)
    return counted


class _Handler(logging.Handler):
    """Passes on what an action logs by `logging`."""

    def emit(self, record: logging.LogRecord) -> None:
        fields: dict[str, Any] = {"logger": record.name, "exc_info": record.exc_info}
        level = record.levelname.lower()
        log = getattr(_log, level if level in _LEVELS else "info")
        try:
            log(record.getMessage(), **{key: each for key, each in fields.items() if each})
        except Exception:  # noqa: BLE001 - foreign code: what is logged
            self.handleError(record)


def _has_children() -> bool:
    """Return whether an action left processes behind, running or dead."""
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return False
    return True


def _sendable(value: object) -> object:
    """Return the value if it can be sent, else as text."""
    try:
        orjson.dumps(value, default=_text)
    except TypeError:
        return ascii(_text(value))
    return value


def _text(value: object) -> str:
    try:
        return str(value)
    except Exception:  # noqa: BLE001 - foreign code
        return f"<{type(value).__name__}>"

"""Logs: one format for our own lines and for those of the libraries.

Our own lines take a short path, from structlog's filter to one write on the stream, because every
request and every task logs. The libraries' come through `logging` and are rendered by the same
functions. A log line never raises: what cannot be rendered is shown as text, and a stream that
cannot be written to loses the line.
"""

import logging
import os
import sys
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import lru_cache, partial
from io import BufferedWriter, FileIO, TextIOWrapper
from typing import BinaryIO, TextIO

import orjson
import structlog
from structlog.dev import ConsoleRenderer, plain_traceback
from structlog.typing import EventDict, Processor, WrappedLogger

from task_queue.config.log_pipe import LogPipe, is_read
from task_queue.config.logger import get_logger, keep_set_up
from task_queue.config.repeats import Repeats

repeats = Repeats()
"""What counts the lines that say the same again; whoever configures logs has it tell of them."""

_HANDLER_NAME = "task-queue"

_LIBRARY_LEVELS = {
    # Logs the schema's version at every start.
    "alembic": logging.WARNING,
    # Logs an actor's crash at ERROR; our actors log it themselves, with their address.
    "pykka": logging.CRITICAL,
    # Warns of what it could not tidy up on a connection that broke: the error raised says so.
    "psycopg": logging.ERROR,
    # Shows every statement with its parameters at INFO: that would be the payloads.
    "sqlalchemy": logging.WARNING,
}

_JSON_OPTIONS = orjson.OPT_NON_STR_KEYS | orjson.OPT_UTC_Z

_Render = Callable[[WrappedLogger, str, EventDict], bytes]


def configure(
    format: str,
    level: str,
    stream: TextIO | None = None,
    present: Callable[[], Mapping[str, object]] = dict,
    keep: Callable[[EventDict], None] = lambda _event: None,
) -> None:
    """Send all logs, ours and the libraries', to the stream; the last call wins.

    Call it before the first line is logged: a logger keeps what it found then.

    Args:
        format: `json` for one object a line, `console` for people, `auto` for `console` on a
            terminal and `json` otherwise.
        level: The least severe level shown: `DEBUG`, `INFO`, `WARNING` or `ERROR`.
        stream: A text stream over a binary `buffer`; by default where standard error leads now.
        present: Returns what every line says besides, as of the task that runs in its thread.
        keep: Called with each line that is severe enough, in its thread, to keep it with that task.
    """
    stream = _lasting(sys.stderr) if stream is None else stream
    minimum = logging.getLevelNamesMapping()[level]
    pretty = format == "console" or (format == "auto" and stream.isatty())
    render = _console(colors=stream.isatty()) if pretty else _json
    enrich: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        lambda _logger, _name, event: {**present(), **event},
        structlog.processors.add_log_level,
        partial(_kept, keep),
        repeats,
        structlog.processors.TimeStamper(fmt="iso", utc=True) if pretty else _timestamp,
    ]
    if not pretty:  # The console renders tracebacks itself.
        enrich.append(structlog.processors.format_exc_info)
    structlog.configure(
        processors=[*enrich, render],
        wrapper_class=structlog.make_filtering_bound_logger(minimum),
        logger_factory=lambda *_: _LineLogger(stream.buffer),
        cache_logger_on_first_use=True,
    )
    keep_set_up()
    _configure_libraries(enrich, render, minimum, stream)


@lru_cache(maxsize=1)
def _lasting(stream: TextIO) -> TextIO:
    """Return a stream to the same place that has a descriptor of its own.

    An action in a thread may close standard error. What is opened next gets its number, and that
    may be a client's connection: lines of the log would be answers to it.
    """
    try:
        descriptor = os.dup(stream.fileno())
    except (OSError, ValueError):  # it is closed, or no file
        return stream
    binary = BufferedWriter(LogPipe(descriptor)) if is_read(descriptor) else FileIO(descriptor, "w")
    return TextIOWrapper(binary, encoding="utf-8", errors="backslashreplace")


class _LineLogger:
    """Writes each line with one call, so that the lines of several threads do not mix."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        pipe = getattr(stream, "raw", None)
        self._pipe = pipe if isinstance(pipe, LogPipe) else None

    def msg(self, line: object) -> None:
        if not isinstance(line, bytes):  # an action has set structlog up to render by itself
            print(line)  # noqa: T201 - it is the action's then, as all that it prints
            return
        try:  # Without `suppress`, which takes longer than the line's own formatting.
            self._stream.write(line + b"\n")
            self._stream.flush()
        except (OSError, ValueError):
            pass
        if self._pipe is not None and self._pipe.lost and (lost := self._pipe.take_lost()):
            get_logger().warning("lines of this log were lost, nobody read it", lines=lost)

    debug = info = warning = error = critical = exception = log = msg


def _configure_libraries(
    enrich: list[Processor], render: _Render, minimum: int, stream: TextIO
) -> None:
    handler = logging.StreamHandler(stream)
    handler.set_name(_HANDLER_NAME)
    handler.setLevel(minimum)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.add_logger_name, *enrich],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                lambda logger, name, event: render(logger, name, event).decode(),
            ],
        )
    )
    root = logging.getLogger()
    others = [other for other in root.handlers if other.name != _HANDLER_NAME]
    root.handlers = [*others, handler]
    root.setLevel(minimum)
    for name, least in _LIBRARY_LEVELS.items():
        logging.getLogger(name).setLevel(least)


def _kept(
    keep: Callable[[EventDict], None], _logger: WrappedLogger, _name: str, event: EventDict
) -> EventDict:
    keep(event)
    return event


def _timestamp(_logger: WrappedLogger, _name: str, event: EventDict) -> EventDict:
    """Add the present moment as it is: orjson formats it in a third of the time."""
    event["timestamp"] = datetime.now(UTC)
    return event


def _json(_logger: WrappedLogger, _name: str, event: EventDict) -> bytes:
    line = {
        "timestamp": event.pop("timestamp"),
        "level": event.pop("level"),
        "event": event.pop("event", None),
        **event,
    }
    try:
        return orjson.dumps(line, default=_text, option=_JSON_OPTIONS)
    except TypeError:  # A number beyond 64 bits, a lone surrogate, a circle.
        plain = {_plain(key): _plain(value) for key, value in line.items()}
        return orjson.dumps(plain, option=_JSON_OPTIONS)


def _console(*, colors: bool) -> _Render:
    # Plain, because the default shows local variables: payloads and passwords.
    pretty = ConsoleRenderer(colors=colors, exception_formatter=plain_traceback)

    def render(logger: WrappedLogger, name: str, event: EventDict) -> bytes:
        try:
            line = pretty(logger, name, {**event})
        except Exception:  # noqa: BLE001 - a value's own `repr` may raise anything
            line = pretty(logger, name, {key: _text(value) for key, value in event.items()})
        return line.encode(errors="backslashreplace")

    return render


def _plain(value: object) -> object:
    """Return the value if JSON can hold it, else as text."""
    try:
        orjson.dumps(value)
    except TypeError:
        return _text(value)
    return value


def _text(value: object) -> str:
    try:
        return ascii(value)
    except Exception:  # noqa: BLE001 - a value's own `repr` may raise anything
        return f"<{type(value).__name__}>"

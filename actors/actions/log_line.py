"""A line of the log as it is kept with an attempt: `12:03:04 info resized width=640`."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from structlog.processors import format_exc_info

_OF_TASK = ("id", "queue", "action", "attempt", "trace_id", "span_id")
_LEFT_OUT = frozenset((*_OF_TASK, "event", "level", "timestamp", "exception", "stack"))
"""What is said already, by the place or the beginning of the line, and what comes below it."""
_FORBIDDEN = frozenset(" =\"'\n\r\t")
"""What a text is quoted for."""


def log_line(event: Mapping[str, Any]) -> str:
    """Return the line, with its end; a traceback stands below it. Times are UTC.

    Args:
        event: Its members, as structlog's processors have them.
    """
    try:
        said = dict(format_exc_info(None, "", dict(event)))
    except Exception:  # noqa: BLE001 - foreign code: an error whose text raises
        said = {**event, "exc_info": None}
    fields = (
        f"{name}={_shown(value)}"
        for name, value in said.items()
        if name not in _LEFT_OUT and not str(name).startswith("_") and value is not None
    )
    begin = f"{datetime.now(UTC):%H:%M:%S} {said.get('level', 'info')} {_text(said.get('event'))}"
    below = (_text(said[name]) for name in ("exception", "stack") if said.get(name))
    return "\n".join([" ".join([begin, *fields]), *below]) + "\n"


def _shown(value: object) -> str:
    text = _text(value)
    return text if text and _FORBIDDEN.isdisjoint(text) else repr(text)


def _text(value: object) -> str:
    try:
        return str(value)
    except Exception:  # noqa: BLE001 - foreign code: a value's own `str` may raise anything
        return f"<{type(value).__name__}>"

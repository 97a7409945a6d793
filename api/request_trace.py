"""The trace of the request that a thread answers, for the lines of the log."""

from collections.abc import Mapping
from contextvars import ContextVar
from typing import Any

from task_queue.actors.tasks.trace import span_id_of, trace_id_of, trace_of

TRACEPARENT, TRACESTATE = "HTTP_TRACEPARENT", "HTTP_TRACESTATE"
"""Where the headers of the trace stand in a request's environment."""
FIELDS = "task_queue.trace"
"""Where in it stands what its lines say of the trace; of one without, nothing does."""

_present: ContextVar[Mapping[str, str] | None] = ContextVar("trace", default=None)


def begin(environ: dict[str, Any]) -> None:
    """Let the lines of this thread be of a request from now on, with its trace if it names one."""
    fields = None
    if TRACEPARENT in environ and (trace := trace_of(environ[TRACEPARENT])) is not None:
        fields = environ[FIELDS] = {"trace_id": trace_id_of(trace.traceparent)}
    _present.set(fields)


def enter_span(environ: dict[str, Any], traceparent: str) -> None:
    """Let the lines of the request name this span."""
    ids = {"trace_id": trace_id_of(traceparent), "span_id": span_id_of(traceparent)}
    environ[FIELDS] = ids
    _present.set(ids)


def take_up(fields: Mapping[str, str] | None) -> None:
    """Let the lines of this thread be of a request that another one began.

    Args:
        fields: What stood at `FIELDS` in its environment; None: nothing.
    """
    _present.set(fields)


def present_fields() -> Mapping[str, str]:
    """Return what a line says of the trace of the request; nothing if there is none."""
    return _present.get() or {}

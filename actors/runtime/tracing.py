"""Spans of publishes and of runs, by OpenTelemetry. Imported only where traces are turned on.

The names are those of the semantic conventions for messaging (opentelemetry.io, "Semantic
conventions for messaging spans"). Where spans go, and how many of them, is said by the standard
variables `OTEL_…`, which the SDK reads by itself.
"""

import threading
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import replace
from functools import partial

from opentelemetry import trace as otel
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Link, Span, SpanKind, StatusCode, Tracer
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from task_queue.actors.errors import TaskQueueError
from task_queue.actors.messages.queue import Publish
from task_queue.actors.tasks.claim import ClaimedTask
from task_queue.actors.tasks.settlement import Failure
from task_queue.actors.tasks.states import Outcome
from task_queue.actors.tasks.trace import Trace

SYSTEM = "task_queue"
FLUSH_SECONDS = 3.0
"""How long the last spans may take to be sent when the process ends."""
_NS = 1_000_000_000
_propagator = TraceContextTextMapPropagator()


class Tracing:
    """Makes the spans of a process."""

    def __init__(self, tracer: Tracer, close: Callable[[], None] = lambda: None) -> None:
        """Keep what makes them.

        Args:
            tracer: Of OpenTelemetry.
            close: Sends what is left, and takes whatever time.
        """
        self._tracer = tracer
        self._close = close

    def sent(self, publish: Publish) -> Publish:
        """Return the publish with its tasks in a span of its own, which ends with the answer.

        The span goes on in the trace that the tasks were in, or begins one.
        """
        tasks, first = publish.tasks, publish.tasks[0].options
        queues = {task.queue for task in tasks}
        attributes = _attributes("send", tasks[0].queue if len(queues) == 1 else None)
        if len(tasks) == 1:
            attributes["messaging.message.id"] = tasks[0].id
            attributes["task_queue.action"] = tasks[0].action
        else:
            attributes["messaging.batch.message_count"] = len(tasks)
        span = self._tracer.start_span(
            _name("send", attributes),
            _context(first.traceparent, first.tracestate),
            SpanKind.PRODUCER,
            attributes,
        )
        own = trace_in(span)
        if own is not None:
            tasks = tuple(
                task._replace(options=replace(task.options, **own._asdict())) for task in tasks
            )
        traced = replace(publish, tasks=tasks)
        traced.reply_to.then(partial(_end_sent, span, traced))
        return traced

    def waited(self, claimed: ClaimedTask, queue: str, now: float) -> None:
        """Record how long a task waited that is started now.

        Args:
            claimed: The task.
            queue: The name of its queue.
            now: The present moment, Unix seconds.
        """
        since = min(claimed.ready_at or now, now)
        attributes = {**_of_task(claimed), "messaging.destination.name": queue}
        context = _context(claimed.terms.traceparent, claimed.terms.tracestate)
        span = self._tracer.start_span(
            f"wait {queue}",
            context,
            SpanKind.INTERNAL,
            {"messaging.system": SYSTEM, **attributes},
            start_time=int(since * _NS),
        )
        span.end(int(now * _NS))

    def processing(
        self, claimed: ClaimedTask, queue: str, now: float
    ) -> AbstractContextManager[Span]:
        """Return the span of an attempt, which is the present one while it is entered.

        Args:
            claimed: The task.
            queue: The name of its queue.
            now: The present moment, Unix seconds.
        """
        context = _context(claimed.terms.traceparent, claimed.terms.tracestate)
        publisher = otel.get_current_span(context).get_span_context() if context else None
        waited = max(0.0, now - claimed.ready_at) if claimed.ready_at else 0.0
        attributes = _attributes("process", queue) | _of_task(claimed)
        return self._tracer.start_as_current_span(
            _name("process", attributes),
            # Of none, that of the consumer's thread would be taken: it has none, but for actions.
            context or Context(),
            SpanKind.CONSUMER,
            {**attributes, "task_queue.wait_seconds": round(waited, 6)},
            [Link(publisher)] if publisher is not None else [],
            record_exception=False,
            set_status_on_exception=False,
        )

    def flush(self) -> None:
        """Send what is left, as far as that is done in time."""
        thread = threading.Thread(target=self._close, name="flush-spans", daemon=True)
        thread.start()
        thread.join(FLUSH_SECONDS)


def connected(version: str) -> Tracing:
    """Return what makes spans, and sends them where the variables of OpenTelemetry say.

    If an action has set OpenTelemetry up for itself while it was imported, that holds.

    Args:
        version: Of this program.
    """
    provider = otel.get_tracer_provider()
    if isinstance(provider, TracerProvider):
        return Tracing(provider.get_tracer("task_queue", version), _flush_of(provider))
    resource = Resource.create()
    if str(resource.attributes.get(SERVICE_NAME, "")).startswith("unknown_service"):
        resource = resource.merge(Resource({SERVICE_NAME: "task-queue"}))
    own = TracerProvider(resource=resource, shutdown_on_exit=False)
    own.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    otel.set_tracer_provider(own)  # so that the spans of actions go there, too
    return Tracing(own.get_tracer("task_queue", version), own.shutdown)


def _flush_of(provider: TracerProvider) -> Callable[[], None]:
    def flush() -> None:
        provider.force_flush(int(FLUSH_SECONDS * 1000))

    return flush


def trace_in(span: Span) -> Trace | None:
    """Return the span's place in its trace; None: OpenTelemetry is turned off."""
    carrier: dict[str, str] = {}
    _propagator.inject(carrier, otel.set_span_in_context(span, Context()))
    if "traceparent" not in carrier:
        return None
    return Trace(carrier["traceparent"], carrier.get("tracestate") or None)


def end_badly(span: Span, failure: Failure, error: BaseException) -> None:
    """Put it into the span how an attempt failed, unless it was put off or cancelled.

    Args:
        span: Of the attempt.
        failure: How it failed; its texts can be sent.
        error: What its action raised.
    """
    outcome = "postponed" if failure.retry_after is not None else failure.outcome.value
    span.set_attribute("task_queue.outcome", outcome)
    if outcome == "postponed" or failure.outcome is Outcome.CANCELLED:
        return
    is_its_own = failure.outcome is Outcome.FAILED and not isinstance(error, TaskQueueError)
    kind = type(error).__name__ if is_its_own else outcome
    span.set_status(StatusCode.ERROR, failure.error)
    span.set_attribute("error.type", kind)
    event = {"exception.type": kind, "exception.message": failure.error}
    if failure.traceback:
        event["exception.stacktrace"] = failure.traceback
    span.add_event("exception", event)


def _end_sent(span: Span, publish: Publish) -> None:
    try:
        publish.reply_to.outcome()
    except TaskQueueError as error:
        span.set_status(StatusCode.ERROR, str(error))
        span.set_attribute("error.type", type(error).__name__)
    span.end()


def _context(traceparent: str | None, tracestate: str | None) -> Context | None:
    if traceparent is None:
        return None
    carrier = {"traceparent": traceparent}
    if tracestate is not None:
        carrier["tracestate"] = tracestate
    return _propagator.extract(carrier, Context())


def _attributes(operation: str, queue: str | None) -> dict[str, str | int | float]:
    attributes: dict[str, str | int | float] = {
        "messaging.system": SYSTEM,
        "messaging.operation.name": operation,
        "messaging.operation.type": operation,
    }
    if queue is not None:
        attributes["messaging.destination.name"] = queue
    return attributes


def _of_task(claimed: ClaimedTask) -> dict[str, str | int | float]:
    return {
        "messaging.message.id": claimed.lease.task_id,
        "task_queue.action": claimed.action,
        "task_queue.attempt": claimed.attempt,
    }


def _name(operation: str, attributes: Mapping[str, object]) -> str:
    queue = attributes.get("messaging.destination.name")
    return operation if queue is None else f"{operation} {queue}"

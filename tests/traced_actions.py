"""An action of somebody who uses OpenTelemetry."""

from typing import Any

from opentelemetry import trace as otel

from task_queue import Context


def make_span(_data: dict[str, Any], context: Context) -> dict[str, str | None]:
    """Make a span, and say what its context is told."""
    with otel.get_tracer("of-an-action").start_as_current_span("inside") as span:
        context.log.info("inside")
        trace_id = f"{span.get_span_context().trace_id:032x}"
        return {"traceparent": context.traceparent, "trace_id": trace_id}

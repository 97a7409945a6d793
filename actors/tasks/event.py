"""The event that tells how a task ended (CloudEvents 1.0), as a task that delivers it. Pure."""

from datetime import UTC, datetime
from typing import Any

import orjson

from task_queue.actors.tasks.document import task_document
from task_queue.actors.tasks.task import PLAIN, Options, Task

CALLBACKS = "callbacks"
"""The queue of what is told."""
DELIVERY = "callback"
"""The action that tells it."""
SOURCE = "/tasks"
"""Where events come from: with the subject behind it, the URL of the task at this service."""
MAX_EVENT_BYTES = 1_048_576
"""How long an event may be: as long as, by default, a publish. A result alone may be as long, and
the data too; what does not fit is left out, as whoever is told can ask for it."""


def delivery(task: Task, event_id: str, now: float, max_attempts: int) -> Task:
    """Return the task that tells of this one's end at its callback; its data is the event.

    Args:
        task: It is final, and has a callback.
        event_id: The id of the event and of the new task.
        now: The present moment, Unix seconds.
        max_attempts: How often to try.
    """
    options = task.options
    trace = Options(traceparent=options.traceparent, tracestate=options.tracestate)
    return Task(
        id=event_id,
        queue=CALLBACKS,
        action=DELIVERY,
        data=_event(task, event_id, now),
        max_attempts=max_attempts,
        run_at=now,
        created_at=int(now),
        rank=now,
        options=PLAIN if trace == PLAIN else trace,
    )


def _event(task: Task, event_id: str, now: float) -> str:
    """Return the event in structured form, JSON as text.

    The data is left out first, if it is too long: its publisher knows it.
    """
    trace = {"traceparent": task.options.traceparent, "tracestate": task.options.tracestate}
    document, time = task_document(task), datetime.fromtimestamp(now, UTC)
    event: dict[str, Any] = {
        "specversion": "1.0",
        "id": event_id,
        "source": SOURCE,
        "type": f"task.{task.status.value}",
        "subject": task.id,
        "time": time.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "datacontenttype": "application/json",
        **{name: text for name, text in trace.items() if text is not None},
        "data": document,
    }
    text = orjson.dumps(event)
    for member, holder, name in (
        ("payload.data", document["payload"], "data"),
        ("result", document, "result"),
    ):
        if len(text) > MAX_EVENT_BYTES:
            holder[name] = None
            document.setdefault("left_out", []).append(member)
            text = orjson.dumps(event)
    return text.decode()

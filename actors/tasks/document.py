"""A task as the API shows it, and events tell of it."""

from typing import Any

import orjson

from task_queue.actors.tasks.backoff import Backoff
from task_queue.actors.tasks.task import Task


def task_document(task: Task) -> dict[str, Any]:
    """Return a task as the API shows it: the tutorial's six columns first.

    `data` and `result` are passed through as the JSON text they are stored as.
    """
    options, course = task.options, task.course
    return {
        "id": task.id,
        "payload": {
            "id": task.id,
            "action": task.action,
            "data": orjson.Fragment(task.data),
            "created_at": task.created_at,
        },
        "status": task.status.shown,
        "result": None if task.result is None else orjson.Fragment(task.result),
        "created_at": task.created_at,
        "processed_at": task.processed_at,
        "queue": task.queue,
        "priority": task.priority,
        "error": task.error,
        "attempt": task.attempt,
        "max_attempts": task.max_attempts,
        "run_at": moment(task.run_at),
        "started_at": moment(task.started_at),
        "ended_at": moment(course.ended_at),
        "expires_at": moment(options.expires_at),
        "unique_key": options.unique_key,
        "key": options.key,
        "keep_result_seconds": options.keep_result_seconds,
        "timeout_seconds": options.timeout_seconds,
        "backoff": _backoff(options.backoff),
        "callback": options.callback,
        "traceparent": options.traceparent,
        "tracestate": options.tracestate,
        "schedule": options.occurrence and options.occurrence.rpartition("@")[0],
        "worker": course.worker,
        "postponed": course.postponed,
        "cancel_requested": course.cancel_requested_at is not None,
        "progress": None
        if course.progress is None
        else {"fraction": course.progress, "message": course.progress_message},
    }


def moment(seconds: float | None) -> float | None:
    """Return a moment, Unix seconds, to the millisecond."""
    return None if seconds is None else round(seconds, 3)


def _backoff(text: str | None) -> dict[str, float] | None:
    if text is None:
        return None
    backoff = Backoff.parse(text)
    return {
        "base": backoff.base_seconds,
        "factor": backoff.factor,
        "cap": backoff.cap_seconds,
    }

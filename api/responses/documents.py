"""Tasks and attempts as the API shows them."""

from collections.abc import Sequence
from typing import Any

import orjson

from task_queue.actors.tasks.backoff import Backoff
from task_queue.actors.tasks.filters import Cursor, Filters
from task_queue.actors.tasks.task import Attempt, Task
from task_queue.api.responses.cursor import cursor_of


def page_document(filters: Filters, tasks: Sequence[Task], last: Cursor | None) -> dict[str, Any]:
    """Return a page of tasks as the API shows it.

    Args:
        filters: Which tasks the listing shows.
        tasks: The tasks on this page.
        last: Where it ends, if there may be more after it.
    """
    return {
        "tasks": [task_document(task) for task in tasks],
        "count": len(tasks),
        "next_cursor": None if last is None else cursor_of(last, filters),
    }


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
        "run_at": _moment(task.run_at),
        "started_at": _moment(task.started_at),
        "ended_at": _moment(course.ended_at),
        "expires_at": _moment(options.expires_at),
        "unique_key": options.unique_key,
        "key": options.key,
        "keep_result_seconds": options.keep_result_seconds,
        "timeout_seconds": options.timeout_seconds,
        "backoff": _backoff(options.backoff),
        "schedule": options.occurrence and options.occurrence.rpartition("@")[0],
        "worker": course.worker,
        "postponed": course.postponed,
        "cancel_requested": course.cancel_requested_at is not None,
        "progress": None
        if course.progress is None
        else {"fraction": course.progress, "message": course.progress_message},
    }


def history_document(task: Task, attempts: Sequence[Attempt]) -> dict[str, Any]:
    """Return a task with its attempts as the API shows them."""
    return {
        **task_document(task),
        "attempts": [attempt_document(attempt) for attempt in attempts],
    }


def attempt_document(attempt: Attempt) -> dict[str, Any]:
    """Return one run of a task as the API shows it."""
    return {
        "number": attempt.number,
        "started": _moment(attempt.started_at),
        "ended": _moment(attempt.ended_at),
        "worker": attempt.worker,
        "outcome": attempt.outcome and attempt.outcome.value,
        "error": attempt.error,
        "traceback": attempt.traceback,
        "stderr": attempt.stderr,
    }


def _moment(moment: float | None) -> float | None:
    return None if moment is None else round(moment, 3)


def _backoff(text: str | None) -> dict[str, float] | None:
    if text is None:
        return None
    backoff = Backoff.parse(text)
    return {
        "base": backoff.base_seconds,
        "factor": backoff.factor,
        "cap": backoff.cap_seconds,
    }

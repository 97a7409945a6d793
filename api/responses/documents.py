"""Pages of tasks, and attempts, as the API shows them."""

from collections.abc import Sequence
from typing import Any

from task_queue.actors.tasks.document import moment, task_document
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
        "started": moment(attempt.started_at),
        "ended": moment(attempt.ended_at),
        "worker": attempt.worker,
        "outcome": attempt.outcome and attempt.outcome.value,
        "error": attempt.error,
        "traceback": attempt.traceback,
        "stderr": attempt.stderr,
    }

"""The columns of a task: how rows become tasks, and tasks rows."""

from collections.abc import Sequence
from typing import Any

from task_queue.actors.store.schema import tasks
from task_queue.actors.tasks.claim import PLAIN_TERMS, ClaimedTask, Lease, Terms
from task_queue.actors.tasks.states import Status
from task_queue.actors.tasks.task import PLAIN, Course, Options, Task

COLUMNS = (
    tasks.c.id,
    tasks.c.queue,
    tasks.c.action,
    tasks.c.data,
    tasks.c.max_attempts,
    tasks.c.run_at,
    tasks.c.created_at,
    tasks.c.rank,
    tasks.c.status,
    tasks.c.result,
    tasks.c.error,
    tasks.c.priority,
    tasks.c.attempt,
    tasks.c.losses,
    tasks.c.started_at,
    tasks.c.processed_at,
)
"""The fields of `Task`, in this order."""
OPTION_COLUMNS = (
    tasks.c.unique_key,
    tasks.c.key,
    tasks.c.expires_at,
    tasks.c.keep_result_seconds,
    tasks.c.backoff,
    tasks.c.occurrence,
    tasks.c.timeout_seconds,
    tasks.c.external,
    tasks.c.callback,
    tasks.c.traceparent,
    tasks.c.tracestate,
)
"""Each a field of `Options`."""
COURSE_COLUMNS = (
    tasks.c.worker,
    tasks.c.ended_at,
    tasks.c.postponed,
    tasks.c.cancel_requested_at,
    tasks.c.progress,
    tasks.c.progress_message,
    tasks.c.counted_from,
)
"""Each a field of `Course`."""
TASK_COLUMNS = (*COLUMNS, *OPTION_COLUMNS, *COURSE_COLUMNS)
"""What `task_in` reads."""
_TERM_COLUMNS = (
    tasks.c.key,
    tasks.c.expires_at,
    tasks.c.backoff,
    tasks.c.postponed,
    tasks.c.timeout_seconds,
    tasks.c.external,
    tasks.c.callback,
    tasks.c.traceparent,
    tasks.c.tracestate,
)
LEASED_COLUMNS = (
    tasks.c.rank,
    tasks.c.seq,
    tasks.c.id,
    tasks.c.lease_id,
    tasks.c.action,
    tasks.c.data,
    tasks.c.attempt,
    tasks.c.max_attempts,
    tasks.c.losses,
    tasks.c.run_at,
    *_TERM_COLUMNS,
)
"""What `claimed_in` reads; the first two are the order of claims."""
ATTRIBUTES = (
    {column.name: column.name for column in COLUMNS}
    | {"status": "status.value", "error_group": "error_group"}
    | {column.name: f"options.{column.name}" for column in OPTION_COLUMNS}
    | {column.name: f"course.{column.name}" for column in COURSE_COLUMNS}
)
"""Each column's attribute of `Task`."""

_STATUS = Task._fields.index("status")
_OPTIONS = [column.name for column in OPTION_COLUMNS]
_COURSE = [column.name for column in COURSE_COLUMNS]
_OPTIONS_AT = len(COLUMNS)
_COURSE_AT = _OPTIONS_AT + len(_OPTIONS)
_NO_OPTIONS = tuple(getattr(PLAIN, name) for name in _OPTIONS)
_TERMS_AT = len(LEASED_COLUMNS) - len(_TERM_COLUMNS)
_PLAIN_TERMS = tuple(getattr(PLAIN_TERMS, column.name) for column in _TERM_COLUMNS)


def task_in(row: Sequence[Any]) -> Task:
    """Return the task in the first columns of a row, which begins with `TASK_COLUMNS`.

    Read by position: a page has a thousand rows.
    """
    options, course = row[_OPTIONS_AT:_COURSE_AT], row[_COURSE_AT:]
    return Task._make(
        (
            *row[:_STATUS],
            Status(row[_STATUS]),
            *row[_STATUS + 1 : _OPTIONS_AT],
            PLAIN if options == _NO_OPTIONS else Options(**_named(_OPTIONS, options)),
            Course(**_named(_COURSE, course)),
        )
    )


def claimed_in(row: Sequence[Any]) -> ClaimedTask:
    """Return the claimed task in a row of `LEASED_COLUMNS`."""
    _, _, task_id, lease_id, action, data, attempt, max_attempts, losses, run_at = row[:_TERMS_AT]
    terms = row[_TERMS_AT:]
    return ClaimedTask(
        Lease(task_id, lease_id),
        action,
        data,
        attempt,
        max_attempts,
        losses,
        PLAIN_TERMS if terms == _PLAIN_TERMS else Terms(*terms),
        run_at,
    )


def _named(names: Sequence[str], values: Sequence[Any]) -> dict[str, Any]:
    return dict(zip(names, values, strict=False))  # there may be more of them

"""One task with its attempts."""

from collections.abc import Collection

import sqlalchemy as sa

from task_queue.actors.store.columns import TASK_COLUMNS, task_in
from task_queue.actors.store.schema import attempts, tasks
from task_queue.actors.tasks.states import Outcome, Status
from task_queue.actors.tasks.task import Attempt, Task

_last_attempt = (
    sa.select(sa.func.max(attempts.c.seq)).where(attempts.c.task_id == tasks.c.id).scalar_subquery()
)
_GET = sa.select(*TASK_COLUMNS, _last_attempt.label("last_attempt")).where(
    tasks.c.id == sa.bindparam("task_id")
)
_ATTEMPTS = (
    sa.select(
        attempts.c.number,
        attempts.c.started_at,
        attempts.c.ended_at,
        attempts.c.worker,
        attempts.c.outcome,
        attempts.c.error,
        attempts.c.traceback,
        attempts.c.stderr,
    )
    .where(
        attempts.c.task_id == sa.bindparam("task_id"),
        attempts.c.seq <= sa.bindparam("last_attempt"),
    )
    .order_by(attempts.c.seq)
)


def history(
    connection: sa.Connection, task_id: str, queues: Collection[str] | None = None
) -> tuple[Task, list[Attempt]] | None:
    """Return the task with this id and its attempts in order, of which the last may still run.

    Args:
        connection: Inside a transaction.
        task_id: The id.
        queues: Only if it is on one of these; None: on any.

    Returns:
        None if there is no such task.
    """
    get = _GET if queues is None else _GET.where(tasks.c.queue.in_(queues))
    row = connection.execute(get, {"task_id": task_id}).first()
    if row is None:
        return None
    task, recorded = task_in(row), []
    if (last := row.last_attempt) is not None:  # as of the first query, not of the next
        ended = {"task_id": task_id, "last_attempt": last}
        rows = connection.execute(_ATTEMPTS, ended).mappings()
        recorded = [_attempt(row) for row in rows]
    has_completed = recorded and recorded[-1].outcome is Outcome.COMPLETED
    if task.status is Status.RUNNING or (task.status is Status.COMPLETED and not has_completed):
        recorded.append(_own_attempt(task))
    return task, recorded


def _attempt(row: sa.RowMapping) -> Attempt:
    outcome = Outcome(row["outcome"])
    return Attempt(**{**row, "outcome": outcome, "error": row["error"] or None})


def _own_attempt(task: Task) -> Attempt:
    """Return the attempt that is kept in the row of a running or completed task."""
    has_ended = task.status is Status.COMPLETED
    return Attempt(
        number=task.attempt,
        started_at=task.started_at,
        ended_at=task.course.ended_at if has_ended else None,
        worker=task.course.worker,
        outcome=Outcome.COMPLETED if has_ended else None,
    )

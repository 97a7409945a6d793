"""What the edges ask the database writer for: changes that somebody waits for."""

from collections.abc import Mapping
from dataclasses import dataclass

from task_queue.actors.messages.base import R, Request
from task_queue.actors.tasks.schedule import Schedule
from task_queue.actors.tasks.states import Status


@dataclass(frozen=True, slots=True)
class Change(Request[R]):
    """Something to be done in the next commit, answered after it."""


@dataclass(frozen=True, slots=True)
class CancelTask(Change[Status]):
    """Cancel a task, or have it asked to stop if it runs. Answered with its state from now on.

    Fails with `NotFoundError`, or with `ConflictError` if it is final.

    Attributes:
        task_id: Which.
        now: Unix seconds.
    """

    task_id: str
    now: float


@dataclass(frozen=True, slots=True)
class RetryTask(Change[Status]):
    """Put a dead or cancelled task back on its queue. Answered with its state from now on.

    Fails with `NotFoundError`, or with `ConflictError` if it is in another state, or if its unique
    key has gone to another task.

    Attributes:
        task_id: Which.
        now: Unix seconds.
    """

    task_id: str
    now: float


@dataclass(frozen=True, slots=True)
class DeleteTask(Change[None]):
    """Forget a task. Fails with `NotFoundError`, or with `ConflictError` if it is not final.

    Attributes:
        task_id: Which.
    """

    task_id: str


@dataclass(frozen=True, slots=True)
class Redrive(Change[int]):
    """Put dead tasks back on their queues. Answered with how many were.

    Attributes:
        run_at: When each is to run, by id, Unix seconds; what is not dead any more is left alone.
        now: Unix seconds.
    """

    run_at: Mapping[str, float]
    now: float


@dataclass(frozen=True, slots=True)
class Purge(Change[int]):
    """Cancel some of the tasks that wait on a queue. Answered with how many were.

    Attributes:
        queue: Whose.
        limit: At most so many.
        created_until: Only those created up to this moment, whole Unix seconds.
        now: Unix seconds.
    """

    queue: str
    limit: int
    created_until: int
    now: float


@dataclass(frozen=True, slots=True)
class PutSchedule(Change[Schedule]):
    """Make a schedule, or change one. Answered with what is kept.

    One that stays the same keeps its next occurrence.

    Attributes:
        schedule: The schedule.
    """

    schedule: Schedule


@dataclass(frozen=True, slots=True)
class DeleteSchedule(Change[None]):
    """Forget a schedule. Fails with `NotFoundError`.

    Attributes:
        name: Which.
    """

    name: str

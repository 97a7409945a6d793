"""What the API can ask of the database writer: changes that somebody waits for."""

from collections.abc import Mapping
from dataclasses import dataclass

from task_queue.actors.messages.base import R, Request
from task_queue.actors.tasks.audit import AuditEntry
from task_queue.actors.tasks.schedule import Schedule
from task_queue.actors.tasks.states import Status


@dataclass(frozen=True, slots=True)
class Change(Request[R]):
    """Something to be done in the next commit, answered after it."""


@dataclass(frozen=True, slots=True)
class CancelTask(Change[Status]):
    """Cancel a task, or tell it to stop if it runs. Answered with its state from now on.

    Fails with `NotFoundError`, or with `ConflictError` if it is final.

    Attributes:
        task_id: The task's id.
        now: The present moment, Unix seconds.
        queues: Those that the caller sees; None: all.
    """

    task_id: str
    now: float
    queues: frozenset[str] | None = None


@dataclass(frozen=True, slots=True)
class RetryTask(Change[Status]):
    """Put a dead or cancelled task back on its queue. Answered with its state from now on.

    Fails with `NotFoundError`, or with `ConflictError` if it is in another state, or if its unique
    key has gone to another task.

    Attributes:
        task_id: The task's id.
        now: The present moment, Unix seconds.
        queues: Those that the caller sees; None: all.
    """

    task_id: str
    now: float
    queues: frozenset[str] | None = None


@dataclass(frozen=True, slots=True)
class DeleteTask(Change[None]):
    """Delete a task. Fails with `NotFoundError`, or with `ConflictError` if it is not final.

    Attributes:
        task_id: The task's id.
        queues: Those that the caller sees; None: all.
    """

    task_id: str
    queues: frozenset[str] | None = None


@dataclass(frozen=True, slots=True)
class CancelTasks(Change[int]):
    """Cancel tasks, or tell them to stop if they run. Answered with how many.

    Attributes:
        task_ids: Their ids; those that are in none of the states stay as they are.
        statuses: The states, none of them final.
        now: The present moment, Unix seconds.
        queues: Those that the caller sees; None: all.
    """

    task_ids: tuple[str, ...]
    statuses: tuple[Status, ...]
    now: float
    queues: frozenset[str] | None = None


@dataclass(frozen=True, slots=True)
class DeleteTasks(Change[int]):
    """Delete tasks. Answered with how many.

    Attributes:
        task_ids: Their ids; those that are in none of the states stay.
        statuses: The states, all of them final.
        queues: Those that the caller sees; None: all.
    """

    task_ids: tuple[str, ...]
    statuses: tuple[Status, ...]
    queues: frozenset[str] | None = None


@dataclass(frozen=True, slots=True)
class Redrive(Change[int]):
    """Put tasks back on their queues. Answered with how many.

    Attributes:
        run_at: When each is to run, by id, Unix seconds; tasks that are in none of the states stay
            as they are.
        now: The present moment, Unix seconds.
        statuses: `dead`, `cancelled`, or both.
        queues: Those that the caller sees; None: all.
    """

    run_at: Mapping[str, float]
    now: float
    statuses: tuple[Status, ...] = (Status.DEAD,)
    queues: frozenset[str] | None = None


@dataclass(frozen=True, slots=True)
class Purge(Change[int]):
    """Cancel some of the tasks that wait on a queue. Answered with how many.

    Attributes:
        queue: The queue's name.
        limit: At most so many.
        created_until: Only those created up to this moment, whole Unix seconds.
        now: The present moment, Unix seconds.
    """

    queue: str
    limit: int
    created_until: int
    now: float


@dataclass(frozen=True, slots=True)
class PutSchedule(Change[Schedule]):
    """Create or change a schedule. Answered with the schedule as stored.

    One that stays the same keeps its next occurrence. Fails with `ConflictError` if one that the
    caller does not see has the name.

    Attributes:
        schedule: The schedule.
        queues: Those that the caller sees; None: all.
    """

    schedule: Schedule
    queues: frozenset[str] | None = None


@dataclass(frozen=True, slots=True)
class DeleteSchedule(Change[None]):
    """Delete a schedule. Fails with `NotFoundError`.

    Attributes:
        name: The schedule's name.
        queues: Those that the caller sees; None: all.
    """

    name: str
    queues: frozenset[str] | None = None


@dataclass(frozen=True, slots=True)
class KeepActions(Change[list[str]]):
    """Remember the names of actions. Answered with all that were ever known, but for built-in ones.

    Attributes:
        names: Those that there are now.
    """

    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class KeepAnswer(Change[int]):
    """Keep how the first request with an `Idempotency-Key` is answered.

    Answered with how it is: another node may have answered the same request before.

    Attributes:
        key: The key.
        answered: `ACCEPTED` or `FINISHED`.
    """

    key: str
    answered: int


@dataclass(frozen=True, slots=True)
class Record(Change[int]):
    """Store an entry of the audit log. Answered with its number.

    Attributes:
        entry: The entry.
    """

    entry: AuditEntry


@dataclass(frozen=True, slots=True)
class NoteStatus(Change[None]):
    """Add to an entry of the audit log how it was answered.

    Attributes:
        seq: The entry's number.
        status: The HTTP status.
        target: What is known by now to be its target; None: it was known before.
    """

    seq: int
    status: int
    target: str | None = None


@dataclass(frozen=True, slots=True)
class KeepSecret(Change[str]):
    """Keep what is signed with. Answered with what is kept: the first that any node has drawn.

    Attributes:
        name: What it is for.
        drawn: What to keep if there is none.
    """

    name: str
    drawn: str

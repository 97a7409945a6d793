"""What the database writer can be told: writes for its next commit."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from task_queue.actors.errors import TaskQueueError
from task_queue.actors.messages.base import Command, Recipient
from task_queue.actors.messages.reply import Reply
from task_queue.actors.tasks.claim import Claimant, Lease
from task_queue.actors.tasks.conditions import Conditions, Published
from task_queue.actors.tasks.filters import Cursor
from task_queue.actors.tasks.schedule import Schedule
from task_queue.actors.tasks.settlement import Settlement
from task_queue.actors.tasks.slot import Progress
from task_queue.actors.tasks.states import Status
from task_queue.actors.tasks.task import Task


@dataclass(frozen=True, slots=True)
class Write(Command):
    """Something to be done in the next commit.

    Attributes:
        requester: Who is told what came of it, after the commit.
    """

    requester: Recipient

    def abandon(self, error: TaskQueueError) -> None:
        """Tell the requester that it was not done, or not surely."""
        self.requester.tell(WriteFailed(self, error))


@dataclass(frozen=True, slots=True)
class Insert(Write):
    """Add rows, all or none. The requester is told `Stored`.

    Attributes:
        tasks: The rows.
        deadline: Not to be written after this moment, Unix seconds; None: always.
        waiter: Who is answered after the commit, before anybody else is told.
        conditions: On what conditions, if any.
    """

    tasks: tuple[Task, ...]
    deadline: float | None = None
    waiter: "Reply[Published | None] | None" = None
    conditions: Conditions | None = None

    @property
    def is_plain(self) -> bool:
        """Whether the rows may go in together with those of others, unseen."""
        if self.conditions is not None:
            return False
        if len(self.tasks) == 1:  # as nearly always
            return self.tasks[0].options.is_plain
        return all(task.options.is_plain for task in self.tasks)

    def abandon(self, error: TaskQueueError) -> None:
        """Tell the waiter and the requester that it was not done, or not surely."""
        if self.waiter is not None:
            self.waiter.fail(error)
        self.requester.tell(WriteFailed(self, error))


@dataclass(frozen=True, slots=True)
class Claim(Write):
    """Lease the next ready tasks that are no suspects. The requester is told `Claimed`.

    Attributes:
        claimant: Who claims.
        limit: At most so many.
        free: How many consumers are free: tasks that must not wait are claimed only for them.
    """

    claimant: Claimant
    limit: int
    free: int


@dataclass(frozen=True, slots=True)
class ClaimSuspect(Write):
    """Lease the next ready task that was lost before. The requester is told `SuspectClaimed`.

    Attributes:
        claimant: Who claims.
    """

    claimant: Claimant


@dataclass(frozen=True, slots=True)
class Settle(Write):
    """Write what became of a claimed task. The requester is told `Settled`.

    Attributes:
        settlement: What became of it.
        place: The place it gives up among those with its key, where such places are limited.
    """

    settlement: Settlement
    place: "KeyPlace | None" = None


class KeyPlace(NamedTuple):
    """A place among the tasks with one key.

    Attributes:
        queue: The queue's name.
        key: The key.
        limit: How many places there are.
    """

    queue: str
    key: str
    limit: int


@dataclass(frozen=True, slots=True)
class Report(Write):
    """Keep how far a running task is. Nobody is told.

    Attributes:
        progress: How far; kept only if its lease is still held.
    """

    progress: Progress


@dataclass(frozen=True, slots=True)
class SetPaused(Write):
    """Keep whether a queue is paused. The waiter is answered, the requester told `PauseKept`.

    Attributes:
        queue: Which queue.
        paused: Whether it is.
        waiter: Who is answered after the commit.
    """

    queue: str
    paused: bool
    waiter: Reply[None]

    def abandon(self, error: TaskQueueError) -> None:
        """Tell the waiter and the requester that it was not done, or not surely."""
        self.waiter.fail(error)
        self.requester.tell(WriteFailed(self, error))


@dataclass(frozen=True, slots=True)
class Renew(Write):
    """Keep leases from lapsing. The requester is told `Renewed`.

    Attributes:
        leases: Which.
        leased_until: Their new end, Unix seconds.
    """

    leases: tuple[Lease, ...]
    leased_until: float


@dataclass(frozen=True, slots=True)
class Tend(Write):
    """Make what is due ready, and find lapsed leases. Answered with `Tended`.

    Attributes:
        queue: Whose tasks.
        due: Scheduled up to this moment is due, Unix seconds.
        lapsed: Leased up to this moment is lapsed, Unix seconds.
        concurrency_per_key: How many tasks with the same key may run at once; 0: any number.
        sweep_after: The key where the last sweep for free places ended, empty from the first on;
            None: no sweep.
    """

    queue: str
    due: float
    lapsed: float
    concurrency_per_key: int = 0
    sweep_after: str | None = None


@dataclass(frozen=True, slots=True)
class LoadSchedules(Write):
    """Look up the schedules that are due. Answered with `SchedulesLoaded`.

    Attributes:
        now: The present moment, Unix seconds.
        configured: Those of the settings, to be kept first, in place of former ones; None: as at
            the last time.
    """

    now: float
    configured: tuple[Schedule, ...] | None = None


@dataclass(frozen=True, slots=True)
class Fire(Write):
    """Publish an occurrence and go on to the next.

    Answered with `Fired`, unless another node was faster.

    Attributes:
        name: Of which schedule.
        due_at: Its `next_at` as it was seen, Unix seconds.
        next_at: The one from now on, Unix seconds.
        occurrence: The one that is published, Unix seconds; None: all that are due are passed over.
        task: What is published.
    """

    name: str
    due_at: float
    next_at: float
    occurrence: float | None
    task: Task | None


@dataclass(frozen=True, slots=True)
class Prune(Write):
    """Do one small step of housekeeping. Answered with `Pruned`.

    Attributes:
        now: Unix seconds.
        retention: Seconds that tasks are kept, by their final state.
        sweep_after: Where the last step ended among the tasks; None: from the oldest on.
        sweep: Whether to look for old tasks at all.
        terms_after: Up to which `keep_result_seconds` the last step looked.
    """

    now: float
    retention: Mapping[Status, int]
    sweep_after: Cursor | None
    sweep: bool
    terms_after: int = -1


@dataclass(frozen=True, slots=True)
class WriteFailed(Command):
    """A write was not done, or it is not known whether it was.

    Attributes:
        write: Which.
        error: Why.
    """

    write: Write
    error: TaskQueueError

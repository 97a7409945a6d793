"""What the database writer can be told: writes for its next commit."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from task_queue.actors.errors import TaskQueueError
from task_queue.actors.messages.base import Command, Notice, Recipient, Request
from task_queue.actors.messages.reply import Reply
from task_queue.actors.tasks.claim import Bid, Claimant, Lease
from task_queue.actors.tasks.conditions import Conditions, Published
from task_queue.actors.tasks.filters import Cursor
from task_queue.actors.tasks.new import QueueInfo
from task_queue.actors.tasks.schedule import Schedule
from task_queue.actors.tasks.settlement import Settlement
from task_queue.actors.tasks.slot import Progress
from task_queue.actors.tasks.states import Status
from task_queue.actors.tasks.task import Task
from task_queue.actors.tasks.verdict import Refusal, Said, Taken


@dataclass(frozen=True, slots=True)
class Write(Command):
    """Something to be done in the next commit.

    Attributes:
        requester: Who is told the outcome, after the commit.
    """

    requester: Recipient

    def abandon(self, error: TaskQueueError) -> None:
        """Tell the requester that it was not done, or not known to be done."""
        self.requester.tell(WriteFailed(self, error))


@dataclass(frozen=True, slots=True)
class Insert(Write):
    """Add rows, all or none. The requester is told `Stored`.

    Attributes:
        tasks: The rows.
        deadline: Not to be written after this moment, on the clock that is never set; None: it has
            none.
        waiter: Who is answered after the commit, before anybody else is told.
        conditions: The conditions to check first, if any.
    """

    tasks: tuple[Task, ...]
    deadline: float | None = None
    waiter: "Reply[Published | None] | None" = None
    conditions: Conditions | None = None

    def abandon(self, error: TaskQueueError) -> None:
        """Tell the waiter and the requester that it was not done, or not known to be done."""
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

    @property
    def queue_name(self) -> str:
        """The queue's name."""
        return self.claimant.queue


@dataclass(frozen=True, slots=True)
class ClaimSuspect(Write):
    """Lease the next ready task that was lost before. The requester is told `SuspectClaimed`.

    Attributes:
        claimant: Who claims.
    """

    claimant: Claimant

    @property
    def queue_name(self) -> str:
        """The queue's name."""
        return self.claimant.queue


@dataclass(frozen=True, slots=True)
class Settle(Write):
    """Write what became of a claimed task. The requester is told `Settled`.

    Attributes:
        settlement: What became of it.
        place: The place that it frees among the tasks with its key, where these are limited.
        queue: The queue's name, for its figures; empty: it is in none.
    """

    settlement: Settlement
    place: "KeyPlace | None" = None
    queue: str = ""


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
class Lend(Write):
    """Lease ready tasks to workers over HTTP. The requester is told `Lent`.

    Attributes:
        queue_name: The queue's name.
        bids: What each worker would like, the first come first.
        limit: How many tasks in all at most.
        rate_limit: How many starts per second the queue allows; 0: any number.
        timeouts: How many seconds an attempt may take, by action; 0: any time.
        now: When the claim is made, Unix seconds.
    """

    queue_name: str
    bids: tuple[Bid, ...]
    limit: int
    rate_limit: float
    timeouts: Mapping[str, float]
    now: float


@dataclass(frozen=True, slots=True)
class Hear(Write):
    """Write what workers over HTTP say about their leases, each only if its lease is still held.

    The waiter is answered with what became of each, the requester told `Heard`.

    Attributes:
        said: What they say.
        visible: The queues that they may see; None: all.
        queues: What has to be known of the queues, by name.
        timeouts: How many seconds an attempt may take, by action.
        chance: A number in [0, 1), for the jitter.
        now: When they said it, Unix seconds.
        waiter: Who is answered after the commit.
    """

    said: tuple[Said, ...]
    visible: Collection[str] | None
    queues: Mapping[str, QueueInfo]
    timeouts: Mapping[str, float]
    chance: float
    now: float
    waiter: Reply[tuple[Taken | Refusal, ...]]

    def abandon(self, error: TaskQueueError) -> None:
        """Tell the waiter and the requester that it was not done, or not known to be done."""
        self.waiter.fail(error)
        self.requester.tell(WriteFailed(self, error))


@dataclass(frozen=True, slots=True)
class Mark(Write):
    """Mark the tasks that workers over HTTP do, a step. The requester is told `Marked`.

    Attributes:
        external: The actions that they do.
        inner: The other actions.
        queues: The queues of this node.
        after: The row number where the last step ended; None: begin.
    """

    external: tuple[str, ...]
    inner: tuple[str, ...]
    queues: tuple[str, ...]
    after: int | None


@dataclass(frozen=True, slots=True)
class Report(Write):
    """Store how far a running task is. Nobody is told.

    Attributes:
        progress: How far; stored only if its lease is still held.
    """

    progress: Progress


@dataclass(frozen=True, slots=True)
class SetPaused(Write):
    """Store whether a queue is paused. The waiter is answered, the requester told `PauseKept`.

    Attributes:
        queue: The queue's name.
        paused: Whether it is paused.
        waiter: Who is answered after the commit.
    """

    queue: str
    paused: bool
    waiter: Reply[None]

    def abandon(self, error: TaskQueueError) -> None:
        """Tell the waiter and the requester that it was not done, or not known to be done."""
        self.waiter.fail(error)
        self.requester.tell(WriteFailed(self, error))


@dataclass(frozen=True, slots=True)
class Renew(Write):
    """Extend leases. The requester is told `Renewed`.

    Attributes:
        leases: The leases.
        leased_until: Their new end, Unix seconds.
    """

    leases: tuple[Lease, ...]
    leased_until: float


@dataclass(frozen=True, slots=True)
class Tend(Write):
    """Make due tasks ready, and find lapsed leases. The requester is told `Tended`.

    Attributes:
        queue: The queue whose tasks are tended.
        due: Tasks scheduled up to this moment are due, Unix seconds.
        lapsed: Leases up to this moment have lapsed, Unix seconds.
        concurrency_per_key: How many tasks with the same key may run at once; 0: any number.
        sweep_after: The key where the last step of the sweep for free places ended; empty: from
            the first key on; None: no sweep.
        recounts: Whether to look for what was made by a clock that was ahead.
        watches_actions: Whether to look for actions that other nodes have.
    """

    queue: str
    due: float
    lapsed: float
    concurrency_per_key: int = 0
    sweep_after: str | None = None
    recounts: bool = False
    watches_actions: bool = False


@dataclass(frozen=True, slots=True)
class LoadSchedules(Write):
    """Load the schedules that are due. The requester is told `SchedulesLoaded`.

    Attributes:
        until: Those whose next occurrence is at most at this moment, Unix seconds; infinity: all.
        configured: The schedules of the settings, stored first, in place of former ones; None: they
            are stored already.
    """

    until: float
    configured: tuple[Schedule, ...] | None = None


@dataclass(frozen=True, slots=True)
class Fire(Write):
    """Publish an occurrence of a schedule, and advance it to the next, or set it back to that.

    The requester is told `Fired`, unless another node was faster.

    Attributes:
        name: The schedule's name.
        due_at: Its `next_at` as it was seen, Unix seconds.
        next_at: Its `next_at` from now on, Unix seconds.
        occurrence: The occurrence that is published, Unix seconds; None: all due ones are skipped.
        task: The task that is published, if any.
        anew: Whether the schedule is set back and its times are other ones from now on.
    """

    name: str
    due_at: float
    next_at: float
    occurrence: float | None
    task: Task | None
    anew: bool = False


@dataclass(frozen=True, slots=True)
class Prune(Write):
    """Do one small step of housekeeping. The requester is told `Pruned`.

    Attributes:
        now: The present moment, Unix seconds.
        retention: Seconds that tasks are kept, by their final state.
        sweep_after: Where the last step ended among the tasks; None: from the oldest on.
        sweep: Whether to look for old tasks at all.
        audit_seconds: Seconds that entries of the audit log are kept.
        terms_after: The `keep_result_seconds` up to which the last step looked; -1: none.
    """

    now: float
    retention: Mapping[Status, int]
    sweep_after: Cursor | None
    sweep: bool
    audit_seconds: int
    terms_after: int = -1


@dataclass(frozen=True, slots=True)
class Watch(Request[bool]):
    """Return True after the commit of this node in which the task becomes final, or is deleted.

    Not every end is seen so: other nodes have commits of their own, and of what is done to many
    tasks at once only the number is known. Nor is anybody told if the writer dies. So whoever waits
    looks now and then, too.

    Attributes:
        task_id: The task's id.
        until: Nobody waits any more after this moment, on the clock that is never set.
    """

    task_id: str
    until: float

    def abandon(self, error: TaskQueueError) -> None:
        """Tell nobody: the end may still be seen by a look."""

    def leave(self) -> None:
        """Wait no more, so that the writer can forget it before its time is over."""
        self.reply_to.answer(False)  # noqa: FBT003 - the reply's value


@dataclass(frozen=True, slots=True)
class DatabaseState:
    """How it went with the last commit.

    Attributes:
        problem: Why it did not go through; None: it did.
        warnings: A sentence for each thing that is wrong all the same.
    """

    problem: str | None
    warnings: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class GetDatabaseState(Request[DatabaseState]):
    """Return how it went with the last commit."""


@dataclass(frozen=True, slots=True)
class WriteFailed(Notice):
    """A write was not done, or it is not known whether it was.

    Attributes:
        write: The write.
        error: Why.
    """

    write: Write
    error: TaskQueueError

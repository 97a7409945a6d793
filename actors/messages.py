"""Everything one actor may say to another.

Two kinds: a `Request[R]` is asked and has one answer of type `R`; a `Command` is told and has
none. All are frozen. A message that will not be handled is *abandoned*: whoever waits for it is
told so.

A long file on purpose: the whole protocol between the actors is read in one place.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Generic, NamedTuple, Protocol, TypeVar

from actors.backoff import Backoff
from actors.errors import TaskQueueError
from actors.filters import ALL, Cursor, Filters
from actors.limits import Conditions, Published, QueueLimits
from actors.reply import Reply
from actors.schedule import Schedule
from actors.task import Attempt, ClaimedTask, Failure, Lease, Settlement, Status, Task
from actors.wire import Progress, Wire

R = TypeVar("R")


class Message:
    """What every message is."""

    __slots__ = ()

    def abandon(self, error: TaskQueueError) -> None:
        """Tell whoever waits for this message's effect that it will not be handled."""


class Command(Message):
    """A message that is told and not answered."""

    __slots__ = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Request(Message, Generic[R]):
    """A message that is asked and answered once.

    Attributes:
        reply_to: Where the answer goes; it may travel on inside other messages.
    """

    reply_to: Reply[R] = field(default_factory=Reply, repr=False, compare=False)

    def abandon(self, error: TaskQueueError) -> None:
        """Give the error as the answer."""
        self.reply_to.fail(error)


class Recipient(Protocol):
    """Whoever can be told something: an `Address`, or a stand-in in a test."""

    def tell(self, message: Command) -> None:
        """Put the message in the inbox and go on."""


# --- to everybody who lives by time ---------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Tick(Command):
    """Time has passed; from the clock.

    Attributes:
        now: The present moment, Unix seconds.
    """

    now: float


# --- to the supervisor ----------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Boot(Request[None]):
    """Start every child, in order. Answered when all are up, or with why one is not."""


@dataclass(frozen=True, slots=True)
class Stop(Request[None]):
    """Stop every child, in reverse order. Answered when all had their chance."""


@dataclass(frozen=True, slots=True)
class ListChildren(Request[dict[str, bool]]):
    """Which children there are, and whether each is up."""


@dataclass(frozen=True, slots=True)
class CountStuck(Request[int]):
    """How many children that were replaced are still stuck in what they did."""


@dataclass(frozen=True, slots=True)
class Retire(Command):
    """Stop these children and forget them.

    Attributes:
        names: Which.
    """

    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Replace(Command):
    """Leave a child behind that does not come back, and start another in its place.

    Attributes:
        name: The child.
    """

    name: str


@dataclass(frozen=True, slots=True)
class Died(Command):
    """A child crashed.

    Attributes:
        name: The child.
        incarnation: Which of its lives ended; an earlier one than the present is no news.
        error: What it died of.
    """

    name: str
    incarnation: int
    error: str


# --- to the queue ---------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Publish(Request[Published | None]):
    """Put tasks on the queue, all or none.

    Answered when they are as safe as its driver makes them, with None where each was simply stored,
    as nearly always.

    Attributes:
        tasks: The tasks; of several, some may be other queues'.
        deadline: Nobody waits for the answer after this moment (Unix seconds): a publish that is
            not written by then is dropped.
        conditions: On what conditions, if any.
    """

    tasks: tuple[Task, ...]
    deadline: float
    conditions: Conditions | None = None


@dataclass(frozen=True, slots=True)
class Pause(Request[None]):
    """Start nothing more, or go on. Answered when it is on disk.

    Attributes:
        paused: Whether the queue is to pause.
    """

    paused: bool


@dataclass(frozen=True, slots=True)
class Reconfigure(Request[None]):
    """Go on with other settings. Answered when they are in force; what runs goes on.

    Attributes:
        consumers: Where each consumer is reached, by name; one that is not among them any more
            ends when it is free.
        prefetch: See `QueueActor`.
        backoff: See `QueueActor`.
        lease_seconds: How long a claim is good without being renewed.
        limits: What the queue allows at most.
    """

    consumers: Mapping[str, Recipient]
    prefetch: int
    backoff: Backoff
    lease_seconds: float
    limits: QueueLimits


@dataclass(frozen=True, slots=True)
class Ready(Command):
    """A consumer has started and runs nothing.

    Attributes:
        consumer: Its name.
        wire: How its actions are reached while they run.
    """

    consumer: str
    wire: Wire


@dataclass(frozen=True, slots=True)
class Ack(Command):
    """A consumer's task is done, and the consumer is free.

    Attributes:
        consumer: Its name.
        claimed: The task it ran.
        result: What the action returned, JSON as text.
        started_at: When it began, Unix seconds.
        stderr: The last of what its program wrote to standard error.
    """

    consumer: str
    claimed: ClaimedTask
    result: str
    started_at: float
    stderr: str | None = None


@dataclass(frozen=True, slots=True)
class Nack(Command):
    """A consumer's task failed, and the consumer is free.

    Attributes:
        consumer: Its name.
        claimed: The task it ran.
        failure: How it failed.
    """

    consumer: str
    claimed: ClaimedTask
    failure: Failure


@dataclass(frozen=True, slots=True)
class Drain(Request[tuple[str, ...]]):
    """Start nothing more, give back what is not started, and let what runs finish.

    Answered, when nothing runs any more and everything is written, with the ids of the tasks
    that were still running at the deadline and were given back too.

    Attributes:
        deadline: How long running tasks may take, Unix seconds.
    """

    deadline: float


@dataclass(frozen=True, slots=True)
class QueueState:
    """What a queue is doing at this moment, on this node.

    Attributes:
        idle: Consumers that wait for a task.
        running: Consumers that run one.
        prefetched: Tasks claimed and not started.
        paused: Whether it starts nothing.
        rates: Tasks per second over the last minute, by what became of them.
    """

    idle: int
    running: int
    prefetched: int
    paused: bool = False
    rates: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class GetQueueState(Request[QueueState]):
    """What the queue is doing at this moment."""


# --- to a consumer --------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Deliver(Command):
    """Run this task. Sent only to a consumer that is free.

    Attributes:
        claimed: The task.
    """

    claimed: ClaimedTask


# --- to the database writer -----------------------------------------------------------------


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
            return self.tasks[0].options.is_free
        return all(task.options.is_free for task in self.tasks)

    def abandon(self, error: TaskQueueError) -> None:
        """Tell the waiter and the requester that it was not done, or not surely."""
        if self.waiter is not None:
            self.waiter.fail(error)
        self.requester.tell(WriteFailed(self, error))


@dataclass(frozen=True, slots=True)
class Claim(Write):
    """Lease the next ready tasks that are no suspects. The requester is told `Claimed`.

    Attributes:
        queue: Whose tasks.
        limit: At most so many.
        free: How many consumers are free: tasks that must not wait are claimed only for them.
        lease_id: What is written into the rows.
        worker: Which process claims.
        now: When the claim is made, Unix seconds.
        leased_until: When it lapses unless renewed, Unix seconds.
        rate_limit: How many starts per second the queue allows; 0: any number.
    """

    queue: str
    limit: int
    free: int
    lease_id: int
    worker: str
    now: float
    leased_until: float
    rate_limit: float = 0.0


@dataclass(frozen=True, slots=True)
class ClaimSuspect(Write):
    """Lease the next ready task that was lost before. Answered with `SuspectClaimed`.

    Attributes:
        queue: Whose task.
        lease_id: What is written into the row.
        worker: Which process claims.
        now: When the claim is made, Unix seconds.
        leased_until: When it lapses unless renewed, Unix seconds.
        rate_limit: How many starts per second the queue allows; 0: any number.
    """

    queue: str
    lease_id: int
    worker: str
    now: float
    leased_until: float
    rate_limit: float = 0.0


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


# --- to the database writer, from the edges: changes that somebody waits for ----------------


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


# --- to the database writer, from the scheduler and the keeper ------------------------------


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
class Tidy(Write):
    """Do one small step of housekeeping. Answered with `Tidied`.

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


# --- from the database writer ---------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Stored(Command):
    """Rows are on disk.

    Attributes:
        task_ids: Of which tasks.
    """

    task_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Claimed(Command):
    """Tasks are leased.

    Attributes:
        tasks: In the order in which they are to run.
        more: Whether there may be more ready ones.
    """

    tasks: tuple[ClaimedTask, ...]
    more: bool


@dataclass(frozen=True, slots=True)
class SuspectClaimed(Command):
    """A task that was lost before is leased, if one was ready.

    Attributes:
        task: The task; None if there is none.
    """

    task: ClaimedTask | None


@dataclass(frozen=True, slots=True)
class Settled(Command):
    """Settlements are on disk, or refused because their lease is not held any more.

    Attributes:
        applied: Which are on disk.
        refused: Which are not, and never will be.
    """

    applied: tuple[Lease, ...]
    refused: tuple[Lease, ...]


@dataclass(frozen=True, slots=True)
class Renewed(Command):
    """Leases are renewed.

    Attributes:
        lost: Those that are not held any more.
    """

    lost: tuple[Lease, ...]


@dataclass(frozen=True, slots=True)
class Tended(Command):
    """Due tasks were made ready, lapsed leases were looked for.

    Attributes:
        promoted: How many tasks became ready.
        lapsed: The tasks whose lease has lapsed.
        cancelling: Leases of running tasks that somebody asked to cancel.
        paused: Whether the queue is paused.
        more: Whether more are due than one step takes.
        swept: How many keys a sweep for free places found that have blocked tasks.
        swept_to: The key where it ended; empty: it saw all.
    """

    promoted: int
    lapsed: tuple[ClaimedTask, ...]
    cancelling: tuple[Lease, ...] = ()
    paused: bool = False
    more: bool = False
    swept: int = 0
    swept_to: str = ""


@dataclass(frozen=True, slots=True)
class PauseKept(Command):
    """It is on disk whether the queue is paused; what is told from now on was seen after that.

    Attributes:
        paused: Whether it is.
    """

    paused: bool


@dataclass(frozen=True, slots=True)
class Unblocked(Command):
    """Tasks that waited for others with their key are ready."""


@dataclass(frozen=True, slots=True)
class SchedulesLoaded(Command):
    """The schedules that are due.

    Attributes:
        schedules: By name.
    """

    schedules: tuple[Schedule, ...]


@dataclass(frozen=True, slots=True)
class Fired(Command):
    """A schedule has gone on to its next occurrence.

    Attributes:
        fire: From where to where, and with which task.
    """

    fire: Fire


@dataclass(frozen=True, slots=True)
class Tidied(Command):
    """A step of housekeeping is done.

    Attributes:
        removed: How many rows are gone or changed.
        swept_to: Where it ended among the tasks; None: at the end.
        terms_to: Up to which `keep_result_seconds` it looked; -1: at all.
    """

    removed: int
    swept_to: Cursor | None
    terms_to: int = -1


@dataclass(frozen=True, slots=True)
class WriteFailed(Command):
    """A write was not done, or it is not known whether it was.

    Attributes:
        write: Which.
        error: Why.
    """

    write: Write
    error: TaskQueueError


# --- to the database reader -----------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ListTasks(Request[tuple[list[Task], Cursor | None]]):
    """Tasks, and where the next page begins if there are more.

    Attributes:
        limit: At most so many.
        filters: Which, in which order.
        after: Only those behind this place; None: from the beginning.
    """

    limit: int
    filters: Filters = ALL
    after: Cursor | None = None


@dataclass(frozen=True, slots=True)
class GetTask(Request[tuple[Task, list[Attempt]] | None]):
    """One task with its attempts, or None if there is none.

    Attributes:
        task_id: Its id.
    """

    task_id: str


@dataclass(frozen=True, slots=True)
class FindDead(Request[list[str]]):
    """The ids of dead tasks, the oldest first.

    Attributes:
        filters: Which.
        limit: At most so many.
    """

    filters: Filters
    limit: int


@dataclass(frozen=True, slots=True)
class CountTasks(Request[dict[str, dict[Status, int]]]):
    """How many tasks there are, by queue and state."""


@dataclass(frozen=True, slots=True)
class OldestReady(Request[float | None]):
    """Since when the oldest ready task waits, Unix seconds; None if none waits.

    Attributes:
        queue: Of which queue.
    """

    queue: str


@dataclass(frozen=True, slots=True)
class ListSchedules(Request[list[Schedule]]):
    """The schedules there are, by name."""


@dataclass(frozen=True, slots=True)
class ListPaused(Request[set[str]]):
    """The names of the queues that are paused."""

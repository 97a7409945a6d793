"""Everything one actor may say to another.

Two kinds: a `Request[R]` is asked and has one answer of type `R`; a `Command` is told and has
none. All are frozen. A message that will not be handled is *abandoned*: whoever waits for it is
told so.

A long file on purpose: the whole protocol between the actors is read in one place.
"""

from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

from actors.errors import TaskQueueError
from actors.reply import Reply
from actors.task import ClaimedTask, Lease, Settlement, Status, Task

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
class Publish(Request[None]):
    """Put a task on the queue. Answered when it is as safe as the queue's driver makes it.

    Attributes:
        task: The task, queued.
        deadline: Nobody waits for the answer after this moment (Unix seconds): a publish that is
            not written by then is dropped.
    """

    task: Task
    deadline: float


@dataclass(frozen=True, slots=True)
class Ready(Command):
    """A consumer has started and runs nothing.

    Attributes:
        consumer: Its name.
    """

    consumer: str


@dataclass(frozen=True, slots=True)
class Ack(Command):
    """A consumer's task is done, and the consumer is free.

    Attributes:
        consumer: Its name.
        claimed: The task it ran.
        result: What the action returned, JSON as text.
    """

    consumer: str
    claimed: ClaimedTask
    result: str


@dataclass(frozen=True, slots=True)
class Nack(Command):
    """A consumer's task failed, and the consumer is free.

    Attributes:
        consumer: Its name.
        claimed: The task it ran.
        error: Why it failed.
        permanent: Whether running it again cannot help.
    """

    consumer: str
    claimed: ClaimedTask
    error: str
    permanent: bool


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
    """What a queue is doing at this moment, in numbers of tasks and consumers.

    Attributes:
        idle: Consumers that wait for a task.
        running: Consumers that run one.
        prefetched: Tasks claimed and not started.
    """

    idle: int
    running: int
    prefetched: int


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
    """Add a row. The requester is told `Stored`.

    Attributes:
        task: The row.
        deadline: Not to be written after this moment, Unix seconds; None: always.
        waiter: Who is answered after the commit, before anybody else is told.
    """

    task: Task
    deadline: float | None = None
    waiter: Reply[None] | None = None

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
        now: When the claim is made, Unix seconds.
        leased_until: When it lapses unless renewed, Unix seconds.
    """

    queue: str
    limit: int
    free: int
    lease_id: int
    now: float
    leased_until: float


@dataclass(frozen=True, slots=True)
class ClaimSuspect(Write):
    """Lease the next ready task that was lost before. Answered with `SuspectClaimed`.

    Attributes:
        queue: Whose task.
        lease_id: What is written into the row.
        now: When the claim is made, Unix seconds.
        leased_until: When it lapses unless renewed, Unix seconds.
    """

    queue: str
    lease_id: int
    now: float
    leased_until: float


@dataclass(frozen=True, slots=True)
class Settle(Write):
    """Write what became of a claimed task. The requester is told `Settled`.

    Attributes:
        settlement: What became of it.
    """

    settlement: Settlement


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
    """Make scheduled tasks that are due ready, and find lapsed leases. Answered with `Tended`.

    Attributes:
        queue: Whose tasks.
        due: Scheduled up to this moment is due, Unix seconds.
        lapsed: Leased up to this moment is lapsed, Unix seconds.
    """

    queue: str
    due: float
    lapsed: float


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
    """

    promoted: int
    lapsed: tuple[ClaimedTask, ...]


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
class ListTasks(Request["tuple[list[Task], int | None]"]):
    """Tasks, newest first, and the row number of the last if there are older ones.

    Attributes:
        limit: At most so many.
        status: Only those in this state; None: all.
        before: Only those older than this row number; None: from the newest.
    """

    limit: int
    status: Status | None = None
    before: int | None = None


@dataclass(frozen=True, slots=True)
class GetTask(Request["Task | None"]):
    """One task, or None if there is none.

    Attributes:
        task_id: Its id.
    """

    task_id: str


@dataclass(frozen=True, slots=True)
class CountTasks(Request[dict[Status, int]]):
    """How many tasks there are in each state."""


@dataclass(frozen=True, slots=True)
class OldestReady(Request["float | None"]):
    """Since when the oldest ready task waits, Unix seconds; None if none waits.

    Attributes:
        queue: Of which queue.
    """

    queue: str

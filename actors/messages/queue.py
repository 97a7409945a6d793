"""The messages to a queue: from the edges, from its consumers, and from the database writer."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from task_queue.actors.messages.base import Command, Notice, Recipient, Request
from task_queue.actors.tasks.backoff import Backoff
from task_queue.actors.tasks.claim import ClaimedTask, Lease
from task_queue.actors.tasks.conditions import Conditions, Published
from task_queue.actors.tasks.limits import QueueLimits
from task_queue.actors.tasks.settlement import Failure
from task_queue.actors.tasks.slot import Slot
from task_queue.actors.tasks.task import Task


@dataclass(frozen=True, slots=True)
class Publish(Request[Published | None]):
    """Put tasks on the queue, all or none.

    Answered when they are as safe as its driver makes them; with None if each was simply stored, as
    nearly always.

    Attributes:
        tasks: The tasks; of several, some may go to other queues.
        deadline: Nobody waits for the answer after this moment, on the clock that is never set: a
            publish that is not written by then is dropped.
        conditions: The conditions under which they are stored, if any.
    """

    tasks: tuple[Task, ...]
    deadline: float
    conditions: Conditions | None = None


@dataclass(frozen=True, slots=True)
class Pause(Request[None]):
    """Start nothing more, or go on. Answered when that is on disk.

    Attributes:
        paused: Whether the queue is to pause.
    """

    paused: bool


@dataclass(frozen=True, slots=True)
class Reconfigure(Request[None]):
    """Go on with other settings. Answered when they are in force; what runs goes on.

    Attributes:
        consumers: Where each consumer is reached, by name; one that is missing here is retired
            when it is free.
        prefetch: How many claimed tasks may wait for a consumer.
        backoff: How long a failed task waits before its next attempt.
        lease_seconds: How long a claim is good without being renewed.
        limits: The limits of the queue.
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
        slot: How an action is reached while it runs; the queue and the consumer share it.
    """

    consumer: str
    slot: Slot


@dataclass(frozen=True, slots=True)
class Ack(Command):
    """A consumer's task completed, and the consumer is free.

    Attributes:
        consumer: Its name.
        claimed: The task it ran.
        result: What the action returned, JSON as text.
        started_at: When the attempt began, Unix seconds.
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

    Answered when nothing runs any more and everything is written: with the ids of the tasks that
    still ran at the deadline and were given back too.

    Attributes:
        deadline: Until when running tasks may take, on the clock that is never set.
    """

    deadline: float


@dataclass(frozen=True, slots=True)
class QueueState:
    """What a queue is doing at this moment, on this node.

    Attributes:
        idle: How many consumers wait for a task.
        running: How many consumers run one.
        prefetched: How many tasks are claimed and not started.
        paused: Whether the queue is paused.
        unfed_seconds: How long its claims have brought nothing.
        rates: Tasks per second over the last minute: published, completed, failed.
    """

    idle: int
    running: int
    prefetched: int
    paused: bool = False
    unfed_seconds: float = 0.0
    rates: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class GetQueueState(Request[QueueState]):
    """Return what the queue is doing at this moment."""


@dataclass(frozen=True, slots=True)
class Stored(Notice):
    """Tasks are on disk.

    Attributes:
        task_ids: Their ids.
    """

    task_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Claimed(Notice):
    """Tasks are leased.

    Attributes:
        tasks: The tasks, in the order in which they are to run.
        more: Whether there may be more ready ones.
    """

    tasks: tuple[ClaimedTask, ...]
    more: bool


@dataclass(frozen=True, slots=True)
class SuspectClaimed(Notice):
    """A suspect is leased, if one was ready.

    Attributes:
        task: The task; None if there is none.
    """

    task: ClaimedTask | None


@dataclass(frozen=True, slots=True)
class Settled(Notice):
    """Settlements are on disk, or refused because their lease is not held any more.

    Attributes:
        applied: The leases whose settlement is on disk.
        refused: The leases whose settlement is not, and never will be.
    """

    applied: tuple[Lease, ...]
    refused: tuple[Lease, ...]


@dataclass(frozen=True, slots=True)
class Renewed(Notice):
    """Leases are renewed.

    Attributes:
        lost: The leases that are not held any more.
    """

    lost: tuple[Lease, ...]


@dataclass(frozen=True, slots=True)
class Tended(Notice):
    """Due tasks were made ready, lapsed leases were looked for.

    Attributes:
        promoted: How many tasks became ready.
        lapsed: The tasks whose lease has lapsed.
        cancelling: The leases of running tasks that somebody asked to cancel.
        paused: Whether the queue is paused.
        more: Whether more is due than one step does.
        swept: How many keys with blocked tasks the sweep for free places found.
        swept_to: The key where the sweep ended; empty: it saw all.
        recounted: How many tasks were counted anew, as they were made by a clock that was ahead.
        own_actions: The names of actions, besides the built-in ones, that nodes have ever had.
    """

    promoted: int
    lapsed: tuple[ClaimedTask, ...]
    cancelling: tuple[Lease, ...] = ()
    paused: bool = False
    more: bool = False
    swept: int = 0
    swept_to: str = ""
    recounted: int = 0
    own_actions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PauseKept(Notice):
    """A `Pause` is on disk; any later `Tended` was read after it.

    Attributes:
        paused: Whether the queue is paused.
    """

    paused: bool


@dataclass(frozen=True, slots=True)
class Unblocked(Notice):
    """Tasks that waited for others with the same key are ready."""

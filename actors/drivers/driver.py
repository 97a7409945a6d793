"""What a driver is to its queue."""

from collections.abc import Iterable
from typing import Protocol

from task_queue.actors.messages.base import Notice
from task_queue.actors.messages.queue import Publish
from task_queue.actors.messages.reply import Reply
from task_queue.actors.tasks.claim import Lease
from task_queue.actors.tasks.limits import QueueLimits
from task_queue.actors.tasks.settlement import Settlement
from task_queue.actors.tasks.slot import Progress


class Driver(Protocol):
    """Makes one queue's tasks durable, claims and settles them.

    Owned by one QueueActor, called in its thread, never waits. The queue is told later what came
    of a call: `Stored` after a publish, one `Claimed` or `SuspectClaimed` after each claim that
    succeeds, `Settled`, `Tended`, `Renewed`, `PauseKept`, or `WriteFailed`. It lets the driver
    `hear` each of them.
    """

    def recover(self) -> None:
        """Take back what former lives of this queue left claimed. Before the first claim."""

    def publish(self, publish: Publish) -> None:
        """Put the tasks on the queue, and answer when they are there."""

    def claim(self, limit: int, free: int) -> None:
        """Claim at most `limit` ready tasks, for `free` consumers that wait and for the window.

        Not suspects, if a crash is anything to this driver: see `ClaimedTask.is_suspect`.
        """

    def claim_suspect(self) -> None:
        """Claim one ready suspect."""

    def settle(self, settlement: Settlement) -> None:
        """Write what became of a claimed task, and keep at it until it is written or refused."""

    def tick(self, now: float, held: Iterable[Lease]) -> None:
        """Do what is due: keep the held leases alive, make due tasks ready, repeat what failed.

        And look for leases whose holder is gone; `Tended` may name leases that are held.
        """

    def report(self, progress: Progress) -> None:
        """Keep how far a running task is."""

    def pause(self, waiter: Reply[None], *, paused: bool) -> None:
        """Keep whether the queue starts nothing, beyond this process's life, and answer."""

    def reconfigure(self, lease_seconds: float, limits: QueueLimits) -> None:
        """Go by these from now on."""

    def hear(self, notice: Notice) -> None:
        """Take note of what the queue was told, before the queue itself acts on it.

        Of these a driver may need: `Stored`, which tasks are on disk; `Settled`, which settlements
        are written or refused for good; `Tended`, how far that step came; `WriteFailed`, what may
        have to be written again. Others it ignores.
        """

    def is_settling(self, lease: Lease) -> bool:
        """Whether a settlement of this lease is neither written nor refused."""

    @property
    def unsettled(self) -> int:
        """How many settlements are neither written nor refused."""

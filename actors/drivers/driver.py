"""What a queue asks of its driver."""

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

    One QueueActor owns it and calls it in its own thread; no call waits. What came of a call is a
    notice to the queue: `Stored` after a publish, one `Claimed` or `SuspectClaimed` after each
    claim that succeeds, `Settled`, `Tended`, `Renewed`, `PauseKept`, or `WriteFailed`. The queue
    lets the driver `hear` each of them.
    """

    def recover(self) -> None:
        """Take back what former lives of this queue left claimed, before the first claim."""

    def publish(self, publish: Publish) -> None:
        """Put the tasks on the queue; answer once they are as safe as this driver makes them."""

    def claim(self, limit: int, free: int) -> None:
        """Claim at most `limit` ready tasks, for `free` consumers that wait and for the window.

        Suspects are left out where tasks outlive a crash: see `ClaimedTask.is_suspect`.
        """

    def claim_suspect(self) -> None:
        """Claim one ready suspect."""

    def settle(self, settlement: Settlement) -> None:
        """Write what became of a claimed task; repeat it until it is written or refused."""

    def tick(self, now: float, held: Iterable[Lease]) -> None:
        """Renew the held leases, make due tasks ready, repeat failed writes.

        Also look for leases whose holder is gone; `Tended` may name leases that are held.
        """

    def report(self, progress: Progress) -> None:
        """Store how far a running task is."""

    def pause(self, waiter: Reply[None], *, paused: bool) -> None:
        """Store whether the queue is paused, for as long as its tasks are kept, and answer."""

    def reconfigure(self, lease_seconds: float, limits: QueueLimits) -> None:
        """Use these from now on."""

    def hear(self, notice: Notice) -> None:
        """Take note of what came of a write, before the queue acts on it.

        Every notice to the queue is heard. Drivers need `Stored` (the tasks that are on disk),
        `Settled` (the settlements that are written, or refused for good), `Tended` (how far that
        step came) and `WriteFailed` (what may have to be written again), and ignore the others.
        """

    def is_settling(self, lease: Lease) -> bool:
        """Return whether a settlement of this lease is neither written nor refused."""

    @property
    def unsettled(self) -> int:
        """How many settlements are neither written nor refused."""

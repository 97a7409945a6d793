"""The message that a consumer gets from its queue."""

from dataclasses import dataclass

from task_queue.actors.messages.base import Command
from task_queue.actors.tasks.claim import ClaimedTask


@dataclass(frozen=True, slots=True)
class Deliver(Command):
    """Run this task. Sent only to a consumer that is free.

    Attributes:
        claimed: The task, under a lease.
    """

    claimed: ClaimedTask

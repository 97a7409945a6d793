"""The message that the clock sends to its listeners."""

from dataclasses import dataclass

from task_queue.actors.messages.base import Command


@dataclass(frozen=True, slots=True)
class Tick(Command):
    """Time has passed.

    Attributes:
        now: The present moment, Unix seconds.
    """

    now: float

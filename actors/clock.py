"""The only timer."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from task_queue.actors.messages.base import Command, Message, Recipient
from task_queue.actors.messages.clock import Tick
from task_queue.actors.runtime.actor import Actor, Life

TICK_SECONDS = 0.25
"""How often the clock ticks. Four times a second keeps the promise "ready within a second of its
time" with room to spare, and costs an idle process well under one per cent of a core."""


@dataclass(frozen=True, slots=True)
class _Beat(Command):
    pass


class Clock(Actor):
    """Sends the present moment to its listeners, every `TICK_SECONDS`.

    It waits inside its own `receive`, because waiting is all it does.
    """

    def __init__(
        self, life: Life, *, listeners: Callable[[], Sequence[Recipient]], now: Callable[[], float]
    ) -> None:
        """Store what is needed.

        Args:
            life: This actor's life.
            listeners: Returns who gets the ticks; called at every tick.
            now: The present moment, Unix seconds.
        """
        super().__init__(life)
        self._listeners = listeners
        self._now = now

    def setup(self) -> None:
        """Start the ticks."""
        self.actor_ref.tell(_Beat())

    def receive(self, message: Message) -> None:
        """Handle one message."""
        match message:
            case _Beat():
                self.actor_stopped.wait(TICK_SECONDS)
                tick = Tick(self._now())
                for listener in self._listeners():
                    listener.tell(tick)
                self.actor_ref.tell(message)
            case _:
                self.unexpected(message)

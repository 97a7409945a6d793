"""What messages are: a `Request` is asked and answered once, a `Command` is told."""

from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

from task_queue.actors.errors import TaskQueueError
from task_queue.actors.messages.reply import Reply

R = TypeVar("R")


class Message:
    """What every message is."""

    __slots__ = ()

    def abandon(self, error: TaskQueueError) -> None:
        """Tell whoever waits for this message's effect that it will not be handled."""


class Command(Message):
    """A message that is told and not answered."""

    __slots__ = ()


class Notice(Command):
    """What came of a write: told to its requester after the commit, or when it failed."""

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

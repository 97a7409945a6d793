"""The kinds of messages: a `Request` is asked and answered once, a `Command` is told."""

from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

from task_queue.actors.errors import TaskQueueError
from task_queue.actors.messages.reply import Reply

R = TypeVar("R")


class Message:
    """The base of every message."""

    __slots__ = ()

    def abandon(self, error: TaskQueueError) -> None:
        """Tell whoever waits for an effect of this message that it will not be handled."""


class Command(Message):
    """A message that is told and not answered."""

    __slots__ = ()


class Notice(Command):
    """What came of a write, told to its requester after the commit or the failure."""

    __slots__ = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Request(Message, Generic[R]):
    """A message that is asked and answered once.

    Attributes:
        reply_to: Where the answer goes; other messages may carry it on.
    """

    reply_to: Reply[R] = field(default_factory=Reply, repr=False, compare=False)

    def abandon(self, error: TaskQueueError) -> None:
        """Answer with the error."""
        self.reply_to.fail(error)


class Recipient(Protocol):
    """Whoever can be told a command: an `Address`, or a stand-in in a test."""

    def tell(self, message: Command) -> None:
        """Put the message in the inbox, and return at once."""

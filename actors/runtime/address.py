"""A name for an actor that survives the actor's restarts."""

from typing import Any, TypeVar

import pykka
import structlog

from task_queue.actors.errors import ActorUnavailableError
from task_queue.actors.messages.base import Command, Message, Request
from task_queue.actors.messages.reply import Reply

R = TypeVar("R")

_log = structlog.get_logger()


class Address:
    """Where to send messages to one role, whoever plays it now.

    Sending never blocks and never raises: a message to an actor that is not there is abandoned,
    which tells whoever waits for it, and the supervisor is already at work.
    """

    __slots__ = ("_ref", "name")

    def __init__(self, name: str) -> None:
        self.name = name
        self._ref: pykka.ActorRef[Any] | None = None

    def bind(self, ref: pykka.ActorRef[Any]) -> None:
        """Let the address lead to this actor from now on."""
        self._ref = ref

    def tell(self, message: Command) -> None:
        """Put the message in the actor's inbox and go on."""
        self._send(message)

    def ask(self, request: Request[R], timeout: float) -> R:
        """The answer to the request. Only for edges: an actor never waits for another.

        Args:
            request: What is asked.
            timeout: Seconds to wait for the answer.

        Raises:
            AnswerTimeoutError: Nothing came in time; what was asked may still happen.
            TaskQueueError: The answer is an expected error.
        """
        return self.ask_later(request).wait(timeout)

    def ask_later(self, request: Request[R]) -> Reply[R]:
        """Where the answer to the request will be, for edges that do not wait in a thread.

        Args:
            request: What is asked. It must carry its deadline, and whoever handles it must keep
                that: nobody else watches the time.
        """
        self._send(request)
        return request.reply_to

    def _send(self, message: Message) -> None:
        ref = self._ref
        try:
            if ref is not None:
                ref.tell(message)
                # It may have died between Pykka's look and the put; then nobody reads its inbox.
                if ref.is_alive():
                    return
        except pykka.ActorDeadError:
            pass
        _log.debug("message abandoned", to=self.name, message=type(message).__name__)
        message.abandon(ActorUnavailableError(f"the {self.name} is not running"))

    def __repr__(self) -> str:
        return f"Address({self.name!r})"

"""An address: it leads to an actor's role, and survives the actor's restarts."""

from typing import Any, TypeVar

import pykka

from task_queue.actors.errors import ActorUnavailableError
from task_queue.actors.messages.base import Command, Message, Request
from task_queue.actors.messages.reply import Reply
from task_queue.config.logger import get_logger

R = TypeVar("R")

_log = get_logger()


class Address:
    """Where messages to one role are sent, whichever actor plays it now.

    Sending never blocks and never raises: a message to an actor that does not run is abandoned,
    which answers whoever waits for it, and the supervisor is restarting the actor already.
    """

    __slots__ = ("_ref", "name")

    def __init__(self, name: str) -> None:
        self.name = name
        self._ref: pykka.ActorRef[Any] | None = None

    def bind(self, ref: pykka.ActorRef[Any]) -> None:
        """Lead to this actor from now on."""
        self._ref = ref

    def tell(self, message: Command) -> None:
        """Put the message in the actor's inbox, and return at once."""
        self._send(message)

    def ask(self, request: Request[R], timeout: float) -> R:
        """Return the answer to the request. Only for edges: an actor never waits for another.

        Args:
            request: The request.
            timeout: Seconds to wait for the answer.

        Raises:
            AnswerTimeoutError: Nothing came in time; what was asked may still happen.
            TaskQueueError: The answer is an expected error.
        """
        return self.ask_later(request).wait(timeout)

    def ask_later(self, request: Request[R]) -> Reply[R]:
        """Return where the answer will be, for edges that do not wait in a thread.

        Args:
            request: It must carry its deadline, and whoever handles it must keep that: nobody
                else watches the time.
        """
        self._send(request)
        return request.reply_to

    def _send(self, message: Message) -> None:
        ref = self._ref
        try:
            if ref is not None:
                ref.tell(message)
                # It may have died between Pykka's check and the put; then nobody reads its inbox.
                if ref.is_alive():
                    return
        except pykka.ActorDeadError:
            pass
        _log.debug("message abandoned", to=self.name, message=type(message).__name__)
        message.abandon(ActorUnavailableError(f"the {self.name} is not running"))

    def __repr__(self) -> str:
        return f"Address({self.name!r})"

"""The base of every actor: an inbox, one failure rule, a supervisor that learns of its death."""

from dataclasses import dataclass, field
from queue import SimpleQueue
from types import TracebackType
from typing import Any, NoReturn

import pykka

from task_queue.actors.errors import ActorUnavailableError, BootError, TaskQueueError
from task_queue.actors.messages.base import Message, Recipient, Request
from task_queue.actors.messages.reply import Reply
from task_queue.actors.messages.supervisor import Died
from task_queue.actors.runtime.address import Address
from task_queue.config.logger import get_logger


@dataclass(frozen=True, slots=True)
class Life:
    """One life of an actor, as its supervisor sees it.

    Attributes:
        address: Where others reach its role; bound to it before `setup` runs, so that no answer
            is lost.
        watcher: Who is told when it dies.
        incarnation: The number of this life, from 1.
        started: Answered when `setup` has run, or with the error that it failed with.
    """

    address: Address
    watcher: Recipient
    incarnation: int = 1
    started: Reply[None] = field(default_factory=Reply)


class UnexpectedMessageError(Exception):
    """An actor got a message that is not part of its protocol; it crashes, as after any defect."""


class Crash(Exception):  # noqa: N818 - not an error of its own, but the shell around one
    """Wraps a `BaseException` such as `SystemExit`, for which Pykka would stop every actor."""


class Actor(pykka.ThreadingActor):
    """An actor under a supervisor.

    Subclasses implement `receive`, one `match`, and may implement `setup`, which runs in the
    actor's own thread, and `give_up`, which answers those whose messages it holds.

    One failure rule, however the message came: an expected error raised while handling a
    `Request` is its answer; anything else crashes the actor. Then every request in the inbox or
    held by the actor is answered, and the supervisor is told.
    """

    use_daemon_thread = True  # an action that never returns must not keep the process alive

    @staticmethod
    def _create_actor_inbox() -> "SimpleQueue[Any]":
        # Pykka's own is a queue.Queue, written in Python; this one is in C: a tenth less per task.
        return SimpleQueue()

    def __init__(self, life: Life) -> None:
        super().__init__()
        self.name = life.address.name
        self.log = get_logger().bind(actor=self.name)
        self._life = life

    def setup(self) -> None:
        """Open what is needed. After an error here the actor has not started."""

    def receive(self, message: Message) -> None:
        """Handle one message."""
        raise NotImplementedError

    def give_up(self, error: TaskQueueError) -> None:
        """Answer the requests that this actor has taken and will not finish."""

    def unexpected(self, message: Message) -> NoReturn:
        """Crash on a message outside the protocol."""
        raise UnexpectedMessageError(type(message).__name__)

    def on_start(self) -> None:
        """Run `setup`, and tell the supervisor whether it failed."""
        self._life.address.bind(self.actor_ref)
        try:
            self.setup()
        except TaskQueueError as error:
            self._has_not_started(error)
        except BaseException as error:  # Pykka would let the thread die unnoticed
            self.log.exception("actor failed to start")
            self._has_not_started(BootError(f"the {self.name} failed to start: {error!r}"))
        else:
            self._life.started.answer(None)

    def _has_not_started(self, error: TaskQueueError) -> None:
        # At once: a message to stop would come behind those that wait, and they would be handled.
        self._stop()
        self._life.started.fail(error)

    def on_receive(self, message: Message) -> None:
        """Handle one message by the failure rule."""
        try:
            self.receive(message)
        except TaskQueueError as error:
            if not isinstance(message, Request):
                raise
            message.abandon(error)
        except Exception:
            self._abandon(message)
            raise
        except BaseException as error:
            self._abandon(message)
            text = f"{type(error).__name__} raised inside an actor"
            raise Crash(text) from error

    def on_failure(
        self,
        exception_type: type[BaseException] | None,  # noqa: ARG002 - Pykka's signature
        exception_value: BaseException | None,
        traceback: TracebackType | None,  # noqa: ARG002
    ) -> None:
        """Answer every request that waits, and tell the supervisor."""
        self.log.error("actor crashed", exc_info=exception_value)
        self._abandon_all()
        self._life.watcher.tell(Died(self.name, self._life.incarnation, repr(exception_value)))

    def on_stop(self) -> None:
        """Answer every request that still waits."""
        self._abandon_all()

    def _abandon_all(self) -> None:
        self.give_up(self._gone())
        while not self.actor_inbox.empty():
            envelope = self.actor_inbox.get()
            self._abandon(envelope.message)
            if envelope.reply_to is not None:  # somebody waits for this actor to stop
                envelope.reply_to.set(None)

    def _abandon(self, message: object) -> None:
        if isinstance(message, Message):
            message.abandon(self._gone())

    def _gone(self) -> ActorUnavailableError:
        return ActorUnavailableError(f"the {self.name} stopped before it could answer")

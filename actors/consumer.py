"""A consumer: runs one task at a time and says what came of it."""

import traceback
from collections.abc import Callable
from dataclasses import replace
from typing import Protocol

from actors.actor import Actor, Life
from actors.errors import Cancelled, Reject, RetryLater
from actors.messages import Ack, Deliver, Message, Nack, Ready, Recipient
from actors.task import MAX_ERROR_CHARS, ClaimedTask, Failure, Outcome
from actors.wire import Wire

OWN_FRAMES = 2
"""How many frames of a traceback are ours: this module's and the registry's."""
MAX_FRAMES = 8
"""How many of the action's frames are kept, the innermost."""


class Actions(Protocol):
    """What can be done."""

    def run(self, claimed: ClaimedTask, wire: Wire) -> str:
        """The result of the task's action, JSON as text.

        Raises:
            Reject: Running it again cannot help.
        """


class ConsumerActor(Actor):
    """Runs what it is delivered, one task at a time, in its own thread.

    Whatever the action raises, `SystemExit` and the like included, is that task's failure and
    nobody else's.
    """

    def __init__(
        self,
        life: Life,
        *,
        queue: Recipient,
        actions: Actions,
        now: Callable[[], float],
        monotonic: Callable[[], float],
    ) -> None:
        """Store what is needed.

        Args:
            life: This actor's life.
            queue: Whom to ask for tasks and tell what came of them.
            actions: What can be done.
            now: The present moment, Unix seconds.
            monotonic: Seconds that never go backwards, for durations.
        """
        super().__init__(life)
        self._queue = queue
        self._actions = actions
        self._now = now
        self._wire = Wire()
        self._monotonic = monotonic

    def setup(self) -> None:
        """Ask for the first task."""
        self._queue.tell(Ready(self.name, self._wire))

    def receive(self, message: Message) -> None:
        """Handle one message."""
        match message:
            case Deliver():
                self._run(message.claimed)
            case _:
                self.unexpected(message)

    def _run(self, claimed: ClaimedTask) -> None:
        fields = {
            "id": claimed.lease.task_id,
            "action": claimed.action,
            "attempt": claimed.attempt,
        }
        self.log.info("processing task", **fields)
        started, started_at = self._monotonic(), self._now()
        try:
            result = self._actions.run(claimed, self._wire)
        except BaseException as error:  # noqa: BLE001 - the action's failure, whatever it is
            failure = failure_of(error, started_at, asked_to_stop=self._wire.stop == claimed.lease)
            self._queue.tell(Nack(self.name, claimed, failure))
        else:
            duration = round(self._monotonic() - started, 6)
            self._queue.tell(Ack(self.name, claimed, result, started_at))
            self.log.info("task completed", **fields, duration_seconds=duration)


def failure_of(error: BaseException, started_at: float, *, asked_to_stop: bool) -> Failure:
    """What an action's error says about its attempt.

    Args:
        error: What it raised.
        started_at: When the attempt began, Unix seconds.
        asked_to_stop: Whether somebody asked to cancel it.
    """
    match error:
        case Reject():
            failure = Failure(described(error), permanent=True, traceback=last_lines(error))
        case RetryLater(seconds=int() | float() as seconds) if seconds >= 0:
            failure = Failure(described(error), retry_after=seconds)
        case Cancelled() if asked_to_stop:
            failure = Failure(described(error) or "cancelled", Outcome.CANCELLED)
        case _:
            text = f"{type(error).__name__}: {described(error)}"
            failure = Failure(text, traceback=last_lines(error))
    return replace(failure, started_at=started_at)


def last_lines(error: BaseException) -> str | None:
    """Where the action failed: the last lines of the traceback, without our own frames."""
    where = error.__traceback__
    for _ in range(OWN_FRAMES):
        where = where and where.tb_next
    try:
        lines = traceback.format_exception(type(error), error, where, limit=-MAX_FRAMES)
    except Exception:  # noqa: BLE001 - foreign code: the error's own text
        return None
    return "".join(lines)[-MAX_ERROR_CHARS:]


def described(error: BaseException) -> str:
    """The error's text, even if the error cannot say it."""
    try:
        return str(error)
    except Exception:  # noqa: BLE001 - foreign code
        return "an error whose text cannot be shown"

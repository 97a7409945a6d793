"""A consumer: runs one task at a time and says what came of it."""

from collections.abc import Callable
from typing import Protocol

from actors.actor import Actor, Life
from actors.errors import PermanentError
from actors.messages import Ack, Deliver, Message, Nack, Ready, Recipient
from actors.task import ClaimedTask


class Actions(Protocol):
    """What can be done."""

    def run(self, action: str, data: str) -> str:
        """The result of the action for this input, both JSON as text.

        Raises:
            PermanentError: Running it again cannot help.
        """


class ConsumerActor(Actor):
    """Runs what it is delivered, one task at a time, in its own thread.

    Whatever the action raises, `SystemExit` and the like included, is that task's failure and
    nobody else's.
    """

    def __init__(
        self, life: Life, *, queue: Recipient, actions: Actions, monotonic: Callable[[], float]
    ) -> None:
        """Store what is needed.

        Args:
            life: This actor's life.
            queue: Whom to ask for tasks and tell what came of them.
            actions: What can be done.
            monotonic: Seconds that never go backwards, for durations.
        """
        super().__init__(life)
        self._queue = queue
        self._actions = actions
        self._monotonic = monotonic

    def setup(self) -> None:
        """Ask for the first task."""
        self._queue.tell(Ready(self.name))

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
        started = self._monotonic()
        try:
            result = self._actions.run(claimed.action, claimed.data)
        except PermanentError as error:
            self._queue.tell(Nack(self.name, claimed, described(error), permanent=True))
        except BaseException as error:  # noqa: BLE001 - the action's failure, whatever it is
            self._queue.tell(
                Nack(
                    self.name,
                    claimed,
                    f"{type(error).__name__}: {described(error)}",
                    permanent=False,
                )
            )
        else:
            duration = round(self._monotonic() - started, 6)
            self._queue.tell(Ack(self.name, claimed, result))
            self.log.info("task completed", **fields, duration_seconds=duration)


def described(error: BaseException) -> str:
    """The error's text, even if the error cannot say it."""
    try:
        return str(error)
    except Exception:  # noqa: BLE001 - foreign code
        return "an error whose text cannot be shown"

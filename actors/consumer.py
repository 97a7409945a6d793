"""A consumer: runs one task at a time and says what came of it."""

import logging
import os
from collections.abc import Callable
from threading import get_ident
from typing import Protocol

from task_queue.actors.messages.base import Message, Recipient
from task_queue.actors.messages.consumer import Deliver
from task_queue.actors.messages.queue import Ack, Nack, Ready
from task_queue.actors.runtime.actor import Actor, Life
from task_queue.actors.tasks.claim import ClaimedTask
from task_queue.actors.tasks.failures import failure_of
from task_queue.actors.tasks.slot import Slot

_forks: list[int] = []
"""Not empty in a process that an action has forked. To ask for the own id takes 0.2 µs a task."""
os.register_at_fork(after_in_child=lambda: _forks.append(os.getpid()))


class Done(Protocol):
    """What an action came to."""

    @property
    def result(self) -> str:
        """JSON as text."""

    @property
    def stderr(self) -> str | None:
        """The last of what its program wrote to standard error."""


class Actions(Protocol):
    """What can be done."""

    def run(self, claimed: ClaimedTask, slot: Slot) -> Done:
        """Do what the task says, and return what came of it.

        Raises:
            Reject: Running it again cannot help.
        """


class ConsumerActor(Actor):
    """Runs what it is delivered, one task at a time, in its own thread.

    Whatever the action raises, `SystemExit` and the like included, is that task's failure and
    nobody else's.
    """

    def __init__(  # noqa: PLR0913 - wired in one place
        self,
        life: Life,
        *,
        queue: Recipient,
        actions: Actions,
        now: Callable[[], float],
        monotonic: Callable[[], float],
        queue_name: str = "",
    ) -> None:
        """Store what is needed.

        Args:
            life: This actor's life.
            queue: Whom to ask for tasks and tell what came of them.
            actions: What can be done.
            now: The present moment, Unix seconds.
            monotonic: Seconds that never go backwards, for durations.
            queue_name: What the queue is called, for actions that ask.
        """
        super().__init__(life)
        self._queue = queue
        self._actions = actions
        self._now = now
        # Not asked with every task: to say nothing would take longer than a short action.
        self._tells = self.log.is_enabled_for(logging.INFO)
        self._slot = Slot(queue_name)
        self._monotonic = monotonic

    def setup(self) -> None:
        """Ask for the first task."""
        self._slot.thread_id = get_ident()
        self._queue.tell(Ready(self.name, self._slot))

    def receive(self, message: Message) -> None:
        """Handle one message."""
        match message:
            case Deliver():
                self._run(message.claimed)
            case _:
                self.unexpected(message)

    def _run(self, claimed: ClaimedTask) -> None:
        if self._tells:
            self.log.info("processing task", **_fields(claimed))
        started, started_at = self._monotonic(), self._now()
        try:
            done = self._actions.run(claimed, self._slot)
        except BaseException as error:  # noqa: BLE001 - the action's failure, whatever it is
            _end_if_forked()
            failure = failure_of(error, started_at, asked_to_stop=self._slot.stop == claimed.lease)
            self._queue.tell(Nack(self.name, claimed, failure))
        else:
            _end_if_forked()
            ended = self._monotonic()
            self._queue.tell(Ack(self.name, claimed, done.result, started_at, done.stderr))
            if self._tells:
                duration = round(ended - started, 6)
                self.log.info("task completed", **_fields(claimed), duration_seconds=duration)


def _fields(claimed: ClaimedTask) -> dict[str, object]:
    """What a log line says of a task."""
    return {"id": claimed.lease.task_id, "action": claimed.action, "attempt": claimed.attempt}


def _end_if_forked() -> None:
    """End this process, if it is one that an action has forked: it has no business here.

    It has a copy of every descriptor, of the server's socket and the database's too.
    """
    if _forks:
        os._exit(0)

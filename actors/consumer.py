"""A consumer: runs one task at a time and tells its queue the outcome."""

import logging
import os
from collections.abc import Callable
from dataclasses import replace
from threading import get_ident
from typing import Protocol

from task_queue.actors.actions.action import Done
from task_queue.actors.actions.prints import PRINTS, Prints, fields_of
from task_queue.actors.messages.base import Message, Recipient
from task_queue.actors.messages.consumer import Deliver
from task_queue.actors.messages.queue import Ack, Nack, Ready
from task_queue.actors.runtime.actor import Actor, Life
from task_queue.actors.tasks.claim import ClaimedTask
from task_queue.actors.tasks.failures import failure_of
from task_queue.actors.tasks.slot import Slot

_forks: list[int] = []
"""Not empty in a process that an action has forked. Asking for the process id would take 0.2 µs a
task."""
os.register_at_fork(after_in_child=lambda: _forks.append(os.getpid()))


class Actions(Protocol):
    """The actions that a consumer can run."""

    def run(self, claimed: ClaimedTask, slot: Slot) -> Done:
        """Run the task's action, and return its result.

        Raises:
            BaseException: Whatever the action raises.
        """


class ConsumerActor(Actor):
    """Runs the tasks that it is delivered, one at a time, in its own thread.

    Whatever the action raises, `SystemExit` and the like included, is that task's failure and
    stops nothing else.
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
            queue: Gets `Ready`, `Ack` and `Nack`.
            actions: The actions there are.
            now: The present moment, Unix seconds.
            monotonic: Seconds that never go backwards, for durations.
            queue_name: The queue's name, which actions can ask for.
        """
        super().__init__(life)
        self._queue = queue
        self._actions = actions
        self._now = now
        # Looked up once: a log call that writes nothing would take longer than a short action.
        self._tells = self.log.is_enabled_for(logging.INFO)
        self._slot = Slot(queue_name)
        self._monotonic = monotonic

    def setup(self) -> None:
        """Ask for the first task."""
        _forks.clear()  # a process that starts consumers was forked for that, if at all
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
            self.log.info("processing task", **fields_of(claimed))
        prints = Prints(claimed)
        self._slot.printed = prints.so_far
        before = PRINTS.set(prints)
        started, started_at = self._monotonic(), self._now()
        try:
            done = self._actions.run(claimed, self._slot)
        except BaseException as error:  # noqa: BLE001 - the action's failure, whatever it is
            _end_if_forked()
            PRINTS.reset(before)
            failure = failure_of(error, started_at, asked_to_stop=self._slot.stop == claimed.lease)
            if printed := prints.close():
                failure = replace(failure, stderr=printed)
            self._queue.tell(Nack(self.name, claimed, failure))
        else:
            _end_if_forked()
            PRINTS.reset(before)
            ended = self._monotonic()
            stderr = prints.close() or done.stderr
            self._queue.tell(Ack(self.name, claimed, done.result, started_at, stderr))
            if self._tells:
                duration = round(ended - started, 6)
                self.log.info("task completed", **prints.fields, duration_seconds=duration)


def _end_if_forked() -> None:
    """End this process if an action has forked it: it must not run consumers of its own.

    It has a copy of every descriptor, the server's socket and the database included.
    """
    if _forks:
        os._exit(0)

"""The way from HTTP to the actors: the only thing that resources know of the system."""

import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TypeVar

from task_queue.actors.actions.registry import Registry
from task_queue.actors.errors import ActorUnavailableError, ConflictError, NotFoundError
from task_queue.actors.messages.base import Request
from task_queue.actors.messages.changes import NoteStatus
from task_queue.actors.messages.lessor import ExternalStored
from task_queue.actors.messages.queue import Publish
from task_queue.actors.messages.reader import CountTasks, FindKey, ListTasks
from task_queue.actors.messages.reply import Reply
from task_queue.actors.messages.writer import Watch
from task_queue.actors.runtime.address import Address
from task_queue.actors.system import ActorSystem
from task_queue.actors.tasks.conditions import Published
from task_queue.actors.tasks.filters import Filters
from task_queue.actors.tasks.keys import StoredKey
from task_queue.actors.tasks.new import QUEUE, QueueInfo
from task_queue.api.auth.caller import Caller
from task_queue.api.requests.catalog import Catalog, unknown_action, unknown_queue
from task_queue.api.waits import Waits
from task_queue.config.settings import QueueSettings

R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Edge:
    """Asks the actors, with the one timeout of all requests.

    A reload adds and removes queues, so nothing looked up here may be kept beyond a request; the
    registry of actions alone stays the same object.

    Attributes:
        system: The running actors.
        timeout: Seconds an actor may take to answer.
        now: The present moment, Unix seconds.
        monotonic: Seconds on a clock that is never set.
        max_wait_seconds: How long an answer waits at most, if its client wishes so.
        waits: The ends of tasks that answers wait for.
    """

    system: ActorSystem
    timeout: float
    now: Callable[[], float] = time.time
    monotonic: Callable[[], float] = time.monotonic
    max_wait_seconds: int = 60
    waits: Waits = field(default_factory=Waits)

    @property
    def deadline(self) -> float:
        """Until when what is asked now has to be answered, on the clock that is never set."""
        return self.monotonic() + self.timeout

    @property
    def actions(self) -> Registry:
        """The actions there are."""
        return self.system.actions

    def catalog(self, caller: Caller) -> Catalog:
        """Return what tasks can ask for at this moment, if this caller publishes them."""
        queues, tells = self.system.queues.info, self.system.tells
        return Catalog(self.system.actions, queues, tells=tells, allowed=caller.queues)

    @property
    def queues(self) -> Collection[str]:
        """The names of the queues that run, in the order of the settings."""
        return self.system.queues.addresses.keys()

    def queues_of(self, caller: Caller) -> list[str]:
        """Return the names of the queues that run and that the caller sees."""
        return [name for name in self.queues if caller.sees(name)]

    @property
    def max_stuck_threads(self) -> int:
        """How many threads may hang in actions beyond their deadline."""
        return self.system.max_stuck_threads

    @property
    def max_result_bytes(self) -> int:
        """How long a result may be, as JSON."""
        return self.system.max_result_bytes

    @property
    def is_draining(self) -> bool:
        """Whether the process is about to end."""
        return self.system.is_draining

    def queue(self, name: str | None) -> tuple[QueueInfo, Address] | None:
        """Return the queue by this name, or the default one, and the address to publish to."""
        name = QUEUE if name is None else name
        info, address = self.system.queues.info.get(name), self.system.queues.addresses.get(name)
        return None if info is None or address is None else (info, address)

    def queue_info(self, name: str) -> QueueInfo | None:
        """Return the queue by this name."""
        return self.system.queues.info.get(name)

    def queue_settings(self, name: str) -> QueueSettings:
        """Return the settings of a queue.

        Raises:
            NotFoundError: There is none, or a reload has just removed it; so of `ask_queue`.
        """
        if (settings := self.system.queue_settings.get(name)) is None:
            raise NotFoundError("queue not found")
        return settings

    @property
    def all_durable(self) -> bool:
        """Whether no queue keeps its tasks in memory."""
        return all(info.durable for info in self.system.queues.info.values())

    def check_has_rows(self, name: str) -> None:
        """Accept a queue whose tasks are rows before they are final.

        Raises:
            ConflictError: The queue keeps them in memory.
        """
        info = self.queue_info(name)
        if info is not None and not info.durable:
            text = f"the queue {name} keeps its tasks in memory, where this cannot be done to them"
            raise ConflictError(text)

    def has_rows(self, name: str) -> bool:
        """Return whether there is such a queue, and its tasks are rows before they are final."""
        info = self.queue_info(name)
        return info is not None and info.durable

    def check_would_run(self, queue: str | None, action: str | None) -> None:
        """Accept a queue and an action that stored tasks have, if something runs these.

        Raises:
            ConflictError: Nothing does.
        """
        gone = None
        if queue is not None and self.queue_info(queue) is None:
            gone = f"the queue {queue}"
        elif action is not None and not self.actions.knows(action):
            gone = f"the action {action}"
        if gone is not None:
            message = f"{gone} is no longer in the settings; nothing would run the task"
            raise ConflictError(message)
        if queue is not None:
            self.check_has_rows(queue)

    def check_names(self, filters: Filters) -> None:
        """Accept the filters of a listing by a queue and an action that there are or have been.

        Of the queues and tasks that the filters let the caller see.

        Raises:
            InvalidRequestError: It is neither in the settings nor the one of a stored task.
        """
        queue, action, seen = filters.queue, filters.action, Filters(queues=filters.queues)
        if queue is not None:
            known = [name for name in self.queues if seen.take(name)]
            # There may have been one that had tasks. Of all that are not known the same is asked.
            if queue not in known and not (
                queue in self.ask_reader(CountTasks()) and seen.take(queue)
            ):
                raise unknown_queue(known, queue)
        if action is not None and not self.actions.knows(action):
            stored, _ = self.ask_reader(ListTasks(limit=1, filters=replace(seen, action=action)))
            if not stored:
                raise unknown_action(self.actions.names, action)

    def ask_reader(self, request: Request[R]) -> R:
        """Ask the reader of the database.

        Raises:
            TaskQueueError: There is no answer in time, or it is an error; so of all that ask.
        """
        return self.system.reader.ask(request, self.timeout)

    def ask_writer(self, request: Request[R]) -> R:
        """Ask for a change of the database."""
        return self.system.writer.ask(request, self.timeout)

    def ask_lessor(self, request: Request[R]) -> R:
        """Ask the lessor."""
        return self.system.lessor.ask(request, self.timeout)

    def ask_supervisor(self, request: Request[R]) -> R:
        """Ask the supervisor."""
        return self.system.supervisor.ask(request, self.timeout)

    def ask_queue(self, name: str, request: Request[R]) -> R:
        """Ask a queue."""
        if (address := self.system.queues.addresses.get(name)) is None:
            raise NotFoundError("queue not found")
        return address.ask(request, self.timeout)

    def publish(self, publish: Publish) -> Reply[Published | None]:
        """Ask the queue of the first task; the reply comes by the publish's deadline."""
        name = publish.tasks[0].queue
        address = self.system.queues.addresses.get(name)
        if address is None:  # a reload is adding or removing it
            publish.abandon(ActorUnavailableError(f"the queue-{name} is not running"))
            return publish.reply_to
        if external := {task.queue for task in publish.tasks if task.options.external}:
            stored = ExternalStored(tuple(external))
            publish.reply_to.then(partial(self.system.lessor.tell, stored))
        return address.ask_later(publish)

    def ask_for_key(self, question: FindKey) -> Reply[StoredKey | None]:
        """Ask the database for a key; nobody waits here."""
        return self.system.key_reader.ask_later(question)

    def note_status(self, number: int, status: int, target: str | None) -> None:
        """Have it noted in the audit log how a request was answered; nobody waits for that."""
        self.system.writer.ask_later(NoteStatus(number, status, target))

    def watch(self, task_id: str, until: float) -> Watch:
        """Have the database writer tell of the end of a task from now on.

        Args:
            task_id: The task's id.
            until: Until when somebody waits for it, on the clock that is never set.
        """
        watch = Watch(task_id, until)
        self.system.writer.ask_later(watch)
        return watch

    def look_at_waits(self, now: float) -> None:
        """Look for the ends that the writer does not tell of; to be called several times a second.

        Args:
            now: The present moment, on the clock that is never set.
        """
        if (question := self.waits.question(now)) is not None:
            self.system.reader.ask_later(question)

"""The scheduler: publishes the tasks of schedules when they are due."""

from collections.abc import Callable, Mapping

import orjson
from uuid_utils import uuid7

from task_queue.actors.messages.base import Message, Recipient
from task_queue.actors.messages.clock import Tick
from task_queue.actors.messages.scheduler import Fired, SchedulesLoaded
from task_queue.actors.messages.writer import Fire, LoadSchedules, WriteFailed
from task_queue.actors.runtime.actor import Actor, Life
from task_queue.actors.tasks.new import QueueInfo, task_of
from task_queue.actors.tasks.recurrence import InvalidRecurrenceError, due
from task_queue.actors.tasks.schedule import Schedule
from task_queue.actors.tasks.task import Task

LOAD_SECONDS = 0.5
"""How often to load the schedules: other nodes and the API change them."""


class Scheduler(Actor):
    """Fires the schedules that are due, and keeps nothing that could be lost.

    Every node has one, and all see the same schedules: the row of a schedule holds its next
    occurrence, and only the first node to advance it publishes that, in the same commit.
    """

    def __init__(  # noqa: PLR0913 - wired in one place
        self,
        life: Life,
        *,
        address: Recipient,
        writer: Recipient,
        queues: Callable[[], Mapping[str, QueueInfo]],
        configured: tuple[Schedule, ...],
        now: Callable[[], float],
    ) -> None:
        """Store what is needed.

        Args:
            life: This actor's life.
            address: This actor's own, where answers go.
            writer: The database writer.
            queues: Returns the queues that tasks may go to, by name.
            configured: The schedules of the settings.
            now: The present moment, Unix seconds.
        """
        super().__init__(life)
        self._address = address
        self._writer = writer
        self._queues = queues
        self._configured: tuple[Schedule, ...] | None = configured
        self._now = now
        self._load_at = 0.0
        self._broken: set[Schedule] = set()

    def setup(self) -> None:
        """Load the schedules, and have those of the settings stored."""
        self._load(self._now())

    def receive(self, message: Message) -> None:
        """Handle one message."""
        match message:
            case Tick():
                if not 0 < self._load_at - message.now <= LOAD_SECONDS:
                    self._load(message.now)
            case SchedulesLoaded():
                self._configured = None
                for schedule in message.schedules:
                    self._fire(schedule)
            case Fired():
                self._on_fired(message.fire)
            case WriteFailed():
                pass  # the next load finds what is still due
            case _:
                self.unexpected(message)

    def _load(self, now: float) -> None:
        self._load_at = now + LOAD_SECONDS
        self._writer.tell(LoadSchedules(self._address, now, self._configured))

    def _fire(self, schedule: Schedule) -> None:
        now = self._now()
        if schedule.next_at > now or schedule in self._broken:
            return
        try:
            occurrence, next_at = due(schedule.recurrence, schedule.next_at, now, schedule.missed)
        except InvalidRecurrenceError as error:  # a time zone that is gone, or the year 9900
            self._broken.add(schedule)
            self.log.error("schedule left alone", schedule=schedule.name, error=str(error))  # noqa: TRY400 - expected
            return
        task = None if occurrence is None else self._task(schedule, occurrence, now)
        if task is None:
            occurrence = None  # nothing is published
        self._writer.tell(
            Fire(self._address, schedule.name, schedule.next_at, next_at, occurrence, task)
        )

    def _on_fired(self, fire: Fire) -> None:
        if fire.task is None:
            self.log.warning("occurrence missed", schedule=fire.name, due_at=fire.due_at)
        else:
            self.log.info("schedule fired", schedule=fire.name, id=fire.task.id)

    def _task(self, schedule: Schedule, occurrence: float, now: float) -> Task | None:
        members = orjson.loads(schedule.task)
        queue = self._queues().get(members.get("queue", "tasks"))
        if queue is None or not queue.durable:  # gone from the settings since
            self.log.error("schedule without a queue on disk", schedule=schedule.name)
            return None
        members["data"] = orjson.dumps(members.get("data", {})).decode()
        return task_of(str(uuid7()), queue, members, now, f"{schedule.name}@{occurrence:.0f}")

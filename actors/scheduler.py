"""The scheduler: publishes the tasks of schedules when they are due."""

from collections.abc import Callable, Mapping
from math import inf

from uuid_utils import uuid7

from task_queue.actors.messages.base import Message, Recipient
from task_queue.actors.messages.clock import Tick
from task_queue.actors.messages.scheduler import Fired, SchedulesLoaded
from task_queue.actors.messages.writer import Fire, LoadSchedules, WriteFailed
from task_queue.actors.runtime.actor import Actor, Life
from task_queue.actors.tasks.clock import TOLERANCE_SECONDS, Watch
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

    At its start, and when the clock was set back, it looks for schedules whose next occurrence was
    found by a clock that was ahead, and sets them back. Not all the time: two nodes whose clocks
    differ would undo each other's work.
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
        is_external: Callable[[str], bool] = lambda _action: False,
    ) -> None:
        """Store what is needed.

        Args:
            life: This actor's life.
            address: This actor's own, where answers go.
            writer: The database writer.
            queues: Returns the queues that tasks may go to, by name.
            configured: The schedules of the settings.
            now: The present moment, Unix seconds.
            is_external: Returns whether workers over HTTP do this action.
        """
        super().__init__(life)
        self._address = address
        self._writer = writer
        self._queues = queues
        self._configured: tuple[Schedule, ...] | None = configured
        self._now = now
        self._is_external = is_external
        self._load_at = 0.0
        self._watch = Watch()
        self._looks_ahead = True  # for schedules that have to be set back
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
                self._on_loaded(message)
            case Fired():
                self._on_fired(message.fire, is_new=message.is_new)
            case WriteFailed():
                pass  # the next load finds what is still due
            case _:
                self.unexpected(message)

    def _load(self, now: float) -> None:
        self._load_at = now + LOAD_SECONDS
        if self._watch.set_back_seconds(now):
            self._looks_ahead = True
            self._broken.clear()  # the wrong year may have been all that was wrong
        until = inf if self._looks_ahead else now
        self._writer.tell(LoadSchedules(self._address, until, self._configured))

    def _on_loaded(self, loaded: SchedulesLoaded) -> None:
        self._configured = None
        self._looks_ahead = self._looks_ahead and not loaded.all
        for schedule in loaded.schedules:
            if schedule not in self._broken:
                self._advance(schedule)

    def _advance(self, schedule: Schedule) -> None:
        """Publish what is due, or set the schedule back if it waits for longer than it should."""
        now, occurrence, anew = self._now(), None, False
        try:
            if schedule.next_at <= now:
                occurrence, next_at = due(
                    schedule.recurrence,
                    schedule.next_at,
                    now,
                    schedule.missed,
                    schedule.expires_after_seconds,
                )
            elif schedule.next_at > schedule.recurrence.after(now + TOLERANCE_SECONDS):
                next_at, anew = schedule.recurrence.after(now), schedule.begins_anew(now)
            else:
                return
        except InvalidRecurrenceError as error:  # a time zone that is gone, or the year 9900
            self._broken.add(schedule)
            self.log.error("schedule left alone", schedule=schedule.name, error=str(error))  # noqa: TRY400 - expected
            return
        task = None if occurrence is None else self._task(schedule, occurrence, now)
        if task is None:
            occurrence = None  # nothing is published
        self._writer.tell(
            Fire(self._address, schedule.name, schedule.next_at, next_at, occurrence, task, anew)
        )

    def _on_fired(self, fire: Fire, *, is_new: bool) -> None:
        if fire.next_at < fire.due_at:
            self.log.warning(
                "schedule set back, as the clock was",
                schedule=fire.name,
                seconds=fire.due_at - fire.next_at,
            )
        elif fire.task is None:
            self.log.warning("occurrence missed", schedule=fire.name, due_at=fire.due_at)
        elif is_new:
            self.log.info("schedule fired", schedule=fire.name, id=fire.task.id)
        else:
            self.log.info(
                "occurrence has its task, or another one its unique key",
                schedule=fire.name,
                due_at=fire.due_at,
            )

    def _task(self, schedule: Schedule, occurrence: float, now: float) -> Task | None:
        queue = self._queues().get(schedule.queue)
        if queue is None or not queue.durable:  # gone from the settings since
            self.log.error("schedule without a queue on disk", schedule=schedule.name)
            return None
        members = schedule.members(occurrence)
        return task_of(
            str(uuid7()),
            queue,
            members,
            now,
            schedule.occurrence_key(occurrence),
            external=self._is_external(members["action"]),
        )

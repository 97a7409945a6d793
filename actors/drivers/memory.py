"""The tutorial's driver: fast, in memory, and lost with the process."""

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import replace
from heapq import heappop, heappush
from itertools import count

from task_queue.actors.errors import BadRowError, QueueFullError
from task_queue.actors.messages.base import Notice, Recipient
from task_queue.actors.messages.figures import NoteFigures
from task_queue.actors.messages.queue import (
    Claimed,
    PauseKept,
    Publish,
    Settled,
    Stored,
    SuspectClaimed,
)
from task_queue.actors.messages.reply import Reply
from task_queue.actors.messages.writer import Insert, WriteFailed
from task_queue.actors.tasks.claim import ClaimedTask, Lease, Terms
from task_queue.actors.tasks.clock import Watch
from task_queue.actors.tasks.figures import Tally
from task_queue.actors.tasks.limits import QueueLimits
from task_queue.actors.tasks.settlement import Settlement
from task_queue.actors.tasks.slot import Progress
from task_queue.actors.tasks.states import Status
from task_queue.actors.tasks.task import Course, Task
from task_queue.actors.tasks.text import printable

MAX_TASKS = 100_000
"""How many unfinished tasks are held; a publish beyond that is refused."""


class MemoryDriver:
    """Holds the tasks that are not finished in memory and writes a row only for those that are.

    These are the tutorial's own semantics: a `202` says that the task was accepted, not that it is
    safe; what is not finished when the process ends is lost, and `GET /tasks` shows finished
    tasks only. Retries, backoff and dead letters work as with the other driver.
    """

    def __init__(
        self,
        *,
        queue_address: Recipient,
        writer: Recipient,
        now: Callable[[], float],
        on_published: Callable[[Task], None] = lambda _task: None,
        queue: str = "tasks",
    ) -> None:
        """Store what is needed.

        Args:
            queue_address: The queue, which is told what came of a call.
            writer: The database writer, for finished tasks.
            now: The present moment, Unix seconds.
            on_published: Called with each task that is taken.
            queue: The queue's name.
        """
        self._on_published = on_published
        self._queue = queue
        self._queue_address = queue_address
        self._writer = writer
        self._now = now
        self._ready: deque[Task] = deque()
        self._scheduled: list[tuple[float, int, Task]] = []
        self._claimed: dict[Lease, Task] = {}
        self._finished: dict[str, Insert] = {}
        self._failed = False
        self._numbers = count(1)
        self._watch = Watch()
        self._tally = Tally()

    def recover(self) -> None:
        """Do nothing: what a former life held is lost."""

    def publish(self, publish: Publish) -> None:
        """Take the tasks, unless there are too many."""
        held = len(self._ready) + len(self._scheduled) + len(self._finished)
        if held + len(publish.tasks) > MAX_TASKS:
            message = f"the queue holds {MAX_TASKS} unfinished tasks, which is all it may"
            raise QueueFullError(message)
        for task in publish.tasks:
            self._on_published(task)
            if task.status is Status.SCHEDULED:
                self._schedule(task)
            else:
                self._ready.append(task)
        self._tally.published += len(publish.tasks)
        publish.reply_to.answer(None)
        self._queue_address.tell(Stored(tuple(task.id for task in publish.tasks)))

    def claim(self, limit: int, free: int) -> None:  # noqa: ARG002 - nothing survives a crash
        """Claim the next ready tasks."""
        claimed: list[ClaimedTask] = []
        while self._ready and len(claimed) < limit:
            task = self._ready.popleft()
            task = task._replace(attempt=task.attempt + 1, started_at=self._now())
            lease = Lease(task.id, next(self._numbers))
            self._claimed[lease] = task
            claimed.append(
                ClaimedTask(
                    lease,
                    task.action,
                    task.data,
                    task.attempt,
                    task.max_attempts,
                    terms=Terms(
                        postponed=task.course.postponed,
                        traceparent=task.options.traceparent,
                        tracestate=task.options.tracestate,
                    ),
                    ready_at=task.run_at,
                )
            )
        self._tally.start(claimed, self._now())
        self._queue_address.tell(Claimed(tuple(claimed), bool(self._ready)))

    def claim_suspect(self) -> None:
        """Claim nothing: no task survives a crash, so none is a suspect."""
        self._queue_address.tell(SuspectClaimed(None))

    def settle(self, settlement: Settlement) -> None:
        """Put the task back, schedule it, or write it to the database."""
        task = self._claimed.pop(settlement.lease, None)
        if task is None:
            self._queue_address.tell(Settled((), (settlement.lease,)))
            return
        self._tally.end(settlement)
        task = task._replace(
            status=settlement.status,
            attempt=settlement.attempt,
            run_at=task.run_at if settlement.run_at is None else settlement.run_at,
            result=settlement.result,
            error=settlement.error,
            processed_at=settlement.processed_at,
            started_at=settlement.ended_at and (settlement.started_at or task.started_at),
            course=Course(
                ended_at=settlement.ended_at,
                postponed=settlement.postponed,
                counted_from=settlement.ended_at,
            ),
        )
        match task.status:
            case Status.QUEUED:
                self._ready.appendleft(task)
            case Status.SCHEDULED:
                self._schedule(task)
            case _:
                self._write(task)
        self._queue_address.tell(Settled((settlement.lease,), ()))

    def tick(self, now: float, held: Iterable[Lease]) -> None:  # noqa: ARG002 - leases never lapse
        """Make due tasks ready, and repeat writes of finished ones that failed."""
        if self._watch.set_back_seconds(now):
            self._recount(now)
        due = []
        while self._scheduled and self._scheduled[0][0] <= now:
            _, _, task = heappop(self._scheduled)
            due.append(task._replace(status=Status.QUEUED))
        self._ready.extend(due)
        if self._failed:
            self._failed = False
            for insert in self._finished.values():
                self._writer.tell(insert)
        self._hand_over_figures()

    def report(self, progress: Progress) -> None:
        """Do nothing: an unfinished task is shown nowhere."""

    def pause(self, waiter: Reply[None], *, paused: bool) -> None:
        """Answer at once: the pause is lost with the process, as the tasks are."""
        waiter.answer(None)
        self._queue_address.tell(PauseKept(paused))

    def reconfigure(self, lease_seconds: float, limits: QueueLimits) -> None:
        """Do nothing: there are neither leases nor limits."""

    def hear(self, notice: Notice) -> None:
        """Forget finished tasks that are rows now, and plan to repeat a write that failed."""
        match notice:
            case Stored():
                written = [self._finished.pop(task_id, None) for task_id in notice.task_ids]
                if any(written) and not self._finished:
                    self._hand_over_figures()
            case WriteFailed():
                self._on_write_failed(notice)

    def is_settling(self, lease: Lease) -> bool:  # noqa: ARG002 - it takes effect at once
        """Return False."""
        return False

    @property
    def unsettled(self) -> int:
        """How many finished tasks are not in the database yet."""
        return len(self._finished)

    def _on_write_failed(self, failure: WriteFailed) -> None:
        """Plan to repeat the writes; a task that the database refuses becomes dead."""
        match failure.write:
            case Insert(tasks=(task,)) if isinstance(failure.error, BadRowError):
                self._finished.pop(task.id, None)
                if task.status is not Status.DEAD:
                    why = printable(f"the outcome could not be stored: {failure.error}")
                    self._write(task._replace(status=Status.DEAD, result=None, error=why))
            case _:
                self._failed = True

    def _write(self, task: Task) -> None:
        self._finished[task.id] = insert = Insert(self._queue_address, (task,))
        self._writer.tell(insert)

    def _hand_over_figures(self) -> None:
        """Tell the writer what has happened: now and then, and when nothing is left to write."""
        if any(figures := self._tally.figures()):
            self._tally = Tally()
            self._writer.tell(NoteFigures(self._queue, figures))

    def _recount(self, now: float) -> None:
        """Count waits anew that began later than now, as the clock was ahead."""
        waiting, self._scheduled = self._scheduled, []
        for _, _, task in waiting:
            began = task.course.counted_from
            if began is None or began <= now:
                self._schedule(task)
            else:
                course = replace(task.course, counted_from=now)
                self._schedule(task._replace(run_at=task.run_at - (began - now), course=course))

    def _schedule(self, task: Task) -> None:
        heappush(self._scheduled, (task.run_at, next(self._numbers), task))

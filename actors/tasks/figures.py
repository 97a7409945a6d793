"""What happened on the queues, added up by the minute. Pure."""

from collections.abc import Iterable
from operator import add
from typing import NamedTuple

from task_queue.actors.tasks.claim import ClaimedTask
from task_queue.actors.tasks.settlement import Settlement
from task_queue.actors.tasks.states import Outcome, Status

MINUTE_SECONDS = 60
WRITE_SECONDS = 1.0
"""How long figures wait to be written, which is what a crash loses of them."""
KEPT_SECONDS = 90_000
"""How long they are kept: 25 hours, so that a day is always whole."""
MAX_UNWRITTEN = 10_000
"""How many of them wait while the database is away, those of a minute and a queue being one."""
_COMPLETED = Status.COMPLETED  # looked up once: that takes as long as all else of a task
_NO_FAILURES = (Outcome.CANCELLED, Outcome.DRAINED)


class Figures(NamedTuple):
    """What happened on a queue in some time.

    Attributes:
        published: Tasks that came, also those of schedules.
        started: Attempts that began: claims, without those that were given back unrun.
        completed: Tasks that completed.
        failed: Attempts that failed; not those that were cancelled, put off or given back.
        dead: Tasks that died.
        wait_seconds: From ready to claimed, the sum over all claims.
        run_seconds: From begin to end, the sum over those that completed or failed.
    """

    published: int = 0
    started: int = 0
    completed: int = 0
    failed: int = 0
    dead: int = 0
    wait_seconds: float = 0.0
    run_seconds: float = 0.0

    def plus(self, other: "Figures") -> "Figures":
        """Return the sums of both."""
        return Figures._make(map(add, self, other))


Row = tuple[str, int, Figures]
"""A queue, a minute (Unix seconds divided by 60), and what happened in it."""


class Tally:
    """Adds up figures of a queue: each task three times, so that must cost next to nothing."""

    __slots__ = Figures._fields

    def __init__(self) -> None:
        self.published = self.started = self.completed = self.failed = self.dead = 0
        self.wait_seconds = self.run_seconds = 0.0

    def start(self, tasks: Iterable[ClaimedTask], now: float) -> None:
        """Add attempts that begin now, Unix seconds."""
        count, seconds = 0, 0.0
        for task in tasks:
            count += 1
            if (waited := now - task.ready_at) > 0:  # a clock may be set back
                seconds += waited
        self.started += count
        self.wait_seconds += seconds

    def end(self, settlement: Settlement) -> None:
        """Add what became of an attempt."""
        if settlement.status is _COMPLETED:
            self.completed += 1
        elif (failure := settlement.failure) is not None:
            if failure.outcome in _NO_FAILURES:
                return
            self.failed += 1
            self.dead += settlement.status is Status.DEAD
        else:
            self.started -= settlement.ended_at is None  # it never began
            self.dead += settlement.status is Status.DEAD
            return
        began, ended = settlement.started_at, settlement.ended_at
        if began is not None and ended is not None and ended > began:
            self.run_seconds += ended - began

    def figures(self) -> Figures:
        """Return the sums."""
        return Figures(
            self.published,
            self.started,
            self.completed,
            self.failed,
            self.dead,
            self.wait_seconds,
            self.run_seconds,
        )


class Unwritten:
    """The figures of all queues that are not in the database yet, by the minute."""

    def __init__(self, now: float) -> None:
        """Begin with none.

        Args:
            now: The present moment, on the clock that is never set.
        """
        self._figures: dict[tuple[str, int], Figures] = {}
        self._taken_at = now

    def note(self, figures: Iterable[tuple[str, Figures]], now: float) -> None:
        """Add what has happened on queues by now, Unix seconds."""
        minute = int(now) // MINUTE_SECONDS
        self.put_back((queue, minute, each) for queue, each in figures)

    def put_back(self, rows: Iterable[Row]) -> None:
        """Add what was not written, or is not known to be: then some may be counted twice."""
        for queue, minute, figures in rows:
            former = self._figures.get((queue, minute))
            total = figures if former is None else former.plus(figures)
            self._figures[queue, minute] = total
        while len(self._figures) > MAX_UNWRITTEN:
            del self._figures[next(iter(self._figures))]

    def take_due(self, now: float) -> tuple[Row, ...]:
        """Return those that have waited for long enough, and are to be written now.

        Args:
            now: The present moment, on the clock that is never set.
        """
        if not self._figures or now - self._taken_at < WRITE_SECONDS:
            return ()
        self._taken_at = now
        return self.take()

    def take(self) -> tuple[Row, ...]:
        """Return all; they count as written."""
        # In one order on every node, so that two of them never wait for each other.
        rows = tuple((*key, figures) for key, figures in sorted(self._figures.items()))
        self._figures.clear()
        return rows

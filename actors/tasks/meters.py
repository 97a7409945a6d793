"""What is counted for the metrics, in memory and from the start of the process. Pure.

Each object is written by one thread, that of the actor it was made for, and read by whoever shows
the metrics. So no lock is needed: a number that is read is at most a moment old. They outlive the
actors, so that a restart sets no counter back.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from math import ceil, log2

from task_queue.actors.tasks.rates import Rates
from task_queue.actors.tasks.states import FINAL, Outcome, Status
from task_queue.actors.tasks.task import Task

SECONDS = (
    *(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0),
    *(30.0, 60.0, 300.0, 1800.0, 7200.0, 43200.0),
)
"""The upper bounds of the buckets of waits and runs: from a millisecond to half a day."""
COMMIT_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
WRITES = (1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1000.0, 10000.0)
"""Those of the writes in a commit: `database.max_batch` is at most the last."""
MAX_ACTIONS = 100
"""How many actions of a queue are told apart; each has some fifty series."""
MAX_PUBLISHED = 1_000
"""How many pairs of queue and action the published tasks are told apart by."""
OTHER = "other"
"""What stands for all other actions: those beyond `MAX_ACTIONS`, and those that only the fallback
runs, whose names are any text."""
SCHEMA = 3
"""Of native histograms: eight buckets for each doubling, so a quantile is at most 9 % off."""
ZERO_SECONDS = 2.0**-20
"""Up to here all is one bucket: a millionth."""


class Histogram:
    """How many values there were, by size, and their sum.

    Attributes:
        bounds: The upper bounds of the buckets; one without a bound is behind them.
        counts: How many values fell into each bucket.
        total: The sum of all values.
        fine: How many values are in each bucket of a native histogram with `SCHEMA`, by the
            bucket's index; None: not kept. Those up to `ZERO_SECONDS` are in none.
    """

    __slots__ = ("bounds", "counts", "fine", "total")

    def __init__(self, bounds: Sequence[float], *, native: bool = False) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0
        self.fine: dict[int, int] | None = {} if native else None

    def note(self, value: float) -> None:
        """Count a value; one below 0, which a clock that was set can give, as 0."""
        self.counts[bisect_left(self.bounds, value)] += 1
        if value > 0.0:  # `max` would take longer than all else here
            self.total += value
        if self.fine is not None and value > ZERO_SECONDS:
            index = ceil(log2(value) * 2**SCHEMA)
            self.fine[index] = self.fine.get(index, 0) + 1

    def add(self, other: "Histogram") -> None:
        """Add what another one with the same bounds has counted."""
        self.counts = [a + b for a, b in zip(self.counts, other.counts, strict=True)]
        self.total += other.total
        if self.fine is not None and other.fine is not None:
            for index, number in list(other.fine.items()):
                self.fine[index] = self.fine.get(index, 0) + number

    @property
    def count(self) -> int:
        """How many values there were."""
        return sum(self.counts)


class ActionMeter:
    """What is counted of one action on one queue.

    Attributes:
        waits: How long tasks that could run have waited until they were started, seconds.
        runs: How long the attempts took that ran, seconds.
        completed: How many attempts completed their task.
        outcomes: How many ended otherwise, by the value of `Outcome`, and `postponed`.
        ended: How many tasks were final after those, by their state.
        retried: How many attempts will be followed by another one.
        published: How many tasks a queue in memory has taken.
    """

    __slots__ = ("completed", "ended", "outcomes", "published", "retried", "runs", "waits")

    def __init__(self, *, native: bool = False) -> None:
        self.waits = Histogram(SECONDS, native=native)
        self.runs = Histogram(SECONDS, native=native)
        self.outcomes: Counter[str] = Counter()
        self.ended: Counter[str] = Counter()
        self.completed = self.retried = self.published = 0


class QueueMeter:
    """What is counted of one queue.

    Attributes:
        actions: What is counted of each action, by its name, and of `OTHER`.
        rates: Of the last minute.
        lost: How many leases lapsed because whatever held them died or was too slow.
        refused: How many results came too late, as their lease was not held any more.
    """

    def __init__(
        self, is_named: Callable[[str], bool] = lambda _: True, *, native: bool = False
    ) -> None:
        """Count from 0.

        Args:
            is_named: Whether an action is one of the settings, or built in.
            native: Whether native histograms are kept besides.
        """
        self.actions: dict[str, ActionMeter] = {}
        self.rates = Rates()
        self.lost = 0
        self.refused = 0
        self._is_named = is_named
        self._native = native

    def published(self, task: Task) -> None:
        """Count a task that a queue in memory has taken; `WriterMeter` counts all others."""
        self._of(task.action).published += 1

    def started(self, action: str, seconds: float) -> None:
        """Count an attempt that begins.

        Args:
            action: The name of its action.
            seconds: For how long it could have begun before.
        """
        self._of(action).waits.note(seconds)

    def completed(self, action: str, seconds: float) -> None:
        """Count an attempt that completed its task, after so long."""
        self.rates.completed += 1
        meter = self._of(action)
        meter.runs.note(seconds)
        meter.completed += 1

    def failed(
        self, action: str, outcome: Outcome | None, status: Status, seconds: float | None
    ) -> None:
        """Count an attempt that ended in another way.

        Args:
            action: The name of its action.
            outcome: How; None: its action asked to be run again later.
            status: The state of its task from now on.
            seconds: How long it took; None: that is not known.
        """
        if status is Status.QUEUED:
            return  # given back, and not begun
        meter = self._of(action)
        if seconds is not None:
            meter.runs.note(seconds)
        meter.outcomes["postponed" if outcome is None else outcome.value] += 1
        if status in FINAL:
            meter.ended[status.value] += 1
        if outcome is None or outcome is Outcome.CANCELLED:
            return
        self.rates.failed += 1
        meter.retried += status is Status.SCHEDULED
        self.lost += outcome is Outcome.LOST

    def _of(self, action: str) -> ActionMeter:
        meter = self.actions.get(action)
        return self._found(action) if meter is None else meter

    def _found(self, action: str) -> ActionMeter:
        if len(self.actions) >= MAX_ACTIONS or not self._is_named(action):
            action = OTHER
        return self.actions.setdefault(action, ActionMeter(native=self._native))


class WriterMeter:
    """What is counted of the commits.

    Attributes:
        published: How many tasks were put on disk, by queue and action.
        seconds: How long commits took.
        writes: How many writes they had.
        failures: How many commits did not go through.
    """

    def __init__(self, is_named: Callable[[str], bool] = lambda _: True) -> None:
        """Count from 0; see `QueueMeter`."""
        self.published: Counter[tuple[str, str]] = Counter()
        self.seconds = Histogram(COMMIT_SECONDS)
        self.writes = Histogram(WRITES)
        self.failures = 0
        self._is_named = is_named

    def note(self, writes: int, seconds: float, published: Mapping[tuple[str, str], int]) -> None:
        """Count a commit that is on disk.

        Args:
            writes: How many writes it had.
            seconds: How long it took.
            published: How many tasks it has put on disk, by queue and action.
        """
        self.writes.note(writes)
        self.seconds.note(seconds)
        for key, number in published.items():
            queue, action = key
            is_told_apart = key in self.published or self._has_room(action)
            self.published[key if is_told_apart else (queue, OTHER)] += number

    def _has_room(self, action: str) -> bool:
        return len(self.published) < MAX_PUBLISHED and self._is_named(action)


class Meters:
    """All that is counted in a process but for its requests.

    Attributes:
        queues: Of the queues, by name.
        leases: Of what workers over HTTP do, by queue.
        writer: Of the commits.
        restarts: How often actors were restarted, by what they are: `writer`, `consumer`.
    """

    def __init__(self, is_named: Callable[[str], bool], *, native: bool = False) -> None:
        """Count from 0; see `QueueMeter`."""
        self.queues: dict[str, QueueMeter] = {}
        self.leases: dict[str, QueueMeter] = {}
        self.writer = WriterMeter(is_named)
        self.restarts: Counter[str] = Counter()
        self._is_named = is_named
        self._native = native

    def of_queue(self, name: str) -> QueueMeter:
        """Return what counts for a queue."""
        return self._in(self.queues, name)

    def of_leases(self, name: str) -> QueueMeter:
        """Return what counts for the workers over HTTP of a queue."""
        return self._in(self.leases, name)

    def _in(self, meters: dict[str, QueueMeter], name: str) -> QueueMeter:
        if name not in meters:
            meters[name] = QueueMeter(self._is_named, native=self._native)
        return meters[name]

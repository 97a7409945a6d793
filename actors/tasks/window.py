"""A queue's window: claimed tasks that wait for a consumer, and when to claim more. Pure."""

from collections import deque
from collections.abc import Collection, Iterator, Sequence

from task_queue.actors.tasks.claim import ClaimedTask, Lease

AHEAD_SECONDS = 0.05
"""How much work is claimed ahead: as many tasks as ended in the last so many seconds and took less
than that each. Ten times what a commit takes on most disks, so that claims delay no short task, and
too short to be seen: what is claimed counts as running."""
FEW = 3
"""How many short tasks in that time are no evidence yet: a commit for each is no burden at such a
pace, and after two or three short ones a long one is nothing unusual."""
MAX_WAIT_SECONDS = 2 * AHEAD_SECONDS
"""How long a claimed task waits for a consumer before it is given back. Twice as long as it takes
at a steady speed, so that only a change of speed leads there."""


class Window:
    """The claimed tasks of one queue that wait for a consumer.

    All consumers share it, so that a long task never holds others behind it.

    A task is claimed for a consumer that is free. Short ones are claimed ahead as well, as a commit
    for each would take longer than they do: one for each that has just ended, but for the first
    `FEW`. That is evidence that it will start in a moment. A queue that was idle, or whose tasks
    take a while, claims nothing ahead. What waits too long all the same is given back, and only
    what ends quickly from then on is evidence again; so no task is claimed and given back in a
    circle.

    Attributes:
        more: Whether the queue may have ready tasks that are not claimed yet.
        promised: How many free consumers the claim under way is for.
    """

    __slots__ = (
        "_asked",
        "_head_must_not_wait",
        "_short_ends",
        "_unfed_since",
        "_waiting",
        "more",
        "promised",
    )

    def __init__(self, prefetch: int) -> None:
        """Begin empty, and claim at most so many ahead."""
        self.more = True
        self.promised = 0
        self._waiting: deque[tuple[ClaimedTask, float]] = deque()  # with the moment of its claim
        self._short_ends: deque[float] = deque()
        self._asked = 0  # how many the claim under way asks for; 0: none is under way
        self._unfed_since: float | None = None  # the first claim of those that brought nothing
        self._head_must_not_wait = False  # the first ready task is only for a free consumer
        self.resize(prefetch)

    def __len__(self) -> int:
        """Return how many tasks wait."""
        return len(self._waiting)

    def __iter__(self) -> Iterator[ClaimedTask]:
        """Yield the tasks in the order in which they are to run."""
        return (task for task, _ in self._waiting)

    @property
    def is_claiming(self) -> bool:
        """Whether a claim is under way."""
        return self._asked > 0

    def resize(self, prefetch: int) -> None:
        """Claim at most so many ahead; 0 where what is claimed has to start at once."""
        self._short_ends = deque(self._short_ends, maxlen=FEW + prefetch)

    def note_end(self, seconds: float, now: float) -> None:
        """Take note of a task that ended now and took so long."""
        if 0 <= seconds < AHEAD_SECONDS:
            self._short_ends.append(now)

    def begin_claim(self, free: int, now: float) -> int:
        """Return how many tasks to claim now, 0 for none; no other claim begins before it ends.

        Half of what may be claimed ahead at a time, unless a consumer is free: claims are worth
        their commit.

        Args:
            free: How many consumers wait for a task.
            now: The present moment, seconds; as in the other methods, on any clock.
        """
        if not self.more or self._asked:
            return 0
        ahead = self._ahead(now)
        room = max(0, ahead - len(self._waiting))
        if free or (room * 2 >= ahead and not self._head_must_not_wait):
            self._asked, self.promised = free + room, free
            if self._unfed_since is None:
                self._unfed_since = now
        return self._asked

    def end_claim(self, tasks: Sequence[ClaimedTask], now: float, *, more: bool) -> None:
        """Take in what was claimed.

        Args:
            tasks: The claimed tasks, in order.
            now: The present moment.
            more: Whether there may be more ready ones.
        """
        self._head_must_not_wait = more and len(tasks) < self._asked
        self._asked = self.promised = 0
        self.more = more
        if tasks:
            self._unfed_since = None
        self._waiting.extend((task, now) for task in tasks)

    def unfed_seconds(self, now: float) -> float:
        """Return how long claims have brought nothing; 0 while none is made, as in a pause."""
        return 0.0 if self._unfed_since is None else now - self._unfed_since

    def fail_claim(self) -> None:
        """End a claim that failed."""
        self._asked = self.promised = 0

    def put_first(self, task: ClaimedTask, now: float) -> None:
        """Take in a task that is to run before all others."""
        self._unfed_since = None
        self._waiting.appendleft((task, now))

    def take_first(self) -> ClaimedTask:
        """Take out the task that is to run next."""
        return self._waiting.popleft()[0]

    def take_overdue(self, now: float) -> list[ClaimedTask]:
        """Take out all tasks if the first one has waited too long, and return them."""
        if not self._waiting or now - self._waiting[0][1] < MAX_WAIT_SECONDS:
            return []
        self._short_ends.clear()
        self.more = True
        return self.clear()

    def remove(self, leases: Collection[Lease]) -> list[ClaimedTask]:
        """Take out the tasks with these leases, and return them."""
        removed = [task for task in self if task.lease in leases]
        self._waiting = deque(each for each in self._waiting if each[0].lease not in leases)
        return removed

    def clear(self) -> list[ClaimedTask]:
        """Take out all tasks, and return them."""
        removed = list(self)
        self._waiting.clear()
        self._unfed_since = None
        return removed

    def _ahead(self, now: float) -> int:
        """Return how many tasks may be claimed ahead."""
        ends = self._short_ends
        while ends and now - ends[0] > AHEAD_SECONDS:
            ends.popleft()
        return max(0, len(ends) - FEW)

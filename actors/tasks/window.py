"""A queue's window: claimed tasks that wait for a consumer, and when to claim more. Pure."""

from collections import deque
from collections.abc import Collection, Sequence

from task_queue.actors.tasks.claim import ClaimedTask, Lease


class Window:
    """The claimed tasks of one queue that wait for a consumer.

    All consumers share it, so that a long task never holds others behind it.

    Attributes:
        tasks: In the order in which they are to run.
        prefetch: How many may wait at most; 0 where what is claimed has to start at once, since
            starts are counted.
        more: Whether the queue may have ready tasks that are not claimed yet.
    """

    __slots__ = ("_asked", "_head_must_not_wait", "more", "prefetch", "tasks")

    def __init__(self, prefetch: int) -> None:
        self.tasks: deque[ClaimedTask] = deque()
        self.prefetch = prefetch
        self.more = True
        self._asked = 0  # how many the claim under way asks for; 0: none is under way
        self._head_must_not_wait = False  # the first ready task is only for a free consumer

    @property
    def is_claiming(self) -> bool:
        """Whether a claim is under way."""
        return self._asked > 0

    def begin_claim(self, free: int) -> int:
        """Return how many tasks to claim now, 0 for none; no other claim begins before it ends.

        Half a window at a time, unless a consumer is free: claims are worth their commit.

        Args:
            free: How many consumers wait for a task.
        """
        if not self.more or self._asked:
            return 0
        room = self.prefetch - len(self.tasks)
        half_empty = room and room * 2 >= self.prefetch
        if free or (half_empty and not self._head_must_not_wait):
            self._asked = free + room
        return self._asked

    def end_claim(self, tasks: Sequence[ClaimedTask], *, more: bool) -> None:
        """Take in what was claimed.

        Args:
            tasks: The claimed tasks, in order.
            more: Whether there may be more ready ones.
        """
        self._head_must_not_wait = more and len(tasks) < self._asked
        self._asked = 0
        self.more = more
        self.tasks.extend(tasks)

    def fail_claim(self) -> None:
        """End a claim that failed."""
        self._asked = 0

    def remove(self, leases: Collection[Lease]) -> list[ClaimedTask]:
        """Take out the tasks with these leases, and return them."""
        removed = [task for task in self.tasks if task.lease in leases]
        self.tasks = deque(task for task in self.tasks if task.lease not in leases)
        return removed

    def clear(self) -> list[ClaimedTask]:
        """Take out all tasks, and return them."""
        removed = list(self.tasks)
        self.tasks.clear()
        return removed

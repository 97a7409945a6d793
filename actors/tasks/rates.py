"""The rates of a queue: tasks per second, over the last minute. Pure."""

from collections import deque

WINDOW_SECONDS = 60.0
"""Over how long a time a rate is taken."""


class Rates:
    """Counts the tasks that are published, completed and failed, and keeps a minute of counts.

    Every task is counted more than once, so counting must cost next to nothing: the time is noted
    at every tick only.
    """

    def __init__(self) -> None:
        self.published = 0
        self.completed = 0
        self.failed = 0
        self._notes: deque[tuple[float, tuple[int, int, int]]] = deque()

    def note(self, now: float) -> None:
        """Note the counts at this moment, Unix seconds."""
        if not self._notes:
            self._notes.append((now, (0, 0, 0)))
        if now < self._notes[-1][0]:  # a clock set back
            self._notes = deque([(now, self._notes[-1][1])])
        self._notes.append((now, self._counts()))
        while self._notes[0][0] < now - WINDOW_SECONDS:
            self._notes.popleft()

    def per_second(self) -> dict[str, float]:
        """Return the rate of each count since the oldest note, which is up to a minute old."""
        (since, first), (until, last) = (
            (self._notes[0], self._notes[-1]) if self._notes else ((0.0, (0, 0, 0)),) * 2
        )
        seconds = max(until - since, 1.0)
        names = ("published", "completed", "failed")
        return {
            name: round((new - old) / seconds, 3)
            for name, old, new in zip(names, first, last, strict=True)
        }

    def _counts(self) -> tuple[int, int, int]:
        return self.published, self.completed, self.failed

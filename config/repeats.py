"""Log lines that come with every request while something is wrong: the first, then a count."""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import structlog
from structlog.typing import EventDict, WrappedLogger

from task_queue.config.logger import get_logger

COUNTED: Mapping[str, Sequence[str]] = {
    "request": ("status",),
    "request refused": ("status",),
    "request failed": ("method", "path"),
    "request not answered": (),
    "query failed": (),
    "refused by the database": (),
    "group commit repeated write by write": (),
    "late result refused, the lease is lost": (),
    "connection not accepted": (),
}
"""The events that are counted, and the fields by which two of them are the same.

A line about a task, as `task failed`, is not among them: each is that task's own.
"""
COUNT_SECONDS = 5.0
"""How long lines that are the same are counted before the count is shown."""
MAX_KINDS = 100
"""How many kinds of lines are counted at a time; of more, each line is shown."""
SHOWN = {"debug": 100, "info": 10}
"""How many of the same lines are shown in that time, by their level; of all others, one.

What a client has done wrong is asked for by its request's id; an outage says the same each time.
"""

_Kind = tuple[object, ...]


@dataclass(slots=True)
class _Count:
    level: str
    fields: Mapping[str, object]
    since: float
    shown: int = 0
    more: int = 0


class Repeats:
    """Drops lines that say again what was said a moment ago, and says how many there were."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        """Count by this clock, in seconds, which never goes backwards."""
        self._now = now
        self._counts: dict[_Kind, _Count] = {}
        self._lock = threading.Lock()

    def __call__(self, _logger: WrappedLogger, _name: str, line: EventDict) -> EventDict:
        """Let the line through, or count it; structlog calls this with each.

        Raises:
            DropEvent: It was counted.
        """
        event = line.get("event")
        by = COUNTED.get(event) if isinstance(event, str) else None
        if by is None or "action" in line:  # what an action logs is its own
            return line
        fields = {name: line.get(name) for name in by}
        with self._lock:
            count = self._count((event, *fields.values()), line["level"], fields)
            if count is None:
                return line
            if count.shown < SHOWN.get(count.level, 1):
                count.shown += 1
                return line
            count.more += 1
        raise structlog.DropEvent

    def _count(self, kind: _Kind, level: str, fields: Mapping[str, object]) -> _Count | None:
        if kind not in self._counts:
            if len(self._counts) >= MAX_KINDS:
                return None
            self._counts[kind] = _Count(level, fields, self._now())
        return self._counts[kind]

    def tell(self, *, at_once: bool = False) -> None:
        """Log how many lines were dropped, for each kind whose time is over.

        Args:
            at_once: Of all kinds, because nothing more will be logged.
        """
        for event, count, seconds in self._over(at_once=at_once):
            log = getattr(get_logger(), count.level)
            log("more of the same", of=event, **count.fields, count=count.more, seconds=seconds)

    def _over(self, *, at_once: bool) -> list[tuple[object, _Count, float]]:
        """Return what there is to tell, and forget what came no more: it is shown again."""
        now = self._now()
        over: list[tuple[object, _Count, float]] = []
        with self._lock:
            for kind, count in list(self._counts.items()):
                if not at_once and now - count.since < COUNT_SECONDS:
                    continue
                del self._counts[kind]
                if count.more:
                    over.append((kind[0], count, round(now - count.since, 1)))
                    # It goes on, as far as is known: counted from here, without a line of its own.
                    most = SHOWN.get(count.level, 1)
                    self._counts[kind] = _Count(count.level, count.fields, now, shown=most)
        return over
